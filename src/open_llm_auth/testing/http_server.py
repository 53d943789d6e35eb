"""A small HTTP/1.1 server in a thread of its own, whose handlers decide about every byte and every close.

Only what fakes need of RFC 9112: one request at a time, bodies by length or chunked, keep-alive.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

__all__ = ["Connection", "Exchange", "Handler", "HttpServer", "Outcome", "SeenRequest"]

_HEAD_LIMIT: Final = 1 << 20
_REASONS: Final = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as it came: `headers` in wire order and case, `received` in monotonic seconds when it was whole."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received: float
    connection: int

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def fields(self) -> dict[str, str]:
        """The headers by lower-case name; of repeated ones the last."""
        return {name.lower(): value for name, value in self.headers}

    @property
    def key(self) -> str | None:
        """The bearer key it carried."""
        scheme, _, key = self.fields.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    def json(self) -> Any:
        """The body decoded.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.body)


Outcome = Literal["open", "whole", "cut", "client_gone", "stopped", "crashed"]


@dataclass(slots=True)
class Exchange:
    """One request and what became of it. Times are monotonic seconds; `bytes_sent` and `events_sent` count the body.

    `client_gone` means that the client closed the connection before the answer was whole; `ended` is then the moment
    it was noticed.
    """

    request: SeenRequest
    status: int | None = None
    bytes_sent: int = 0
    events_sent: int = 0
    outcome: Outcome = "open"
    ended: float | None = None


class Connection:
    """The server's end of one connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer
        self._early = b""

    async def read_request(self) -> SeenRequest | None:
        """The next request, whole; None when the client has closed or what it sends is not HTTP."""
        try:
            head = self._early + await self._reader.readuntil(b"\r\n\r\n")
            self._early = b""
            start, *lines = head.decode("latin-1").split("\r\n")[:-2]
            method, target, _ = start.split(" ")
            headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
            body = await self._read_body({name.lower(): value for name, value in headers})
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            return None
        return SeenRequest(method, target, headers, body, time.monotonic(), self.number)

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        body = bytearray()
        while size := int((await self._reader.readline()).partition(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readline()
        await self._reader.readuntil(b"\r\n")
        return bytes(body)

    async def send_head(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        lines = [
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, data: bytes) -> None:
        """Write, and wait while the client is slow."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_chunk(self, data: bytes) -> None:
        """One chunk of a chunked body; an empty one ends it."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def until_gone(self) -> None:
        """Return when the client closes. A byte it sends early is kept for `read_request` and ends the watch."""
        try:
            self._early = await self._reader.read(1)
        except ConnectionError:
            return
        if self._early:
            await asyncio.Event().wait()

    async def aclose(self) -> None:
        """Send what is buffered and close; a client that does not read is dropped when this is cancelled."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass  # the client closed first, which is as good
        finally:
            self._writer.transport.abort()

    def abort(self) -> None:
        """Close without sending what is buffered."""
        self._writer.transport.abort()


#: Answers one request on a connection; False closes it afterwards.
Handler = Callable[[Connection, Exchange], Awaitable[bool]]


class HttpServer:
    """Serves `handler` on a free port of `host` between `start` and `stop`; also a context manager, sync on purpose.

    `exchanges` grows in the order requests were read. Reading it, and `wait_until`, is safe from any thread. A stopped
    server that is started again has its old port.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.port = 0
        self.exchanges: list[Exchange] = []
        self.connections_made = 0
        self.open_connections = 0
        self._handler = handler
        self._tls = tls
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: OSError | None = None
        self._crashes: list[BaseException] = []

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address can't be bound.
        """
        self._ready.clear()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name="fake-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Close the listener and every connection, and wait for the thread. May be called twice.

        Raises:
            BaseException: the first one that a handler let out, so that a fault of the fake is not taken for one of
                the code under test.
        """
        if self._thread is None or self._loop is None or self._stop is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._crashes:
            raise self._crashes.pop(0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def wait_until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Block until `condition` holds; it is asked again whenever something happens here.

        Raises:
            TimeoutError: it does not hold after `seconds`.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout=seconds):
                raise TimeoutError(f"not within {seconds!r} seconds; exchanges: {self._summary()}")

    def _summary(self) -> list[tuple[str, int | None, str]]:
        return [(exchange.request.target, exchange.status, exchange.outcome) for exchange in self.exchanges]

    def notify(self) -> None:
        """Wake who waits in `wait_until`."""
        with self._changed:
            self._changed.notify_all()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self._tls, limit=_HEAD_LIMIT)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the loop's next turn

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_made += 1
        connection = Connection(self.connections_made, reader, writer)
        task = asyncio.get_running_loop().create_task(self._talk(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: connection.abort())  # one that is cancelled before it began closes nothing

    async def _talk(self, connection: Connection) -> None:
        self.open_connections += 1
        self.notify()
        try:
            while request := await connection.read_request():
                exchange = Exchange(request)
                self.exchanges.append(exchange)
                self.notify()
                if not await self._answer(connection, exchange):
                    break
        finally:
            self.open_connections -= 1
            self.notify()
            await connection.aclose()

    async def _answer(self, connection: Connection, exchange: Exchange) -> bool:
        """Run the handler until it is done or the client is gone; whether the connection can go on."""
        work = asyncio.ensure_future(self._handler(connection, exchange))
        watch = asyncio.ensure_future(connection.until_gone())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            exchange.outcome = self._outcome(work)
            if exchange.outcome == "client_gone":
                connection.abort()
        except asyncio.CancelledError:
            exchange.outcome = "stopped"
            connection.abort()  # what is buffered may never be read
            raise
        finally:
            exchange.ended = time.monotonic()
            client_closed = watch.done()
            work.cancel()
            watch.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
            self.notify()
        return exchange.outcome == "whole" and not client_closed

    def _outcome(self, work: asyncio.Future[bool]) -> Outcome:
        failure = work.exception() if work.done() else ConnectionAbortedError()
        if failure is None:
            return "whole" if work.result() else "cut"
        if isinstance(failure, (ConnectionError, ssl.SSLError)):
            return "client_gone"
        self._crashes.append(failure)
        return "crashed"
