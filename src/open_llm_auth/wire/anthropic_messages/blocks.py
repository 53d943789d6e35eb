"""Content blocks of messages, read into parts of a conversation and written from them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..conversation import (
    CUSTOM_INPUT,
    Audio,
    CacheControl,
    Document,
    Image,
    OpaquePart,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from ..signatures import open_call_id, unseal
from .rules import NAME

__all__ = ["BlockReader", "expect_list", "expect_object", "expect_text", "read_cache", "read_texts", "write_blocks",
           "write_text"]  # fmt: skip

_KINDS: Final = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_PDF: Final = "application/pdf"
_PLAIN_TEXT: Final = "text/plain"


# ---------------------------------------------------------------------------------------------- what is expected


def expect_text(value: object, path: str) -> str:
    """The string at `path`.

    Raises:
        InvalidRequest: it is something else.
    """
    if isinstance(value, str):
        return value
    raise InvalidRequest(f"{path!r} must be a string, not {_kind(value)}.", param=path)


def expect_list(value: object, path: str) -> list[Any]:
    """The list at `path`. Raises as `expect_text`."""
    if isinstance(value, list):
        return value
    raise InvalidRequest(f"{path!r} must be a list, not {_kind(value)}.", param=path)


def expect_object(value: object, path: str) -> dict[str, Any]:
    """The object at `path`. Raises as `expect_text`."""
    if isinstance(value, dict):
        return value
    raise InvalidRequest(f"{path!r} must be an object, not {_kind(value)}.", param=path)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


def _optional_text(holder: dict[str, Any], name: str, path: str) -> str:
    value = holder.get(name)
    return "" if value is None else expect_text(value, f"{path}.{name}")


# ---------------------------------------------------------------------------------------------- reading


def read_cache(block: dict[str, Any], path: str) -> CacheControl | None:
    """The `cache_control` of a block or a tool."""
    given = block.get("cache_control")
    if given is None:
        return None
    control = expect_object(given, f"{path}.cache_control")
    return CacheControl(_optional_text(control, "ttl", f"{path}.cache_control") or None)


def read_texts(content: object, path: str) -> tuple[Text, ...]:
    """A string, or a list of text blocks, as `system` is."""
    if isinstance(content, str):
        return (Text(content),) if content else ()
    placed = ((f"{path}.{at}", block) for at, block in enumerate(expect_list(content, path)))
    blocks = [(place, expect_object(block, place)) for place, block in placed]
    return tuple(_read_text(block, place) for place, block in blocks if block.get("type", "text") == "text")


def _read_text(block: dict[str, Any], path: str) -> Text:
    return Text(expect_text(block.get("text"), f"{path}.text"), read_cache(block, path))


class BlockReader:
    """Reads the content of one message after another; it remembers the names of the tools that were called."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def read(self, content: object, path: str) -> tuple[Part, ...]:
        """The parts of a message's content.

        Raises:
            InvalidRequest: a block is not what its type must be; `param` is its path.
        """
        if isinstance(content, str):
            return (Text(content),)
        return tuple(self._block(block, f"{path}.{at}") for at, block in enumerate(expect_list(content, path)))

    def _block(self, given: object, path: str) -> Part:
        block = expect_object(given, path)
        kind = expect_text(block.get("type"), f"{path}.type")
        match kind:
            case "text":
                return _read_text(block, path)
            case "image":
                return _read_image(block, path)
            case "document":
                return _read_document(block, path)
            case "search_result":
                return _read_search_result(block, path)
            case "tool_use":
                return self._call(block, path)
            case "tool_result":
                return self._result(block, path)
            case "thinking":
                return _read_thinking(block, path)
            case "redacted_thinking":
                return Thinking(signature=unseal(expect_text(block.get("data"), f"{path}.data"), NAME), redacted=True)
        return OpaquePart(NAME, kind, block)

    def _call(self, block: dict[str, Any], path: str) -> ToolCall:
        plain, signature = open_call_id(expect_text(block.get("id"), f"{path}.id"))
        name = expect_text(block.get("name"), f"{path}.name")
        given = block.get("input")
        arguments = "{}" if given is None else _encoded(expect_object(given, f"{path}.input"))
        self._names[plain] = name
        return ToolCall(plain, name, arguments, signature=signature, cache=read_cache(block, path))

    def _result(self, block: dict[str, Any], path: str) -> ToolResult:
        plain, _ = open_call_id(expect_text(block.get("tool_use_id"), f"{path}.tool_use_id"))
        return ToolResult(
            plain,
            self._names.get(plain, ""),
            _read_result_content(block.get("content"), f"{path}.content"),
            is_error=block.get("is_error") is True,
            cache=read_cache(block, path),
        )


