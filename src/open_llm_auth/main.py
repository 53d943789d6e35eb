"""The composition root: config, rooms and ports are married here, and nowhere else.

`open_gateway` opens one; `app` is the ASGI application, which opens its own in the lifespan.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from . import __version__, web
from .auth.health import HealthTable
from .auth.manager import ProviderManager
from .config.paths import config_path
from .config.source import LiveConfig
from .errors import GatewayError
from .providers import KINDS
from .server.asgi import Application, Handler, Receive, Scope, Send
from .server.auth import Authenticator, tokenless
from .server.discovery import Discovery
from .server.edge import Edge
from .server.relay import Relay
from .server.surfaces import chat, embeddings, models, pages
from .server.usage import Ledger, json_line, text_line
from .transport import HttpTransport, Sighting

__all__ = ["Gateway", "SystemClock", "app", "open_gateway"]

_YES: Final = frozenset({"1", "true", "yes", "on"})


class SystemClock:
    """The machine's clocks, as the Clock port."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


@dataclass(frozen=True, slots=True)
class Gateway:
    """An open gateway: what commands and the ASGI application work with."""

    config: LiveConfig
    manager: ProviderManager
    relay: Relay
    discovery: Discovery
    transport: HttpTransport
    ledger: Ledger
    application: Application


@asynccontextmanager
async def open_gateway(
    environ: Mapping[str, str], *, log: Callable[[str], object] | None = None
) -> AsyncIterator[Gateway]:
    """A gateway on the config that `environ` names, its background work running until the block ends.

    `log` takes finished log text; the default is standard error.

    Raises:
        ConfigError: the config file can't be read or does not validate; nothing was started.
    """
    write = log or _write_stderr
    clock = SystemClock()
    config = LiveConfig(config_path(environ), environ)
    config.load()
    for warning in config.current().warnings:
        write(f"warning: {warning}\n")
    transport = HttpTransport(
        lambda: config.current().egress,
        config.secrets,
        clock,
        on_blocked=lambda seen: write(_egress_line("blocked", seen)),
        on_observed=lambda seen: write(_egress_line("observed", seen)),
    )
    health = HealthTable()
    manager = ProviderManager(config.secrets, health, clock, frozenset(KINDS))
    discovery = Discovery(
        config=config, manager=manager, transport=transport, kinds=KINDS, secrets=config.secrets, clock=clock
    )
    relay = Relay(
        config=config,
        manager=manager,
        health=health,
        transport=transport,
        kinds=KINDS,
        secrets=config.secrets,
        clock=clock,
        discovered=discovery.models,
    )
    ledger = Ledger(write, text_line if log is None and sys.stderr.isatty() else json_line)
    authenticator = Authenticator(
        anonymous=_on(environ, "OPEN_LLM_AUTH_ALLOW_ANON") and tokenless(config.current().tokens),
        open_on_purpose=_on(environ, "OPEN_LLM_AUTH_OPEN_ON_PURPOSE"),
    )
    edge = Edge(
        config=config,
        handlers=_handlers(config, authenticator, manager, discovery, relay, ledger, clock),
        authenticator=authenticator,
        ledger=ledger,
        clock=clock,
        new_id=_call_ids(),
        log_fault=lambda text: write(f"{text}\n"),
    )
    background = [asyncio.create_task(config.watch()), asyncio.create_task(discovery.run())]
    try:
        yield Gateway(config, manager, relay, discovery, transport, ledger, edge)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await transport.aclose()
        await ledger.aclose()


def _handlers(
    config: LiveConfig,
    authenticator: Authenticator,
    manager: ProviderManager,
    discovery: Discovery,
    relay: Relay,
    ledger: Ledger,
    clock: SystemClock,
) -> Mapping[tuple[str, str], Handler]:
    """What answers each row of the route table."""
    return {
        ("GET", "/health"): pages.health,
        ("GET", "/health/ready"): pages.ready_handler(config, authenticator, manager, ledger, clock),
        ("HEAD", "/"): pages.head,
        ("GET", "/"): pages.page_handler(web.asset, "index.html"),
        ("GET", "/docs"): pages.page_handler(web.asset, "docs.html"),
        ("GET", "/static/{path}"): pages.static_handler(web.asset),
        ("GET", "/openapi.json"): pages.openapi_handler(__version__),
        ("GET", "/v1/models"): models.models_handler(manager, discovery),
        ("GET", "/v1/models/{model}"): models.model_handler(manager, discovery),
        ("POST", "/v1/chat/completions"): chat.chat_handler(relay, clock),
        ("POST", "/v1/embeddings"): embeddings.embeddings_handler(relay, clock),
    }


class _LifespanApplication:
    """The ASGI application: opens a gateway at startup, closes it at shutdown, hands every request on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._application is None:
            raise RuntimeError("the ASGI server did not run the lifespan, so no gateway is open")
        else:
            await self._application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with open_gateway(self._environ) as gateway:
                self._application = gateway.application
                _settle_memory()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                self._application = None
        except GatewayError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        await send({"type": "lifespan.shutdown.complete"})


def _settle_memory() -> None:
    """What is here now stays; collecting it again and again was most of the p99 (docs/decisions/0004)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in _YES


def _call_ids() -> Callable[[], str]:
    """Ids that no other process makes. They name calls and guard nothing, so they need not be secret."""
    bits = random.Random(os.urandom(32)).getrandbits  # noqa: S311 - see above
    return lambda: f"call_{bits(96):024x}"


def _egress_line(verdict: str, seen: Sighting) -> str:
    """For admins: the only place that tells what a name resolved to (SPEC §6)."""
    at = f" at {seen.address}" if seen.address else ""
    return f"egress {verdict}: provider {seen.provider!r} to {seen.host!r}{at}: {seen.reason}\n"


def _write_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


app: Final[Application] = _LifespanApplication(os.environ)
