"""What a chat completion cost in tokens: counts read wherever a provider states them, and written as OpenAI does."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

import msgspec

from ..envelope import first_byte
from ..events import Usage

__all__ = ["read_any_usage", "read_usage", "usage_from", "write_usage"]

Raw = msgspec.Raw

_T = TypeVar("_T")
_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


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


def write_usage(usage: Usage, *, thought: bool) -> dict[str, Any]:
    """The counts as OpenAI states them. `thought`: the answer holds thinking. None counted of it is a count that the
    provider did not give, and nothing is said of it."""
    prompt = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        prompt["cache_write_tokens"] = usage.cache_write
    told: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": prompt,
    }
    if usage.reasoning or not thought:
        told["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return told
