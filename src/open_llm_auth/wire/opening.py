"""How a conversation begins, looked up in a request that nobody has taken apart: what tells it from another one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from .dialect import DialectName

__all__ = ["named_in", "opening_of"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Metadata(msgspec.Struct):
    user_id: Any = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a dialect says it: `system` are fields with instructions, `history` has the messages."""

    history: str
    system: tuple[str, ...] = ()
    users: tuple[str | None, ...] = ("user",)


_PLACES: Final[Mapping[str, _Place]] = {
    "openai-chat": _Place("messages"),
    "openai-responses": _Place("input", ("instructions",)),
    "anthropic-messages": _Place("messages", ("system",)),
    # Whose role is not said is the user here.
    "google-genai": _Place("contents", ("systemInstruction", "system_instruction"), ("user", None)),
}
_INSTRUCTING: Final = ("system", "developer")
#: Where the words of a message stand, in any dialect.
_WORDS: Final = ("text", "parts", "content")

_ANY: Final = msgspec.json.Decoder()
#: one value out of a text, and where it ends
_SCAN: Final = json.JSONDecoder().raw_decode
#: the role of what is no message
_NOBODY: Final = object()
_METADATA: Final = msgspec.json.Decoder(_Metadata)


def named_in(envelope: Mapping[str, Raw]) -> tuple[str, str]:
    """What the body itself calls the conversation: its `prompt_cache_key`, and the `user_id` of its metadata."""
    key = _decoded(envelope.get("prompt_cache_key"))
    raw = envelope.get("metadata")
    user: Any = None
    if raw is not None:
        try:
            user = _METADATA.decode(raw).user_id
        except _NOT_JSON:
            user = None
    return (key if isinstance(key, str) else "", user if isinstance(user, str) else "")


def opening_of(envelope: Mapping[str, Raw], dialect: DialectName) -> bytes:
    """The system text and the first message of the user, as words: marks beside them may differ from call to call."""
    place = _PLACES.get(dialect)
    if place is None:
        return b""
    said = [_words(envelope[name]) for name in place.system if name in envelope]
    for message in _first_of(bytes(envelope.get(place.history, _NULL))):
        if isinstance(message, str):
            said.append(_told(message))
            break
        role = message.get("role") if isinstance(message, dict) else _NOBODY
        if role in _INSTRUCTING or role in place.users:
            said.append(_told({name: message[name] for name in _WORDS if name in message}))
        if role in place.users:
            break
    return b"\0".join(said)


def _first_of(history: bytes) -> Iterator[Any]:
    """The messages, one after the other: a conversation may be long, and its opening is short."""
    text = history.decode("utf-8", "replace")
    if not text.startswith("["):
        yield _decoded(Raw(history))
        return
    at = _after(text, 1)
    while at < len(text) and text[at] != "]":
        try:
            message, at = _SCAN(text, at)
        except (ValueError, RecursionError):
            return
        yield message
        at = _after(text, at)


def _after(text: str, at: int) -> int:
    """The place of the next value."""
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _words(raw: Raw) -> bytes:
    """The texts in a value; of one that has none, its bytes."""
    words = "\0".join(_texts(_decoded(raw)))
    return words.encode("utf-8", "surrogatepass") or bytes(raw)


def _told(value: Any) -> bytes:
    """The same of one that is decoded."""
    words = "\0".join(_texts(value))
    return words.encode("utf-8", "surrogatepass") or repr(value).encode("utf-8", "surrogatepass")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name in _WORDS:
            if name in value:
                yield from _texts(value[name])


def _decoded(raw: Raw | None) -> Any:
    try:
        return None if raw is None else _ANY.decode(raw)
    except _NOT_JSON:
        return None
