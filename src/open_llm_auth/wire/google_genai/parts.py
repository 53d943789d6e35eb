"""Parts of an answer as Google writes them, and the word for its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..conversation import CUSTOM_INPUT, Thinking
from ..events import BlockEnded, Event, Signature, StopReason, ThinkingDelta, ThinkingSigned, ToolCallStarted
from ..signatures import Recalled, seal, seal_thinking
from .names import NAME

__all__ = ["Thoughts", "call_part", "finish_reason", "signature_part"]

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


class Thoughts:
    """The thinking of others on its way to a call. Gemini's own clients keep no thoughts in their history, and the call
    with its signature they do: so the whole of it travels there, whether the thoughts are shown or not."""

    __slots__ = ("_first", "_later", "_open", "_said", "_summary")

    def __init__(self) -> None:
        self._first: list[Thinking] = []
        self._later: list[Thinking] = []
        #: the words of the block that has begun, and whether others stand before it
        self._open: list[str] = []
        self._said = False
        self._summary = False

    def take(self, event: Event, *, said: bool) -> None:
        """An event of thinking, or the end of a block. `said`: words of the answer came since the last call."""
        match event:
            case ThinkingDelta(text=text, summary=summary):
                if said is not self._said:
                    self._close()
                self._open.append(text)
                self._said, self._summary = said, summary
            case ThinkingSigned(signature=signature, redacted=redacted) if signature.origin != NAME:
                self._said = self._said if self._open else said
                self._close(signature, redacted=redacted)
            case ThinkingSigned() | BlockEnded():
                self._close()

    def sealed(self) -> str | None:
        """All of it for the call that begins, in an envelope; then it begins anew."""
        self._close()
        sealed = seal_thinking(Recalled(tuple(self._first), tuple(self._later)))
        self._first, self._later = [], []
        return sealed

    def _close(self, signature: Signature | None = None, *, redacted: bool = False) -> None:
        text = "".join(self._open)
        self._open.clear()
        if text or signature is not None:
            (self._later if self._said else self._first).append(Thinking(text, signature, self._summary, redacted))
        self._summary = False


def call_part(call: ToolCallStarted, arguments: str, thoughts: str | None = None) -> dict[str, Any] | None:
    """A whole function call; None where its arguments are no JSON object, which Google has no form for. `thoughts` are
    those that led to it, in their envelope."""
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
    elif thoughts is not None:
        part["thoughtSignature"] = thoughts
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
