"""What the routes that call a model have in common: a body and some headers in, an answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from ...ports import Clock
from ...values import Call, Operation
from ...wire.openai_chat import ChatRequest
from ..asgi import Exchange, Handler
from ..bodies import read_body
from ..delivery import deliver
from ..relay import Relay

__all__ = ["call_handler"]

#: What a client says about itself travels on where both sides speak the same dialect (SPEC §5).
_PASSED_ON: Final = (b"user-agent", b"openai-beta")


def call_handler(
    relay: Relay,
    clock: Clock,
    read: Callable[[bytes], ChatRequest],
    operation: Operation,
    dialect: Literal["openai-chat", "openai-embeddings"],
) -> Handler:
    """The handler of a route whose bodies `read` understands."""

    async def call(exchange: Exchange) -> None:
        headers = exchange.headers
        request = read(await read_body(headers, exchange.receive, exchange.snapshot.server.max_body_bytes))
        made = Call(
            operation=operation,
            dialect=dialect,
            envelope=request.envelope,
            caller=exchange.authenticated,
            model=request.model,
            stream=request.stream,
            wants_usage=request.wants_usage,
            choices=request.choices,
            preferred_profile=_preferred_profile(headers),
            passthrough=tuple((name, headers[name]) for name in _PASSED_ON if name in headers),
        )
        await deliver(exchange, relay, made, clock)

    return call


def _preferred_profile(headers: Mapping[bytes, bytes]) -> str | None:
    """`X-Auth-Profile`, if the client sent one."""
    value = headers.get(b"x-auth-profile")
    return value.decode("utf-8", "replace").strip() or None if value is not None else None
