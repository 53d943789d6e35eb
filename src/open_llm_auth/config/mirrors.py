"""The three sections that stand in the document twice, and how both sides are kept equal (SPEC §3)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["merge", "sync"]

Entries = dict[str, Any]

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class _Mirror:
    """`primary` at the top level, and the same again as `name` within `section`, which wins a clash."""

    primary: str
    section: str
    name: str

    def primary_of(self, data: Entries) -> Entries | None:
        found = data.get(self.primary)
        return found if isinstance(found, dict) else None

    def mirror_of(self, data: Entries) -> Entries | None:
        section = data.get(self.section)
        found = section.get(self.name) if isinstance(section, dict) else None
        return found if isinstance(found, dict) else None

    def write(self, data: Entries, entries: Entries) -> None:
        data[self.primary] = entries
        data[self.section][self.name] = deepcopy(entries)


_MIRRORS: Final = (
    _Mirror("authProfiles", "auth", "profiles"),
    _Mirror("authOrder", "auth", "order"),
    _Mirror("providers", "models", "providers"),
)


def merge(data: Entries) -> tuple[str, ...]:
    """Make both sides equal in place, as at load: entries of either side stay, and on a clash the mirror's does.

    Returns:
        One warning for each clash, naming both paths.
    """
    warnings: list[str] = []
    for pair in _MIRRORS:
        mirror = pair.mirror_of(data)
        if mirror is not None:
            primary = pair.primary_of(data) or {}
            warnings += _clashes(pair, primary, mirror)
            pair.write(data, primary | mirror)
    return tuple(warnings)


def sync(before: Entries, after: Entries) -> None:
    """Make both sides of `after` equal in place, given `before` whose sides were: whichever side changed is heard,
    and the mirror where both did."""
    for pair in _MIRRORS:
        mirror = pair.mirror_of(after)
        if mirror is None:
            continue
        primary = pair.primary_of(after)
        known = pair.mirror_of(before)
        if primary is None:
            pair.write(after, mirror)
        elif known is None:
            pair.write(after, primary | mirror)
        else:
            pair.write(after, _three_way(known, primary, mirror))


def _clashes(pair: _Mirror, primary: Entries, mirror: Entries) -> list[str]:
    return [
        f"{pair.primary}.{key} and {pair.section}.{pair.name}.{key} differ: the second is in force. "
        "The next save makes them equal."
        for key, value in mirror.items()
        if key in primary and primary[key] != value
    ]


def _three_way(base: Entries, primary: Entries, mirror: Entries) -> Entries:
    """A side that stands as it did says nothing, so that what the other removed stays removed."""
    result: Entries = {}
    for key in primary | mirror:
        theirs = mirror.get(key, _ABSENT)
        chosen = primary.get(key, _ABSENT) if theirs == base.get(key, _ABSENT) else theirs
        if chosen is not _ABSENT:
            result[key] = chosen
    return result
