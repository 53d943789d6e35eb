"""What Claude Code writes, to events: its lines one by one, or all of them as a whole answer."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from ...errors import UpstreamInvalidResponse
from ..events import (
    BlockEnded,
    ErrorBody,
    Event,
    Failed,
    Finished,
    Signature,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Usage,
)
from ..ndjson import read_lines
from .errors import error_of

__all__ = ["LineReader", "read_reply"]

#: It signs as the API does, and only the API can read it.
_ORIGIN: Final = "anthropic-messages"
#: The model of a message that the program made up itself: an error, or its own answer to a command.
_SYNTHETIC: Final = "<synthetic>"
_PARAGRAPH: Final = "\n\n"
_ABSENT: Final = msgspec.Raw()

_REASONS: Final[dict[str, StopReason]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "pause",
    "refusal": "refusal",
    "stop_sequence": "stop_sequence",
    "tool_use": "stop",
}
#: After these the program goes on by itself, asks the model to continue or puts an error in the answer's place. For the
#: caller the answer ends here.
_LAST: Final = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Head(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class _Whole(_Head):
    content: list[_Block] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _StreamEvent(msgspec.Struct):
    type: str = ""
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Head | None = None
    usage: _Usage | None = None


class _Line(msgspec.Struct):
    type: str = ""
    event: _StreamEvent | None = None
    parent_tool_use_id: str | None = None
    #: of a line `assistant`; others have other things here
    message: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    subtype: str | None = None
    is_error: bool | None = None
    result: str | None = None
    api_error_status: int | None = None
    usage: _Usage | None = None


_LINE: Final = msgspec.json.Decoder(_Line)
_WHOLE: Final = msgspec.json.Decoder(_Whole)
_WORD: Final = msgspec.json.Decoder(str)


class LineReader:
    """Lines of one run, in order. `done` after the last event of the answer."""

    __slots__ = (
        "_error",
        "_kind",
        "_parted",
        "_reason",
        "_said_itself",
        "_sequence",
        "_signature",
        "_started",
        "_streamed",
        "_unfinished",
        "_usage",
        "done",
    )

    def __init__(self) -> None:
        self.done = False
        self._started = False
        #: ids of messages that came in pieces, and whether the last of them lacks its end
        self._streamed: set[str] = set()
        self._unfinished = False
        #: what the last thing told was, and what has begun after it
        self._kind = ""
        self._parted: Literal["", "block", "message"] = ""
        self._signature = ""
        self._usage = Usage()
        self._reason: str | None = None
        self._sequence: str | None = None
        self._error: str | None = None
        self._said_itself = ""

    def read(self, data: bytes) -> list[Event]:
        """What one line says.

        Raises:
            UpstreamInvalidResponse: it is JSON that is not this program's, or is cut off.
        """
        if not data.startswith(b"{"):
            return []  # something printed beside the stream, such as a warning of the runtime
        try:
            line = _LINE.decode(data)
            if line.parent_tool_use_id is not None:
                return []  # of an agent that the program runs, which answers to it alone
            if line.type == "stream_event":
                return [] if line.event is None else self._event(line.event)
            if line.type == "assistant" and bytes(line.message).startswith(b"{"):
                return self._message(line, _WHOLE.decode(line.message))
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamInvalidResponse("The program's output is not what Claude Code writes.") from error
        return self._result(line) if line.type == "result" else []

    # --- a message in pieces ---

    def _event(self, event: _StreamEvent) -> list[Event]:
        match event.type:
            case "content_block_delta":
                return [] if event.delta is None else self._delta(event.delta)
            case "content_block_start":
                return [] if event.content_block is None else self._block(event.content_block)
            case "content_block_stop":
                return self._sign()
            case "message_start" if event.message is not None:
                self._streamed.add(event.message.id or "")
                self._unfinished = True
                return self._begin(event.message)
            case "message_delta":
                return self._ending(event)
            case "message_stop":
                self._unfinished = False
        return []

    def _delta(self, delta: _Delta) -> list[Event]:
        if delta.text:
            return self._tell("text", TextDelta(delta.text))
        if delta.thinking:
            return self._tell("thinking", ThinkingDelta(delta.thinking))
        self._signature += delta.signature or ""
        return []

    def _block(self, block: _Block) -> list[Event]:
        """A block begins; those of tools are the program's own and are not told."""
        self._parted = self._parted or "block"
        events: list[Event] = []
        if block.thinking:
            events += self._tell("thinking", ThinkingDelta(block.thinking))
        if block.text:
            events += self._tell("text", TextDelta(block.text))
        self._signature = block.signature or ""
        if block.type == "redacted_thinking" and block.data:
            events += self._tell("thinking", ThinkingSigned(Signature(_ORIGIN, block.data), redacted=True))
        return events

    def _sign(self) -> list[Event]:
        signature, self._signature = self._signature, ""
        return self._tell("thinking", ThinkingSigned(Signature(_ORIGIN, signature))) if signature else []

    def _ending(self, event: _StreamEvent) -> list[Event]:
        self._usage = _later(self._usage, event.usage)
        if event.delta is None or event.delta.stop_reason is None:
            return []
        self._reason, self._sequence = event.delta.stop_reason, event.delta.stop_sequence
        return [self._finished(self._usage)] if self._reason in _LAST else []

    # --- a whole message ---

    def _message(self, line: _Line, message: _Whole) -> list[Event]:
        if bytes(line.error).startswith(b'"'):
            self._error = _WORD.decode(line.error)
        if message.model == _SYNTHETIC:
            self._said_itself = "".join(block.text or "" for block in message.content)
            return []
        if message.id in self._streamed:
            return []  # it has been told in pieces
        if self._unfinished and self._kind:
            return self._failed(ErrorBody("Claude Code began its answer again after half of it.", code="502"))
        return self._tell_whole(message)

    def _tell_whole(self, message: _Whole) -> list[Event]:
        """Older releases write messages whole, block by block."""
        events = self._begin(message)
        for block in message.content:
            events += self._block(block)
            events += self._sign()
        if message.stop_reason is not None:
            self._reason, self._sequence = message.stop_reason, message.stop_sequence
        return events

    # --- both ---

    def _begin(self, message: _Head) -> list[Event]:
        self._parted = "message"
        self._usage = _later(Usage(), message.usage)
        if self._started:
            return []
        self._started = True
        known = Usage(self._usage.input, 0, self._usage.cache_read, self._usage.cache_write)
        return [Started(message.id or "", message.model or "", known if message.usage is not None else None)]

    def _tell(self, kind: str, event: Event) -> list[Event]:
        events: list[Event] = [] if self._started else [Started()]
        self._started = True
        if self._parted and kind == self._kind:
            # The texts of two messages would run into each other where a client knows one text alone.
            events.append(TextDelta(_PARAGRAPH) if kind == "text" and self._parted == "message" else BlockEnded())
        self._parted = ""
        self._kind = kind
        events.append(event)
        return events

    # --- the end ---

    def _result(self, line: _Line) -> list[Event]:
        if line.is_error or (line.subtype or "success") != "success":
            return self._failed(self._complaint(line))
        total = _later(Usage(), line.usage)
        usage = total if total.input or total.output else self._usage
        if self._kind:
            return [self._finished(usage)]
        if self._said_itself or not line.result:
            said = self._said_itself or "It said nothing."
            return self._failed(error_of(f"Claude Code asked no model: {said}", None, 502))
        return [*self._tell("text", TextDelta(line.result)), self._finished(usage)]

    def _complaint(self, line: _Line) -> ErrorBody:
        said = line.result or self._said_itself or f"Claude Code ended with {line.subtype or 'an error'}."
        return error_of(said, self._error, line.api_error_status)

    def _finished(self, usage: Usage) -> Finished:
        self.done = True
        reason = _REASONS.get(self._reason or "end_turn", "stop")
        return Finished(reason, usage, self._sequence if reason == "stop_sequence" else None)

    def _failed(self, error: ErrorBody) -> list[Event]:
        self.done = True
        return [Failed(error)]


def read_reply(body: bytes) -> list[Event]:
    """All that one run has written.

    Raises:
        UpstreamInvalidResponse: it is not this program's, or not whole.
    """
    return read_lines(LineReader(), body)


def _later(usage: Usage, stated: _Usage | None) -> Usage:
    """The count with what is newly stated; Anthropic's input leaves out what the cache had."""
    if stated is None:
        return usage
    output = usage.output if stated.output_tokens is None else stated.output_tokens
    if stated.input_tokens is None:
        return Usage(usage.input, output, usage.cache_read, usage.cache_write)
    read, written = stated.cache_read_input_tokens or 0, stated.cache_creation_input_tokens or 0
    return Usage(stated.input_tokens + read + written, output, read, written)
