"""Counts of tokens as this dialect tells them. `input_tokens` includes what was cached, `output_tokens` reasoning."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..envelope import first_byte
from ..events import Usage

__all__ = ["read_usage", "usage_from", "write_usage"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_COUNT_LIMIT: Final = 10**12


class _InputDetails(msgspec.Struct):
    cached_tokens: Any = None
    cache_write_tokens: Any = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: Any = None


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None
    total_tokens: Any = None
    input_tokens_details: Raw = _NULL
    output_tokens_details: Raw = _NULL
    #: servers that answer with the names of chat completions
    prompt_tokens: Any = None
    completion_tokens: Any = None


class _Reply(msgspec.Struct):
    usage: Raw = _NULL


_USAGE: Final = msgspec.json.Decoder(_Usage)
_INPUT: Final = msgspec.json.Decoder(_InputDetails)
_OUTPUT: Final = msgspec.json.Decoder(_OutputDetails)
_REPLY: Final = msgspec.json.Decoder(_Reply)


def read_usage(body: bytes) -> Usage | None:
    """The counts of a plain answer; None when it states none."""
    try:
        return usage_from(_REPLY.decode(body).usage)
    except _NOT_JSON:
        return None


def usage_from(raw: Raw) -> Usage | None:
    """The counts of a `usage` object; None when it is not one or counts nothing. Nonsense counts as nothing."""
    if first_byte(raw) != ord("{"):
        return None
    try:
        stated = _USAGE.decode(raw)
        cached = _INPUT.decode(stated.input_tokens_details) if _is_object(stated.input_tokens_details) else None
        thought = _OUTPUT.decode(stated.output_tokens_details) if _is_object(stated.output_tokens_details) else None
    except _NOT_JSON:
        return None
    given = _first(stated.input_tokens, stated.prompt_tokens)
    answered = _first(stated.output_tokens, stated.completion_tokens)
    if given is None and answered is None:
        return None
    return Usage(
        input=given or 0,
        output=_whole_output(given, answered, _count(stated.total_tokens)),
        cache_read=(_count(cached.cached_tokens) or 0) if cached else 0,
        cache_write=(_count(cached.cache_write_tokens) or 0) if cached else 0,
        reasoning=(_count(thought.reasoning_tokens) or 0) if thought else 0,
    )


def write_usage(usage: Usage) -> dict[str, Any]:
    """The `usage` of an answer, with every field that the SDKs' strict types want."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _is_object(raw: Raw) -> bool:
    return first_byte(raw) == ord("{")


def _whole_output(given: int | None, answered: int | None, total: int | None) -> int:
    """Some providers count reasoning in the total only."""
    if given is None or answered is None or total is None:
        return answered or 0
    return max(answered, total - given)


def _first(*values: object) -> int | None:
    return next((count for value in values if (count := _count(value)) is not None), None)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A NaN fails the comparison too.
    return int(value) if 0 <= value <= _COUNT_LIMIT else None
