"""Prompt caches of callers who have no breakpoints, at providers who cache nothing without one.

OpenAI and Google cache what they have seen before without being asked; Anthropic's models only up to a breakpoint.
Their API sets one by itself for the field `cache_control` of the request, but hosts that only speak the dialect need
not know that field. They know breakpoints on blocks, which Claude Code sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from .carrying import features_of
from .conversation import Conversation

__all__ = ["Breakpoints", "breakpoints_for", "is_automatic"]

#: OpenAI's word for caching nothing but what is marked
_MARKED_ALONE: Final = b'"explicit"'


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """Where they are to be set: behind the tools and the instructions (`prompt`), behind the last message (`messages`).

    Whoever writes a cache pays a quarter more for it. Instructions come again with the next caller, messages only where
    the conversation goes on.
    """

    prompt: bool = False
    messages: bool = False


def breakpoints_for(call: Conversation) -> Breakpoints:
    """The breakpoints of a call that sets none itself; none for a caller who could have."""
    if not (call.caches or call.prompt_cache_key is not None) or "cache_control" in features_of(call):
        return Breakpoints()
    return Breakpoints(prompt=True, messages=_goes_on(call))


def _goes_on(call: Conversation) -> bool:
    """Whether the same messages will come again, with more behind them."""
    answered = any(turn.role == "assistant" for turn in call.turns)
    return call.prompt_cache_key is not None or bool(call.tools) or answered


def is_automatic(envelope: Mapping[str, msgspec.Raw]) -> bool:
    """Whether a request of OpenAI's leaves caching to its provider."""
    return _MARKED_ALONE not in bytes(envelope.get("prompt_cache_options") or b"")
