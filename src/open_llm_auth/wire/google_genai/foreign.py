"""A GenerateContent request without what the gateway told its client of other models' reasoning.

What stands for it in a history is an envelope in the place of a signature. Google would refuse it, and it is none of
its business.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..dialect import Fields
from ..signatures import ENVELOPES, unseal, unseal_thinking
from .names import NAME
from .thinking import signs_calls
from .writing import UNSIGNED

__all__ = ["without_foreign"]

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SIGNATURES: Final = ("thoughtSignature", "thought_signature")
_CALLS: Final = ("functionCall", "function_call")


def without_foreign(fields: Fields, model: str) -> Fields:
    """The fields with what Google itself has signed, and nothing else that was; mostly they are the very same."""
    raw = bytes(fields.get("contents") or b"")
    if not any(envelope in raw for envelope in ENVELOPES):
        return fields
    try:
        given = _ANY.decode(raw)
    except _NOT_JSON:
        # Not ours to judge: the provider says what is wrong with it.
        return fields
    contents = given if isinstance(given, list) else [given]
    kept = [_content(content, signs_calls(model)) for content in contents]
    return {**fields, "contents": [content for content in kept if content is not None]}


def _content(content: Any, signs: bool) -> Any:
    """A content without what is foreign in it; None when nothing else was."""
    if not isinstance(content, dict) or not isinstance(content.get("parts"), list):
        return content
    parts = [kept for part in content["parts"] if (kept := _part(part, signs)) is not None]
    return {**content, "parts": parts} if parts or not content["parts"] else None


def _part(part: Any, signs: bool) -> Any:
    """`signs`: the model wants calls signed, by the mark for calls of others where they are not its own."""
    name = next((name for name in _SIGNATURES if isinstance(part, dict) and isinstance(part.get(name), str)), None)
    if name is None or not _is_foreign(part[name]):
        return part
    plain = {field: value for field, value in part.items() if field != name}
    if any(call in part for call in _CALLS):
        return {**plain, name: UNSIGNED} if signs else plain
    return plain if part.get("text") and not part.get("thought") else None


def _is_foreign(signature: str) -> bool:
    return unseal_thinking(signature) is not None or unseal(signature, NAME).origin != NAME
