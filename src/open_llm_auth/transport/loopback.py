"""The one-shot listener that a browser comes back to after a sign-in (RFC 8252, section 7.3).

It stands on loopback addresses alone, answers one path to one state once, and believes nothing else: any page of any
site can make a browser ask it something.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from ..auth.flows.callbacks import is_for, read_query
from .loopback_pages import ALREADY, NOT_FOUND, NOT_HTTP, ONLY_GET, RECEIVED, TURNED_DOWN, WRONG_HOST, WRONG_STATE, Page

__all__ = ["CallbackListener", "cancel_codex"]

_LARGEST_HEAD: Final = 32_768
_PATIENCE: Final = 10.0
_MOST_AT_ONCE: Final = 16
_TRIES_FOR_A_PAIR: Final = 20
_NO_IPV6: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})


class CallbackListener:
    """`open` binds it, `callback` gives the parameters, and until `aclose` it goes on answering that it is done."""

    def __init__(self, path: str, state: str) -> None:
        self.port = 0
        self._path = path
        self._state = state
        self._servers: list[asyncio.Server] = []
        self._came: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, port: int, path: str, state: str) -> CallbackListener:
        """Listen at `port` of 127.0.0.1, and of ::1 where there is one; 0 is any port that is free on both.

        Raises:
            OSError: it is taken on one of them, or may not be used.
        """
        listener = cls(path, state)
        sockets = _bind(port)
        try:
            for bound in sockets:
                listener._servers.append(await asyncio.start_server(listener._accept, sock=bound, limit=_LARGEST_HEAD))
        except BaseException:
            await listener.aclose()
            for bound in sockets:
                bound.close()
            raise
        listener.port = sockets[0].getsockname()[1]
        return listener

    async def callback(self) -> Mapping[str, str]:
        """The parameters that the browser brought; they may tell of an error. Can be awaited again."""
        return await asyncio.shield(self._came)

    async def aclose(self) -> None:
        """Stop listening and drop every connection. May be called twice."""
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._came.cancel()

    # --- one connection, one question ---

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: of those that asyncio makes it logs the cancelling as a fault, in some versions.
        task = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._tasks) <= _MOST_AT_ONCE:
                async with asyncio.timeout(_PATIENCE):
                    await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a browser that went away, or something that is none
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(self._answer(head).as_http())
        await writer.drain()
        # Closing with bytes unread would reset the connection, and the page with it.
        writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while await reader.read(_LARGEST_HEAD):
                    pass

    def _answer(self, head: bytes) -> Page:
        """What a request gets. Only the right state changes anything."""
        start, *lines = head.decode("latin-1").split("\r\n")
        words = start.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
            return NOT_HTTP
        method, target, _ = words
        hosts = [line.partition(":")[2].strip().lower() for line in lines if line.lower().startswith("host:")]
        if len(hosts) != 1 or hosts[0] not in self._names():
            return WRONG_HOST
        path, _, query = target.partition("?")
        if path != self._path:
            return NOT_FOUND
        if method != "GET":
            return ONLY_GET
        return self._receive(query)

    def _names(self) -> tuple[str, ...]:
        return tuple(f"{name}:{self.port}" for name in ("localhost", "127.0.0.1", "[::1]"))

    def _receive(self, query: str) -> Page:
        if self._came.done():
            return ALREADY
        parameters = read_query(query)
        if parameters is None or not is_for(parameters, self._state):
            return WRONG_STATE
        self._came.set_result(parameters)
        return TURNED_DOWN if parameters.get("error") else RECEIVED


def _bind(port: int) -> list[socket.socket]:
    """Sockets of one port on both loopback addresses, or on the first alone where there is no IPv6."""
    for _ in range(_TRIES_FOR_A_PAIR):
        first = _bound(socket.AF_INET, "127.0.0.1", port)
        try:
            return [first, _bound(socket.AF_INET6, "::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno in _NO_IPV6:
                return [first]
            first.close()
            # "localhost" is either of them to a browser, so that half a port would be somebody else's.
            if port != 0:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free on both loopback addresses")


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port that was closed a moment ago is free; one that is listened on is not, whatever this says.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(8)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


async def cancel_codex(port: int) -> None:
    """Ask a sign-in of the Codex program to make room, the way a second one of its own does."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET /cancel HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
                await reader.read(64)
            finally:
                writer.close()
