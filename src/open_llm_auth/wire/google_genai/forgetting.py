"""A GenerateContent request without thoughts and their signatures, which only the project that made them can read."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..envelope import Envelope
from .thinking import signs_calls
from .writing import UNSIGNED

__all__ = ["without_reasoning"]

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SIGNATURES: Final = frozenset({"thoughtSignature", "thought_signature"})
_CALLS: Final = ("functionCall", "function_call")
#: What may be left of a part that said nothing but that there was a thought.
_EMPTY: Final[tuple[dict[str, str], ...]] = ({}, {"text": ""})


def without_reasoning(envelope: Envelope, model: str) -> Envelope:
    """The request without thoughts and signatures; the very same where there is nothing of them. A model that wants
    the first call of each step signed gets the mark that Google documents for calls of others."""
    try:
        given = _ANY.decode(envelope.get("contents") or b"[]")
    except _NOT_JSON:
        return envelope
    contents = given if isinstance(given, list) else [given]
    marked = signs_calls(model)
    kept = [_content(content, marked=marked) for content in contents]
    if kept == contents:
        return envelope
    kept = [content for content in kept if not isinstance(content, dict) or content.get("parts") != []]
    return {**envelope, "contents": msgspec.Raw(msgspec.json.encode(kept))}


def _content(content: Any, *, marked: bool) -> Any:
    if not isinstance(content, dict) or not isinstance(content.get("parts"), list):
        return content
    parts = [kept for part in content["parts"] if (kept := _part(part)) not in _EMPTY or kept == part]
    if marked:
        first = next((number for number, part in enumerate(parts) if _is_call(part)), None)
        if first is not None:
            parts[first] = {**parts[first], "thoughtSignature": UNSIGNED}
    return {**content, "parts": parts}


def _part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if part.get("thought"):
        return {}
    return {name: value for name, value in part.items() if name not in _SIGNATURES}


def _is_call(part: Any) -> bool:
    return isinstance(part, dict) and any(name in part for name in _CALLS)
