"""`POST /v1/messages` and `POST /v1/messages/count_tokens` (SPEC §1)."""

from __future__ import annotations

import msgspec

from ...ports import Clock
from ...wire import anthropic_messages
from ..asgi import Handler
from ..relay import Relay
from ..tokenizer import Tokenizer
from .calls import call_handler, read_call
from .counting import count_handler

__all__ = ["count_tokens_handler", "messages_handler"]


def messages_handler(relay: Relay, clock: Clock) -> Handler:
    """The route's handler."""
    return call_handler(relay, clock, lambda body, _: anthropic_messages.read_request(body), "anthropic-messages")


def count_tokens_handler(relay: Relay, clock: Clock, tokenizer: Tokenizer) -> Handler:
    """The handler that counts."""
    return count_handler(
        relay,
        clock,
        tokenizer,
        lambda exchange: read_call(
            exchange,
            lambda body, _: anthropic_messages.read_count_request(body),
            "anthropic-messages",
            "count_tokens",
        ),
        lambda count: msgspec.json.encode({"input_tokens": count}),
    )
