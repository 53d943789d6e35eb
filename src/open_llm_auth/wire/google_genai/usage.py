"""Counts of tokens: `usageMetadata`. What a prompt had in a cache is part of it, thoughts are beside the answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..envelope import first_byte
from ..events import Usage

__all__ = ["read_usage", "usage_from", "write_usage"]

_NULL: Final = msgspec.Raw(b"null")
_COUNT_LIMIT: Final = 10**12


class _Counts(msgspec.Struct, rename="camel"):
    prompt_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    cached_content_token_count: Any = None
    tool_use_prompt_token_count: Any = None


class _Reply(msgspec.Struct, rename="camel"):
    usage_metadata: msgspec.Raw = _NULL


_COUNTS: Final = msgspec.json.Decoder(_Counts)
_REPLY: Final = msgspec.json.Decoder(_Reply)
_REPLIES: Final = msgspec.json.Decoder(list[_Reply])
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_usage(body: bytes) -> Usage | None:
    """The counts of a plain answer, or of a stream that is one list; None when it states none."""
    try:
        replies = _REPLIES.decode(body) if body.lstrip()[:1] == b"[" else [_REPLY.decode(body)]
    except _NOT_JSON:
        return None
    return next((usage for reply in reversed(replies) if (usage := usage_from(reply.usage_metadata))), None)


def usage_from(raw: msgspec.Raw) -> Usage | None:
    """The counts of `usageMetadata`; None when it is not one or counts nothing. Nonsense counts as nothing."""
    if first_byte(raw) != ord("{"):
        return None
    try:
        stated = _COUNTS.decode(raw)
    except _NOT_JSON:
        return None
    if _count(stated.prompt_token_count) is None and _count(stated.candidates_token_count) is None:
        return None
    thoughts = _count(stated.thoughts_token_count) or 0
    return Usage(
        input=(_count(stated.prompt_token_count) or 0) + (_count(stated.tool_use_prompt_token_count) or 0),
        output=(_count(stated.candidates_token_count) or 0) + thoughts,
        cache_read=_count(stated.cached_content_token_count) or 0,
        reasoning=thoughts,
    )


def write_usage(usage: Usage) -> dict[str, int]:
    """`usageMetadata`; what is written to a cache is not counted apart here."""
    counts = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": max(0, usage.output - usage.reasoning),
        "totalTokenCount": usage.input + usage.output,
    }
    if usage.cache_read:
        counts["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    return counts


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A NaN fails the comparison too.
    return int(value) if 0 <= value <= _COUNT_LIMIT else None
