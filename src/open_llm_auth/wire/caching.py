"""Prompt caches of callers who have no breakpoints, at providers who cache nothing without one.

OpenAI and Google cache what they have seen before without being asked; Anthropic's models only up to a breakpoint.
Their API sets one by itself for the field `cache_control` of the request, but hosts that only speak the dialect need
not know that field. They know breakpoints on blocks, which Claude Code sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from .carrying import features_of
from .conversation import Conversation

__all__ = ["is_automatic", "wants_breakpoints"]

#: OpenAI's word for caching nothing but what is marked
_MARKED_ALONE: Final = b'"explicit"'


def wants_breakpoints(call: Conversation) -> bool:
    """Whether breakpoints are to be set behind the instructions and behind the last message.

    Only for a caller who could not have set any, and where the same text will come again: whoever writes a cache pays a
    quarter more for it, so a question that stands alone gets none.
    """
    if not (call.caches or call.prompt_cache_key is not None) or "cache_control" in features_of(call):
        return False
    return call.prompt_cache_key is not None or bool(call.tools) or any(turn.role == "assistant" for turn in call.turns)


def is_automatic(envelope: Mapping[str, msgspec.Raw]) -> bool:
    """Whether a request of OpenAI's leaves caching to its provider."""
    return _MARKED_ALONE not in bytes(envelope.get("prompt_cache_options") or b"")
