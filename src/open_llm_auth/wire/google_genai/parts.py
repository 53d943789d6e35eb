"""Parts of an answer as Google writes them, and the word for its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..conversation import CUSTOM_INPUT
from ..events import StopReason, ThinkingSigned, ToolCallStarted
from ..signatures import seal
from .names import NAME

__all__ = ["call_part", "finish_reason", "signature_part"]

_REASONS: Final[Mapping[StopReason, str]] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "refusal": "SAFETY",
    # There is no word for an answer that is to be continued; STOP would say that it is whole.
    "pause": "OTHER",
}
_ANY: Final = msgspec.json.Decoder()


def call_part(call: ToolCallStarted, arguments: str) -> dict[str, Any] | None:
    """A whole function call; None where its arguments are no JSON object, which Google has no form for."""
    if call.custom:
        args: Any = {CUSTOM_INPUT: arguments}
    else:
        try:
            args = _ANY.decode(arguments or "{}")
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        if not isinstance(args, dict):
            return None
    part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": args}}
    if call.signature is not None:
        own = call.signature.origin == NAME
        part["thoughtSignature"] = call.signature.value if own else seal(call.signature)
    return part


def signature_part(signed: ThinkingSigned, shown: bool) -> dict[str, Any] | None:
    """What proves the thoughts before it; None where the client does not see the words that it proves.

    Redacted thinking is left out: what comes back of a signature here could not tell that it was that.
    """
    signature = signed.signature
    if signature.origin == NAME:
        return {"text": "", "thoughtSignature": signature.value}
    if signed.redacted:
        return None
    return {"text": "", "thought": True, "thoughtSignature": seal(signature)} if shown else None


def finish_reason(reason: StopReason, *, broken: bool) -> str:
    """`broken`: a call was left out because it was no JSON; the length tells why, where it ended the answer."""
    return "MALFORMED_FUNCTION_CALL" if broken and reason != "length" else _REASONS[reason]
