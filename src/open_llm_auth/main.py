"""The composition root: config, rooms and ports are married here, and nowhere else.

`open_gateway` opens one; `app` is the ASGI application, which opens its own in the lifespan.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from . import __version__, web
from .auth.health import HealthTable
from .auth.history import History
from .auth.manager import ProviderManager
from .config.health_file import HealthFile, health_path
from .config.health_sync import HealthSync
from .config.paths import config_path
from .config.renewals import FileSignIns
from .config.source import LiveConfig
from .config.stores import SecretStores
from .errors import GatewayError
from .ports import Clock
from .providers import KINDS
from .server.asgi import Application, Handler, Receive, Scope, Send
from .server.auth import Authenticator, tokenless
from .server.discovery import Discovery
from .server.edge import Edge
from .server.faults import describe_fault
from .server.relay import Relay
from .server.renewals import Renewals
from .server.surfaces import chat, embeddings, gemini, messages, models, pages, responses, traces, universal
from .server.tokenizer import Tokenizer
from .server.usage import Ledger, json_line, text_line
from .transport import CommandOutput, HttpTransport, ProgramRunner, Sighting

__all__ = ["Gateway", "SystemClock", "app", "application", "keep_running", "open_gateway"]

_YES: Final = frozenset({"1", "true", "yes", "on"})
_PAUSE_SECONDS: Final = 1.0
_FULL_SECONDS: Final = 0.05


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
    environ: Mapping[str, str],
    *,
    log: Callable[[str], object] | None = None,
    clock: Clock | None = None,
    stores: SecretStores | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway on the config that `environ` names, its background work running until the block ends.

    `log` takes finished log text; the default is standard error. `clock` is the machine's where none is given.
    `stores` are open already where a command has opened them.

    Raises:
        ConfigError: the config file can't be read or does not validate; nothing was started.
    """
    clock = clock or SystemClock()
    ledger = Ledger(
        log or _stderr_writer(),
        text_line if log is None and sys.stderr.isatty() else json_line,
        more=lambda: _egress_counts(transport),
    )
    stores = stores or SecretStores(config_path(environ), environ, run=CommandOutput(environ))
    stores.serve()
    config = LiveConfig(config_path(environ), environ, on_event=ledger.note, stores=stores)
    # A keyring, a password manager and a passphrase take their time.
    await asyncio.to_thread(config.load)
    for warning in config.current().warnings:
        ledger.note(f"warning: {warning}")
    transport = HttpTransport(
        lambda: config.current().egress,
        config.secrets,
        clock,
        on_blocked=lambda seen: ledger.note(_egress_line("blocked", seen)),
        on_observed=lambda seen: ledger.note(_egress_line("observed", seen)),
    )
    programs = ProgramRunner(environ)
    health, history = HealthTable(), History(clock)
    health_file = HealthFile(health_path(config_path(environ)), now=clock.now, on_event=ledger.note)
    shared_health = HealthSync(health_file, health, history, clock)
    shared_health.load()
    renewals = Renewals(
        config=config,
        store=FileSignIns(config, stores),
        transport=transport,
        secrets=config.secrets,
        clock=clock,
        log=ledger.note,
    )
    manager = ProviderManager(config.secrets, health, clock, frozenset(KINDS), renewals)
    discovery = Discovery(
        config=config,
        manager=manager,
        transport=transport,
        kinds=KINDS,
        secrets=config.secrets,
        clock=clock,
        renewals=renewals,
    )
    relay = Relay(
        config=config,
        manager=manager,
        health=health,
        history=history,
        transport=transport,
        programs=programs,
        kinds=KINDS,
        secrets=config.secrets,
        clock=clock,
        discovered=discovery.models,
        on_blocked=lambda *seen: ledger.note(_egress_line("blocked", Sighting(*seen))),
        renewals=renewals,
        on_refused=stores.refused,
        on_fall=lambda subscription, key: ledger.note(_fall_line(subscription, key)),
    )
    authenticator = Authenticator(
        anonymous=_on(environ, "OPEN_LLM_AUTH_ALLOW_ANON") and tokenless(config.current().tokens),
        open_on_purpose=_on(environ, "OPEN_LLM_AUTH_OPEN_ON_PURPOSE"),
    )
    edge = Edge(
        config=config,
        handlers=_handlers(config, authenticator, manager, health, discovery, relay, ledger, clock),
        authenticator=authenticator,
        ledger=ledger,
        clock=clock,
        new_id=_call_ids(),
        log_fault=ledger.note,
    )
    background = [
        asyncio.create_task(keep_running(work, ledger.note, _PAUSE_SECONDS))
        for work in (config.watch, discovery.run, renewals.run, shared_health.run)
    ]
    try:
        yield Gateway(config, manager, relay, discovery, transport, ledger, edge)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await shared_health.exchange(last=True)
        await renewals.aclose()
        await programs.aclose()
        await transport.aclose()
        await ledger.aclose()


