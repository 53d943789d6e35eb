"""`POST /v1/embeddings` (SPEC §1)."""

from __future__ import annotations

from ...ports import Clock
from ...wire import embeddings
from ...wire.dialect import Request
from ..asgi import Exchange, Handler
from ..relay import Relay
from .calls import call_handler

__all__ = ["embeddings_handler"]


def embeddings_handler(relay: Relay, clock: Clock) -> Handler:
    """The route's handler."""
    return call_handler(relay, clock, _read, "openai-chat", operation="embeddings")


def _read(body: bytes, _: Exchange) -> Request:
    """An embeddings call as the gateway treats it: one that is never streamed."""
    request = embeddings.read_request(body)
    return Request(request.envelope, request.model, stream=False)
