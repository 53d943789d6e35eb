"""When a provider says it may be asked again: numbers, durations and dates as they stand in header fields."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["LONGEST_WAIT", "bounded", "http_date", "number", "seconds_until"]

LONGEST_WAIT: Final = 30 * 24 * 3600.0

_NUMBER: Final = re.compile(rb"\d{1,15}(?:\.\d{1,9})?")
_DURATION: Final = re.compile(
    rb"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,12}(?:\.\d{1,9})?)ms)?"
)
_UNITS: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_HTTP_DATE: Final = re.compile(rb"\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_RFC_3339: Final = re.compile(rb"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})")
#: Numbers above are moments, not durations: seconds, or milliseconds, since the epoch.
_EPOCH_SECONDS: Final = 1e9
_EPOCH_MILLISECONDS: Final = 1e12


def seconds_until(value: bytes, now: float | None) -> float | None:
    """What `value` states as seconds from `now` on, between 0 and 30 days; None where it states nothing of the kind.

    Takes seconds, ``6m0s``, moments since the epoch in seconds or milliseconds, and RFC 3339. A moment means nothing
    without `now`, in seconds since the epoch.
    """
    value = value.strip()
    amount = number(value)
    if amount is not None and amount < _EPOCH_SECONDS:
        return bounded(amount)
    if amount is not None:
        moment: float | None = amount / 1000 if amount >= _EPOCH_MILLISECONDS else amount
    else:
        moment = _rfc_3339(value)
    if moment is not None:
        return None if now is None else bounded(max(0.0, moment - now))
    match = _DURATION.fullmatch(value)
    if match is None or not value:
        return None
    return bounded(sum(float(part) * unit for part, unit in zip(match.groups(b"0"), _UNITS, strict=True)))


def number(value: bytes | None) -> float | None:
    """A number without a sign."""
    return float(value) if value is not None and _NUMBER.fullmatch(value.strip()) else None


def bounded(seconds: float) -> float | None:
    """`seconds` where it is a wait that somebody can mean."""
    return seconds if 0 <= seconds <= LONGEST_WAIT else None


def http_date(value: bytes) -> float | None:
    """An HTTP date (RFC 9110, section 5.6.7, the preferred form) as seconds since the epoch."""
    match = _HTTP_DATE.fullmatch(value.strip())
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[part]) for part in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _rfc_3339(value: bytes) -> float | None:
    if not _RFC_3339.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.decode("ascii").upper()).timestamp()
    except (ValueError, OverflowError):
        return None
