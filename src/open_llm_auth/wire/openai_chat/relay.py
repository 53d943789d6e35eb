"""An answer between two sides that both speak chat completions: relayed as the bytes it is, and watched on its way."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import GatewayError, UpstreamInvalidResponse
from .. import sse
from ..envelope import first_byte, is_null
from ..events import ErrorBody, Usage
from ..openai_error import read_error, write_stream_error
from .usage import read_usage, usage_from

__all__ = ["StreamRelay", "error_within", "is_whole", "says_something", "stream_from_reply"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_OBJECTS: Final = msgspec.json.Decoder(list[dict[str, Raw]])
_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Chunk(msgspec.Struct):
    """The part of a chunk that matters to a relay."""

    choices: Raw = _NULL
    usage: Raw = _NULL
    error: Raw = _NULL
    #: Groq reports usage here as well
    x_groq: Raw = _NULL
    object: Raw = _NULL
    type: Raw = _NULL


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: Raw = _NULL
    finish_reason: Any = None
    error: Raw = _NULL
    #: Moonshot reports usage here
    usage: Raw = _NULL


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_CHOICES: Final = msgspec.json.Decoder(list[_Choice])

#: What makes an answer: any of these in a delta, unless null or empty, is content that a client has seen.
_CONTENT: Final = (
    "content",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    "images",
)
#: What stands after a key that says nothing, beside ``:null``.
_NOTHING: Final = (b": null", b':""', b': ""')


class StreamRelay:
    """Watches one streamed answer go by: says what to forward, and knows at the end whether it was whole.

    Complete events go on as the bytes they are. Until something a client would see has come, and whenever a chunk
    mentions usage, an error or an end, events are looked into; the rest costs a few byte searches.

    `committed`: text, reasoning, a tool call, a refusal or audio has come. `done`: the end mark has come.
    `failure`: the provider reported an error; nothing after it goes on. `choices` is the `n` of the request.
    """

    __slots__ = (
        "_answered",
        "_choices",
        "_finished",
        "_hide_usage",
        "_open",
        "_splitter",
        "committed",
        "done",
        "failure",
        "usage",
    )

    def __init__(self, *, hide_usage: bool, choices: int = 1) -> None:
        self._hide_usage = hide_usage
        self._choices = choices
        self._splitter = sse.EventSplitter()
        self._answered = False
        self._open: set[object] = set()
        self._finished: set[object] = set()
        self.committed = False
        self.done = False
        self.failure: ErrorBody | None = None
        self.usage: Usage | None = None

    def feed(self, chunk: bytes) -> bytes:
        """What to forward now; the tail of an unfinished event waits for its end.

        Raises:
            UpstreamInvalidResponse: one event is larger than any honest one.
        """
        if self.done or self.failure is not None:
            return b""
        if self.committed and self._choices == 1 and not self._splitter.pending and _is_plain_event(chunk):
            return chunk
        block = self._splitter.feed(chunk)
        if not block:
            return block
        if self.committed and self._choices == 1 and _is_plain(block):
            return block
        return self._inspect(block)

    def end(self) -> bytes:
        """What is left to forward when the provider closes the stream: a last event, and an end mark it forgot.

        Raises:
            UpstreamInvalidResponse: nothing came, or the stream stopped before its end, or it had failed.
        """
        rest = self._splitter.flush() if not self.done and self.failure is None else b""
        # An end without a blank line is common; an unfinished event is not JSON and goes no further.
        out = self._inspect(rest.rstrip(b"\r\n") + b"\n\n") if is_whole(rest) else b""
        if self.failure is not None:
            raise UpstreamInvalidResponse("The provider's stream ended with an error.")
        if not self._answered:
            raise UpstreamInvalidResponse("The provider's stream ended without an answer.")
        if self.done:
            return out
        if self._finished and self._open <= self._finished and len(self._finished) >= self._choices:
            self.done = True
            return out + sse.DONE
        raise UpstreamInvalidResponse("The provider's stream stopped before the answer was complete.")

    def fail(self, error: GatewayError) -> bytes:
        """The error as one event; no end mark follows it."""
        return write_stream_error(error)

    def _inspect(self, block: bytes) -> bytes:
        kept = []
        for event in sse.split_events(block):
            if self._keeps(event):
                kept.append(event)
            if self.done or self.failure is not None:
                break
        return b"".join(kept)

    def _keeps(self, event: bytes) -> bool:
        data = sse.data_of(event)
        if data is None:
            return self._keeps_bare(event)
        data = data.strip()
        if data == b"[DONE]":
            self.done = True
            # An end mark after nothing is no answer: `end` says so.
            return self._answered
        try:
            chunk = _CHUNK.decode(data)
        except _NOT_JSON:
            # Not ours to judge: a client may know what it means.
            return True
        if _reports_failure(chunk, event):
            self.failure = read_error(data) or ErrorBody("The provider reported an error in the stream.")
            return False
        choices = _read_choice_list(chunk.choices)
        self._count_usage(chunk, choices)
        if choices is None:
            return True
        self._answered = self._answered or bool(choices)
        for choice in choices:
            self._follow(choice)
        if self.failure is not None:
            return False
        return bool(choices) or not self._hide_usage or is_null(chunk.usage)

    def _keeps_bare(self, event: bytes) -> bool:
        """An event without data: a comment, or an error body that someone wrote into the stream as it is."""
        text = event.strip()
        if text.startswith(b"{"):
            self.failure = read_error(text)
        return self.failure is None

    def _follow(self, choice: _Choice) -> None:
        index = choice.index if isinstance(choice.index, int) else 0
        self._open.add(index)
        if not self.committed and _has_content(choice.delta):
            self.committed = True
        if says_something(choice.error) or choice.finish_reason == "error":
            self.failure = error_within(choice.error)
        if choice.finish_reason:
            self._finished.add(index)

    def _count_usage(self, chunk: _Chunk, choices: list[_Choice] | None) -> None:
        usage = usage_from(chunk.usage)
        if usage is None and not is_null(chunk.x_groq):
            usage = read_usage(bytes(chunk.x_groq))
        for choice in choices or ():
            usage = usage or usage_from(choice.usage)
        self.usage = usage or self.usage


def _is_plain_event(chunk: bytes) -> bool:
    """Whether a chunk is exactly one event of one line that says nothing but content. This is the hot path."""
    return (
        len(chunk) - chunk.find(b"\n") <= 3
        and chunk.endswith(sse.ENDS)
        and chunk.startswith(b"data: {")
        and _says_nothing(chunk, b'"finish_reason"')
        and _says_nothing(chunk, b'"usage"')
        and _says_nothing(chunk, b'"error"')
    )


def _is_plain(block: bytes) -> bool:
    """Nothing in these events but content: no end, no error, no usage, no event name."""
    return (
        b"[DONE]" not in block
        and b"event:" not in block
        and _says_nothing(block, b'"finish_reason"')
        and _says_nothing(block, b'"usage"')
        and _says_nothing(block, b'"error"')
    )


def _says_nothing(block: bytes, key: bytes) -> bool:
    """Whether a key is absent, or null or empty wherever it stands: some providers send it so in every chunk.

    Inside a JSON string the quotes of a key would be escaped, so that an answer about usage is no usage. These keys
    stand near the end of a chunk, so the search starts there.
    """
    at = block.rfind(key)
    while at >= 0:
        after = at + len(key)
        if block[after : after + 5] != b":null" and not block.startswith(_NOTHING, after):
            return False
        at = block.rfind(key, 0, at)
    return True


def is_whole(rest: bytes) -> bool:
    """Whether the last bytes of a stream are an event but for its blank line."""
    if not rest.strip():
        return False
    data = sse.data_of(rest)
    text = rest.strip() if data is None else data.strip()
    if text == b"[DONE]":
        return True
    try:
        _OBJECT.decode(text)
    except _NOT_JSON:
        return False
    return True


def error_within(raw: Raw) -> ErrorBody:
    """The error that stands in a choice."""
    return read_error(b'{"error":%b}' % bytes(raw)) or ErrorBody("The provider ended the answer with an error.")


def says_something(raw: Raw) -> bool:
    """Whether a JSON value is more than an empty one."""
    return bytes(memoryview(raw)[:6]) not in (b"null", b'""', b"false", b"{}", b"[]")


def _reports_failure(chunk: _Chunk, event: bytes) -> bool:
    if says_something(chunk.error):
        return True
    if first_byte(chunk.choices) == ord("["):
        return False
    return b'"error"' in (bytes(chunk.object), bytes(chunk.type)) or sse.name_of(event) == b"error"


def _read_choice_list(raw: Raw) -> list[_Choice] | None:
    """The choices of a chunk; None when they are not a list of objects."""
    if first_byte(raw) != ord("["):
        return None
    try:
        return _CHOICES.decode(raw)
    except _NOT_JSON:
        return None


def _has_content(raw: Raw) -> bool:
    if first_byte(raw) != ord("{"):
        return False
    try:
        delta = _ANY.decode(raw)
    except _NOT_JSON:
        return False
    return any(delta.get(name) for name in _CONTENT)


# ---------------------------------------------------------------------------------------------- plain to stream


#: Raw values keep the line breaks they were laid out with; inside a JSON string there are none.
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")


def stream_from_reply(body: bytes) -> bytes:
    """A plain answer as the stream that was asked for: each choice whole, its end, the usage if any, the end mark.

    Raises:
        UpstreamInvalidResponse: the body is not a chat completion.
    """
    try:
        head = _OBJECT.decode(body)
        choices = _OBJECTS.decode(head.pop("choices", _NULL))
        deltas = [_delta(choice.get("message", _NULL)) for choice in choices]
    except _NOT_JSON as error:
        raise UpstreamInvalidResponse("The provider's answer is not a chat completion.") from error
    if not choices:
        raise UpstreamInvalidResponse("The provider's answer holds no choices.")
    usage = head.pop("usage", _NULL)
    head["object"] = Raw(b'"chat.completion.chunk"')
    rows = [_opening(index, *pair) for index, pair in enumerate(zip(choices, deltas, strict=True))]
    rows += [_ending(index, choice) for index, choice in enumerate(choices)]
    chunks = [{**head, "choices": _encoded([row])} for row in rows]
    if first_byte(usage) == ord("{"):
        chunks.append({**head, "choices": Raw(b"[]"), "usage": usage})
    return b"".join([*(sse.event(msgspec.json.encode(chunk).translate(_ONE_LINE)) for chunk in chunks), sse.DONE])


def _delta(message: Raw) -> Raw:
    """A message as the one delta that says it all; its tool calls are numbered."""
    delta = {"role": Raw(b'"assistant"'), **_OBJECT.decode(message)}
    calls = delta.get("tool_calls")
    if calls is not None and first_byte(calls) == ord("["):
        numbered = [{"index": _encoded(number), **call} for number, call in enumerate(_OBJECTS.decode(calls))]
        delta["tool_calls"] = _encoded(numbered)
    return _encoded(delta)


def _opening(index: int, choice: dict[str, Raw], delta: Raw) -> dict[str, Raw]:
    kept = {key: value for key, value in choice.items() if key != "message"}
    return {"index": _encoded(index), **kept, "delta": delta, "finish_reason": _NULL}


def _ending(index: int, choice: dict[str, Raw]) -> dict[str, Raw]:
    reason = choice.get("finish_reason", _NULL)
    return {
        "index": choice.get("index", _encoded(index)),
        "delta": Raw(b"{}"),
        "finish_reason": Raw(b'"stop"') if is_null(reason) else reason,
    }


def _encoded(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
