"""OpenAI chat completions, bytes to values and back (https://platform.openai.com/docs/api-reference/chat).

Same dialect in and out: a request is taken apart at its top level only, an answer is relayed as the bytes it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ..errors import InvalidRequest, UpstreamInvalidResponse
from . import sse
from .envelope import Envelope, first_byte, is_null, read_envelope, read_flag, read_model, type_of
from .events import ErrorBody, Usage
from .openai_error import read_error, write_error, write_error_body, write_stream_error

__all__ = [
    "ChatRequest",
    "ErrorBody",
    "StreamRelay",
    "Usage",
    "read_any_usage",
    "read_error",
    "read_request",
    "read_usage",
    "stream_from_reply",
    "usage_from",
    "write_error",
    "write_error_body",
    "write_request",
    "write_stream_error",
]

Raw = msgspec.Raw

_T = TypeVar("_T")
_ASK_USAGE: Final = Raw(b'{"include_usage":true}')
_TRUE: Final = Raw(b"true")
_NULL: Final = Raw(b"null")
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_OBJECTS: Final = msgspec.json.Decoder(list[dict[str, Raw]])
_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# ---------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat completion as it was asked for. `envelope` is the body's top level, in order, values as raw JSON.

    `wants_usage` is `stream_options.include_usage`; `choices` is `n`, 1 where absent or not a plain number.
    """

    envelope: Envelope
    model: str | None
    stream: bool
    wants_usage: bool
    choices: int = 1


def read_request(body: bytes) -> ChatRequest:
    """A chat completion request; what is below the top level is left to the provider.

    Raises:
        InvalidRequest: the body is not a JSON object, or `messages`, `model`, `stream` or `stream_options` is not what
            it must be; `param` names the field.
    """
    envelope = read_envelope(body)
    _check_messages(envelope.get("messages"))
    return ChatRequest(
        envelope,
        read_model(envelope),
        read_flag(envelope, "stream"),
        _read_include_usage(envelope.get("stream_options")),
        _read_choices(envelope.get("n")),
    )


def _check_messages(raw: Raw | None) -> None:
    if raw is None:
        raise InvalidRequest("'messages' is missing; send a list of messages.", param="messages")
    if first_byte(raw) != ord("["):
        raise InvalidRequest(f"'messages' must be a list, not {type_of(raw)}.", param="messages")
    head = bytes(memoryview(raw)[1:64]).lstrip()
    if (head or bytes(raw)[1:].lstrip()).startswith(b"]"):
        raise InvalidRequest("'messages' is empty; send at least one message.", param="messages")


def _read_include_usage(raw: Raw | None) -> bool:
    if raw is None or is_null(raw):
        return False
    if first_byte(raw) != ord("{"):
        raise InvalidRequest(f"'stream_options' must be an object, not {type_of(raw)}.", param="stream_options")
    try:
        return read_flag(_OBJECT.decode(raw), "include_usage")
    except InvalidRequest as error:
        raise InvalidRequest(
            "'stream_options.include_usage' must be true or false.", param="stream_options.include_usage"
        ) from error
    except _NOT_JSON as error:
        raise InvalidRequest("'stream_options' is not a readable object.", param="stream_options") from error


def _read_choices(raw: Raw | None) -> int:
    if raw is None or (len(text := bytes(memoryview(raw)[:4])) > 3) or not text.isdigit():
        return 1
    return max(1, int(text))


def write_request(envelope: Mapping[str, Raw], *, model: str, ask_usage: bool, drop_usage: bool = False) -> bytes:
    """The body to send: the same fields in the same order with `model` replaced.

    `ask_usage` merges `include_usage: true` into `stream_options`; `drop_usage` leaves `stream_options` out, for a
    provider that refuses it.
    """
    fields = {**envelope, "model": Raw(msgspec.json.encode(model))}
    if drop_usage:
        fields.pop("stream_options", None)
    elif ask_usage:
        fields["stream_options"] = _asking_usage(envelope.get("stream_options"))
    return msgspec.json.encode(fields)


def _asking_usage(given: Raw | None) -> Raw:
    if given is None or is_null(given):
        return _ASK_USAGE
    return Raw(msgspec.json.encode({**_OBJECT.decode(given), "include_usage": _TRUE}))


# ---------------------------------------------------------------------------------------------- usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: Any = None
    cache_write_tokens: Any = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: Any = None


