"""Keeps the health of credentials in memory and in the shared file the same (SPEC §5)."""

from __future__ import annotations

import asyncio
from typing import Final

from ..auth.health import HealthTable
from ..auth.history import History
from ..auth.kept import CLOCK_JUMP, Kept, merged
from ..ports import Clock
from .health_file import HealthFile

__all__ = ["HealthSync"]

#: Seconds. What rests and what failed is told every second; that all is well can wait so long.
_PATIENCE: Final = 10.0


class HealthSync:
    """`load` once, then `run`, and `exchange` at the end. Table and history are touched by the loop's thread alone, the
    file by another."""

    def __init__(
        self, file: HealthFile, table: HealthTable, history: History, clock: Clock, *, interval: float = 1.0
    ) -> None:
        self._file = file
        self._table = table
        self._history = history
        self._clock = clock
        self._interval = interval
        self._offset = self._measured()
        self._salt = b""
        self._told = clock.monotonic()

    def load(self) -> None:
        """What was known before this process began."""
        self._adopt(self._file.load())

    async def run(self) -> None:
        """Exchange every second until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.exchange()

    async def exchange(self, *, last: bool = False) -> None:
        """Tell what changed here, and hear what others changed. The `last` time nothing waits."""
        set_back = self._look_at_clock()
        news = self._news(last=last)
        found = await asyncio.to_thread(self._file.exchange, news, set_back=set_back)
        self._adopt(found)

    def _news(self, *, last: bool) -> Kept:
        news = self._table.changes(self._offset)
        waited = self._clock.monotonic() - self._told
        if last or news or self._history.pressing or waited >= _PATIENCE:
            self._told = self._clock.monotonic()
            news = merged(news, self._history.changes(), self._clock.now())
        return news

    def _look_at_clock(self) -> float:
        """By how much the clock was set back. Where it was set forward, or the machine slept, a rest that it says is
        over is over: too early costs one call, too late is what nobody forgives."""
        before, self._offset = self._offset, self._measured()
        gone = self._offset - before
        if gone > CLOCK_JUMP:
            self._table.pass_time(gone)
        return -gone if gone < -CLOCK_JUMP else 0.0

    def _measured(self) -> float:
        return self._clock.now() - self._clock.monotonic()

    def _adopt(self, found: Kept | None) -> None:
        if self._salt != self._file.salt:
            self._salt = self._file.salt
            self._table.restart(self._salt)
            self._history.restart(self._salt)
        if found is not None:
            self._table.adopt(found, self._offset, self._clock.monotonic())
