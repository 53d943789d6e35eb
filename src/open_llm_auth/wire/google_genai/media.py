"""Media types: what a file is, by its type or by the end of its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

__all__ = ["audio_format", "audio_type", "is_google_file", "type_of_url"]

_TYPES: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
}
_FORMATS: Final[Mapping[str, str]] = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "x-aiff": "aiff", "l16": "pcm16"}
_AUDIO: Final[Mapping[str, str]] = {"pcm16": "audio/l16"}
_GOOGLE_FILES: Final = "generativelanguage.googleapis.com"


def type_of_url(url: str) -> str:
    """The media type that the address of a file ends in; "" where it tells none."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return _TYPES.get(path.rpartition(".")[2].lower(), "")


def is_google_file(uri: str) -> bool:
    """Whether it names a file kept by Google's Files API, and not one of the web."""
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        return False
    return uri.startswith("files/") or host == _GOOGLE_FILES


def audio_format(media_type: str) -> str:
    """`audio/mpeg` is mp3."""
    name = media_type.partition("/")[2].partition(";")[0].lower()
    return _FORMATS.get(name, name) or "wav"


def audio_type(audio: str) -> str:
    """mp3 is `audio/mp3`, as Google spells it."""
    return _AUDIO.get(audio, f"audio/{audio}")
