"""Parts of a conversation as Converse's content blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..conversation import (
    CUSTOM_INPUT,
    Audio,
    CacheControl,
    Document,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

__all__ = ["Block", "BlockWriter", "cache_point"]

Block = dict[str, Any]

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

_IMAGES: Final = {
    "image/gif": "gif",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
}
_DOCUMENTS: Final = {
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/x-markdown": "md",
}
_EXTENSIONS: Final = frozenset({"csv", "doc", "docx", "html", "md", "pdf", "txt", "xls", "xlsx"})
#: Types beside ``text/…`` that are text to a reader.
_TEXTUAL: Final = re.compile(r"application/(?:json|xml|yaml|x-yaml|toml|javascript|x-ndjson|sql)|.*\+(?:json|xml)")
_AUDIO: Final = frozenset(
    {"aac", "flac", "m4a", "mka", "mkv", "mp3", "mp4", "mpeg", "mpga", "ogg", "opus", "pcm", "wav", "webm", "x-aac"}
)
#: A name is letters, digits, hyphens, brackets and single blanks.
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_NAME_LIMIT: Final = 190
#: A text may not be blank, and a result may not be without content.
_NOTHING: Final = "(empty)"


def cache_point(cache: CacheControl | None) -> list[Block]:
    """The block that ends what is to be cached; nothing where nothing is."""
    if cache is None:
        return []
    point = {"type": "default"}
    if cache.ttl == "1h":  # five minutes are the default, and models that know no other refuse to be told
        point["ttl"] = cache.ttl
    return [{"cachePoint": point}]


class BlockWriter:
    """Writes the blocks of one request, in which no two documents have the same name."""

    __slots__ = ("_caches", "_names")

    def __init__(self, *, caches: bool) -> None:
        self._caches = caches
        self._names: set[str] = set()

    def write(self, part: Part) -> list[Block]:
        """A part with the cache point behind it; nothing for what Converse has no place for.

        Raises:
            InvalidRequest: an image, document or sound is of a kind that Converse does not take, or is not at hand.
        """
        block = self._block(part)
        return [] if block is None else [block, *self._cache_of(part)]

    def _block(self, part: Part) -> Block | None:
        match part:
            case Text() | Refusal():
                return {"text": part.text} if part.text.strip() else None
            case Image():
                return _image(part)
            case Document():
                return self._document(part)
            case Audio():
                return _audio(part)
            case ToolCall():
                return _call(part)
            case ToolResult():
                return self._result(part)
            case Thinking():
                return _thinking(part)
        return None

    def _cache_of(self, part: Part) -> list[Block]:
        if not self._caches or not isinstance(part, Text | Image | Document | ToolCall | ToolResult):
            return []
        inner = [each.cache for each in part.parts] if isinstance(part, ToolResult) else []
        # Within a result there is no place for a cache point; behind it is the next best.
        return cache_point(next((cache for cache in (part.cache, *inner) if cache is not None), None))

    def _document(self, document: Document) -> Block:
        source: Block
        if document.text:
            source = {"text": document.text}
        elif document.data:
            source = {"bytes": document.data}
        else:
            raise InvalidRequest(
                "A document given by a URL or a file id can't be passed on to Bedrock; send its bytes.",
                param="document",
            )
        block = {"format": _document_format(document), "name": self._name(document.name), "source": source}
        if document.citations:
            block["citations"] = {"enabled": True}
        return {"document": block}

    def _name(self, given: str) -> str:
        plain = _NOT_IN_NAME.sub(" ", given)[:_NAME_LIMIT].strip() or "document"
        name = next(name for name in _numbered(plain) if name not in self._names)
        self._names.add(name)
        return name

    def _result(self, result: ToolResult) -> Block:
        content = [block for part in result.parts if (block := self._block(part)) is not None]
        fields: Block = {"toolUseId": result.id, "content": content or [{"text": _NOTHING}]}
        if result.is_error:
            fields["status"] = "error"
        return {"toolResult": fields}


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1


def _image(image: Image) -> Block:
    if not image.data:
        raise InvalidRequest(
            "An image given by a URL or a file id can't be passed on to Bedrock; send its bytes.", param="image"
        )
    kind = _IMAGES.get(image.media_type.lower())
    if kind is None:
        raise InvalidRequest(
            f"Bedrock takes images as PNG, JPEG, GIF or WebP, not {image.media_type!r}; convert it.", param="image"
        )
    return {"image": {"format": kind, "source": {"bytes": image.data}}}


def _document_format(document: Document) -> str:
    kind = document.media_type.lower().partition(";")[0].strip()
    extension = document.name.rpartition(".")[2].lower()
    if kind in _DOCUMENTS:
        return _DOCUMENTS[kind]
    if extension in _EXTENSIONS and "." in document.name:
        return extension
    if document.text or kind.startswith("text/") or _TEXTUAL.fullmatch(kind):
        return "txt"
    raise InvalidRequest(
        f"Bedrock takes documents as PDF, CSV, Word, Excel, HTML, Markdown or text, not {document.media_type!r}.",
        param="document",
    )


def _audio(audio: Audio) -> Block:
    kind = audio.format.lower()
    if kind not in _AUDIO:
        raise InvalidRequest(
            f"Bedrock does not take audio as {audio.format!r}; convert it to wav or mp3.", param="audio"
        )
    return {"audio": {"format": kind, "source": {"bytes": audio.data}}}


def _call(call: ToolCall) -> Block:
    return {"toolUse": {"toolUseId": call.id, "name": call.name, "input": _arguments(call)}}


def _arguments(call: ToolCall) -> object:
    """An object. What is none, such as the free text of a custom tool, is the `input` of one."""
    if not call.custom:
        try:
            _OBJECT.decode(call.arguments)
            return msgspec.Raw(call.arguments.encode())
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            if not call.arguments.strip():
                return {}
    return {CUSTOM_INPUT: call.arguments}


def _thinking(thinking: Thinking) -> Block | None:
    """Reasoning with its proof; whose it may be is judged before (`replayable`)."""
    signature = thinking.signature
    if signature is None:
        return None
    if thinking.redacted:
        return {"reasoningContent": {"redactedContent": signature.value}}
    return {"reasoningContent": {"reasoningText": {"text": thinking.text, "signature": signature.value}}}
