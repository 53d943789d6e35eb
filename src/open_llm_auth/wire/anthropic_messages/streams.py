"""Streamed answers of Anthropic's Messages API (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from .. import sse
from ..events import (
    BlockEnded,
    ErrorBody,
    Event,
    Failed,
    Finished,
    Opaque,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from ..halves import Halves
from ..sequence import Sequencer
from .encoding import StreamEncoder
from .errors import read_error
from .replies import Counts, counts_of, read_citation, started_call, stop_reason
from .rules import NAME, READ_TIERS

__all__ = ["StreamDecoder", "StreamEncoder"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_ANY: Final = msgspec.json.Decoder()
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Delta(msgspec.Struct):
    """What a block, or the message, gains."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Raw = _NULL
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int | None = None
    delta: _Delta | None = None
    content_block: Raw = _NULL
    message: Raw = _NULL
    usage: Raw = _NULL


class _Typed(msgspec.Struct):
    type: str = ""


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: Raw = _NULL


_EVENT: Final = msgspec.json.Decoder(_Event)
_TYPED: Final = msgspec.json.Decoder(_Typed)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_KNOWN: Final = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
     "message_stop", "error"}
)  # fmt: skip
#: Blocks that run on until another begins, even if the provider does not say that they are over.
_RUNNING: Final = frozenset({"text", "thinking"})


class _Block:
    """One open block. `key` is its place among all blocks; `rest` what its end has still to tell."""

    __slots__ = ("key", "kind", "pieces", "told", "value")

    def __init__(self, key: int, kind: str, value: dict[str, Any]) -> None:
        self.key = key
        self.kind = kind
        self.value = value
        #: of a signature, or of the input of a block that only this dialect knows
        self.pieces: list[str] = []
        #: whether arguments of a call have come
        self.told = False


