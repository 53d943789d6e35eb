"""`POST /v1/chat/completions` (SPEC §1)."""

from __future__ import annotations

from ...ports import Clock
from ...values import Call, Headers
from ...wire import openai_chat
from ..asgi import Exchange, Handler
from ..bodies import read_body
from ..delivery import deliver
from ..relay import Relay

__all__ = ["chat_handler", "passthrough", "preferred_profile"]

#: What a client says about itself travels on where both sides speak the same dialect (SPEC §5).
_PASSED_ON = (b"user-agent", b"openai-beta")


def chat_handler(relay: Relay, clock: Clock) -> Handler:
    """The route's handler."""

    async def chat(exchange: Exchange) -> None:
        body = await read_body(exchange.headers, exchange.receive, exchange.snapshot.server.max_body_bytes)
        request = openai_chat.read_request(body)
        call = Call(
            operation="chat",
            dialect="openai-chat",
            envelope=request.envelope,
            caller=exchange.authenticated,
            model=request.model,
            stream=request.stream,
            wants_usage=request.wants_usage,
            choices=request.choices,
            preferred_profile=preferred_profile(exchange),
            passthrough=passthrough(exchange),
        )
        await deliver(exchange, relay, call, clock)

    return chat


def preferred_profile(exchange: Exchange) -> str | None:
    """`X-Auth-Profile`, if the client sent one."""
    value = exchange.headers.get(b"x-auth-profile")
    return value.decode("utf-8", "replace").strip() or None if value is not None else None


def passthrough(exchange: Exchange) -> Headers:
    """The request headers that travel on."""
    headers = exchange.headers
    return tuple((name, headers[name]) for name in _PASSED_ON if name in headers)
