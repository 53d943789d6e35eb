"""A request for chat completions without proofs of earlier reasoning, which only the account that made them reads."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..envelope import Envelope

__all__ = ["without_reasoning"]

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DETAILS: Final = "reasoning_details"
#: What Google documents for calls that none of its models made (thought signatures, FAQ): it is checked for nothing.
_UNCHECKED: Final = "skip_thought_signature_validator"
_GOOGLES: Final = "gemini"

Item = dict[str, Any]


def without_reasoning(envelope: Envelope, model: str) -> Envelope:
    """The request without what proves its reasoning; the very same where there is nothing of it. Words in
    `reasoning_content` are no proof, and stay."""
    try:
        given = _ANY.decode(envelope.get("messages") or b"[]")
    except _NOT_JSON:
        return envelope
    needs_mark = _GOOGLES in model.lower()
    messages = [_message(message, needs_mark=needs_mark) for message in given]
    return envelope if messages == given else {**envelope, "messages": msgspec.Raw(msgspec.json.encode(messages))}


def _message(message: Any, *, needs_mark: bool) -> Any:
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return message
    kept = {name: value for name, value in message.items() if name != _DETAILS}
    calls = kept.get("tool_calls")
    if isinstance(calls, list):
        kept["tool_calls"] = [
            _call(call, marked=needs_mark and number == 0) if isinstance(call, dict) else call
            for number, call in enumerate(calls)
        ]
    return kept


def _call(call: Item, *, marked: bool) -> Item:
    """`marked`: Gemini refuses the first call of a step that has no signature."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signed = isinstance(google, dict) and "thought_signature" in google
    if not signed and not marked:
        return call
    google = {**(google if isinstance(google, dict) else {}), "thought_signature": _UNCHECKED}
    return {**call, "extra_content": {**(extra if isinstance(extra, dict) else {}), "google": google}}
