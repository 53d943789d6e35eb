"""Streams of chat completions: a provider's chunks to events, and events to the chunks that a client wants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ...errors import GatewayError, UpstreamInvalidResponse
from .. import sse
from ..dialect import Answering
from ..envelope import first_byte
from ..events import (
    BlockEnded,
    Citation,
    ErrorBody,
    Event,
    Failed,
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
    Usage,
)
from ..halves import Halves
from ..openai_error import read_error, write_stream_error
from ..signatures import seal_call_id
from .answers import BROKEN, ending, read_logprobs, reason_told, tell_citation, tell_logprobs
from .deltas import Delta, Deltas
from .reasoning import NAME, SUMMARY, TEXT, tell_proof
from .relay import error_within, is_whole, says_something
from .usage import usage_from, write_usage

__all__ = ["StreamDecoder", "StreamEncoder"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DONE: Final = b"[DONE]"
_encode: Final = msgspec.json.Encoder().encode
#: how a chunk of one choice ends, and one that goes on with a call's arguments
_TAIL: Final = b'},"finish_reason":null}]}\n\n'
_CALL_TAIL: Final = b"}}]" + _TAIL
#: what a block of thinking is made of
_THINKING: Final = (ThinkingDelta, ThinkingSigned)


# ---------------------------------------------------------------------------------------------- from a provider


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: Delta | None = None
    finish_reason: Any = None
    logprobs: Any = None
    error: Raw = _NULL
    #: Moonshot reports usage here
    usage: Raw = _NULL
    #: what stopped it: vLLM, SGLang
    stop_reason: Any = None
    matched_stop: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Raw = _NULL
    error: Raw = _NULL
    #: Groq reports usage here as well
    x_groq: Raw = _NULL
    object: Any = None
    type: Any = None
    service_tier: Any = None


class _Head(msgspec.Struct):
    """What every chunk says again, and only the first one is asked for."""

    id: Any = None
    model: Any = None
    created: Any = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_HEAD: Final = msgspec.json.Decoder(_Head)


class StreamDecoder:
    """A provider's stream to events. `Finished` waits for the end mark, because the usage may stand behind the finish;
    where the mark is missing, a finish and the end of the stream are the same."""

    __slots__ = (
        "_answered",
        "_deltas",
        "_fault",
        "_halves",
        "_matched",
        "_over",
        "_splitter",
        "_tier",
        "_usage",
        "_word",
    )

    def __init__(self) -> None:
        self._splitter = sse.EventSplitter()
        self._halves = Halves()
        self._deltas = Deltas()
        self._answered = False
        self._over = False
        self._fault: UpstreamInvalidResponse | None = None
        self._word: object = None
        self._matched: object = None
        self._tier: object = None
        self._usage: Usage | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        out: list[Event] = []
        if self._over:
            return out
        if self._fault is not None:
            raise self._fault
        block = self._splitter.feed(chunk)
        if block:
            self._take_block(block, out)
        return out

    def end(self) -> list[Event]:
        out: list[Event] = []
        if self._fault is not None and not self._over:
            raise self._fault
        rest = b"" if self._over else self._splitter.flush()
        if is_whole(rest):
            self._take_event(rest.rstrip(b"\r\n") + b"\n\n", out)
        if self._over:
            return out
        if not self._answered:
            raise UpstreamInvalidResponse("The provider's stream ended without an answer.")
        if self._word is None:
            raise UpstreamInvalidResponse("The provider's stream stopped before the answer was complete.")
        self._finish(out)
        return out

    def _take_block(self, block: bytes, out: list[Event]) -> None:
        try:
            # Mostly it is one event.
            for event in (block,) if block.find(b"\n") == len(block) - 2 else sse.split_events(block):
                self._take_event(event, out)
                if self._over:
                    return
        except UpstreamInvalidResponse as fault:
            if not out:
                raise
            # What came before it is told first, however the stream was cut.
            self._fault = fault

    def _take_event(self, event: bytes, out: list[Event]) -> None:
        data = sse.data_of(event)
        if data is None:
            self._take_bare(event.strip(), out)
            return
        data = data.strip()
        if data == _DONE:
            if not self._answered:
                raise UpstreamInvalidResponse("The provider's stream ended without an answer.")
            self._finish(out)
        elif data:
            self._take_chunk(self._halves.mend(data), event, out)

    def _take_bare(self, text: bytes, out: list[Event]) -> None:
        """An event without data: a comment, or an error body that someone wrote into the stream as it is."""
        error = read_error(text) if text.startswith(b"{") else None
        if error is not None:
            self._fail(error, out)

    def _take_chunk(self, data: bytes, event: bytes, out: list[Event]) -> None:
        chunk = self._decode(data)
        if chunk is None:
            return
        if chunk.error is not _NULL and says_something(chunk.error):
            self._fail(read_error(data) or ErrorBody("The provider reported an error in the stream."), out)
            return
        choices = chunk.choices
        if choices is None:
            if "error" in (chunk.object, chunk.type) or sse.name_of(event) == b"error":
                self._fail(read_error(data) or ErrorBody("The provider reported an error in the stream."), out)
                return
            choices = []
        if chunk.usage is not _NULL or chunk.x_groq is not _NULL:
            self._usage = usage_from(chunk.usage) or _inner_usage(chunk.x_groq) or self._usage
        if chunk.service_tier is not None:
            self._tier = chunk.service_tier
        if choices and not self._answered:
            self._start(data, out)
        for choice in choices:
            # More than one answer is never asked for.
            if not choice.index:
                self._take_choice(choice, out)
            if self._over:
                return

    def _decode(self, data: bytes) -> _Chunk | None:
        """The chunk; None when it is JSON of another kind, which some servers send to keep a connection warm."""
        try:
            return _CHUNK.decode(data)
        except msgspec.ValidationError as error:
            if not data.startswith(b"{"):
                return None
            raise UpstreamInvalidResponse("The provider's stream holds an event that is no chunk.") from error
        except _NOT_JSON as error:
            raise UpstreamInvalidResponse("The provider's stream holds an event that is not JSON.") from error

    def _start(self, data: bytes, out: list[Event]) -> None:
        self._answered = True
        head = _HEAD.decode(data)
        self._deltas.identity = head.id if isinstance(head.id, str) else ""
        created = int(head.created) if type(head.created) in (int, float) and 0 < head.created < 1e12 else None
        out.append(Started(self._deltas.identity, head.model if isinstance(head.model, str) else "", None, created))

    def _take_choice(self, choice: _Choice, out: list[Event]) -> None:
        if choice.delta is not None:
            self._deltas.take(choice.delta, out)
        if choice.logprobs is not None:
            logprobs = read_logprobs(choice.logprobs)
            if logprobs is not None:
                self._deltas.say(logprobs, out)
        if choice.usage is not _NULL:
            self._usage = usage_from(choice.usage) or self._usage
        if choice.finish_reason:
            self._word = choice.finish_reason
            self._matched = choice.stop_reason or choice.matched_stop
        if choice.error is not _NULL and says_something(choice.error):
            self._fail(error_within(choice.error), out)
        elif isinstance(choice.finish_reason, str) and choice.finish_reason in BROKEN:
            self._finish(out)

    def _finish(self, out: list[Event]) -> None:
        called, refused = self._deltas.called, self._deltas.refused
        told = ending(self._word, self._matched, self._usage, self._tier, called=called, refused=refused)
        if isinstance(told, Finished):
            self._deltas.end(out)
        out.append(told)
        self._over = True

    def _fail(self, error: ErrorBody, out: list[Event]) -> None:
        out.append(Failed(error))
        self._over = True


def _inner_usage(raw: Raw) -> Usage | None:
    try:
        return usage_from(_USAGE.decode(raw).usage) if first_byte(raw) == ord("{") else None
    except _NOT_JSON:
        return None


class _Within(msgspec.Struct):
    usage: Raw = _NULL


_USAGE: Final = msgspec.json.Decoder(_Within)


# ---------------------------------------------------------------------------------------------- to a client


class StreamEncoder:
    """Events to chunks. What every chunk says again is encoded once."""

    __slots__ = (
        "_answering",
        "_arguments",
        "_bare",
        "_begin",
        "_block",
        "_calls",
        "_cited",
        "_custom",
        "_head",
        "_item",
        "_item_tail",
        "_kind",
        "_over",
        "_refused",
        "_said",
        "_summary",
        "_text",
        "_thinks",
        "_thought",
        "_thoughts",
    )

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._arguments = b""
        self._over = False
        self._refused = False
        #: what kind of event came last
        self._kind: type | None = None
        self._calls = 0
        #: a call is open and has no arguments yet
        self._bare = False
        self._custom = False
        #: sources told
        self._cited = 0
        #: characters of content: all of them, and those before the block that is open
        self._said = 0
        self._block = 0
        #: blocks of thinking that have begun, whether the last is open, whether it is a summary, and its item around
        #: the words
        self._thoughts = 0
        self._thinks = False
        self._summary = False
        self._item = self._item_tail = b""
        self._begin: bytes | None = None
        self._set_head(answering.model, answering.created)

    def _set_head(self, model: str, created: int) -> None:
        head = {
            "id": f"chatcmpl-{self._answering.id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['
        delta = self._head + b'{"index":0,"delta":{'
        self._begin = delta + b'"role":"assistant","content":""' + _TAIL
        self._text = delta + b'"content":'
        self._thought = delta + b'"reasoning_content":'

    def feed(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            kind = type(event)
            if kind is not self._kind:
                self._turn_to(kind, out)
            if isinstance(event, TextDelta):
                self._said += len(event.text)
                out.append(b"%b%b%b" % (self._text, _encode(event.text), _TAIL))
            else:
                self._tell(event, out)
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        self._over = True
        return write_stream_error(error)

    def _turn_to(self, kind: type, out: list[bytes]) -> None:
        """Another kind of event comes: who speaks is said before the first, and a call that is left gets arguments."""
        if self._begin is not None and kind is not Started:
            out.append(self._begin)
            self._begin = None
        if self._bare and kind is not ToolCallDelta:
            self._end_call(out)
        if kind is TextDelta and self._kind not in (Citation, Logprobs):
            self._block = self._said
        if kind not in _THINKING:
            self._thinks = False
        self._kind = kind

    def _tell(self, event: Event, out: list[bytes]) -> None:
        match event:
            case ToolCallDelta():
                self._tell_arguments(event, out)
            case ThinkingDelta():
                self._think(event, out)
            case Started():
                self._start(event, out)
            case ThinkingSigned():
                self._prove(event, out)
            case ToolCallStarted():
                self._tell_call(event, out)
            case RefusalDelta():
                self._refused = self._refused or bool(event.text)
                self._chunk({"refusal": event.text}, out)
            case Citation():
                self._cite(event, out)
            case Logprobs():
                self._chunk({}, out, logprobs={"content": tell_logprobs(event), "refusal": None})
            case Opaque():
                if event.dialect == NAME:
                    self._chunk(event.value, out)
            case BlockEnded():
                self._kind = None
            case Finished():
                self._finish(event, out)
            case Failed():
                # Whoever drives the stream tells of it by `fail`.
                self._over = True

    def _end_call(self, out: list[bytes]) -> None:
        self._bare = False
        if not self._custom:
            out.append(b'%b"{}"%b' % (self._arguments, _CALL_TAIL))

    def _chunk(self, delta: Any, out: list[bytes], **more: Any) -> None:
        choice = {"index": 0, "delta": delta, **more}
        choice.setdefault("finish_reason", None)
        out.append(b"%b%b]}\n\n" % (self._head, _encode(choice)))

    def _start(self, event: Started, out: list[bytes]) -> None:
        created = self._answering.created if event.created is None else event.created
        self._set_head(event.model or self._answering.model, created)
        out.append(self._begin or b"")
        self._begin = None

    def _think(self, event: ThinkingDelta, out: list[bytes]) -> None:
        """Words for those who show them, and the same as an item for those who send them back."""
        if not event.text:
            return
        if not self._thinks or event.summary != self._summary:
            self._begin_thought(summary=event.summary)
        words = _encode(event.text)
        out.append(b"%b%b%b%b%b" % (self._thought, words, self._item, words, self._item_tail))

    def _begin_thought(self, *, summary: bool) -> None:
        kind, field = (SUMMARY, "summary") if summary else (TEXT, "text")
        self._item = f',"reasoning_details":[{{"type":"{kind}","{field}":'.encode()
        self._item_tail = b',"index":%d}]' % self._thoughts + _TAIL
        self._thinks, self._summary = True, summary
        self._thoughts += 1

    def _prove(self, event: ThinkingSigned, out: list[bytes]) -> None:
        ends = self._thinks and not event.redacted
        if not ends:
            self._thoughts += 1
        proof = tell_proof(event, self._thoughts - 1, summary=ends and self._summary)
        self._thinks = False
        self._chunk({"reasoning_details": [proof]}, out)

    def _tell_call(self, event: ToolCallStarted, out: list[bytes]) -> None:
        if self._bare:
            self._end_call(out)
        index, call_id = self._calls, seal_call_id(event.id, event.signature)
        kind, field = ("custom", "input") if event.custom else ("function", "arguments")
        opening = {"index": index, "id": call_id, "type": kind, kind: {"name": event.name, field: ""}}
        self._chunk({"tool_calls": [opening]}, out)
        head = f'{{"index":0,"delta":{{"tool_calls":[{{"index":{index},"{kind}":{{"{field}":'
        self._arguments = self._head + head.encode()
        self._calls += 1
        self._custom = event.custom
        self._bare = True

    def _tell_arguments(self, event: ToolCallDelta, out: list[bytes]) -> None:
        if self._calls and event.arguments:
            self._bare = False
            out.append(b"%b%b%b" % (self._arguments, _encode(event.arguments), _CALL_TAIL))

    def _cite(self, event: Citation, out: list[bytes]) -> None:
        told = tell_citation(event, (self._block, self._said))
        if told is not None:
            # OpenAI's SDK joins lists by this number, and breaks without it at the second delta of one.
            self._chunk({"annotations": [{"index": self._cited, **told}]}, out)
            self._cited += 1

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        reason = reason_told(event, called=self._calls > 0, refused=self._refused)
        choice = {"index": 0, "delta": {}, "finish_reason": reason}
        tier = b"" if event.service_tier is None else b',"service_tier":' + _encode(event.service_tier)
        out.append(b"%b%b]%b}\n\n" % (self._head, _encode(choice), tier))
        if self._answering.wants_usage and event.usage is not None:
            usage = write_usage(event.usage, thought=self._thoughts > 0)
            out.append(b'%b],"usage":%b}\n\n' % (self._head, _encode(usage)))
        out.append(sse.DONE)
        self._over = True
