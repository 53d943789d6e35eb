"""The parts that messages and results of tools are made of, read and written
(https://platform.openai.com/docs/api-reference/responses/create, `input`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..conversation import Audio, CacheControl, Document, Image, OpaquePart, Part, Refusal, Text
from .fields import as_list, as_object, as_text, opt_text

__all__ = ["NAME", "read_content", "read_output", "write_input", "write_output_text", "write_refusal"]

#: This dialect, as it stands in opaque parts and signatures.
NAME: Final = "openai-responses"

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_PDF: Final = "application/pdf"


# ---------------------------------------------------------------------------------------------- reading


def read_content(value: object, path: str) -> tuple[Part, ...]:
    """The content of a message: a string, or a list of parts.

    Raises:
        InvalidRequest: it is neither, or a part of it is not what its type says.
    """
    if isinstance(value, str):
        return (Text(value),)
    return tuple(_read_part(part, f"{path}.{number}") for number, part in enumerate(as_list(value, path)))


def read_output(value: object, path: str) -> tuple[Text | Image | Document, ...]:
    """What a tool gave back. Parts of a kind that no result holds elsewhere are kept as the text of their JSON."""
    found: list[Text | Image | Document] = []
    for part in read_content(value, path):
        if isinstance(part, Text | Image | Document):
            found.append(part)
        elif isinstance(part, Refusal):
            found.append(Text(part.text))
        else:
            said = part.value if isinstance(part, OpaquePart) else {"type": "input_audio"}
            found.append(Text(msgspec.json.encode(said).decode()))
    return tuple(found)


def _read_part(value: object, path: str) -> Part:
    part = as_object(value, path)
    kind = as_text(part.get("type"), f"{path}.type")
    reader = _READERS.get(kind)
    return OpaquePart(NAME, kind, part) if reader is None else reader(part, path)


def _read_text(part: Mapping[str, Any], path: str) -> Text:
    return Text(as_text(part.get("text"), f"{path}.text"), cache=_cache(part))


def _read_refusal(part: Mapping[str, Any], path: str) -> Refusal:
    return Refusal(as_text(part.get("refusal"), f"{path}.refusal"))


def _read_image(part: Mapping[str, Any], path: str) -> Image:
    detail = opt_text(part.get("detail"), f"{path}.detail")
    file_id = opt_text(part.get("file_id"), f"{path}.file_id")
    if file_id:
        return Image(file_id=file_id, detail=detail, cache=_cache(part))
    url = as_text(part.get("image_url"), f"{path}.image_url")
    if not url.startswith("data:"):
        return Image(url=url, detail=detail, cache=_cache(part))
    media_type, data = _data_url(url, f"{path}.image_url")
    return Image(media_type=media_type, data=data, detail=detail, cache=_cache(part))


def _read_file(part: Mapping[str, Any], path: str) -> Document:
    name = opt_text(part.get("filename"), f"{path}.filename") or ""
    file_id = opt_text(part.get("file_id"), f"{path}.file_id")
    if file_id:
        return Document(file_id=file_id, name=name, cache=_cache(part))
    url = opt_text(part.get("file_url"), f"{path}.file_url")
    if url:
        return Document(url=url, name=name, cache=_cache(part))
    data = as_text(part.get("file_data"), f"{path}.file_data")
    # Bare base64 is taken too; such a file is a PDF unless its name says otherwise.
    media_type, data = _data_url(data, f"{path}.file_data") if data.startswith("data:") else (_PDF, data)
    return Document(media_type=media_type, data=data, name=name, cache=_cache(part))


def _read_audio(part: Mapping[str, Any], path: str) -> Audio:
    audio = as_object(part.get("input_audio"), f"{path}.input_audio")
    form = opt_text(audio.get("format"), f"{path}.input_audio.format")
    return Audio(as_text(audio.get("data"), f"{path}.input_audio.data"), form or "wav")


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Part]]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "summary_text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}


def _cache(part: Mapping[str, Any]) -> CacheControl | None:
    """OpenAI's explicit breakpoints. Their lifetimes are others than elsewhere, so none is carried over."""
    return CacheControl() if isinstance(part.get("prompt_cache_breakpoint"), dict) else None


def _data_url(url: str, path: str) -> tuple[str, str]:
    match = _DATA_URL.match(url)
    if match is None:
        raise InvalidRequest(f"{path!r} is a data URL that is not base64; send data:<type>;base64,<data>.", param=path)
    return match[1], url[match.end() :]


# ---------------------------------------------------------------------------------------------- writing


def write_input(part: Text | Image | Document) -> dict[str, Any]:
    """A part as a user's message or a tool's result holds it."""
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    return _write_image(part) if isinstance(part, Image) else _write_file(part)


def write_output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text}


def write_refusal(refusal: Refusal) -> dict[str, Any]:
    return {"type": "refusal", "refusal": refusal.text}


def _write_image(image: Image) -> dict[str, Any]:
    source = {"file_id": image.file_id} if image.file_id else {"image_url": image.url or _to_data_url(image)}
    return {"type": "input_image", **source, "detail": image.detail or "auto"}


def _write_file(document: Document) -> dict[str, Any]:
    if document.text:
        # A file of plain text is read as text anyway.
        title = f"{document.name}:\n\n" if document.name else ""
        return {"type": "input_text", "text": title + document.text}
    if document.file_id:
        return {"type": "input_file", "file_id": document.file_id}
    if document.url:
        return {"type": "input_file", "file_url": document.url}
    # A file without a name is refused.
    return {"type": "input_file", "filename": document.name or "document.pdf", "file_data": _to_data_url(document)}


def _to_data_url(part: Image | Document) -> str:
    usual = "image/png" if isinstance(part, Image) else _PDF
    return f"data:{part.media_type or usual};base64,{part.data}"
