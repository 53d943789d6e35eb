"""Server-sent events (WHATWG HTML, section 9.2): the only place that writes or takes apart ``data:`` lines."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from ..errors import UpstreamInvalidResponse

__all__ = ["DONE", "ENDS", "EventSplitter", "data_of", "event", "name_of", "split_events"]

#: How OpenAI's dialects say that a stream is whole.
DONE: Final = b"data: [DONE]\n\n"

_BOM: Final = b"\xef\xbb\xbf"
#: A line ending followed by an empty line. A CR after an LF waits for its LF; two bare CRs need not wait.
_BOUNDARY: Final = re.compile(rb"\n\n|\n\r\n|\n\r(?=[^\n])|\r\r")
#: The same where nothing follows: a block of complete events.
_CUT: Final = re.compile(rb"\n\n|\n\r\n|\n\r(?!\n)|\r\r")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
#: What a chunk ends on when nothing of it has to wait for the next one.
ENDS: Final = (b"\n\n", b"\n\r\n")
_EVENT_LIMIT: Final = 32 * 1024 * 1024


def event(data: bytes, name: str | None = None) -> bytes:
    """One event. `data` holds no line breaks, which is so for every encoded JSON value."""
    head = f"event: {name}\n".encode() if name else b""
    return b"%bdata: %b\n\n" % (head, data)


def split_events(block: bytes) -> list[bytes]:
    """The events of a block, each with the blank line that ends it; what follows the last one comes last."""
    if not block:
        return []
    if block.find(b"\n\n") == len(block) - 2 and b"\r" not in block:
        # The usual block: one event.
        return [block]
    cuts = [0, *(match.end() for match in _CUT.finditer(block)), len(block)]
    return [block[start:end] for start, end in pairwise(cuts) if start < end]


def data_of(event: bytes) -> bytes | None:
    """The data of one event, its lines joined by LF; None when it has none (a comment, or a bare ``event:``)."""
    if event.startswith(b"data:") and event.find(b"\n") >= len(event) - 2 and b"\r" not in event:
        # The usual event: one line.
        return event[6:].rstrip(b"\n") if event.startswith(b"data: ") else event[5:].rstrip(b"\n")
    if event.startswith(b"event:") and b"\r" not in event:
        # The next usual one: its name, and one line.
        start = event.find(b"\n")
        if event.startswith(b"data: ", start + 1) and event.find(b"\n", start + 1) == len(event) - 2:
            return event[start + 7 : -2]
    lines = _fields(event, b"data")
    return b"\n".join(lines) if lines else None


def name_of(event: bytes) -> bytes:
    """The last ``event:`` field of one event, or nothing."""
    names = _fields(event, b"event") if b"event" in event else []
    return names[-1] if names else b""


def _fields(event: bytes, wanted: bytes) -> list[bytes]:
    found = []
    for line in _LINE.split(event):
        name, colon, value = line.partition(b":")
        if name == wanted:
            found.append(value.removeprefix(b" ") if colon else b"")
    return found


class EventSplitter:
    """Cuts a byte stream where its events end, however it was chopped on the way.

    Bytes come out as they went in, but for a byte order mark at the very start. `pending` is the unfinished tail.
    """

    __slots__ = ("_fresh", "_limit", "pending")

    def __init__(self, limit: int = _EVENT_LIMIT) -> None:
        self._limit = limit
        self._fresh = True
        self.pending = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """The events that are complete now; the rest is kept.

        Raises:
            UpstreamInvalidResponse: one event is longer than the limit, in bytes.
        """
        pending = self.pending
        if not pending and not self._fresh and chunk.endswith(ENDS):
            return chunk
        # The tail holds no boundary, so one can only begin within its last two bytes.
        start = max(0, len(pending) - 2)
        pending += chunk
        end = _last_boundary(pending, start)
        if end == 0:
            if len(pending) > self._limit:
                raise UpstreamInvalidResponse(f"The provider sent one event of more than {self._limit} bytes.")
            return b""
        block = bytes(pending[:end])
        del pending[:end]
        return self._without_mark(block)

    def flush(self) -> bytes:
        """The tail that no blank line ended, at the end of the stream."""
        tail = bytes(self.pending)
        self.pending.clear()
        return self._without_mark(tail)

    def _without_mark(self, block: bytes) -> bytes:
        if not self._fresh:
            return block
        self._fresh = False
        return block.removeprefix(_BOM)


def _last_boundary(buffer: bytearray, start: int) -> int:
    """Where the last boundary at or after `start` ends; 0 when there is none."""
    if buffer.endswith(ENDS):
        return len(buffer)
    end = 0
    for match in _BOUNDARY.finditer(buffer, start):
        end = match.end()
    return end
