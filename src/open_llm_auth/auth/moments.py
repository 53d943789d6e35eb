"""When something ends, in milliseconds since the epoch, however a program spelled it; also when a JWT says it does."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Final

from .flows.tokens import claims_of

__all__ = ["expiry_of", "milliseconds"]

#: Seconds, as a moment, stay below this until the year 5138, and milliseconds have been above it since 1973.
_SECONDS_BELOW: Final = 100_000_000_000
#: The same for milliseconds before micro- and nanoseconds.
_MILLISECONDS_BELOW: Final = 100_000_000_000_000
#: Nanoseconds, as a moment, stay below this; what is more is no moment.
_NONSENSE: Final = 100_000_000_000_000_000_000
#: The last moment of the year 9999.
_LAST: Final = 253_402_300_799_999


def milliseconds(value: object) -> int | None:
    """A moment told as seconds, milliseconds or ISO 8601; None for what is none, 0 and less included.

    An ISO text without a zone is taken for UTC.
    """
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    if not 0 < value < _NONSENSE:
        return None
    if value < _SECONDS_BELOW:
        value *= 1000
    while value >= _MILLISECONDS_BELOW:
        value /= 1000
    return min(int(value), _LAST)


def expiry_of(token: str) -> int | None:
    """When a JSON web token expires by its own word."""
    return milliseconds(claims_of(token.strip()).get("exp"))


def _of_text(text: str) -> int | None:
    try:
        return milliseconds(float(text))
    except ValueError:
        pass  # not a number, so a date
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return milliseconds(moment.timestamp())
    except (OverflowError, ValueError):
        return None
