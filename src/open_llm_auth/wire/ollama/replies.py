"""One line of Ollama's answer to events; a plain answer is a stream of one line."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..events import (
    ErrorBody,
    Event,
    Failed,
    Finished,
    Logprobs,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from ..halves import Halves
from .errors import read_error

__all__ = ["LineReader", "read_reply"]


class _Function(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Rival(msgspec.Struct):
    token: str
    logprob: float


class _Logprob(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Rival] | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    done: bool | None = None
    model: str | None = None
    created_at: str | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    eval_count: int | None = None
    logprobs: list[_Logprob] | None = None
    error: msgspec.Raw = msgspec.Raw()


_DECODER: Final = msgspec.json.Decoder(_Line)
_TEXT: Final = msgspec.json.Decoder(str)
_NO_ERROR: Final = (b"", b"null", b'""')
_ID_LENGTH: Final = 20

#: `load` and `unload` answer a call without messages. It says `stop` for calls of tools too.
_REASONS: Final[dict[str, StopReason]] = {"stop": "stop", "length": "length", "load": "stop", "unload": "stop"}


class LineReader:
    """Lines of one answer, in order. `done` after the last one."""

    __slots__ = ("_calls", "_halves", "_started", "done")

    def __init__(self) -> None:
        self._halves = Halves()
        self._calls = 0
        self._started = False
        self.done = False

    def read(self, data: bytes) -> list[Event]:
        """What one line says.

        Raises:
            UpstreamInvalidResponse: it is not a line of this dialect.
        """
        data = self._halves.mend(data)
        try:
            line = _DECODER.decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamInvalidResponse("The provider's answer is not what Ollama says on /api/chat.") from error
        if bytes(line.error) not in _NO_ERROR:
            self.done = True
            return [Failed(read_error(data) or ErrorBody("The provider reported an error."))]
        if line.message is None and line.done is None:
            raise UpstreamInvalidResponse("The provider's answer is not what Ollama says on /api/chat.")
        return self._events(line)

    def _events(self, line: _Line) -> list[Event]:
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started(model=line.model or ""))
        message = line.message
        if message is not None:
            if message.thinking:
                events.append(ThinkingDelta(message.thinking))
            if message.content:
                events.append(TextDelta(message.content))
            if line.logprobs:
                events.append(_logprobs(line.logprobs))
            for call in message.tool_calls or ():
                events += self._call(call, line.created_at or "")
        if line.done:
            self.done = True
            events.append(self._finished(line))
        return events

    def _call(self, call: _Call, moment: str) -> list[Event]:
        if not call.function.name:
            raise UpstreamInvalidResponse("The provider's answer calls a tool without a name.")
        arguments = _arguments(call.function.arguments)
        started = ToolCallStarted(call.id or self._id_of(call, moment), call.function.name)
        self._calls += 1
        return [started] if arguments in ("{}", "null") else [started, ToolCallDelta(arguments)]

    def _id_of(self, call: _Call, moment: str) -> str:
        """Older servers give calls no id. One made of what was said, and when, is the same each time it is read, and
        another in the next answer."""
        said = (moment.encode(), b"%d" % self._calls, call.function.name.encode(), bytes(call.function.arguments))
        return f"call_ollama_{hashlib.sha256(b'/'.join(said)).hexdigest()[:_ID_LENGTH]}"

    def _finished(self, line: _Line) -> Finished:
        reason = _REASONS.get(line.done_reason or "stop", "stop")
        return Finished("tool_calls" if self._calls and reason == "stop" else reason, _usage(line))


def read_reply(body: bytes) -> list[Event]:
    """A plain answer.

    Raises:
        UpstreamInvalidResponse: it is not one, or not whole.
    """
    reader = LineReader()
    events = reader.read(body)
    if not reader.done:
        raise UpstreamInvalidResponse("The provider's answer is not complete.")
    return events


def _arguments(raw: msgspec.Raw) -> str:
    """The JSON text of an object; who imitates Ollama may send that text as a string."""
    return _TEXT.decode(raw) if bytes(raw).startswith(b'"') else bytes(raw).decode()


def _usage(line: _Line) -> Usage | None:
    if line.prompt_eval_count is None and line.eval_count is None:
        return None
    cached = max(0, line.prompt_eval_cached_count or 0)
    return Usage(max(line.prompt_eval_count or 0, cached), max(0, line.eval_count or 0), cache_read=cached)


def _logprobs(found: list[_Logprob]) -> Logprobs:
    return Logprobs(
        tuple(
            TokenLogprob(
                each.token,
                each.logprob,
                tuple(TokenLogprob(rival.token, rival.logprob) for rival in each.top_logprobs or ()),
            )
            for each in found
        )
    )
