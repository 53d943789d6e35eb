"""Characters that a provider cut in two: it counts UTF-16 units, as JavaScript does, and an emoji is a pair of them.

Each half comes as an escape of its own (RFC 8259, section 7), which is JSON and yet no text: it can't be written as
UTF-8, and the decoder here refuses it. So halves are put together before they are decoded.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["Halves"]

#: An escape with the quotes around it. Every escape is matched, so that an escaped backslash starts none.
_ESCAPE: Final = re.compile(
    rb'("?)\\(?:(u[dD][89abAB][0-9a-fA-F]{2})(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|(u[dD][c-fC-F][0-9a-fA-F]{2})|[^u])(?=("?))',
    re.DOTALL,
)
_UNKNOWN: Final = b"\\ufffd"


class Halves:
    """Mends one answer's JSON texts, given in their order. A first half at the end of a string waits for the string
    that begins with the second one; a half that stays alone becomes U+FFFD, or nothing where the answer ends in it."""

    __slots__ = ("_first",)

    def __init__(self) -> None:
        self._first = b""

    def mend(self, data: bytes) -> bytes:
        """The same JSON without half characters."""
        if b"\\ud" not in data and b"\\uD" not in data:
            return data
        return _ESCAPE.sub(self._whole, data)

    def _whole(self, match: re.Match[bytes]) -> bytes:
        opening, first, second, alone, closing = match.groups()
        if first and not second:
            if not closing:
                return opening + _UNKNOWN
            self._first = b"\\" + first
            return opening
        if alone:
            if not (opening and self._first):
                return opening + _UNKNOWN
            before, self._first = self._first, b""
            return opening + before + b"\\" + alone
        return match[0]
