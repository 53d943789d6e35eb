"""GenerateContent streams to events and back: each event is a whole response, a call is never said in pieces, and
nothing marks the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ...errors import GatewayError, UpstreamInvalidResponse
from .. import sse
from ..dialect import Answering
from ..events import (
    BlockEnded,
    Citation,
    Event,
    Finished,
    Logprobs,
    Opaque,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from .answer import AnswerReader
from .arrays import ArraySplitter
from .errors import write_stream_error
from .names import NAME
from .parts import Thoughts, call_part, finish_reason, signature_part
from .requests import shows_thoughts
from .sources import write_grounding, write_logprobs
from .usage import write_usage

__all__ = ["StreamDecoder", "StreamEncoder"]

_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = b"[DONE]"
#: a response of one part, but for what it says of itself
_PART: Final = b'{"candidates":[{"content":{"parts":['
_TEXT: Final = _PART + b'{"text":'
_AFTER: Final = b'],"role":"model"},"index":0}]'
_encode: Final = msgspec.json.Encoder().encode


class StreamDecoder:
    """Server-sent events, or the array that comes without ``alt=sse``."""

    __slots__ = ("_answer", "_array", "_head", "_splitter")

    def __init__(self) -> None:
        self._answer = AnswerReader()
        self._splitter = sse.EventSplitter()
        self._array: ArraySplitter | None = None
        #: what came before the first byte that tells which of the two it is; None once that is known
        self._head: bytes | None = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete now.

        Raises:
            UpstreamInvalidResponse: the bytes are not the dialect.
        """
        if self._head is not None:
            chunk = self._begin(self._head + chunk)
        if self._array is not None:
            return [event for data in self._array.feed(chunk) for event in self._answer.take(data)]
        block = self._splitter.feed(chunk)
        return self._read(block) if block else []

    def end(self) -> list[Event]:
        """The end of the answer, once the provider closes: until then there may be more.

        Raises:
            UpstreamInvalidResponse: the stream stopped before its end, or nothing came.
        """
        events: list[Event] = []
        rest = self._splitter.flush()
        if rest.strip() and (sse.data_of(rest) or b"").rstrip().endswith((b"}", b"]")):
            events = self._read(rest.rstrip(b"\r\n") + b"\n\n")
        return events + self._answer.finish()

    def _begin(self, head: bytes) -> bytes:
        if _BOM.startswith(head):
            self._head = head
            return b""
        text = head.removeprefix(_BOM).lstrip()
        self._head = None if text else b""
        if text[:1] in (b"[", b"{"):
            self._array = ArraySplitter()
        return text

    def _read(self, block: bytes) -> list[Event]:
        events: list[Event] = []
        for event in sse.split_events(block):
            data = sse.data_of(event)
            if data is None or (data := data.strip()) in (b"", _DONE):
                continue
            if data[:1] == b"[":
                # Some errors come as a list of one.
                data = _only(data)
            events += self._answer.take(data)
        return events


def _only(data: bytes) -> bytes:
    try:
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        raise UpstreamInvalidResponse("The provider's stream holds what is not JSON.") from error
    return bytes(items[0]) if items else b"{}"


class StreamEncoder:
    """Events to server-sent events. Whatever is heard of an answer beside its words is told with its end."""

    __slots__ = (
        "_after",
        "_answering",
        "_arguments",
        "_broken",
        "_call",
        "_citations",
        "_led_by",
        "_logprobs",
        "_shown",
        "_tail",
        "_text",
        "_text_before",
        "_thoughts",
    )

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._shown = shows_thoughts(answering.envelope)
        self._name(answering.model)
        self._call: ToolCallStarted | None = None
        self._arguments: list[str] = []
        self._thoughts = Thoughts()
        #: those that led to the open call, in their envelope
        self._led_by: str | None = None
        #: a call whose arguments were no JSON
        self._broken = False
        self._citations: list[Citation] = []
        self._logprobs: list[Logprobs] = []
        #: the text so far, into which citations point
        self._text: list[str] = []
        #: how much of it there was at the last call
        self._text_before = 0

    def feed(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:
                if self._call is not None:
                    self._close_call(out)
                if event.text:
                    self._text.append(event.text)
                    out.append(sse.event(_TEXT + _encode(event.text) + b"}" + self._after))
            else:
                self._feed_other(event, out)
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        return write_stream_error(error)

    def _feed_other(self, event: Event, out: list[bytes]) -> None:
        if self._call is not None and not isinstance(event, ToolCallDelta | BlockEnded | Finished):
            self._close_call(out)
        match event:
            case Started(model=model) if model:
                self._name(model)
            case ToolCallDelta(arguments=arguments):
                self._arguments.append(arguments)
            case ToolCallStarted():
                self._call = event
                self._led_by = self._thoughts.sealed()
                self._text_before = len(self._text)
            case ThinkingDelta() | ThinkingSigned() | BlockEnded():
                self._think(event, out)
            case RefusalDelta(text=text) if text:
                out.append(self._part({"text": text}))
            case Opaque(dialect=dialect, value=value) if dialect == NAME:
                out.append(self._part(value))
            case Citation():
                self._citations.append(event)
            case Logprobs():
                self._logprobs.append(event)
            case Finished():
                out.append(self._finish(event))

    def _think(self, event: ThinkingDelta | ThinkingSigned | BlockEnded, out: list[bytes]) -> None:
        self._thoughts.take(event, said=len(self._text) > self._text_before)
        if isinstance(event, ThinkingSigned):
            part = signature_part(event, self._shown)
            if part is not None:
                out.append(self._part(part))
        elif isinstance(event, ThinkingDelta) and event.text and self._shown:
            out.append(self._part({"text": event.text, "thought": True}))

    def _close_call(self, out: list[bytes]) -> None:
        part = self._call_part()
        if part is not None:
            out.append(self._part(part))

    def _call_part(self) -> dict[str, Any] | None:
        """The open call, which is over; None where there is none, or none that can be said."""
        if self._call is None:
            return None
        part = call_part(self._call, "".join(self._arguments), self._led_by)
        self._call = None
        self._arguments.clear()
        self._broken = self._broken or part is None
        return part

    def _part(self, part: Any) -> bytes:
        return sse.event(_PART + _encode(part) + self._after)

    def _finish(self, event: Finished) -> bytes:
        # A call at the end stands in the last response itself. Words have gone out as they came, and a response without
        # any part is none to Google's SDKs: they leave the whole answer out of their history.
        last = self._call_part() or {"text": ""}
        candidate: dict[str, Any] = {
            "content": {"parts": [last], "role": "model"},
            "finishReason": finish_reason(event.reason, broken=self._broken),
            "index": 0,
        }
        if self._citations:
            candidate["groundingMetadata"] = write_grounding(self._citations, "".join(self._text))
        if self._logprobs:
            tokens = tuple(token for logprobs in self._logprobs for token in logprobs.tokens)
            candidate["logprobsResult"] = write_logprobs(Logprobs(tokens))
        response: dict[str, Any] = {"candidates": [candidate]}
        if event.usage is not None:
            response["usageMetadata"] = write_usage(event.usage)
        return sse.event(_encode(response)[:-1] + self._tail)

    def _name(self, model: str) -> None:
        """What every response ends in."""
        self._tail = b"," + _encode({"modelVersion": model, "responseId": self._answering.id})[1:]
        self._after = _AFTER + self._tail
