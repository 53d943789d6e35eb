"""`POST /v1/responses` (SPEC §1), and the WebSocket that Codex asks for first."""

from __future__ import annotations

from ...errors import MethodNotAllowed, UpgradeRefused
from ...ports import Clock
from ...wire import openai_responses
from ..asgi import Exchange, Handler
from ..relay import Relay
from .calls import call_handler

__all__ = ["refuse_upgrade", "responses_handler"]


def responses_handler(relay: Relay, clock: Clock) -> Handler:
    """The route's handler."""
    return call_handler(relay, clock, lambda body, _: openai_responses.read_request(body), "openai-responses")


async def refuse_upgrade(exchange: Exchange) -> None:
    """The handler of the GET: this gateway speaks plain HTTP.

    Raises:
        UpgradeRefused: a WebSocket was asked for.
        MethodNotAllowed: nothing was.
    """
    if b"upgrade" in exchange.headers:
        raise UpgradeRefused(
            "Responses are not served over WebSockets. POST to the same address.",
            headers=(("upgrade", "HTTP/1.1"), ("connection", "upgrade")),
        )
    raise MethodNotAllowed(
        "Stored responses can't be listed: this gateway keeps none. POST makes one.", headers=(("allow", "POST"),)
    )
