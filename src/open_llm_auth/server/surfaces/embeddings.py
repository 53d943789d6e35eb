"""`POST /v1/embeddings` (SPEC §1)."""

from __future__ import annotations

from ...ports import Clock
from ...values import Call
from ...wire import embeddings
from ..asgi import Exchange, Handler
from ..bodies import read_body
from ..delivery import deliver
from ..relay import Relay
from .chat import passthrough, preferred_profile

__all__ = ["embeddings_handler"]


def embeddings_handler(relay: Relay, clock: Clock) -> Handler:
    """The route's handler."""

    async def embed(exchange: Exchange) -> None:
        body = await read_body(exchange.headers, exchange.receive, exchange.snapshot.server.max_body_bytes)
        request = embeddings.read_request(body)
        call = Call(
            operation="embeddings",
            dialect="openai-embeddings",
            envelope=request.envelope,
            caller=exchange.authenticated,
            model=request.model,
            stream=False,
            wants_usage=True,
            preferred_profile=preferred_profile(exchange),
            passthrough=passthrough(exchange),
        )
        await deliver(exchange, relay, call, clock)

    return embed