def _handlers(
    config: LiveConfig,
    authenticator: Authenticator,
    manager: ProviderManager,
    health: HealthTable,
    discovery: Discovery,
    relay: Relay,
    ledger: Ledger,
    clock: Clock,
) -> Mapping[tuple[str, str], Handler]:
    """What answers each row of the route table."""
    tokenizer = Tokenizer()
    return {
        ("GET", "/health"): pages.health,
        ("GET", "/health/ready"): pages.ready_handler(config, authenticator, manager, health, ledger, clock),
        ("HEAD", "/"): pages.head,
        ("GET", "/"): pages.page_handler(web.asset, "index.html"),
        ("GET", "/docs"): pages.page_handler(web.asset, "docs.html"),
        ("GET", "/static/{path}"): pages.static_handler(web.asset),
        ("GET", "/openapi.json"): pages.openapi_handler(__version__),
        ("GET", "/v1/models"): models.models_handler(manager, discovery),
        ("GET", "/v1/models/{model}"): models.model_handler(manager, discovery),
        ("POST", "/v1/chat/completions"): chat.chat_handler(relay, clock),
        ("POST", "/v1/embeddings"): embeddings.embeddings_handler(relay, clock),
        ("POST", "/v1/responses"): responses.responses_handler(relay, clock),
        ("GET", "/v1/responses"): responses.refuse_upgrade,
        ("POST", "/v1/messages"): messages.messages_handler(relay, clock),
        ("POST", "/v1/messages/count_tokens"): messages.count_tokens_handler(relay, clock, tokenizer),
        ("GET", "/v1beta/models"): gemini.models_handler(manager, discovery),
        **{
            ("POST", f"{version}/models/{{model}}:{verb}"): handler
            for version in ("/v1", "/v1beta")
            for verb, handler in (
                ("generateContent", gemini.generate_handler(relay, clock)),
                ("streamGenerateContent", gemini.stream_handler(relay, clock)),
                ("countTokens", gemini.count_tokens_handler(relay, clock, tokenizer)),
            )
        },
        ("POST", "/v1/universal"): universal.universal_handler(relay, clock),
        ("GET", "/config/calls/{call_id}"): traces.trace_handler(relay.traces),
    }


class _LifespanApplication:
    """The ASGI application: opens a gateway at startup, closes it at shutdown, hands every request on."""

    def __init__(self, environ: Mapping[str, str], stores: SecretStores | None = None) -> None:
        self._environ = environ
        self._stores = stores
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
        async with AsyncExitStack() as stack:
            try:
                gateway = await stack.enter_async_context(open_gateway(self._environ, stores=self._stores))
            except GatewayError as error:
                await send({"type": "lifespan.startup.failed", "message": error.message})
                return
            stack.enter_context(_logging_through(gateway.ledger.note))
            self._application = gateway.application
            _settle_memory()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._application = None
            try:
                await stack.aclose()
            except GatewayError as error:
                await send({"type": "lifespan.shutdown.failed", "message": error.message})
                return
        await send({"type": "lifespan.shutdown.complete"})


def application(environ: Mapping[str, str], stores: SecretStores | None = None) -> Application:
    """An ASGI application like `app`, on `environ`. `stores` are open already where a command has opened them."""
    return _LifespanApplication(environ, stores)


async def keep_running(work: Callable[[], Awaitable[None]], log: Callable[[str], object], pause: float) -> None:
    """Run `work` until cancelled: what ends it is logged, and after `pause` seconds it runs again."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the edge of a task that nobody waits for, and that may not end
            log(f"background work failed and goes on: {describe_fault(error)}")
        await asyncio.sleep(pause)


class _Plain(logging.Formatter):
    """A line of a library's, with no more of an exception than of ours."""

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        error = ei[1] if isinstance(ei, tuple) else None
        return "" if error is None else describe_fault(error)


class _Noting(logging.Handler):
    def __init__(self, note: Callable[[str], object]) -> None:
        super().__init__()
        self._note = note
        self.setFormatter(_Plain("%(levelname)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._note(self.format(record))


@contextmanager
def _logging_through(note: Callable[[str], object]) -> Iterator[None]:
    """What libraries would write to standard error goes the ledger's way: their own would hold up the loop at a log
    that nobody reads, and one ill-formed request makes the ASGI server warn."""
    loggers = [logging.getLogger(), logging.getLogger("uvicorn")]
    before = [list(logger.handlers) for logger in loggers]
    for logger, handlers in zip(loggers, before, strict=True):
        logger.handlers = [*(kept for kept in handlers if not _is_stderr(kept)), _Noting(note)]
    try:
        yield
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers = handlers


def _is_stderr(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr


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
    return f"egress {verdict}: provider {seen.provider!r} to {seen.host!r}{at}: {seen.reason}"


def _fall_line(subscription: str, key: str) -> str:
    return (
        f"warning: calls go to the metered credential {key!r} in place of the subscription {subscription!r}. "
        "providerFallback.subscriptionToMetered 'refuse' forbids it."
    )


def _egress_counts(transport: HttpTransport) -> Mapping[str, object]:
    stats = transport.stats()
    return {"egressBlocked": stats.blocked, "egressObserved": stats.observed}


def _stderr_writer() -> Callable[[str], object]:
    """Writes beneath the buffered stream: its lock, held by a write that never ends, would stop the interpreter too."""
    stream = sys.stderr
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # something of another kind was put in its place
        return stream.write
    raw = getattr(buffer, "raw", buffer)

    def write(text: str) -> None:
        rest = memoryview(text.encode(stream.encoding, "backslashreplace"))
        while rest:
            written = raw.write(rest)
            if written is None:  # somebody made it non-blocking, and it is full
                time.sleep(_FULL_SECONDS)
            else:
                rest = rest[written:]

    return write


app: Final[Application] = application(os.environ)
