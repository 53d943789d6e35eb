"""uvicorn's HTTP protocol, with an end to the head of a request, and one write for the head and body of an answer.

Whoever sends a head has not said who they are yet, so neither its size nor its time is without end; and a target that
names a host is obeyed (RFC 9112, section 3.2.2), so that what is judged as the Host is where the request was meant to
go. An offer to go on in HTTP/2 (`Upgrade: h2c`, which Java's own client makes with every first request) is declined by
not hearing it: the parser would take the body that follows for the new protocol.

What is no HTTP never reaches the application, so it is refused here, in the form and with the ids of any other error.

uvicorn writes the head of an answer and its body one after the other, and uvloop hands each to the kernel at once. A
write is the most expensive thing a relay does (docs/decisions/0004), so the two are joined.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ..errors import GatewayError, HeadTooLarge, InvalidRequest
from .errors import write_error

__all__ = ["OneWriteProtocol"]


#: What a head may be before it is whole: as much as one read of the loop brings at most.
_HEAD_LIMIT: Final = 1 << 18
_HEAD_SECONDS: Final = 30.0
_H2C: Final = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)


class OneWriteProtocol(HttpToolsProtocol):
    """Give its class to uvicorn as `http`."""

    #: bytes of a head whose end is not here yet; None outside of one
    _head: int | None = None
    _head_timer: asyncio.TimerHandle | None = None
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it
        self._holder = _HeadHolder(transport, asyncio.get_running_loop())
        super().connection_made(cast("asyncio.Transport", self._holder))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_body and b"h2c" in data:
            data = _H2C.sub(b"\r\nx-declined-upgrade: h2c", data, count=1)
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(_HEAD_SECONDS, self.transport.close)
            if self._head > _HEAD_LIMIT and not self.transport.is_closing():
                self._refuse(HeadTooLarge(f"The head of the request is longer than {_HEAD_LIMIT} bytes. Send less."))

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequest(f"{msg} Its head, or the framing of its body, is not what HTTP/1.1 allows."))

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: a client can provoke it at will, and the operator can do nothing about it."""

    def _refuse(self, error: GatewayError) -> None:
        """Answer and close; close alone where the answer would stand in the middle of another."""
        call_id = secrets.token_hex(12).encode()
        self.logger.warning("call_%s was answered %d %s", call_id.decode(), error.status, error.code)
        # None before the first request, whatever uvicorn's annotation says
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete or not (cycle.response_started or self.pipeline):
            body = write_error("openai", error, "")
            self.transport.write(
                b"%bcontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: req_%b\r\n"
                b"x-gateway-call-id: call_%b\r\nconnection: close\r\n\r\n%b"
                % (STATUS_LINE[error.status], len(body), call_id, call_id, body)
            )
        self.transport.close()

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._end_of_head()
        self._in_body = True
        self._holder.hold = True
        if self.url[:1] != b"/":
            self._obey(self.url)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _end_of_head(self) -> None:
        self._head = None
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _obey(self, url: bytes) -> None:
        target = httptools.parse_url(url)
        if not target.host:
            return
        host = b"[%b]" % target.host if b":" in target.host else target.host
        authority = b"%b:%d" % (host, target.port) if target.port else host
        self.headers[:] = [*(field for field in self.headers if field[0] != b"host"), (b"host", authority)]


class _HeadHolder:
    """A transport that keeps the first write of an answer until the second. Everything else is the transport's own.

    What is held leaves at the end of the loop's turn at the latest, so a wrong guess costs a turn and no byte.
    """

    __slots__ = ("_held", "_loop", "_transport", "hold")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.hold = False
        self._transport = transport
        self._loop = loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self.hold:
            self.hold = False
            self._held += data
            self._loop.call_soon(self._flush)
        elif self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)
