"""Plain answers of Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), read and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..conversation import ToolCall
from ..dialect import Answering
from ..events import (
    BlockEnded,
    Citation,
    ErrorBody,
    Event,
    Failed,
    Finished,
    Opaque,
    RefusalDelta,
    Signature,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from ..halves import Halves
from ..signatures import seal, seal_call_id
from .blocks import write_blocks
from .errors import read_error
from .rules import CALL_IDS, NAME, READ_TIERS, STOP_REASONS, STOP_WORDS, WRITTEN_TIERS

__all__ = [
    "Counts",
    "call_id",
    "counts_of",
    "is_bare_proof",
    "read_citation",
    "read_count",
    "read_reply",
    "read_usage",
    "signature_text",
    "started_call",
    "stop_reason",
    "write_citation",
    "write_count",
    "write_reply",
    "write_usage",
]

Raw = msgspec.Raw

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NULL: Final = Raw(b"null")
_COUNT_LIMIT: Final = 10**12
_THOUGHTS: Final = ("thinking", "redacted_thinking")


# ---------------------------------------------------------------------------------------------- usage


@dataclass(frozen=True, slots=True)
class Counts:
    """What one `usage` object says, as it says it: `input` is without cached tokens, and None is unsaid."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    tier: str | None = None

    def then(self, later: Counts) -> Counts:
        """With what a later event of the same stream says. Its counts are totals, and some providers know the input
        only then; a zero is not one of them."""
        knows_input = bool(later.input or later.cache_read or later.cache_write)
        known = later if knows_input else self
        return Counts(
            input=known.input if known.input is not None else self.input,
            output=later.output if later.output is not None else self.output,
            cache_read=known.cache_read if known.cache_read is not None else self.cache_read,
            cache_write=known.cache_write if known.cache_write is not None else self.cache_write,
            reasoning=later.reasoning if later.reasoning is not None else self.reasoning,
            tier=later.tier or self.tier,
        )

    def usage(self) -> Usage:
        read, written = self.cache_read or 0, self.cache_write or 0
        return Usage(
            input=(self.input or 0) + read + written,
            output=self.output or 0,
            cache_read=read,
            cache_write=written,
            reasoning=self.reasoning or 0,
        )


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: Any = None
    ephemeral_1h_input_tokens: Any = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: Any = None


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None
    service_tier: Any = None


class _Reply(msgspec.Struct):
    usage: Raw = _NULL


_USAGE: Final = msgspec.json.Decoder(_Usage)
_REPLY: Final = msgspec.json.Decoder(_Reply)


def counts_of(raw: Raw | bytes) -> Counts | None:
    """What a `usage` object says; None when it is not one or counts nothing. Nonsense counts as nothing."""
    try:
        said = _USAGE.decode(raw)
    except _NOT_JSON:
        return None
    details = said.output_tokens_details
    counts = Counts(
        input=_count(said.input_tokens),
        output=_count(said.output_tokens),
        cache_read=_count(said.cache_read_input_tokens),
        cache_write=_cache_write(said),
        reasoning=None if details is None else _count(details.thinking_tokens),
        tier=said.service_tier if isinstance(said.service_tier, str) else None,
    )
    return None if counts.input is None and counts.output is None else counts


def _cache_write(said: _Usage) -> int | None:
    """The sum, where only its parts are told."""
    whole = _count(said.cache_creation_input_tokens)
    parts = said.cache_creation
    if whole is not None or parts is None:
        return whole
    return (_count(parts.ephemeral_5m_input_tokens) or 0) + (_count(parts.ephemeral_1h_input_tokens) or 0)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A NaN fails the comparison too.
    return int(value) if 0 <= value <= _COUNT_LIMIT else None


def read_usage(body: bytes) -> Usage | None:
    """The counts of a plain answer; None when it states none."""
    try:
        counts = counts_of(_REPLY.decode(body).usage)
    except _NOT_JSON:
        return None
    return None if counts is None else counts.usage()


def write_usage(usage: Usage | None, tier: str | None = None) -> dict[str, Any]:
    """A `usage` object: input without what was read from and written to a cache."""
    counted = usage or Usage()
    written: dict[str, Any] = {
        "input_tokens": max(0, counted.input - counted.cache_read - counted.cache_write),
        "cache_creation_input_tokens": counted.cache_write,
        "cache_read_input_tokens": counted.cache_read,
        "output_tokens": counted.output,
    }
    if counted.reasoning:
        written["output_tokens_details"] = {"thinking_tokens": counted.reasoning}
    if tier is not None and (word := WRITTEN_TIERS.get(tier)) is not None:
        written["service_tier"] = word
    return written


