"""One answer to one client: sent as it comes, dropped the moment the client is gone (SPEC §11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from ..ports import Clock
from ..values import Call, Headers
from .asgi import Disconnected, Exchange, Receive
from .relay import Answer, Relay

__all__ = ["deliver"]

_WATCH_AFTER_SECONDS: Final = 0.02
_STREAM_HEADERS: Final[Headers] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


async def deliver(exchange: Exchange, relay: Relay, call: Call, clock: Clock) -> None:
    """Make the call and send what comes of it.

    Raises:
        GatewayError: before the first byte was sent.
        Disconnected: the client left; the upstream call is cancelled by then.
    """
    exchange.row.requested = call.model
    exchange.row.stream = call.stream
    answer: Answer | None = None
    hangup = _Hangup(exchange.receive)
    try:
        answer = await relay.open(call, exchange.row.note_attempt)
        exchange.row.first_byte = clock.monotonic()
        if answer.stream is None:
            await exchange.respond(answer.status, answer.body or b"", answer.headers, b"application/json")
        else:
            await _send_stream(exchange, answer, answer.stream)
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


async def _send_stream(exchange: Exchange, answer: Answer, stream: AsyncIterator[bytes]) -> None:
    send = exchange.send
    await exchange.start(answer.status, (*answer.headers, *_STREAM_HEADERS))
    async for piece in stream:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


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
