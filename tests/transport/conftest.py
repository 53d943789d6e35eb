"""Every transport test runs on asyncio and on uvloop, against servers that decide about every byte."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.testing import ManualClock
from open_llm_auth.transport import HttpTransport, Resolver
from open_llm_auth.values import EgressRules, Endpoint, Headers, Outbound, Secret, SecretRef, Timeouts

#: The provider that may reach this machine, unlike any other.
LOCAL = "local"


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Wire:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request, head and body; b"" when the client has closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return head + await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"{}", *, status: str = "200 OK", fields: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{fields}\r\n"
        await self.send(head.encode("latin-1") + body)

    async def gone(self, within: float = 2.0) -> float:
        """Wait until the client closes; how long that took, in seconds."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with asyncio.timeout(within):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass  # a reset is a close too
        return loop.time() - start

    def close(self, *, reset: bool = False) -> None:
        if reset:
            self.writer.transport.abort()
        else:
            self.writer.close()


Handler = Callable[[Wire], Awaitable[None]]


class Server:
    """Counts what it accepts. The handler owns the connection, which is closed when it returns."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.accepted = 0
        self.open = 0
        self.requests: list[bytes] = []
        self.port = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, tls: ssl.SSLContext | None) -> None:
        self._server = await asyncio.start_server(self._accept, host, 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        self.open += 1
        self._changed.set()
        try:
            await self.handler(Wire(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self.open -= 1
            self._changed.set()
            writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)

    async def settled(self, *, open_: int = 0, within: float = 2.0) -> None:
        """Wait until that many connections are open."""
        async with asyncio.timeout(within):
            while self.open != open_:
                self._changed.clear()
                await self._changed.wait()


async def echo(wire: Wire) -> None:
    """Answers each request with an empty JSON object, keeping the connection."""
    while await wire.request():
        await wire.answer()


class Secrets:
    """`ports.SecretSource` over a dict of environment variables."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})

    def get(self, ref: SecretRef) -> Secret:
        name = ref.place.reveal()
        if ref.scheme == "literal":
            return Secret(name)
        if name not in self.values:
            raise SecretUnavailable(f"The environment variable {name!r} is not set.")
        return Secret(self.values[name])

    def environment(self, name: str) -> Secret | None:
        return Secret(self.values[name]) if name in self.values else None


def request(
    port: int,
    *,
    host: str = "127.0.0.1",
    scheme: str = "http",
    provider: str = LOCAL,
    method: str = "POST",
    target: str = "/v1/chat",
    headers: Headers = ((b"authorization", b"Bearer k"),),
    body: bytes = b"{}",
    **timeouts: float,
) -> Outbound:
    limits = {"connect": 2.0, "first_byte": 2.0, "idle": 2.0} | timeouts
    return Outbound(provider, method, Endpoint(scheme, host, port, "/v1"), target, headers, body, Timeouts(**limits))


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of our own; `client` trusts it and nobody else."""

    folder: Path

    def server(self, *names: str, days: int = 2) -> ssl.SSLContext:
        """A server's context with a certificate for those names, written as in openssl: `DNS:x`, `IP:127.0.0.1`."""
        stem = self.folder / names[0].replace(":", "-")
        key, request_, made, extra = (stem.with_suffix(end) for end in (".key", ".csr", ".pem", ".ext"))
        extra.write_text(f"subjectAltName={','.join(names)}\n")
        openssl("req", "-new", "-nodes", *EC, "-subj", "/CN=server", "-keyout", key, "-out", request_)
        signing = ("-CA", self.folder / "ca.pem", "-CAkey", self.folder / "ca.key", "-CAcreateserial")
        openssl("x509", "-req", "-in", request_, *signing, "-days", str(days), "-extfile", extra, "-out", made)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made, key)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.set_alpn_protocols(["http/1.1"])
        return context


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Made by the openssl command; skips loudly where there is none."""
    if not shutil.which("openssl"):
        pytest.skip("NO TLS TESTS: the openssl command is not on this machine")
    folder = tmp_path_factory.mktemp("authority")
    out = ("-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    openssl("req", "-x509", "-nodes", *EC, "-days", "2", "-subj", "/CN=Test authority", *out)
    return Authority(folder)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """`await serve(handler)` starts a server on this machine."""
    servers: list[Server] = []

    async def start(handler: Handler = echo, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Server:
        server = Server(handler)
        await server.start(host, tls)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def make_transport() -> AsyncIterator[Callable[..., HttpTransport]]:
    """`make_transport(names={...}, rules={...}, …)`; names resolve to what the mapping says, and to nothing else."""
    transports: list[HttpTransport] = []

    def make(
        *,
        names: Mapping[str, Sequence[str]] | None = None,
        rules: Mapping[str, Any] | Callable[[], EgressRules] | None = None,
        secrets: Mapping[str, str] | None = None,
        **options: Any,
    ) -> HttpTransport:
        known = dict(names or {})

        async def lookup(host: str) -> Sequence[str]:
            if host not in known:
                raise OSError("no such name")
            return known[host]

        if not callable(rules):
            fixed = EgressRules(**{"allow_local_providers": frozenset({LOCAL}), **(rules or {})})
            in_force: Callable[[], EgressRules] = lambda: fixed  # noqa: E731 - one of two ways to the same name
        else:
            in_force = rules
        options.setdefault("resolver", Resolver(ManualClock(), lookup=lookup))
        transport = HttpTransport(in_force, Secrets(secrets), ManualClock(), **options)
        transports.append(transport)
        return transport

    yield make
    for transport in transports:
        await transport.aclose()
        assert transport.stats().open == 0


@pytest.fixture
def ask() -> Callable[..., Outbound]:
    """`ask(port, …)` builds an `Outbound` for this machine; time-outs are keywords, 2 s each unless told."""
    return request
