"""A clock that stands still until it is moved: `ports.Clock` for tests."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """Both clocks at once, in seconds. They move together, except when `set_wall` jumps the one that may jump."""

    def __init__(self, now: float = 1_767_225_600.0, monotonic: float = 1000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            ValueError: `seconds` is negative; a monotonic clock never goes back.
        """
        if seconds < 0:
            raise ValueError(f"a monotonic clock can't go back {-seconds!r} seconds: use set_wall for a jump")
        self._now += seconds
        self._monotonic += seconds

    def set_wall(self, now: float) -> None:
        """Set the wall clock, as a time server or a person may; the monotonic one does not notice."""
        self._now = now