class StreamDecoder:
    """Bytes of a provider's stream to events; see `dialect.StreamDecoder`."""

    __slots__ = (
        "_before",
        "_blocks",
        "_called",
        "_counts",
        "_halves",
        "_keys",
        "_over",
        "_reason",
        "_sequence",
        "_splitter",
        "_started",
        "_stop_sequence",
    )

    def __init__(self) -> None:
        self._splitter = sse.EventSplitter()
        self._halves = Halves()
        self._sequence = Sequencer()
        self._blocks: dict[int, _Block] = {}
        self._keys = 0
        self._before = ""
        self._counts = Counts()
        self._reason: str | None = None
        self._stop_sequence: str | None = None
        self._called = False
        self._started = False
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        block = self._splitter.feed(chunk)
        return self._read(block) if block else []

    def end(self) -> list[Event]:
        rest = self._splitter.flush()
        events = self._read(rest) if rest.strip() else []
        if self._over:
            return events
        if self._reason is None:
            raise UpstreamInvalidResponse("The provider's stream stopped before the answer was complete.")
        # All is said but the end mark.
        self._finish(events)
        return events

    def _read(self, block: bytes) -> list[Event]:
        out: list[Event] = []
        for event in sse.split_events(block):
            if self._over:
                break
            data = sse.data_of(event)
            if data is not None:
                self._take(self._halves.mend(data), out)
            elif event.lstrip().startswith(b"{"):
                # An error body that someone wrote into the stream as it is.
                self._fail(event, out)
        return out

    def _take(self, data: bytes, out: list[Event]) -> None:
        event = _decoded(data)
        if event is None:
            return
        kind, delta = event.type, event.delta
        if kind == "content_block_delta":
            if delta is not None:
                self._gain(event.index or 0, delta, data, out)
        elif kind == "content_block_start":
            self._begin(event.index or 0, _object(event.content_block), out)
        elif kind == "content_block_stop":
            self._end(event.index or 0, out)
        elif kind == "message_start":
            self._start(event.message, out)
        elif kind == "message_delta":
            self._counts = self._counts.then(counts_of(event.usage) or Counts())
            if delta is not None:
                self._reason = delta.stop_reason or self._reason
                self._stop_sequence = delta.stop_sequence or self._stop_sequence
        elif kind == "message_stop":
            self._finish(out)
        elif kind == "error":
            self._fail(data, out)

    # -- the message

    def _start(self, raw: Raw, out: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        try:
            message = _MESSAGE.decode(raw)
        except _NOT_JSON:
            message = _Message()
        counts = counts_of(message.usage)
        self._counts = self._counts.then(counts or Counts())
        usage, tier = (None, None) if counts is None else (counts.usage(), READ_TIERS.get(counts.tier or ""))
        out.append(Started(message.id or "", message.model or "", usage, service_tier=tier))

    def _finish(self, out: list[Event]) -> None:
        if not self._started:
            raise UpstreamInvalidResponse("The provider's stream ended without an answer.")
        for index in list(self._blocks):
            self._end(index, out)
        out += self._sequence.close_all()
        counts = self._counts
        out.append(
            Finished(
                stop_reason(self._reason, called=self._called),
                None if counts.input is None and counts.output is None else counts.usage(),
                self._stop_sequence,
                READ_TIERS.get(counts.tier or ""),
            )
        )
        self._over = True

    def _fail(self, data: bytes, out: list[Event]) -> None:
        if not self._started:
            self._start(_NULL, out)
        out.append(Failed(read_error(data) or ErrorBody("The provider reported an error in the stream.")))
        self._over = True

    # -- its blocks

    def _begin(self, index: int, value: dict[str, Any], out: list[Event]) -> None:
        """A block begins, and with it ends what can't go on beside it."""
        if not self._started:
            self._start(_NULL, out)
        for other, open_block in list(self._blocks.items()):
            if other == index or open_block.kind in _RUNNING:
                self._end(other, out)
        kind = value.get("type")
        block = _Block(self._keys, kind if isinstance(kind, str) else "", value)
        self._keys += 1
        self._blocks[index] = block
        if block.kind == self._before and block.kind in _RUNNING:
            out += self._sequence.put(block.key, BlockEnded())
        self._before = block.kind
        for event in _opening(block):
            self._called = self._called or isinstance(event, ToolCallStarted)
            out += self._sequence.put(block.key, event)

    def _gain(self, index: int, delta: _Delta, data: bytes, out: list[Event]) -> None:
        block = self._blocks.get(index)
        if delta.text is not None:
            if block is None or block.kind != "text":
                block = self._implied(index, "text", out)
            if delta.text:
                out += self._sequence.put(block.key, TextDelta(delta.text))
        elif delta.thinking is not None:
            if block is None or block.kind != "thinking":
                block = self._implied(index, "thinking", out)
            if delta.thinking:
                out += self._sequence.put(block.key, ThinkingDelta(delta.thinking))
        elif block is not None and block.kind == "tool_use":
            if delta.partial_json:
                block.told = True
                out += self._sequence.put(block.key, ToolCallDelta(delta.partial_json))
        elif delta.signature is not None:
            if block is None or block.kind != "thinking":
                block = self._implied(index, "thinking", out)
            block.pieces.append(delta.signature)
        else:
            self._gain_rest(block, delta, data, out)

    def _gain_rest(self, block: _Block | None, delta: _Delta, data: bytes, out: list[Event]) -> None:
        if block is None:
            if delta.partial_json:
                raise UpstreamInvalidResponse("The provider's stream holds a piece of a tool call without its start.")
        elif block.kind == "text":
            citation = read_citation(_ANY.decode(delta.citation))
            if citation is not None:
                out += self._sequence.put(block.key, citation)
        elif delta.partial_json is not None:
            block.pieces.append(delta.partial_json)
        elif block.kind != "thinking":
            _grow(block.value, _object(_OBJECT.decode(data).get("delta")))

    def _implied(self, index: int, kind: str, out: list[Event]) -> _Block:
        """A block that the provider did not begin, or ended too early."""
        self._begin(index, {"type": kind}, out)
        return self._blocks[index]

    def _end(self, index: int, out: list[Event]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        for event in _closing(block):
            out += self._sequence.put(block.key, event)
        # A block that told nothing has no place to give up.
        out += self._sequence.close(block.key)


def _decoded(data: bytes) -> _Event | None:
    """One event; None for what is not one of those that are known.

    Raises:
        UpstreamInvalidResponse: it is no event at all, or a known one in a form that it does not have.
    """
    try:
        return _EVENT.decode(data)
    except _NOT_JSON as error:
        # OpenAI's end mark is seen here too.
        if data.strip() in (b"", b"[DONE]") or _type_of(data) not in _KNOWN:
            return None
        raise UpstreamInvalidResponse("The provider's stream holds an event in an unknown form.") from error


def _type_of(data: bytes) -> str:
    try:
        return _TYPED.decode(data).type
    except _NOT_JSON as error:
        raise UpstreamInvalidResponse("The provider's stream holds an event that is not a JSON object.") from error


def _object(value: Any) -> dict[str, Any]:
    """The object that a value is, raw or decoded; an empty one otherwise."""
    if isinstance(value, Raw):
        try:
            value = _ANY.decode(value)
        except _NOT_JSON as error:
            raise UpstreamInvalidResponse("The provider's stream holds a block that is not JSON.") from error
    return value if isinstance(value, dict) else {}


def _opening(block: _Block) -> list[Event]:
    """What the beginning of a block says already."""
    value = block.value
    match block.kind:
        case "text":
            return [TextDelta(text)] if (text := _text(value, "text")) else []
        case "thinking":
            block.pieces.append(_text(value, "signature"))
            return [ThinkingDelta(thinking)] if (thinking := _text(value, "thinking")) else []
        case "redacted_thinking":
            return [ThinkingSigned(Signature(NAME, _text(value, "data")), redacted=True)]
        case "tool_use":
            return [started_call(value)]
    return []


def _closing(block: _Block) -> list[Event]:
    """What only the end of a block can say."""
    said = "".join(block.pieces)
    match block.kind:
        case "thinking":
            return [ThinkingSigned(Signature(NAME, said))] if said else []
        case "tool_use":
            whole = block.value.get("input")
            return [ToolCallDelta(msgspec.json.encode(whole).decode())] if whole and not block.told else []
        case "text" | "redacted_thinking":
            return []
    return [Opaque(NAME, {**block.value, "input": _ANY.decode(said)} if _is_json(said) else block.value)]


def _is_json(text: str) -> bool:
    try:
        _ANY.decode(text)
    except _NOT_JSON:
        return False
    return True


def _grow(value: dict[str, Any], delta: dict[str, Any]) -> None:
    """Adds a delta to a block that only this dialect knows: texts grow, all else is replaced."""
    for name, gained in delta.items():
        if name == "type":
            continue
        before = value.get(name)
        value[name] = before + gained if isinstance(before, str) and isinstance(gained, str) else gained


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
