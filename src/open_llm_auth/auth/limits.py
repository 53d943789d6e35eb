"""What a provider tells of a credential's limits beside its answers: windows, what is left, when they begin anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import parse_qsl

import msgspec

from ..policy.resets import number, seconds_until
from ..values import Headers

__all__ = ["Told", "Window", "read_limits", "spent_until"]

#: Whatever a provider sends, so much of it is kept.
_MOST_WINDOWS: Final = 16
_LONGEST_NAME: Final = 40
_LONGEST_VALUE: Final = 200
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_. -]*")

_FULL: Final = 100.0
_MINUTES_A_DAY: Final = 24 * 60
_MINUTES_AN_HOUR: Final = 60

Name = Annotated[str, msgspec.Meta(max_length=_LONGEST_NAME)]


class Window(msgspec.Struct, frozen=True, omit_defaults=True):
    """One limit. What the provider did not tell is None; `resets_at` is seconds since the epoch."""

    name: Name
    used_percent: float | None = None
    limit: float | None = None
    remaining: float | None = None
    resets_at: float | None = None

    @property
    def used(self) -> float | None:
        """How much of it is spent, in percent, however the provider put it."""
        if self.used_percent is not None or self.remaining is None or not self.limit:
            return self.used_percent
        return max(0.0, _FULL * (1 - self.remaining / self.limit))


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """All limits of one answer, by name. `at` is when it came, in seconds since the epoch."""

    at: float
    windows: Annotated[tuple[Window, ...], msgspec.Meta(max_length=_MOST_WINDOWS)] = ()


#: What a field says: the window, which property of it, and the value.
_Facts = Iterable[tuple[str, str, float]]
_Reader = Callable[[str, bytes, float], _Facts]


def read_limits(headers: Headers, now: float) -> Told | None:
    """The limits that an answer's head tells of; None where it tells none. Never fails, whatever stands there.

    Read are OpenAI's ``x-ratelimit-*``, Anthropic's ``anthropic-ratelimit-*``, those of ChatGPT's plan
    (``x-codex-*``) and Copilot's (``x-quota-snapshot-*``, ``x-usage-ratelimit-*``).
    """
    found: dict[str, dict[str, float]] = {}
    for name, value in headers:
        for prefix, read in _READERS.items():
            if name.startswith(prefix) and len(value) <= _LONGEST_VALUE:
                for window, fact, amount in read(name[len(prefix) :].decode("latin-1"), value.strip(), now):
                    found.setdefault(window, {})[fact] = amount
    _name_by_length(found)
    windows = [
        Window(name, **facts)
        for name, facts in found.items()
        if _is_name(name) and not facts.keys() <= {"resets_at", "limit"}
    ]
    return Told(now, tuple(sorted(windows, key=lambda window: window.name)[:_MOST_WINDOWS])) if windows else None


def spent_until(told: Told | None) -> float | None:
    """When the last of the spent windows begins anew; None where none is spent, or none says when."""
    spent = [window.resets_at for window in told.windows if (window.used or 0.0) >= _FULL] if told else []
    return max((moment for moment in spent if moment is not None), default=None)


def _is_name(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


# ---------------------------------------------------------------------------------------------- OpenAI and its like

_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"limit": "limit", "remaining": "remaining", "reset": "resets_at", "utilization": "used_percent"}
)


def _openai(name: str, value: bytes, now: float) -> _Facts:
    """``limit-requests``, ``remaining-tokens-minute``; without a window the one there is."""
    kind, _, window = name.partition("-")
    return _fact(window or "requests", kind, value, now)


def _anthropic(name: str, value: bytes, now: float) -> _Facts:
    """``requests-remaining``, and of a plan ``unified-5h-utilization``, a part of 1."""
    window, _, kind = name.rpartition("-")
    window = window.removeprefix("unified-")
    facts = () if window in {"", "unified"} else tuple(_fact(window, kind, value, now))
    return [(window, fact, amount * _FULL if kind == "utilization" else amount) for window, fact, amount in facts]


def _fact(window: str, kind: str, value: bytes, now: float) -> _Facts:
    fact = _KINDS.get(kind)
    if fact is None:
        return ()
    amount = _moment(value, now) if fact == "resets_at" else number(value)
    return () if amount is None else ((window, fact, amount),)


def _moment(value: bytes, now: float) -> float | None:
    wait = seconds_until(value, now)
    return None if wait is None else now + wait


# ---------------------------------------------------------------------------------------------- ChatGPT's plan

_CODEX: Final = re.compile(r"(?:(.+)-)?(primary|secondary)-(used-percent|window-minutes|reset-at|reset-after-seconds)")
_LENGTH: Final = "minutes"
_CODEX_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "used-percent": "used_percent",
        "window-minutes": _LENGTH,
        "reset-at": "resets_at",
        "reset-after-seconds": "resets_at",
    }
)


def _codex(name: str, value: bytes, now: float) -> _Facts:
    """``primary-used-percent``, and of a limit beside the plan's ``spark-primary-used-percent``."""
    match = _CODEX.fullmatch(name)
    if match is None:
        return ()
    fact = _CODEX_KINDS[match[3]]
    amount = _moment(value, now) if fact == "resets_at" else number(value)
    return () if amount is None else ((f"{match[1]} {match[2]}" if match[1] else match[2], fact, amount),)


def _name_by_length(found: dict[str, dict[str, float]]) -> None:
    """A plan's windows are known by how long they are: ``5h``, ``7d``."""
    for name in [name for name, facts in found.items() if _LENGTH in facts]:
        facts = found.pop(name)
        minutes = int(facts.pop(_LENGTH))
        family = name.rpartition(" ")[0]
        if minutes:  # a window of no length is one that the plan has not
            found[f"{family} {_length(minutes)}" if family else _length(minutes)] = facts


def _length(minutes: int) -> str:
    if minutes % _MINUTES_A_DAY == 0:
        return f"{minutes // _MINUTES_A_DAY}d"
    return f"{minutes // _MINUTES_AN_HOUR}h" if minutes % _MINUTES_AN_HOUR == 0 else f"{minutes}min"


# ---------------------------------------------------------------------------------------------- Copilot's


def _copilot(name: str, value: bytes, now: float) -> _Facts:
    """``ent=300&rem=88.5&rst=2026-04-01T00%3A00%3A00Z``: entitlement, percent left, reset. An entitlement of -1 has no
    end."""
    said = dict(parse_qsl(value.decode("latin-1"), keep_blank_values=True))
    left = number(said.get("rem", "").encode("latin-1", "replace"))
    if left is None or left > _FULL or said.get("ent", "").startswith("-"):
        return ()
    facts = [(name, "used_percent", _FULL - left)]
    entitled = number(said.get("ent", "").encode("latin-1", "replace"))
    if entitled:
        facts += [(name, "limit", entitled), (name, "remaining", entitled * left / _FULL)]
    moment = _moment(said.get("rst", "").encode("latin-1", "replace"), now)
    return facts if moment is None else [*facts, (name, "resets_at", moment)]


_READERS: Final[Mapping[bytes, _Reader]] = MappingProxyType(
    {
        b"x-ratelimit-": _openai,
        b"anthropic-ratelimit-": _anthropic,
        b"x-codex-": _codex,
        b"x-quota-snapshot-": _copilot,
        b"x-usage-ratelimit-": _copilot,
    }
)
