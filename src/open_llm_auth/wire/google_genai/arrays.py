"""A stream that is one JSON array growing, which `streamGenerateContent` is without ``alt=sse``: read and written."""

from __future__ import annotations

import re
from typing import Final

from ...errors import UpstreamInvalidResponse
from .. import sse

__all__ = ["ArraySplitter", "ArrayWrapper"]

_LIMIT: Final = 32 * 1024 * 1024
#: What matters outside of strings, and within them.
_STRUCTURE: Final = re.compile(rb'[{}\[\]"]')
_STRING: Final = re.compile(rb'["\\]')
#: What may stand between two elements.
_BETWEEN: Final = re.compile(rb"[ \t\r\n,\[\]]*")


class ArraySplitter:
    """Cuts an array of objects into its elements, however it was chopped on the way."""

    __slots__ = ("_at", "_begun", "_depth", "_limit", "_pending", "_quoted")

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._pending = bytearray()
        #: how far it was looked at, whether that is in an element, how deep in it and whether in a string
        self._at = 0
        self._begun = False
        self._depth = 0
        self._quoted = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The elements that are complete now.

        Raises:
            UpstreamInvalidResponse: there is something else between them, or one is longer than the limit, in bytes.
        """
        self._pending += chunk
        found = []
        while (element := self._next()) is not None:
            found.append(element)
        if len(self._pending) > self._limit:
            raise UpstreamInvalidResponse(f"The provider sent one element of more than {self._limit} bytes.")
        return found

    def _next(self) -> bytes | None:
        if not self._begun and not self._begin():
            return None
        while (match := (_STRING if self._quoted else _STRUCTURE).search(self._pending, self._at)) is not None:
            what = match[0]
            if what == b"\\":
                if match.end() == len(self._pending):
                    # Whatever follows belongs to it.
                    self._at = match.start()
                    return None
                self._at = match.end() + 1
                continue
            self._at = match.end()
            if what == b'"':
                self._quoted = not self._quoted
                continue
            self._depth += 1 if what in b"{[" else -1
            if self._depth == 0:
                return self._cut()
        self._at = len(self._pending)
        return None

    def _begin(self) -> bool:
        match = _BETWEEN.match(self._pending)
        del self._pending[: match.end() if match else 0]
        if not self._pending:
            return False
        if not self._pending.startswith(b"{"):
            raise UpstreamInvalidResponse("The provider's stream is not an array of objects.")
        self._begun = True
        self._at = 0
        return True

    def _cut(self) -> bytes:
        element = bytes(self._pending[: self._at])
        del self._pending[: self._at]
        self._begun, self._at = False, 0
        return element


class ArrayWrapper:
    """Puts a stream of events, piece by piece, into the form of an array, for clients that did not ask for events.

    The array is closed after an error too: that it failed is said by its last element.
    """

    __slots__ = ("_begun",)

    def __init__(self, answer: object = None) -> None:  # noqa: ARG002 - every form of a stream is given it
        self._begun = False

    def feed(self, piece: bytes) -> bytes:
        """The elements of a piece, which holds whole events only."""
        out = []
        for event in sse.split_events(piece):
            data = sse.data_of(event)
            if data is not None:
                out += [b",\r\n" if self._begun else b"[", data]
                self._begun = True
        return b"".join(out)

    def end(self) -> bytes:
        return b"]\n" if self._begun else b"[]\n"
