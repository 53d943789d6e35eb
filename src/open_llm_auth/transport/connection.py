"""One connection and its HTTP/1.1 exchanges, one after the other: an asyncio protocol over httptools' parser.

No task, no queue and no timer per chunk: bytes go from `data_received` into the reply, which wakes its one reader.
"""

from __future__ import annotations

import asyncio
import math
import re
import select
from typing import Any, Final, Protocol, cast

import httptools

from ..errors import GatewayError
from ..values import Headers
from .reply import HttpReply

__all__ = ["Connection", "Home"]

#: bytes of head, trailers or chunk framing without a byte of body between them
_MAX_DRY: Final = 65_536
_MAX_FIELDS: Final = 256
#: a body up to this size goes out in one write with its head
_JOINED: Final = 65_536
#: seconds an idle connection is kept, and taken off what the server promises to keep it
_KEEP_ALIVE: Final = 30.0
_KEEP_ALIVE_MARGIN: Final = 1.0
#: seconds from a write within which a silent end is that of a connection closed for having been idle
_RACE: Final = 1.0
#: the timer never sleeps longer than this, so that a nearer deadline seldom has to move it
_TICK: Final = 1.0
_SLACK: Final = 0.002
_TIMEOUT: Final = re.compile(rb"timeout\s*=\s*([0-9]{1,6})", re.IGNORECASE)


