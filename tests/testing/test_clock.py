"""The manual clock stands still, moves when told, and only its wall may jump."""

import pytest

from open_llm_auth.ports import Clock
from open_llm_auth.testing import ManualClock


def test_it_stands_still_until_it_is_advanced():
    clock: Clock = ManualClock(now=100.0, monotonic=5.0)
    assert (clock.now(), clock.monotonic()) == (100.0, 5.0)
    assert (clock.now(), clock.monotonic()) == (100.0, 5.0)


def test_advancing_moves_both_clocks():
    clock = ManualClock(now=100.0, monotonic=5.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 7.5)


def test_only_the_wall_clock_jumps():
    clock = ManualClock(now=100.0, monotonic=5.0)
    clock.set_wall(10.0)
    assert (clock.now(), clock.monotonic()) == (10.0, 5.0)


def test_it_never_goes_back():
    with pytest.raises(ValueError, match="set_wall"):
        ManualClock().advance(-1)
