"""An answer made in process, as a Reply (ports): for kinds that send nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ..providers.spec import LocalAnswer

__all__ = ["LocalReply"]


class LocalReply:
    """Implements `ports.Reply` over the pieces of a `LocalAnswer`."""

    def __init__(self, answer: LocalAnswer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._pieces = answer.pieces

    def header(self, name: bytes) -> bytes | None:
        return next((value for field, value in self.headers if field == name), None)

    async def read(self, limit: int) -> bytes:
        return b"".join([piece async for piece in self.chunks()])[:limit]

    def chunks(self) -> AsyncIterator[bytes]:
        return _LocalPieces(self._pieces)

    async def aclose(self) -> None:
        """Nothing is open."""


class _LocalPieces:
    """The pieces in their time. A wait that is cancelled can be begun again."""

    def __init__(self, pieces: tuple[tuple[float, bytes], ...]) -> None:
        self._pieces = iter(pieces)
        self._next = next(self._pieces, None)

    def __aiter__(self) -> _LocalPieces:
        return self

    async def __anext__(self) -> bytes:
        if self._next is None:
            raise StopAsyncIteration
        delay, piece = self._next
        if delay:
            await asyncio.sleep(delay)
        self._next = next(self._pieces, None)
        return piece
