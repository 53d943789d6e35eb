"""`GET /config/calls/{call_id}`: why a call got the credential it got (SPEC §5, §9)."""

from __future__ import annotations

from ...errors import RouteNotFound
from ..asgi import Exchange, Handler
from ..traces import Traces, described

__all__ = ["trace_handler"]


def trace_handler(traces: Traces) -> Handler:
    """The route's handler."""

    async def trace(exchange: Exchange) -> None:
        found = traces.find(exchange.tail)
        if found is None:
            raise RouteNotFound(
                f"No call {exchange.tail[:80]!r} is remembered. Each process of the gateway remembers its last 2,000 "
                "calls, by the id that x-gateway-call-id told; a restart forgets them."
            )
        await exchange.respond_json(200, described(found))

    return trace
