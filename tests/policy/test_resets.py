"""Every way in which a provider states when it may be asked again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.policy.resets import LONGEST_WAIT, bounded, http_date, number, seconds_until

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"5", 5.0),
        (b" 5.5 ", 5.5),
        (b"0", 0.0),
        (b"6m0s", 360.0),
        (b"1d2h3m4.5s", 93784.5),
        (b"250ms", 0.25),
        (b"1767225660", 60.0),
        (b"1767225660000", 60.0),
        (b"1767225540", 0.0),
        (b"2026-01-01T00:01:00Z", 60.0),
        (b"2026-01-01t01:01:00.5+01:00", 60.5),
        (b"2027-01-01T00:00:00Z", None),
        (b"2026-13-01T00:00:00Z", None),
        (b"9" * 15, None),
        (b"9" * 40, None),
        (b"", None),
        (b"-5", None),
        (b"soon", None),
        (b"nan", None),
    ],
)
def test_a_reset_is_read_as_seconds_from_now(value: bytes, seconds: float | None) -> None:
    found = seconds_until(value, NOW)
    assert found == (seconds if seconds is None else pytest.approx(seconds))


def test_a_moment_means_nothing_to_one_who_does_not_know_the_time() -> None:
    assert seconds_until(b"1767225660", None) is None
    assert seconds_until(b"2026-01-01T00:01:00Z", None) is None
    assert seconds_until(b"30", None) == 30.0


def test_http_dates_numbers_and_bounds() -> None:
    assert http_date(b"Thu, 01 Jan 2026 00:00:00 GMT") == NOW
    assert http_date(b"Thu, 32 Jan 2026 00:00:00 GMT") is None
    assert http_date(b"yesterday") is None
    assert (number(b" 7 "), number(b"x"), number(None)) == (7.0, None, None)
    assert (bounded(LONGEST_WAIT), bounded(LONGEST_WAIT + 1), bounded(-1.0)) == (LONGEST_WAIT, None, None)


@given(st.binary(max_size=40))
def test_nothing_makes_it_fail_or_wait_for_ever(value: bytes) -> None:
    found = seconds_until(value, NOW)
    assert found is None or 0 <= found <= LONGEST_WAIT
    assert http_date(value) is None
