"""Gemini's routes under ``/v1beta`` (SPEC §1): the model and whether to stream stand in the path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

import msgspec

from ...auth.manager import ProviderManager
from ...ports import Clock
from ...wire import google_genai
from ...wire.dialect import Request
from ...wire.envelope import check_model
from ..asgi import Exchange, Handler
from ..delivery import EVENTS, Delivery, deliver
from ..discovery import Discovery
from ..relay import Relay
from ..tokenizer import Tokenizer
from .calls import call_handler, read_call
from .counting import count_handler
from .models import google_entry

__all__ = ["count_tokens_handler", "generate_handler", "models_handler", "stream_handler"]

#: No keep-alive: an SSE comment breaks Gemini's own clients.
_AS_EVENTS: Final = Delivery(content_type=EVENTS, keep_alive=None)
_AS_ARRAY: Final = Delivery(content_type=b"application/json", keep_alive=None, wrap=google_genai.ArrayWrapper)


def generate_handler(relay: Relay, clock: Clock) -> Handler:
    """The handler of `:generateContent`."""
    return call_handler(relay, clock, _read(stream=False), "google-genai")


def stream_handler(relay: Relay, clock: Clock) -> Handler:
    """The handler of `:streamGenerateContent`: events with ``?alt=sse``, else one JSON array that grows."""
    read = _read(stream=True)

    async def stream(exchange: Exchange) -> None:
        delivery = _AS_EVENTS if _wants_events(exchange) else _AS_ARRAY
        await deliver(exchange, relay, await read_call(exchange, read, "google-genai", "chat"), clock, delivery)

    return stream


def count_tokens_handler(relay: Relay, clock: Clock, tokenizer: Tokenizer) -> Handler:
    """The handler of `:countTokens`."""

    def read(body: bytes, exchange: Exchange) -> Request:
        return msgspec.structs.replace(google_genai.read_count_request(body), model=_model(exchange))

    return count_handler(
        relay,
        clock,
        tokenizer,
        lambda exchange: read_call(exchange, read, "google-genai", "count_tokens"),
        google_genai.write_count,
    )


def models_handler(manager: ProviderManager, discovery: Discovery) -> Handler:
    """The list, as Gemini's clients expect it."""

    async def models(exchange: Exchange) -> None:
        await discovery.settled()
        found = manager.models(exchange.snapshot, exchange.authenticated, discovery.models())
        await exchange.respond_json(200, {"models": [google_entry(*row) for row in found]})

    return models


def _read(*, stream: bool) -> Callable[[bytes, Exchange], Request]:
    def read(body: bytes, exchange: Exchange) -> Request:
        return msgspec.structs.replace(google_genai.read_request(body), model=_model(exchange), stream=stream)

    return read


def _model(exchange: Exchange) -> str:
    return check_model(exchange.tail.removeprefix("models/"))


def _wants_events(exchange: Exchange) -> bool:
    query: bytes = exchange.scope.get("query_string", b"")
    return b"alt=sse" in query and parse_qs(query.decode("latin-1")).get("alt") == ["sse"]
