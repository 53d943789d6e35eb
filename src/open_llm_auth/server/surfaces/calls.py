"""What the routes that call a model have in common: a body and some headers in, an answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ...ports import Clock
from ...values import Call, Headers, Operation, Surface
from ...wire.dialect import DialectName, Request
from ...wire.dialects import client_side
from ..asgi import Exchange, Handler
from ..bodies import read_body
from ..delivery import EVENTS, Delivery, deliver
from ..relay import Relay

__all__ = ["call_handler", "read_call", "surface_delivery"]

#: What a client says about itself travels on where both sides speak the same dialect (SPEC §5). Codex's `x-codex-*`
#: stay here: they hold the id of an installation.
_PASSED_ON: Final[Mapping[DialectName, tuple[bytes, ...]]] = {
    "openai-chat": (b"user-agent", b"openai-beta"),
    "openai-responses": (
        b"user-agent",
        b"openai-beta",
        b"originator",
        b"session-id",
        b"session_id",
        b"thread-id",
        b"x-client-request-id",
    ),
    "anthropic-messages": (
        b"user-agent",
        b"anthropic-version",
        b"anthropic-beta",
        b"x-app",
        b"x-claude-code-session-id",
    ),
    "google-genai": (b"user-agent", b"x-goog-api-client"),
}
#: How clients name a conversation.
_SESSIONS: Final = (b"session-id", b"session_id", b"x-claude-code-session-id")
_SURFACES: Final[Mapping[DialectName, Surface]] = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic-messages": "messages",
    "google-genai": "gemini",
}
_YES: Final = frozenset({b"1", b"true", b"yes", b"on"})


def call_handler(
    relay: Relay,
    clock: Clock,
    read: Callable[[bytes, Exchange], Request],
    dialect: DialectName,
    *,
    operation: Operation = "chat",
    delivery: Delivery | None = None,
) -> Handler:
    """The handler of a route whose bodies `read` understands; `delivery` is how its answers leave, that of the dialect
    where None."""
    way_out = delivery or surface_delivery(dialect)

    async def call(exchange: Exchange) -> None:
        await deliver(exchange, relay, await read_call(exchange, read, dialect, operation), clock, way_out)

    return call


def surface_delivery(dialect: DialectName) -> Delivery:
    """How answers of a dialect leave."""
    return Delivery(content_type=EVENTS, keep_alive=client_side(dialect).keep_alive)


async def read_call(
    exchange: Exchange, read: Callable[[bytes, Exchange], Request], dialect: DialectName, operation: Operation
) -> Call:
    """The call that a request makes.

    Raises:
        GatewayError: as `read_body` and `read` do.
    """
    headers = exchange.headers
    body = await read_body(headers, exchange.receive, exchange.snapshot.server.max_body_bytes)
    request = read(body, exchange)
    return Call(
        id=exchange.row.call_id,
        operation=operation,
        dialect=dialect,
        request=request,
        caller=exchange.authenticated,
        preferred_profile=_text(headers, b"x-auth-profile") or None,
        passthrough=_passed_on(headers, dialect),
        strict=b"x-gateway-strict" in headers and headers[b"x-gateway-strict"].strip().lower() in _YES,
        session=_session(headers),
        surface=_surface(exchange, dialect, operation),
    )


def _surface(exchange: Exchange, dialect: DialectName, operation: Operation) -> Surface:
    """The way in, for profiles that are kept to some. A page can't write that header, and the pages are our own."""
    if exchange.headers.get(b"sec-fetch-site") == b"same-origin":
        return "ui"
    if operation == "embeddings":
        return "embeddings"
    return "universal" if exchange.surface == "universal" else _SURFACES[dialect]


def _passed_on(headers: Mapping[bytes, bytes], dialect: DialectName) -> Headers:
    return tuple((name, headers[name]) for name in _PASSED_ON[dialect] if name in headers)


def _session(headers: Mapping[bytes, bytes]) -> str:
    for name in _SESSIONS:
        if name in headers:
            return _text(headers, name)
    return ""


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("utf-8", "replace").strip()
