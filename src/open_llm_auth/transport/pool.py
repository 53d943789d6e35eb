"""Connections between exchanges: one lane for each place and exemption class, the latest used first."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from .connection import Connection

__all__ = ["Lane", "LaneKey", "Pool"]

#: connections of one lane, busy and idle
_MAX_PER_LANE: Final = 1000
#: seconds to wait for dropped connections to be gone when all is closed
_FAREWELL: Final = 2.0


@dataclass(frozen=True, slots=True)
class LaneKey:
    """Who may share a connection. `exempt`: it was dialled under a local exemption, which others do not have."""

    scheme: str
    host: str
    port: int
    exempt: bool


class Pool:
    """All lanes. Its generation moves on when the rules change: what was dialled before is not lent out again."""

    def __init__(self, *, max_per_lane: int = _MAX_PER_LANE) -> None:
        self.generation = 0
        self.closed = False
        self._max_per_lane = max_per_lane
        self._lanes: dict[LaneKey, Lane] = {}
        self._shrunk = asyncio.Event()

    def lane(self, key: LaneKey) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self, self._max_per_lane)
        return lane

    def renew(self) -> None:
        """Close what is idle, forget empty lanes, and have what is busy closed when it comes back."""
        self.generation += 1
        for lane in self._lanes.values():
            lane.close_idle()
        self.forget_empty()

    def forget_empty(self) -> None:
        """Let go of lanes without connections; nobody may hold one of them over an await without dialling in it."""
        self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.empty}

    @property
    def open(self) -> int:
        return sum(lane.open for lane in self._lanes.values())

    @property
    def idle(self) -> int:
        return sum(lane.idle for lane in self._lanes.values())

    async def aclose(self) -> None:
        """Drop every connection and wait until each is gone."""
        self.closed = True
        for lane in self._lanes.values():
            lane.drop_all()
        try:
            async with asyncio.timeout(_FAREWELL):
                while any(lane.members for lane in self._lanes.values()):
                    self._shrunk.clear()
                    await self._shrunk.wait()
        except TimeoutError:
            pass  # aborted sockets close within one turn of the loop; a stop that hangs would be worse than one left

    def shrunk(self) -> None:
        self._shrunk.set()


class Lane:
    """Implements `connection.Home` for one `LaneKey`."""

    def __init__(self, pool: Pool, limit: int) -> None:
        self.members: set[Connection] = set()
        self._pool = pool
        self._limit = limit
        self._dialling = 0
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def open(self) -> int:
        return len(self.members) + self._dialling

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def empty(self) -> bool:
        return not (self.members or self._dialling or self._waiters)

    def take(self) -> Connection | None:
        """An idle connection that is still good; those that are not are dropped on the way."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.drop()
        return None

    async def room(self) -> Connection | None:
        """Wait until one may be dialled (None, and `dialled` must follow) or one has come free."""
        while self.open >= self._limit:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                else:
                    self._wake()  # the turn was given and not used
                raise
            connection = self.take()
            if connection is not None:
                return connection
        self._dialling += 1
        return None

    def dialled(self) -> None:
        """A dial has ended, well or not."""
        self._dialling -= 1
        self._wake()

    def close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.drop()

    def drop_all(self) -> None:
        self._idle.clear()
        for connection in tuple(self.members):
            connection.stop()

    def joined(self, connection: Connection) -> None:
        self.members.add(connection)
        if self._pool.closed:
            connection.drop()

    def free(self, connection: Connection) -> None:
        if self._pool.closed or connection.generation != self._pool.generation:
            connection.drop()
            return
        self._idle.append(connection)
        self._wake()

    def lost(self, connection: Connection) -> None:
        self.members.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._pool.shrunk()
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
