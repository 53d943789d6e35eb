"""A request for a response without the reasoning of earlier ones, which only the account that made it can open."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..envelope import Envelope, first_byte

__all__ = ["without_reasoning"]

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REASONING: Final = "reasoning"
_REFERENCE: Final = "item_reference"
#: how ids of reasoning begin
_REASONING_ID: Final = "rs_"
#: Named by its id, what followed a piece of reasoning is refused without it; as a mere item it is not.
_FOLLOWS: Final = frozenset({"message", "function_call", "custom_tool_call"})


def without_reasoning(envelope: Envelope, model: str) -> Envelope:  # noqa: ARG001 - the same for every model
    """The request without items of reasoning; the very same where there are none. A compaction stays, sealed as it is:
    it is all that is left of the conversation before it."""
    raw = envelope.get("input")
    if raw is None or first_byte(raw) != ord("["):
        return envelope
    try:
        given = _ANY.decode(raw)
    except _NOT_JSON:
        return envelope
    kept = [item for item in given if not _is_reasoning(item)]
    if len(kept) == len(given):
        return envelope
    return {**envelope, "input": msgspec.Raw(msgspec.json.encode([_nameless(item) for item in kept]))}


def _is_reasoning(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    if item.get("type") == _REFERENCE:
        return str(item.get("id")).startswith(_REASONING_ID)
    return item.get("type") == _REASONING


def _nameless(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("type") not in _FOLLOWS or "id" not in item:
        return item
    return {name: value for name, value in item.items() if name != "id"}