class _Usage(msgspec.Struct):
    """Every place where a count has been seen; OpenAI's own names come first."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None
    prompt_tokens_details: Raw = _NULL
    completion_tokens_details: Raw = _NULL
    #: DeepSeek
    prompt_cache_hit_tokens: Any = None
    #: Moonshot
    cached_tokens: Any = None
    reasoning_tokens: Any = None
    #: servers that answer with the names of the Responses API
    input_tokens: Any = None
    output_tokens: Any = None


class _Reply(msgspec.Struct):
    usage: Raw = _NULL


_USAGE: Final = msgspec.json.Decoder(_Usage)
_PROMPT: Final = msgspec.json.Decoder(_PromptDetails)
_COMPLETION: Final = msgspec.json.Decoder(_CompletionDetails)
_REPLY: Final = msgspec.json.Decoder(_Reply)
_NO_PROMPT: Final = _PromptDetails()
_NO_COMPLETION: Final = _CompletionDetails()
_COUNT_LIMIT: Final = 10**12


_Tokens = Annotated[int, msgspec.Meta(ge=0, le=_COUNT_LIMIT)]


class _PlainPrompt(msgspec.Struct):
    cached_tokens: _Tokens
    cache_write_tokens: _Tokens = 0


class _PlainCompletion(msgspec.Struct):
    reasoning_tokens: _Tokens


class _PlainUsage(msgspec.Struct):
    """Usage as OpenAI documents it. Whoever does otherwise, or leaves one out, is read the long way: such a count may
    stand elsewhere."""

    prompt_tokens: _Tokens
    completion_tokens: _Tokens
    total_tokens: _Tokens
    prompt_tokens_details: _PlainPrompt
    completion_tokens_details: _PlainCompletion


class _PlainReply(msgspec.Struct):
    usage: _PlainUsage


_PLAIN: Final = msgspec.json.Decoder(_PlainReply)


def read_usage(body: bytes) -> Usage | None:
    """The counts of a plain answer; None when it states none."""
    try:
        plain = _PLAIN.decode(body).usage
    except _NOT_JSON:
        return read_any_usage(body)
    return Usage(
        input=plain.prompt_tokens,
        output=max(plain.completion_tokens, plain.total_tokens - plain.prompt_tokens),
        cache_read=plain.prompt_tokens_details.cached_tokens,
        cache_write=plain.prompt_tokens_details.cache_write_tokens,
        reasoning=plain.completion_tokens_details.reasoning_tokens,
    )


def read_any_usage(body: bytes) -> Usage | None:
    """As `read_usage`, for answers that seldom state what OpenAI's chat completions do: a try less."""
    try:
        return usage_from(_REPLY.decode(body).usage)
    except _NOT_JSON:
        return None


def usage_from(raw: Raw | None) -> Usage | None:
    """The counts of a `usage` object; None when it is not one or counts nothing. Nonsense counts as nothing."""
    if raw is None or first_byte(raw) != ord("{"):
        return None
    try:
        stated = _USAGE.decode(raw)
        prompt = _details(_PROMPT, stated.prompt_tokens_details, _NO_PROMPT)
        completion = _details(_COMPLETION, stated.completion_tokens_details, _NO_COMPLETION)
    except _NOT_JSON:
        return None
    given = _first(stated.prompt_tokens, stated.input_tokens)
    answered = _first(stated.completion_tokens, stated.output_tokens)
    if given is None and answered is None:
        return None
    return Usage(
        input=given or 0,
        output=_whole_output(given, answered, _count(stated.total_tokens)),
        cache_read=_first(prompt.cached_tokens, stated.prompt_cache_hit_tokens, stated.cached_tokens) or 0,
        cache_write=_count(prompt.cache_write_tokens) or 0,
        reasoning=_first(completion.reasoning_tokens, stated.reasoning_tokens) or 0,
    )


def _details(decoder: msgspec.json.Decoder[_T], raw: Raw, nothing: _T) -> _T:
    return decoder.decode(raw) if first_byte(raw) == ord("{") else nothing


def _whole_output(given: int | None, answered: int | None, total: int | None) -> int:
    """Some providers count reasoning in the total only (xAI, Google)."""
    if given is None or answered is None or total is None:
        return answered or 0
    return max(answered, total - given)


def _first(*values: object) -> int | None:
    for value in values:
        count = _count(value)
        if count is not None:
            return count
    return None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A NaN fails the comparison too.
    return int(value) if 0 <= value <= _COUNT_LIMIT else None


# ---------------------------------------------------------------------------------------------- streams


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
        out = self._inspect(rest.rstrip(b"\r\n") + b"\n\n") if _is_whole(rest) else b""
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
        if _says_something(choice.error) or choice.finish_reason == "error":
            body = b'{"error":%b}' % bytes(choice.error)
            self.failure = read_error(body) or ErrorBody("The provider ended the answer with an error.")
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


def _is_whole(rest: bytes) -> bool:
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


def _says_something(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:6]) not in (b"null", b'""', b"false", b"{}", b"[]")


def _reports_failure(chunk: _Chunk, event: bytes) -> bool:
    if _says_something(chunk.error):
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
