"""`POST /v1/chat/completions` (SPEC §1)."""

from __future__ import annotations

from ...ports import Clock
from ...wire import openai_chat
from ..asgi import Handler
from ..relay import Relay
from .calls import call_handler

__all__ = ["chat_handler"]


def chat_handler(relay: Relay, clock: Clock) -> Handler:
    """The route's handler."""
    return call_handler(relay, clock, lambda body, _: openai_chat.read_request(body), "openai-chat")
