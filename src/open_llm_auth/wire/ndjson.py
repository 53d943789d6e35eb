"""Streams of JSON values, one a line (NDJSON), however they were chopped on their way."""

from __future__ import annotations

from typing import Final, Protocol

from ..errors import UpstreamInvalidResponse
from .events import Event

__all__ = ["LineDecoder", "LineReader", "LineSplitter", "read_lines"]

_BOM: Final = b"\xef\xbb\xbf"
_LINE_LIMIT: Final = 32 * 1024 * 1024


class LineSplitter:
    """Cuts a byte stream into its lines, without their ends; blank ones are left out."""

    __slots__ = ("_fresh", "_limit", "_pending")

    def __init__(self, limit: int = _LINE_LIMIT) -> None:
        self._limit = limit
        self._fresh = True
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now.

        Raises:
            UpstreamInvalidResponse: one line is longer than the limit, in bytes.
        """
        head, end, tail = chunk.rpartition(b"\n")
        if not end:
            self._keep(chunk)
            return []
        block = bytes(self._pending) + head if self._pending else head
        self._pending.clear()
        self._keep(tail)
        return self._lines(block)

    def flush(self) -> list[bytes]:
        """The last line, if no line end came after it."""
        block = bytes(self._pending)
        self._pending.clear()
        return self._lines(block)

    def _keep(self, tail: bytes) -> None:
        self._pending += tail
        if len(self._pending) > self._limit:
            raise UpstreamInvalidResponse(f"The provider sent one line of more than {self._limit} bytes.")

    def _lines(self, block: bytes) -> list[bytes]:
        if self._fresh and block:
            self._fresh = False
            block = block.removeprefix(_BOM)
        return [line for part in block.split(b"\n") if (line := part.strip())]


class LineReader(Protocol):
    """What a dialect of lines says for itself: the meaning of one line after the other."""

    done: bool

    def read(self, data: bytes) -> list[Event]:
        """What one line says; `done` after the last of the answer.

        Raises:
            UpstreamInvalidResponse: it is not a line of the dialect.
        """


class LineDecoder:
    """A `dialect.StreamDecoder` for a dialect of lines."""

    __slots__ = ("_reader", "_splitter")

    def __init__(self, reader: LineReader) -> None:
        self._splitter = LineSplitter()
        self._reader = reader

    def feed(self, chunk: bytes) -> list[Event]:
        return [] if self._is_done() else self._read(self._splitter.feed(chunk))

    def end(self) -> list[Event]:
        if self._is_done():
            return []
        events = self._read(self._splitter.flush())
        if not self._is_done():
            raise UpstreamInvalidResponse("The provider's stream stopped before the answer was complete.")
        return events

    def _is_done(self) -> bool:
        return self._reader.done

    def _read(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            events += self._reader.read(line)
            if self._reader.done:
                break
        return events


def read_lines(reader: LineReader, body: bytes) -> list[Event]:
    """A whole answer that is lines.

    Raises:
        UpstreamInvalidResponse: it is not one, or not complete.
    """
    decoder = LineDecoder(reader)
    return [*decoder.feed(body), *decoder.end()]
