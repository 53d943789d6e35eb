"""A stream on its way between a client and a provider that both speak this dialect: its bytes go on as they are."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import GatewayError
from .. import sse
from ..dialect import Request
from ..relaying import EventRelay
from .errors import error_from, write_failure
from .usage import usage_from

__all__ = ["StreamRelay", "relay"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: Events that a client has seen something in: all deltas of what a model says …
_CONTENT: Final = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.code_interpreter_call_code.delta",
        "response.mcp_call_arguments.delta",
        "response.output_item.done",
    }
)
#: … and the beginning of every item but these, which are empty at first.
_ADDED: Final = "response.output_item.added"
_EMPTY_AT_FIRST: Final = ("message", "reasoning")
_WHOLE: Final = frozenset({"response.completed", "response.incomplete"})
_FAILED: Final = frozenset({"response.failed", "response.cancelled"})
_BEGUN: Final = frozenset({"response.created", "response.in_progress", "response.queued"})
#: How a delta looks on the wire. No text of a model can look so, for it has no line breaks there.
_DELTA: Final = b".delta\ndata: {"


class _Said(msgspec.Struct):
    type: Any = None
    delta: Any = None
    item: Any = None
    response: Raw = _NULL
    error: Any = None
    message: Any = None
    code: Any = None
    sequence_number: Any = None


class _Response(msgspec.Struct):
    usage: Raw = _NULL
    error: Any = None


_SAID: Final = msgspec.json.Decoder(_Said)
_RESPONSE: Final = msgspec.json.Decoder(_Response)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])


class StreamRelay(EventRelay):
    """Watches one streamed response go by (dialect.Stream)."""

    __slots__ = ("_begun", "_last")

    def __init__(self) -> None:
        super().__init__()
        #: the response as the provider began it, for the one that an error has to end
        self._begun: bytes = b""
        #: the newest events, for the number of the last one
        self._last: bytes = b""

    def fail(self, error: GatewayError) -> bytes:
        return write_failure(error, self._response(), self._next_number())

    def _is_plain(self, block: bytes) -> bool:
        self._last = block
        deltas = block.count(_DELTA)
        return deltas > 0 and block.count(b"data:") == deltas

    def _keeps(self, event: bytes, name: bytes, data: bytes) -> bool:
        self._last = event
        try:
            said = _SAID.decode(data)
        except _NOT_JSON:
            # Not ours to judge; but an end mark stands for a whole answer, and comes too late for that.
            return data != b"[DONE]"
        kind = said.type if isinstance(said.type, str) else ""
        if kind == "error" or (not kind and (said.error or name == b"error")):
            self.failure = error_from(said.error or {"message": said.message, "code": said.code})
        elif kind in _FAILED:
            self.failure = error_from(
                _read(said.response).error or {"message": f"The provider's {kind} gave no reason."}
            )
        elif kind in _WHOLE:
            self.committed = self.done = True
            self.usage = usage_from(_read(said.response).usage) or self.usage
        elif kind in _BEGUN:
            self._begun = bytes(said.response)
        elif not self.committed:
            self.committed = _is_content(kind, said)
        return self.failure is None

    def _is_whole(self) -> bool:
        return False

    def _response(self) -> dict[str, Any]:
        try:
            return dict(_OBJECT.decode(self._begun))
        except _NOT_JSON:
            return {"id": "resp_failed", "object": "response", "output": []}

    def _next_number(self) -> int:
        for event in reversed(sse.split_events(self._last)):
            data = sse.data_of(event)
            try:
                number = None if data is None else _SAID.decode(data).sequence_number
            except _NOT_JSON:
                continue
            if isinstance(number, int):
                return number + 1
        return 0


def relay(_request: Request) -> StreamRelay:
    """The watcher of a stream; what was asked for makes no difference to it."""
    return StreamRelay()


def _is_content(kind: str, said: _Said) -> bool:
    if kind in _CONTENT:
        return bool(said.delta != "")
    if kind != _ADDED or not isinstance(said.item, dict):
        return False
    return said.item.get("type") not in _EMPTY_AT_FIRST


def _read(response: Raw) -> _Response:
    try:
        return _RESPONSE.decode(response)
    except _NOT_JSON:
        return _Response()
