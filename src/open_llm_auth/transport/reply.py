"""An answer whose head has arrived: the body in pieces as they came, read once, with back-pressure."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Final, Protocol

from ..errors import GatewayError
from ..values import Headers, Timeouts
from .faults import Peer

__all__ = ["Channel", "HttpReply"]

#: bytes held unread before the sender is slowed
_HIGH_WATER: Final = 262_144
#: bytes of decoded body made at a time, so that a small packed answer can't fill the memory at once
_INFLATE_STEP: Final = 65_536
_GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_CODINGS: Final = frozenset({b"br", b"compress", b"deflate", b"gzip", b"identity", b"x-gzip", b"zstd"})
_OF_THE_PACKED: Final = frozenset({b"content-encoding", b"content-length"})


class Channel(Protocol):
    """The connection under a reply, as far as the reply knows it."""

    def expect(self, seconds: float) -> None:
        """Something must arrive within that many seconds from now."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def drop(self) -> None:
        """Close at once, whatever is under way."""


class HttpReply:
    """Implements `ports.Reply`. The connection feeds it (`began`, `fed`, `ended`, `failed`), the relay reads it."""

    __slots__ = (
        "_channel",
        "_done",
        "_encoding",
        "_error",
        "_held",
        "_loop",
        "_parts",
        "_paused",
        "_waiter",
        "headers",
        "peer",
        "status",
        "timeouts",
    )

    def __init__(self, channel: Channel, peer: Peer, timeouts: Timeouts, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.headers: Headers = ()
        self.peer = peer
        self.timeouts = timeouts
        self._channel = channel
        self._loop = loop
        self._parts: list[bytes] = []
        self._held = 0
        self._paused = False
        self._done = False
        self._encoding = b"identity"
        self._error: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- fed by the connection ---

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for bytes; silence while nobody does is not the provider's fault."""
        return self._waiter is not None

    def began(self, status: int, headers: Headers, encoding: bytes | None) -> None:
        self.status = status
        self.headers = headers
        if encoding is not None:
            self._encoding = encoding.strip().lower()
            if self._encoding in _GZIP:  # what is read is unpacked, so it must not claim to be packed
                self.headers = tuple(field for field in headers if field[0] not in _OF_THE_PACKED)
        self._wake()

    def fed(self, data: bytes) -> None:
        self._parts.append(data)
        self._held += len(data)
        if self._held > _HIGH_WATER and not self._paused:
            self._paused = True
            self._channel.pause()
        if self._waiter is not None:
            self._wake()

    def ended(self) -> None:
        self._done = True
        if self._paused:  # the connection goes on to others; what is held here is all there is
            self._paused = False
            self._channel.resume()
        self._wake()

    def failed(self, error: GatewayError) -> None:
        if not self._done and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- read by the relay ---

    async def arrival(self) -> None:
        """Wait for the head; the connection has set the deadline already.

        Raises:
            UpstreamError: it never came.
        """
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    def header(self, name: bytes) -> bytes | None:
        """The first field of that lower-case name."""
        for field, value in self.headers:
            if field == name:
                return value
        return None

    async def read(self, limit: int) -> bytes:
        """The whole body, decoded.

        Raises:
            UpstreamInvalidResponse: it is longer than `limit` bytes, or packed in a way that does not unpack.
            UpstreamUnreachable: the connection broke.
            UpstreamTimeout: it fell silent.
        """
        parts: list[bytes] = []
        size = 0
        async for piece in self.chunks():
            parts.append(piece)
            size += len(piece)
            if size > limit:
                self.let_go()
                raise self.peer.invalid(f"sent a body of more than {limit} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decoded, joined only where it is in hand already. Raises as `read` does."""
        return _Pieces(self) if self._encoding in (b"identity", b"") else _Unpacked(self, self._encoding)

    async def aclose(self) -> None:
        """Drop the connection unless the body came to its end; then it is back in the pool already."""
        self.let_go()

    def let_go(self) -> None:
        """`aclose` for callers that can't wait, which it never does."""
        if not self._done and self._error is None:
            self.failed(self.peer.unreachable("was let go before its answer ended", sent=True))
            self._channel.drop()
        self._parts.clear()

    async def take(self) -> bytes | None:
        """What is in hand, waiting if nothing is; None at the end."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._done:
                return None
            self._channel.expect(self.timeouts.idle)
            await self._wait()
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._channel.resume()
        return data

    async def _wait(self) -> None:
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:  # cancelled: nobody waits any more
                self._waiter = None


class _Pieces:
    """The body as it is."""

    __slots__ = ("_reply",)

    def __init__(self, reply: HttpReply) -> None:
        self._reply = reply

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        data = await self._reply.take()
        if data is None:
            raise StopAsyncIteration
        return data


class _Unpacked:
    """The body of a provider that packs although asked not to (RFC 9110 §8.4.1.3); gzip only."""

    __slots__ = ("_encoding", "_ended", "_packed", "_reply", "_unpack")

    def __init__(self, reply: HttpReply, encoding: bytes) -> None:
        self._reply = reply
        self._encoding = encoding
        self._packed = b""
        self._ended = False
        self._unpack = zlib.decompressobj(wbits=31)

    def __aiter__(self) -> _Unpacked:
        return self

    async def __anext__(self) -> bytes:
        if self._encoding not in _GZIP:
            self._reply.let_go()
            raise self._reply.peer.invalid(f"packed its answer{_named(self._encoding)} though asked for none")
        while True:
            piece = self._step()
            if piece:
                return piece
            if self._packed:
                continue
            if self._ended:
                raise StopAsyncIteration
            data = await self._reply.take()
            if data is not None:
                self._packed = data
                continue
            self._ended = True
            if not self._unpack.eof:
                raise self._reply.peer.invalid("sent a gzip body that stops in the middle")

    def _step(self) -> bytes:
        """The next bounded piece of what is in hand, which may be empty."""
        if self._unpack.eof:
            if not self._packed:
                return b""
            self._unpack = zlib.decompressobj(wbits=31)  # a gzip body may be several, one after the other
        try:
            piece = self._unpack.decompress(self._packed, _INFLATE_STEP)
        except zlib.error as fault:
            self._reply.let_go()
            raise self._reply.peer.invalid("sent a gzip body that does not unpack") from fault
        self._packed = self._unpack.unused_data if self._unpack.eof else self._unpack.unconsumed_tail
        return piece


def _named(encoding: bytes) -> str:
    """Quoted only when it names codings: a field of a hostile provider may as well repeat the key it was sent."""
    if all(coding.strip() in _CODINGS for coding in encoding.split(b",")):
        return f" as {encoding.decode('ascii')!r}"
    return ""
