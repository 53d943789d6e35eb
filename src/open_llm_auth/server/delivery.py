"""One answer to one client: sent as it comes, dropped the moment the client is gone (SPEC §11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import GatewayError
from ..ports import Clock
from ..values import Call, Headers
from .answer import Answer
from .asgi import Disconnected, Exchange, Receive, Send
from .relay import Relay
from .traces import Traces, header_of

__all__ = ["EVENTS", "Delivery", "Wrapper", "deliver"]

_WATCH_AFTER_SECONDS: Final = 0.02
#: Half of the shortest silence after which proxies and clients are known to hang up.
_QUIET_SECONDS: Final = 15.0
#: A silence that is so much shorter counts too: it is not looked for all the time.
_SLACK_SECONDS: Final = 0.1
EVENTS: Final = b"text/event-stream; charset=utf-8"
_TRACE: Final = b"x-gateway-trace"
_STREAM_HEADERS: Final[Headers] = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class Wrapper(Protocol):
    """Puts the pieces of a stream, each of whole events, into another form."""

    def feed(self, piece: bytes) -> bytes: ...

    def end(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a surface's answers leave. `content_type` is a stream's. `keep_alive` is what may be said when it has been
    silent for `quiet_seconds`, None where clients break on it. `whole` and `wrap` put an answer into a form that is not
    its dialect's own."""

    content_type: bytes
    keep_alive: bytes | None
    quiet_seconds: float = _QUIET_SECONDS
    whole: Callable[[Answer, bytes], bytes] | None = None
    wrap: Callable[[Answer], Wrapper] | None = None


async def deliver(exchange: Exchange, relay: Relay, call: Call, clock: Clock, delivery: Delivery) -> None:
    """Make the call and send what comes of it.

    Raises:
        GatewayError: before the first byte was sent.
        Disconnected: the client left; the upstream call is cancelled by then.
    """
    exchange.row.requested = call.request.model
    exchange.row.stream = call.request.stream
    answer: Answer | None = None
    hangup = _Hangup(exchange.receive)
    try:
        answer = await relay.open(call, exchange.row.note_attempt)
        exchange.row.first_byte = clock.monotonic()
        exchange.row.fell_from = answer.fell_from
        if _TRACE in exchange.headers:
            _tell_trace(exchange, relay.traces)
        if answer.stream is None:
            body = answer.body or b""
            if delivery.whole is not None:
                body = delivery.whole(answer, body)
            await exchange.respond(answer.status, body, answer.headers, b"application/json")
        else:
            await _send_stream(exchange, answer, answer.stream, delivery)
    except GatewayError:
        if _TRACE in exchange.headers and answer is None:
            _tell_trace(exchange, relay.traces)
        raise
    except asyncio.CancelledError:
        if hangup.task_cancelled():
            raise Disconnected from None
        raise
    finally:
        hangup.close()
        if answer is not None:
            await answer.aclose()
            exchange.row.usage = answer.usage
            exchange.row.code = answer.failed.code if answer.failed is not None else exchange.row.code


def _tell_trace(exchange: Exchange, traces: Traces) -> None:
    """Why this credential, to an admin who asks, whatever comes of the call."""
    if exchange.headers[_TRACE].strip() != b"1" or not exchange.authenticated.admin:
        return
    trace = traces.find(exchange.row.call_id)
    if trace is not None:
        exchange.common.append(header_of(trace))


async def _send_stream(exchange: Exchange, answer: Answer, stream: AsyncIterator[bytes], delivery: Delivery) -> None:
    send = exchange.send
    wrapper = None if delivery.wrap is None else delivery.wrap(answer)
    await exchange.start(answer.status, (*answer.headers, (b"content-type", delivery.content_type), *_STREAM_HEADERS))
    pulse = None if delivery.keep_alive is None else _Pulse(send, delivery.keep_alive, delivery.quiet_seconds)
    try:
        async for piece in stream:
            if wrapper is not None:
                piece = wrapper.feed(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if pulse is not None:
                pulse.felt()
    finally:
        if pulse is not None:
            pulse.stop()
    await send({"type": "http.response.body", "body": b"" if wrapper is None else wrapper.end()})


class _Pulse:
    """Says something that means nothing while a stream is silent, so that nobody on the way takes it for dead.

    Pieces are whole events, so whatever stands between two of them stands between two events.
    """

    def __init__(self, send: Send, text: bytes, seconds: float) -> None:
        self._send = send
        self._text = text
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._look)
        self._beat: asyncio.Task[None] | None = None

    def felt(self) -> None:
        """Something was sent."""
        self._last = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()
        if self._beat is not None:
            # It may still wait for its turn, at a client that reads slowly, when the answer is through.
            self._beat.cancel()

    def _look(self) -> None:
        quiet = self._loop.time() - self._last
        if quiet >= self._seconds - _SLACK_SECONDS and (self._beat is None or self._beat.done()):
            self._beat = self._loop.create_task(self._say())
            quiet = 0.0
        self._timer = self._loop.call_later(max(self._seconds - quiet, _SLACK_SECONDS), self._look)

    async def _say(self) -> None:
        self.felt()
        await self._send({"type": "http.response.body", "body": self._text, "more_body": True})


class _Hangup:
    """Cancels the task it was made in when the client disconnects.

    Watching begins a moment late, because it costs a task, and what is answered by then needs none.
    """

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled in a task")
        self._task = task
        self._receive = receive
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, self._begin)

    def task_cancelled(self) -> bool:
        """Whether a cancellation that arrived was ours; it is then taken back."""
        return self._gone and self._task.uncancel() == 0

    def close(self) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            # A cancelled task keeps its traceback, whose frames keep this: a cycle a request if it stayed.
            self._watcher = None

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what is left of a body nobody asked for
        self._gone = True
        self._task.cancel()
