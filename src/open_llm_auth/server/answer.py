"""What a call came to, on its way to the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

from ..errors import GatewayError, UpstreamError
from ..ports import Reply
from ..values import Attempt, Headers
from ..wire.events import Usage
from .traces import Trace

__all__ = ["Answer"]

_DRAIN_SECONDS: Final = 0.2


@dataclass(slots=True)
class Answer:
    """What a call came to: `body`, or `stream` for a streamed one. Whoever takes it closes it.

    `usage` is filled in by the end of the body; `failed` names the error a stream ended with. `told` are the attempts
    before this one and what each failed with.
    """

    status: int
    headers: Headers
    attempt: Attempt
    attempts: int
    body: bytes | None = None
    stream: AsyncGenerator[bytes, None] | None = None
    usage: Usage | None = None
    failed: GatewayError | None = None
    reply: Reply | None = None
    #: whether content has come: a stream that is shown because its time was up may still fail in any way
    committed: bool = True
    #: what comes after the end mark of a stream, which is read so that its connection can be used again
    leftover: AsyncIterator[bytes] | None = None
    told: tuple[tuple[Attempt, GatewayError], ...] = ()
    #: the subscription whose place a metered credential took
    fell_from: str | None = None
    trace: Trace | None = None

    def fail(self, error: GatewayError) -> None:
        """The stream ends with an error."""
        self.failed = error
        if self.trace is not None:
            self.trace.ended_with(error)

    async def aclose(self) -> None:
        """Drop the upstream at once if it is still sending. May be called twice."""
        if self.stream is not None:
            await self.stream.aclose()
        if self.leftover is not None:
            await _drain(self.leftover)
        if self.reply is not None:
            await self.reply.aclose()


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """See the end of a finished stream, so that its connection can be used again; nobody waits long for it."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass  # what follows an end mark is nobody's
    except (TimeoutError, UpstreamError):
        return
