"""How long a person is waited for, and how often a server is asked."""

from __future__ import annotations

import pytest

from open_llm_auth.auth.flows.patience import Patience
from open_llm_auth.testing import ManualClock


@pytest.mark.parametrize(("stated", "kept"), [(5.0, 5.0), (0.001, 1.0), (-3.0, 1.0), (1e9, 60.0)])
def test_the_interval_stays_within_reason(stated: float, kept: float) -> None:
    assert Patience(ManualClock().now, stated, 900.0).pause() == kept


def test_it_is_over_after_what_the_code_lasts_or_a_quarter_of_an_hour() -> None:
    for lifetime, end in ((30.0, 30.0), (1e9, 900.0), (-5.0, 0.0)):
        clock = ManualClock()
        patience = Patience(clock.now, 5.0, lifetime)
        clock.advance(end - 0.5 if end else 0.0)
        assert patience.is_over() == (end == 0.0)
        clock.advance(1.0)
        assert patience.is_over()


def test_pauses_after_failures_double_up_to_a_minute() -> None:
    patience = Patience(ManualClock().now, 5.0, 900.0)
    pauses = []
    for patience.failures in range(6):
        pauses.append(patience.pause())
    assert pauses == [5, 10, 20, 40, 60, 60]