def _read_result_content(content: object, path: str) -> tuple[Text | Image | Document, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(_read_result_block(block, f"{path}.{at}") for at, block in enumerate(expect_list(content, path)))


def _read_result_block(given: object, path: str) -> Text | Image | Document:
    block = expect_object(given, path)
    match block.get("type"):
        case "text":
            return _read_text(block, path)
        case "image":
            return _read_image(block, path)
        case "document":
            return _read_document(block, path)
        case "search_result":
            return _read_search_result(block, path)
    # A result holds nothing opaque: what it says is told as its JSON.
    return Text(_encoded(block))


def _read_image(block: dict[str, Any], path: str) -> Image:
    source = expect_object(block.get("source"), f"{path}.source")
    place = f"{path}.source"
    cache = read_cache(block, path)
    match source.get("type"):
        case "base64":
            data = expect_text(source.get("data"), f"{place}.data")
            return Image(expect_text(source.get("media_type"), f"{place}.media_type"), data, cache=cache)
        case "url":
            return Image(url=expect_text(source.get("url"), f"{place}.url"), cache=cache)
        case "file":
            return Image(file_id=expect_text(source.get("file_id"), f"{place}.file_id"), cache=cache)
    raise InvalidRequest(f"'{place}.type' must be base64, url or file.", param=f"{place}.type")


def _read_document(block: dict[str, Any], path: str) -> Document:
    source = expect_object(block.get("source"), f"{path}.source")
    place = f"{path}.source"
    name = _optional_text(block, "title", path)
    cited = block.get("citations")
    citations = isinstance(cited, dict) and cited.get("enabled") is True
    cache = read_cache(block, path)
    media_type = _optional_text(source, "media_type", place)
    data = text = url = file_id = ""
    match source.get("type"):
        case "base64":
            data = expect_text(source.get("data"), f"{place}.data")
            media_type = media_type or _PDF
        case "text":
            text = expect_text(source.get("data"), f"{place}.data")
            media_type = media_type or _PLAIN_TEXT
        case "content":
            text = _joined(source.get("content"), f"{place}.content")
            media_type = _PLAIN_TEXT
        case "url":
            url = expect_text(source.get("url"), f"{place}.url")
        case "file":
            file_id = expect_text(source.get("file_id"), f"{place}.file_id")
        case _:
            raise InvalidRequest(f"'{place}.type' must be base64, text, content, url or file.", param=f"{place}.type")
    context = _optional_text(block, "context", path)
    return Document(media_type, data, _with_context(context, text), url, file_id, name, cache, citations)


def _with_context(context: str, text: str) -> str:
    return f"{context}\n\n{text}" if context and text else text


def _joined(content: object, path: str) -> str:
    return "\n".join(text.text for text in read_texts(content, path))


def _read_search_result(block: dict[str, Any], path: str) -> Text:
    head = [_optional_text(block, "title", path), _optional_text(block, "source", path)]
    body = _joined(block.get("content") or [], f"{path}.content")
    return Text("\n".join([line for line in head if line] + ["", body]), read_cache(block, path))


def _read_thinking(block: dict[str, Any], path: str) -> Thinking:
    signature = _optional_text(block, "signature", path)
    return Thinking(_optional_text(block, "thinking", path), unseal(signature, NAME) if signature else None)


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()


# ---------------------------------------------------------------------------------------------- writing


def write_blocks(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """The blocks of a message; what can't be said in one, or would be refused, is left out."""
    written = (_write(part) for part in parts)
    return [block for block in written if block is not None]


def write_text(text: Text) -> dict[str, Any] | None:
    """A text block; None for a blank one, which the API refuses."""
    return _cached({"type": "text", "text": text.text}, text.cache) if text.text.strip() else None


def _write(part: Part) -> dict[str, Any] | None:
    match part:
        case Text():
            return write_text(part)
        case Image():
            return _cached({"type": "image", "source": _image_source(part)}, part.cache)
        case Document():
            return _write_document(part)
        case ToolCall():
            return _write_call(part)
        case ToolResult():
            return _write_result(part)
        case Thinking():
            return _write_thinking(part)
        case Refusal():
            return write_text(Text(part.text))
        case OpaquePart():
            return part.value if part.dialect == NAME else None
        case Audio():
            # Refused before anything is written (`LIMITS`).
            return None


def _cached(block: dict[str, Any], cache: CacheControl | None) -> dict[str, Any]:
    return block if cache is None else {**block, "cache_control": write_cache(cache)}


def write_cache(cache: CacheControl) -> dict[str, str]:
    """A cache breakpoint; a time that the API does not know is its usual one."""
    return {"type": "ephemeral", "ttl": cache.ttl} if cache.ttl in ("5m", "1h") else {"type": "ephemeral"}


def _image_source(image: Image) -> dict[str, str]:
    if image.url:
        return {"type": "url", "url": image.url}
    if image.file_id:
        return {"type": "file", "file_id": image.file_id}
    return {"type": "base64", "media_type": image.media_type or "image/png", "data": image.data}


def _write_document(document: Document) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "document", "source": _document_source(document)}
    if document.name:
        block["title"] = document.name
    if document.citations:
        block["citations"] = {"enabled": True}
    return _cached(block, document.cache)


def _document_source(document: Document) -> dict[str, str]:
    if document.url:
        return {"type": "url", "url": document.url}
    if document.file_id:
        return {"type": "file", "file_id": document.file_id}
    text = document.text or _text_of(document)
    if text:
        return {"type": "text", "media_type": _PLAIN_TEXT, "data": text}
    return {"type": "base64", "media_type": document.media_type or _PDF, "data": document.data}


def _text_of(document: Document) -> str:
    """The text of a file that is one: as bytes the API takes nothing but PDF."""
    if document.media_type in ("", _PDF):
        return ""
    try:
        return base64.b64decode(document.data).decode()
    except (binascii.Error, ValueError):
        return ""


def _write_call(call: ToolCall) -> dict[str, Any]:
    return _cached({"type": "tool_use", "id": call.id, "name": call.name, "input": _input_of(call)}, call.cache)


def _input_of(call: ToolCall) -> dict[str, Any]:
    """The arguments as the object that the API wants; a model's broken JSON goes back to it as text."""
    if call.custom:
        return {CUSTOM_INPUT: call.arguments}
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": call.arguments}


def _write_result(result: ToolResult) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": result.id}
    content = write_blocks(result.parts)
    if len(content) == 1 and set(content[0]) == {"type", "text"}:
        block["content"] = content[0]["text"]
    elif content:
        block["content"] = content
    if result.is_error:
        block["is_error"] = True
    return _cached(block, result.cache)


def _write_thinking(thinking: Thinking) -> dict[str, Any] | None:
    """Thinking with its proof, without which it is not taken; whose it may be is judged before (`replayable`)."""
    signature = thinking.signature
    if signature is None or not signature.value:
        return None
    if thinking.redacted:
        return {"type": "redacted_thinking", "data": signature.value}
    return {"type": "thinking", "thinking": thinking.text, "signature": signature.value}
