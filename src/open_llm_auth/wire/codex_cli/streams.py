"""Codex's output as it comes: one JSON object a line."""

from __future__ import annotations

from ..ndjson import LineDecoder
from .replies import LineReader

__all__ = ["StreamDecoder"]


class StreamDecoder(LineDecoder):
    """Implements `dialect.StreamDecoder`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(LineReader())
