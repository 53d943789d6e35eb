"""The streamed answer of ConverseStream, message by message."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..events import (
    BlockEnded,
    Event,
    Failed,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from ..sequence import Sequencer
from .errors import read_stream_error
from .eventstream import Message, MessageSplitter
from .replies import NAME, NOT_JSON, citation_from, finished, usage_from

__all__ = ["StreamDecoder"]


class _Input(msgspec.Struct):
    input: str = ""


class _ReasoningDelta(msgspec.Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _Input | None = None
    reasoning_content: _ReasoningDelta | None = None
    citation: dict[str, Any] | None = None


class _BlockDelta(msgspec.Struct, rename="camel"):
    delta: _Delta | None = None
    content_block_index: int = 0


class _ToolUseStart(msgspec.Struct, rename="camel"):
    name: str = ""
    tool_use_id: str = ""
    type: str | None = None


class _Start(msgspec.Struct, rename="camel"):
    tool_use: _ToolUseStart | None = None


class _BlockStart(msgspec.Struct, rename="camel"):
    start: _Start | None = None
    content_block_index: int = 0


class _BlockStop(msgspec.Struct, rename="camel"):
    content_block_index: int = 0


class _MessageStop(msgspec.Struct, rename="camel"):
    stop_reason: str | None = None
    additional_model_response_fields: Any = None


class _Metadata(msgspec.Struct, rename="camel"):
    usage: Any = None
    service_tier: Any = None


_DELTA: Final = msgspec.json.Decoder(_BlockDelta)
_START: Final = msgspec.json.Decoder(_BlockStart)
_STOP: Final = msgspec.json.Decoder(_BlockStop)
_MESSAGE_STOP: Final = msgspec.json.Decoder(_MessageStop)
_METADATA: Final = msgspec.json.Decoder(_Metadata)


class _Proof:
    """What seals a thinking block, as it comes in pieces."""

    __slots__ = ("redacted", "signature")

    def __init__(self) -> None:
        self.signature: list[str] = []
        self.redacted: list[str] = []

    def told(self) -> ThinkingSigned | None:
        if self.redacted:
            return ThinkingSigned(Signature(NAME, _joined(self.redacted)), redacted=True)
        if self.signature:
            return ThinkingSigned(Signature(NAME, "".join(self.signature)))
        return None


class StreamDecoder:
    """A `dialect.StreamDecoder`. Blocks bear an index and are put in order; usage comes after the stop reason, so the
    answer is finished by whichever of them is last, or by the end of the stream."""

    __slots__ = (
        "_called",
        "_calls",
        "_ignored",
        "_over",
        "_proofs",
        "_sequence",
        "_splitter",
        "_started",
        "_stop",
        "_tier",
        "_usage",
    )

    def __init__(self) -> None:
        self._splitter = MessageSplitter()
        self._sequence = Sequencer()
        self._proofs: dict[int, _Proof] = {}
        #: the blocks of calls that are open
        self._calls: set[int] = set()
        self._called = False
        self._ignored: set[int] = set()
        self._started = False
        self._over = False
        self._stop: _MessageStop | None = None
        self._usage: Usage | None = None
        self._tier: Any = None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete now.

        Raises:
            UpstreamInvalidResponse: the bytes are no event stream, or a message is not one of Converse.
        """
        out: list[Event] = []
        if self._over:
            return out
        for message in self._splitter.feed(chunk):
            try:
                goes_on = self._read(message, out)
            except NOT_JSON as error:
                raise UpstreamInvalidResponse("An event of the provider's stream is not one of Converse.") from error
            if not goes_on:
                break
        return out

    def end(self) -> list[Event]:
        """The end of an answer whose usage never came.

        Raises:
            UpstreamInvalidResponse: the stream stopped before its end, or nothing came.
        """
        if self._over:
            return []
        if self._stop is None or self._splitter.pending:
            raise UpstreamInvalidResponse("The provider's stream stopped before the answer was complete.")
        out: list[Event] = []
        self._finish(out)
        return out

    def _read(self, message: Message, out: list[Event]) -> bool:
        """Take one message; whether the answer goes on."""
        headers = message.headers
        event = headers.get(":event-type")
        if headers.get(":message-type", "event") != "event":
            self._over = True
            out.append(Failed(read_stream_error(message)))
        elif event == "contentBlockDelta":
            self._delta(message.payload, out)
        elif event == "contentBlockStart":
            self._block_start(message.payload, out)
        elif event == "contentBlockStop":
            self._block_stop(message.payload, out)
        elif event == "messageStart":
            self._begin(out)
        elif event == "messageStop":
            self._message_stop(message.payload, out)
        elif event == "metadata":
            self._metadata(message.payload, out)
        return not self._over

    def _begin(self, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(Started())

    def _delta(self, payload: bytes, out: list[Event]) -> None:
        told = _DELTA.decode(payload)
        delta, index = told.delta, told.content_block_index
        if delta is None or index in self._ignored:
            return
        self._begin(out)
        if delta.text:
            out += self._sequence.put(index, TextDelta(delta.text))
        elif delta.tool_use is not None:
            if index not in self._calls:
                raise UpstreamInvalidResponse("The provider's stream has arguments for a tool that was not called.")
            if delta.tool_use.input:
                out += self._sequence.put(index, ToolCallDelta(delta.tool_use.input))
        elif delta.reasoning_content is not None:
            self._reasoning(index, delta.reasoning_content, out)
        elif delta.citation is not None:
            out += self._sequence.put(index, citation_from(delta.citation))

    def _reasoning(self, index: int, delta: _ReasoningDelta, out: list[Event]) -> None:
        if delta.text:
            out += self._sequence.put(index, ThinkingDelta(delta.text))
        if delta.signature or delta.redacted_content:
            proof = self._proofs.setdefault(index, _Proof())
            proof.signature += [delta.signature] if delta.signature else []
            proof.redacted += [delta.redacted_content] if delta.redacted_content else []

    def _block_start(self, payload: bytes, out: list[Event]) -> None:
        told = _START.decode(payload)
        call = told.start.tool_use if told.start is not None else None
        if call is None:
            return  # a text block may be announced too, and says nothing yet
        self._begin(out)
        index = told.content_block_index
        if call.type == "server_tool_use":  # run by the provider: nothing for a client to do
            self._ignored.add(index)
            return
        if not call.name:
            raise UpstreamInvalidResponse("The provider's stream calls a tool without a name.")
        self._calls.add(index)
        self._called = True
        out += self._sequence.put(index, ToolCallStarted(call.tool_use_id, call.name))

    def _block_stop(self, payload: bytes, out: list[Event]) -> None:
        index = _STOP.decode(payload).content_block_index
        if index in self._ignored:
            return
        self._calls.discard(index)
        out += self._sealed(index)
        out += self._sequence.put(index, BlockEnded())
        out += self._sequence.close(index)

    def _sealed(self, index: int) -> list[Event]:
        proof = self._proofs.pop(index, None)
        told = proof.told() if proof is not None else None
        return [] if told is None else self._sequence.put(index, told)

    def _message_stop(self, payload: bytes, out: list[Event]) -> None:
        self._begin(out)
        self._stop = _MESSAGE_STOP.decode(payload)
        if self._usage is not None:
            self._finish(out)

    def _metadata(self, payload: bytes, out: list[Event]) -> None:
        told = _METADATA.decode(payload)
        self._usage = usage_from(told.usage)
        self._tier = told.service_tier
        if self._stop is not None:
            self._finish(out)

    def _finish(self, out: list[Event]) -> None:
        if self._stop is None:
            return
        for index in tuple(self._proofs):  # a block that nobody closed
            out += self._sealed(index)
        out += self._sequence.close_all()
        stop = self._stop
        extra = stop.additional_model_response_fields
        out.append(finished(stop.stop_reason, self._usage, extra, self._tier, called=self._called))
        self._over = True


def _joined(pieces: list[str]) -> str:
    """Pieces of base64 as one; each is padded by itself."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece, validate=True) for piece in pieces)).decode()
    except (binascii.Error, ValueError) as error:
        raise UpstreamInvalidResponse("The provider's stream has sealed reasoning that can't be read.") from error
