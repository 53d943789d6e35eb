"""Puts blocks that interleave on the wire one after the other, so that no encoder has to (events.py).

The first open block streams on as it comes. Events of a later block wait until the first is closed; nothing is lost,
and in practice nothing waits, because providers finish one block before they begin the next.
"""

from __future__ import annotations

from collections.abc import Hashable

from .events import Event

__all__ = ["Sequencer"]


class Sequencer:
    """Takes events with the key of their block, gives them in block order."""

    __slots__ = ("_blocks", "_closed")

    def __init__(self) -> None:
        #: blocks that are open or wait, oldest first; only the first one's events have gone out
        self._blocks: dict[Hashable, list[Event]] = {}
        self._closed: set[Hashable] = set()

    def put(self, key: Hashable, event: Event) -> list[Event]:
        """Events to tell now: this one, if its block is the first that is open."""
        waiting = self._blocks.setdefault(key, [])
        if next(iter(self._blocks)) == key:
            return [event]
        waiting.append(event)
        return []

    def close(self, key: Hashable) -> list[Event]:
        """`key` gets no more events: what waited behind it may go out."""
        if key not in self._blocks:
            return []
        self._closed.add(key)
        return self._release()

    def close_all(self) -> list[Event]:
        """The answer is over: everything that waits, in order."""
        self._closed |= set(self._blocks)
        return self._release()

    @property
    def open(self) -> Hashable | None:
        """The key of the block that streams, if there is one."""
        return next(iter(self._blocks), None)

    def _release(self) -> list[Event]:
        out: list[Event] = []
        while self._blocks:
            first = next(iter(self._blocks))
            out += self._blocks[first]
            self._blocks[first] = []
            if first not in self._closed:
                break
            del self._blocks[first]
            self._closed.discard(first)
        return out
