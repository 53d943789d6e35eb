"""OpenAI Responses (https://platform.openai.com/docs/api-reference/responses), both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..carrying import Feature, Handling
from ..dialect import ClientSide, Dialect, ProviderSide
from ..fitting import NameRule
from .decoding import StreamDecoder
from .encoding import StreamEncoder
from .errors import read_error, write_error
from .forgetting import without_reasoning
from .relay import StreamRelay, relay
from .replies import gather, read_reply, read_usage, write_reply
from .requests import read_conversation, read_request, rewrite, write_request

__all__ = [
    "DIALECT",
    "LIMITS",
    "StreamDecoder",
    "StreamEncoder",
    "StreamRelay",
    "gather",
    "read_conversation",
    "read_error",
    "read_reply",
    "read_request",
    "read_usage",
    "relay",
    "rewrite",
    "write_error",
    "write_reply",
    "write_request",
]

#: What a provider of this dialect can't be told as it was said.
LIMITS: Final[Mapping[Feature, Handling]] = {
    "audio": "refused",
    # It caches on its own.
    "cache_control": "adapted",
    "citations": "dropped",
    "frequency_penalty": "dropped",
    "n": "refused",
    "presence_penalty": "dropped",
    "provider_tool": "dropped",
    "reasoning_budget": "adapted",
    "reasoning_replay": "adapted",
    "seed": "dropped",
    "stop": "dropped",
    "store": "dropped",
    "tool_result_error": "adapted",
    "top_k": "dropped",
    "unknown_field": "dropped",
    "unknown_item": "dropped",
}

_NAME: Final = NameRule(re.compile(r"[^a-zA-Z0-9_-]"), 64)

DIALECT: Final = Dialect(
    name="openai-responses",
    client=ClientSide(
        read_request=read_request,
        read_conversation=read_conversation,
        write_reply=write_reply,
        encoder=StreamEncoder,
        write_error=write_error,
        rewrite=rewrite,
        relay=relay,
        read_usage=read_usage,
        gather=gather,
        without_reasoning=without_reasoning,
    ),
    provider=ProviderSide(
        write_request=write_request,
        read_reply=read_reply,
        decoder=StreamDecoder,
        read_error=read_error,
        limits=LIMITS,
        tool_names=_NAME,
        call_ids=_NAME,
    ),
)