def read_count(body: bytes) -> int | None:
    """The tokens that an answer to `count_tokens` states; None when it states none."""
    try:
        counts = _USAGE.decode(body)
    except _NOT_JSON:
        return None
    return _count(counts.input_tokens)


def write_count(tokens: int) -> bytes:
    """An answer to `count_tokens`."""
    return msgspec.json.encode({"input_tokens": tokens})


# ---------------------------------------------------------------------------------------------- words and citations


def stop_reason(word: object, *, called: bool) -> StopReason:
    """Why an answer ended. `called`: it holds tool calls, which some providers end like any other answer."""
    reason = STOP_REASONS.get(word, "stop") if isinstance(word, str) else "stop"
    return "tool_calls" if called and reason == "stop" else reason


def signature_text(signature: Signature) -> str:
    """What a client of this dialect is given as a signature: its own as it is, others in their envelope."""
    return signature.value if signature.origin == NAME else seal(signature)


def is_bare_proof(event: ThinkingSigned) -> bool:
    """Whether a proof, where no words stand before it, may be kept back: Gemini signs its text too, and clients such as
    Claude Code take the last block for the answer. Nobody wants such a proof back but with a call behind it."""
    return event.signature.origin != NAME and not event.redacted


def call_id(event: ToolCallStarted, answering: Answering, number: int) -> str:
    """The id of a tool call as a client is told it; Anthropic takes it back, so it is one that Anthropic takes."""
    own = event.id or f"toolu_{answering.id}{number}"
    return seal_call_id(CALL_IDS.fit(own), event.signature)


def read_citation(given: object) -> Citation | None:
    """A citation; offsets in it are those of the source, which events do not tell."""
    if not isinstance(given, dict):
        return None
    url = _text(given.get("url")) or _text(given.get("source"))
    title = _text(given.get("title")) or _text(given.get("document_title"))
    quote = _text(given.get("cited_text"))
    return Citation(url, title, quote) if url or title or quote else None


def write_citation(citation: Citation) -> dict[str, Any]:
    """A citation as of a page on the web where it has an address, else as of a document."""
    title = citation.title or None
    if citation.url:
        page = {"type": "web_search_result_location", "url": citation.url, "title": title, "encrypted_index": ""}
        return {**page, "cited_text": citation.quote}
    place = {"document_index": 0, "start_char_index": 0, "end_char_index": len(citation.quote)}
    return {"type": "char_location", "cited_text": citation.quote, "document_title": title, **place}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# ---------------------------------------------------------------------------------------------- reading


def read_reply(body: bytes) -> list[Event]:
    """The events of a plain answer.

    Raises:
        UpstreamInvalidResponse: the body is not a message.
    """
    try:
        message = _ANY.decode(Halves().mend(body))
    except _NOT_JSON as error:
        raise UpstreamInvalidResponse("The provider's answer is not JSON.") from error
    if isinstance(message, dict) and message.get("type") == "error":
        return [Started(), Failed(read_error(body) or ErrorBody("The provider reported an error."))]
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise UpstreamInvalidResponse("The provider's answer is not a message.")
    counts = counts_of(msgspec.json.encode(message.get("usage")))
    events: list[Event] = [Started(_text(message.get("id")), _text(message.get("model")))]
    events += _blocks_of(message["content"])
    called = any(isinstance(event, ToolCallStarted) for event in events)
    events.append(
        Finished(
            stop_reason(message.get("stop_reason"), called=called),
            None if counts is None else counts.usage(),
            _text(message.get("stop_sequence")) or None,
            None if counts is None else READ_TIERS.get(counts.tier or ""),
        )
    )
    return events


def _blocks_of(content: Sequence[Any]) -> Iterator[Event]:
    before = None
    for block in content:
        if not isinstance(block, dict):
            raise UpstreamInvalidResponse("The provider's answer holds a block that is not an object.")
        if block.get("type") == before and before in ("text", "thinking"):
            yield BlockEnded()
        before = block.get("type")
        yield from _events_of(block)