class Home(Protocol):
    """Where connections live between exchanges."""

    def joined(self, connection: Connection) -> None: ...

    def free(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`uses` counts exchanges; `generation` says under which rules it was dialled.

    `lost_race`: the other end closed a connection it had kept just as a request was on its way. So it looks when a
    second or later exchange brings no byte and an end within a second of its writing. A later end may be that of a
    provider that had begun to work, which must not be paid for twice.
    """

    def __init__(self, home: Home, loop: asyncio.AbstractEventLoop, generation: int) -> None:
        self.generation = generation
        self.uses = 0
        self.lost_race = False
        self._silent = True
        self._asked = -math.inf
        self._home = home
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._reply: HttpReply | None = None
        self._large = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._interim = False
        self._until_close = False
        self._dry = 0
        self._keep = _KEEP_ALIVE
        self._deadline = math.inf
        self._armed = math.inf
        self._timer: asyncio.TimerHandle | None = None

    # --- the life of it ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        socket = transport.get_extra_info("socket")
        if socket is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)
        self._home.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._poll = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._parser = None  # it holds this object too, and a cycle would wait for the collector
        reply, self._reply = self._reply, None
        if reply is not None:
            self.lost_race = self.uses > 1 and self._silent and self._loop.time() - self._asked < _RACE
            if self._until_close and exc is None:
                reply.ended()
            elif reply.status:
                reply.failed(reply.peer.unreachable("closed the connection in the middle of its answer", sent=True))
            else:
                reply.failed(reply.peer.unreachable("closed the connection before it answered", sent=True))
        self._home.lost(self)

    def usable(self) -> bool:
        """Whether an idle connection may carry another request: open, and with nothing unread, not even its end."""
        transport = self._transport
        if transport is None or self._reply is not None or transport.is_closing():
            return False
        # What the kernel knows the loop may not have seen yet: one poll makes lost races rare.
        return self._poll is None or not self._poll.poll(0)

    def ask(self, reply: HttpReply, head: bytes, body: bytes) -> None:
        """Send a request whose answer goes into `reply`."""
        transport = self._transport
        if transport is None:
            reply.failed(reply.peer.unreachable("closed the connection before the request was sent"))
            return
        self.uses += 1
        self._silent = True
        self._asked = self._loop.time()
        self._reply = reply
        self._large = len(body) > _JOINED
        self._dry = 0
        if self._large:
            transport.set_write_buffer_limits(0)  # so that resume_writing says when the last byte has left
            transport.write(head)
            transport.write(body)
        else:
            transport.write(head + body)
        self.expect(reply.timeouts.first_byte)

    def resume_writing(self) -> None:
        if self._reply is not None and not self._reply.status:
            self.expect(self._reply.timeouts.first_byte)

    # --- Channel, for the reply ---

    def expect(self, seconds: float) -> None:
        now = self._loop.time()
        self._deadline = due = now + seconds
        if due < self._armed:
            self._arm(now, due)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def stop(self) -> None:
        """Drop it for a reason of our own, which the exchange under way is told."""
        if self._reply is not None:
            self._refuse(self._reply.peer.unreachable("was let go: the gateway is stopping", sent=True))
        self.drop()

    def drop(self) -> None:
        self._reply = None
        if self._transport is not None:
            self._transport.abort()

    # --- time ---

    def _arm(self, now: float, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = min(due, now + _TICK)
        self._timer = self._loop.call_at(self._armed, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._armed = math.inf
        reply = self._reply
        if reply is not None and not reply.waiting:
            return  # the reader is slow, not the provider; its next wait arms the timer anew
        now = self._loop.time()
        if now < self._deadline - _SLACK:
            self._arm(now, self._deadline)
        elif reply is None:
            self.drop()
        elif reply.status:
            self._refuse(reply.peer.timeout("idle", "sent nothing more", reply.timeouts.idle))
        else:
            self._refuse(reply.peer.timeout("first_byte", "did not begin to answer", reply.timeouts.first_byte))

    def _refuse(self, error: GatewayError) -> None:
        reply = self._reply
        self.drop()
        if reply is not None:
            reply.failed(error)

    # --- bytes in ---

    def data_received(self, data: bytes) -> None:
        self._silent = False
        self._dry += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._not_http()
            return
        if self._dry > _MAX_DRY and self._reply is not None:
            self._refuse(self._reply.peer.invalid(f"sent more than {_MAX_DRY} bytes of header fields"))

    def _not_http(self) -> None:
        if self._reply is None:
            self.drop()  # the answer is whole; what follows it is nobody's
        else:
            self._refuse(self._reply.peer.invalid("sent bytes that are not HTTP/1.1"))

    def eof_received(self) -> None:
        """Nothing to keep half-open: the loop closes, and `connection_lost` judges what the end means."""

    def on_message_begin(self) -> None:
        self._headers = []
        self._interim = False
        self._until_close = False
        if self._reply is None:
            self.drop()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) <= _MAX_FIELDS:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        reply = self._reply
        if reply is None:
            return
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self._interim = True
            return
        fields = dict(self._headers)
        objection = self._objection(status, fields)
        if objection is not None:
            self._refuse(reply.peer.invalid(objection))
            return
        self._until_close = (
            status not in (204, 304) and b"content-length" not in fields and b"transfer-encoding" not in fields
        )
        self._keep = _stated_keep_alive(fields.get(b"keep-alive"))
        reply.began(status, tuple(self._headers), fields.get(b"content-encoding"))
        self._headers = []  # trailers gather here, and are let go

    def _objection(self, status: int, fields: dict[bytes, bytes]) -> str | None:
        if status == 101 or status > 599:
            return f"answered with status {status}, which was not asked for"
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            return "answered in a version of HTTP that is not 1.1"
        if len(self._headers) > _MAX_FIELDS or (self._dry > _MAX_DRY and _size(self._headers) > _MAX_DRY):
            return f"sent more than {_MAX_FIELDS} header fields or {_MAX_DRY} bytes of them"
        if b"transfer-encoding" in fields:
            codings = [value.strip().lower() for name, value in self._headers if name == b"transfer-encoding"]
            if codings != [b"chunked"]:
                return "used a transfer coding other than chunked"
        return None

    def on_body(self, data: bytes) -> None:
        self._dry = 0
        if self._reply is not None:
            self._reply.fed(data)

    def on_message_complete(self) -> None:
        reply = self._reply
        if reply is None or self._interim:
            return
        self._reply = None
        self._headers = []
        reply.ended()
        transport = self._transport
        unsent = self._large and transport is not None and transport.get_write_buffer_size() > 0
        if unsent or self._keep <= 0 or not self._parser.should_keep_alive():
            self.drop()
            return
        self.expect(self._keep)
        self._home.free(self)


def _stated_keep_alive(value: bytes | None) -> float:
    """Seconds to keep an idle connection: ours, or less where the server says so."""
    if value is None:
        return _KEEP_ALIVE
    stated = _TIMEOUT.search(value)
    return _KEEP_ALIVE if stated is None else min(_KEEP_ALIVE, int(stated[1]) - _KEEP_ALIVE_MARGIN)


def _size(headers: list[tuple[bytes, bytes]] | Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
