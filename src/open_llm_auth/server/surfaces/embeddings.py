"""`POST /v1/embeddings` (SPEC §1)."""

from __future__ import annotations

from ...ports import Clock
from ...wire import embeddings
from ...wire.openai_chat import ChatRequest
from ..asgi import Handler
from ..relay import Relay
from .calls import call_handler

__all__ = ["embeddings_handler"]


def embeddings_handler(relay: Relay, clock: Clock) -> Handler:
    """The route's handler."""
    return call_handler(relay, clock, _read, "embeddings", "openai-embeddings")


def _read(body: bytes) -> ChatRequest:
    """An embeddings call as the gateway treats it: a chat that is never streamed and always counted."""
    request = embeddings.read_request(body)
    return ChatRequest(request.envelope, request.model, stream=False, wants_usage=True)
