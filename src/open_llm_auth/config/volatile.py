"""The fields of a sign-in's profile that its renewals change, wherever the document holds them (SPEC §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["VOLATILE", "entries_of", "without_renewals"]

VOLATILE: Final = frozenset({"access", "refresh", "expires", "accountId", "baseUrl"})

Entries = dict[str, Any]


def entries_of(data: Entries, profile_id: str) -> list[Entries]:
    """The entries of a profile in the document and its mirror; the last one is in force."""
    found = [section.get(profile_id) for section in _sections(data)]
    return [entry for entry in found if isinstance(entry, dict)]


def without_renewals(data: Entries) -> Entries | None:
    """The document without what a renewal changes; None where there is nothing to renew in it."""
    if not any(_is_renewed(entry) for section in _sections(data) for entry in section.values()):
        return None
    result = {**data}
    if isinstance(profiles := data.get("authProfiles"), dict):
        result["authProfiles"] = _settled(profiles)
    auth = data.get("auth")
    if isinstance(auth, dict) and isinstance(mirror := auth.get("profiles"), dict):
        result["auth"] = {**auth, "profiles": _settled(mirror)}
    return result


def _settled(profiles: Mapping[str, Any]) -> Entries:
    return {
        id_: {name: value for name, value in entry.items() if name not in VOLATILE} if _is_renewed(entry) else entry
        for id_, entry in profiles.items()
    }


def _is_renewed(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("type") == "oauth" and bool(entry.get("refresh"))


def _sections(data: Entries) -> list[Entries]:
    auth = data.get("auth")
    found = [data.get("authProfiles"), auth.get("profiles") if isinstance(auth, dict) else None]
    return [section for section in found if isinstance(section, dict)]
