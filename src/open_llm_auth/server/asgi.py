"""The few ASGI shapes the server speaks, and one request as its handlers see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..values import Caller, Headers, Snapshot
from .routes import Surface
from .usage import Row

__all__ = ["Application", "Disconnected", "Exchange", "Handler", "Message", "Receive", "Scope", "Send"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Disconnected(Exception):
    """The client went away; nobody is left to be told."""


@dataclass(slots=True)
class Exchange:
    """One request on its way: who asks, under which config, and what is to be written down about it.

    `common` are the response headers every answer carries; `route_path` is the matched row's, and `tail` what its
    `{name}` took. `caller` is set before the handler of a route with a scope runs.
    """

    scope: Scope
    receive: Receive
    send: Send
    headers: dict[bytes, bytes]
    snapshot: Snapshot
    surface: Surface
    row: Row
    common: list[tuple[bytes, bytes]] = field(default_factory=list)
    route_path: str = ""
    tail: str = ""
    caller: Caller | None = None
    started: bool = False

    @property
    def authenticated(self) -> Caller:
        """The caller of a route that has a scope."""
        if self.caller is None:
            raise RuntimeError(f"{self.route_path} needs no scope, so nobody was asked who they are")
        return self.caller

    async def respond(self, status: int, body: bytes, headers: Headers, content_type: bytes) -> None:
        """A whole answer."""
        await self.start(status, (*headers, (b"content-type", content_type), (b"content-length", b"%d" % len(body))))
        await self.send({"type": "http.response.body", "body": b"" if self.row.method == "HEAD" else body})

    async def respond_json(self, status: int, value: object) -> None:
        """A whole answer, encoded."""
        await self.respond(status, msgspec.json.encode(value), (), b"application/json")

    async def start(self, status: int, headers: Headers) -> None:
        """The head of an answer; after it an error can only be told in the body."""
        self.started = True
        self.row.status = status
        await self.send({"type": "http.response.start", "status": status, "headers": [*headers, *self.common]})


Handler = Callable[[Exchange], Awaitable[None]]
