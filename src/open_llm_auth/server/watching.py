"""A stream whose pieces somebody looks at on their way; one that nobody watches is not slower for it."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import GatewayError
from ..wire.dialect import Stream
from ..wire.events import ErrorBody, Usage

__all__ = ["Watched"]


class Watched:
    """A `dialect.Stream` like the one within; `watch` is given each piece, of whole events, before it goes on."""

    __slots__ = ("_stream", "_watch")

    def __init__(self, stream: Stream, watch: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._watch = watch

    def feed(self, chunk: bytes) -> bytes:
        piece = self._stream.feed(chunk)
        if piece:
            self._watch(piece)
        return piece

    def end(self) -> bytes:
        piece = self._stream.end()
        if piece:
            self._watch(piece)
        return piece

    def fail(self, error: GatewayError) -> bytes:
        return self._stream.fail(error)

    @property
    def committed(self) -> bool:
        return self._stream.committed

    @property
    def done(self) -> bool:
        return self._stream.done

    @property
    def failure(self) -> ErrorBody | None:
        return self._stream.failure

    @property
    def usage(self) -> Usage | None:
        return self._stream.usage