def _events_of(block: dict[str, Any]) -> Iterator[Event]:
    match block.get("type"):
        case "text":
            yield TextDelta(_text(block.get("text")))
            for given in block.get("citations") or ():
                citation = read_citation(given)
                if citation is not None:
                    yield citation
        case "thinking":
            if thinking := _text(block.get("thinking")):
                yield ThinkingDelta(thinking)
            if signature := _text(block.get("signature")):
                yield ThinkingSigned(Signature(NAME, signature))
        case "redacted_thinking":
            yield ThinkingSigned(Signature(NAME, _text(block.get("data"))), redacted=True)
        case "tool_use":
            yield started_call(block)
            yield ToolCallDelta(msgspec.json.encode(block.get("input") or {}).decode())
        case _:
            yield Opaque(NAME, block)


def started_call(block: dict[str, Any]) -> ToolCallStarted:
    """The beginning of a `tool_use` block.

    Raises:
        UpstreamInvalidResponse: it does not say what is called.
    """
    name = _text(block.get("name"))
    if not name:
        raise UpstreamInvalidResponse("The provider's answer calls a tool without a name.")
    return ToolCallStarted(_text(block.get("id")), name)


# ---------------------------------------------------------------------------------------------- writing


def write_reply(events: Sequence[Event], answering: Answering) -> bytes:
    """A plain answer that says what the events say."""
    started = next((event for event in events if isinstance(event, Started)), Started())
    finished = next((event for event in events if isinstance(event, Finished)), Finished("stop"))
    usage = finished.usage or started.usage
    reply = {
        "id": f"msg_{answering.id}",
        "type": "message",
        "role": "assistant",
        "model": started.model or answering.model,
        "content": _Content(answering).gather(events),
        "stop_reason": STOP_WORDS[finished.reason],
        "stop_sequence": finished.stop_sequence,
        "usage": write_usage(usage, finished.service_tier),
    }
    return msgspec.json.encode(reply)


class _Content:
    """Gathers blocks from the events of an answer."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._blocks: list[dict[str, Any]] = []
        #: the open block, the name of the field that grows in it, and what has come for that
        self._open: dict[str, Any] = {}
        self._field = ""
        self._pieces: list[str] = []
        self._call: ToolCallStarted | None = None
        self._calls = 0
        #: proofs without words behind what was said; they are told where a call follows
        self._held: list[ThinkingSigned] = []

    def gather(self, events: Iterable[Event]) -> list[dict[str, Any]]:
        for event in events:
            self._take(event)
        self._close()
        return self._blocks

    def _take(self, event: Event) -> None:
        match event:
            case TextDelta() | RefusalDelta():
                self._within("text")
                self._pieces.append(event.text)
            case Citation():
                self._within("text")
                self._open.setdefault("citations", []).append(write_citation(event))
            case ThinkingDelta():
                self._within("thinking")
                self._pieces.append(event.text)
            case ThinkingSigned():
                self._sign(event)
            case ToolCallStarted():
                self._close()
                self._tell_held()
                self._calls += 1
                self._call = event
            case ToolCallDelta():
                self._pieces.append(event.arguments)
            case BlockEnded():
                self._close()
            case Opaque() if event.dialect == NAME:
                self._close()
                self._tell_held()
                self._blocks.append(event.value)

    def _within(self, kind: str) -> None:
        """Opens a block of this kind, unless one is open."""
        if self._field != kind:
            self._close()
            if kind != "text":
                self._tell_held()
            self._field = kind
            self._open = {"type": kind, kind: ""}
            if kind == "thinking":
                self._open["signature"] = ""

    def _sign(self, event: ThinkingSigned) -> None:
        text = signature_text(event.signature)
        if event.redacted:
            self._close()
            self._tell_held()
            self._blocks.append({"type": "redacted_thinking", "data": text})
        elif self._field != "thinking" and self._has_said() and is_bare_proof(event):
            self._held.append(event)
        else:
            self._within("thinking")
            self._open["signature"] = text
            self._close()

    def _has_said(self) -> bool:
        """Whether there is anything beside thinking."""
        open_block = self._call is not None or self._field == "text"
        return open_block or any(block["type"] not in _THOUGHTS for block in self._blocks)

    def _tell_held(self) -> None:
        for event in self._held:
            self._blocks.append({"type": "thinking", "thinking": "", "signature": signature_text(event.signature)})
        self._held = []

    def _close(self) -> None:
        said = "".join(self._pieces)
        if self._call is not None:
            made = call_id(self._call, self._answering, self._calls)
            self._blocks += write_blocks([ToolCall(made, self._call.name, said, custom=self._call.custom)])
        elif self._field and (said or self._field == "thinking" or "citations" in self._open):
            self._open[self._field] = said
            self._blocks.append(self._open)
        self._call = None
        self._field = ""
        self._pieces = []
