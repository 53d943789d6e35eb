"""Health, the pages, and the reference: what is served to whoever asks (SPEC §1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from ...auth.health import HealthTable
from ...auth.manager import ProviderManager
from ...errors import RouteNotFound
from ...ports import Clock, ConfigSource
from ...values import Headers
from ..asgi import Exchange, Handler
from ..auth import Authenticator
from ..openapi import describe
from ..usage import Ledger

__all__ = ["Asset", "Assets", "head", "health", "openapi_handler", "page_handler", "ready_handler", "static_handler"]


class Asset(Protocol):
    """A file of the pages."""

    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str: ...
    @property
    def headers(self) -> Headers: ...


#: The file of that path; None where there is none.
Assets = Callable[[str], Asset | None]


async def health(exchange: Exchange) -> None:
    """The process answers."""
    await exchange.respond_json(200, {"status": "ok"})


async def head(exchange: Exchange) -> None:
    """Somebody is there."""
    await exchange.start(200, ((b"content-length", b"0"),))
    await exchange.send({"type": "http.response.body", "body": b""})


def ready_handler(
    config: ConfigSource,
    authenticator: Authenticator,
    manager: ProviderManager,
    health: HealthTable,
    ledger: Ledger,
    clock: Clock,
) -> Handler:
    """A word for everybody; what stands behind it for callers with the read scope."""

    async def ready(exchange: Exchange) -> None:
        fault = config.fault()
        answer: dict[str, object] = {"status": "ready" if fault is None else "degraded"}
        caller = authenticator.caller_if_any(exchange.headers, exchange.snapshot, clock.now(), "read", exchange.scope)
        if caller is not None:
            answer["config"] = {
                "etag": exchange.snapshot.etag,
                "fault": fault and {"message": fault.message, "path": fault.path, "since": fault.since},
                "warnings": list(exchange.snapshot.warnings),
            }
            answer["providers"] = [provider.id for provider in manager.usable(exchange.snapshot, caller)]
            answer["resting"] = health.counts(clock.monotonic())
            answer["counts"] = ledger.snapshot()
        await exchange.respond_json(200, answer)

    return ready


def page_handler(assets: Assets, name: str) -> Handler:
    """One page, always the same file."""

    async def page(exchange: Exchange) -> None:
        await _send_asset(exchange, assets, name)

    return page


def static_handler(assets: Assets) -> Handler:
    """What the pages are made of."""

    async def static(exchange: Exchange) -> None:
        await _send_asset(exchange, assets, f"static/{exchange.tail}")

    return static


def openapi_handler(version: str) -> Handler:
    """The OpenAPI document, written from the route table once."""
    document = msgspec.json.encode(describe(version))

    async def openapi(exchange: Exchange) -> None:
        await exchange.respond(200, document, ((b"cache-control", b"no-cache"),), b"application/json")

    return openapi


async def _send_asset(exchange: Exchange, assets: Assets, name: str) -> None:
    found = assets(name)
    if found is None:
        raise RouteNotFound(f"There is no file {name[:200]!r}.")
    if any(name == b"etag" and exchange.headers.get(b"if-none-match") == value for name, value in found.headers):
        await exchange.start(304, found.headers)
        await exchange.send({"type": "http.response.body", "body": b""})
        return
    await exchange.respond(200, found.body, found.headers, found.content_type.encode())
