"""Every credential this machine has for a provider, whoever may use it, and why one can't be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..values import Credential, Profile, Provider
    from .workbench import Workbench

__all__ = ["Item", "inventory", "named"]


@dataclass(frozen=True, slots=True)
class Item:
    """One credential. `profile` is None for what the environment, the config or a program holds; `credential` is None
    where it can't be used, and `flaw` says why."""

    id: str
    provider: Provider
    profile: Profile | None
    credential: Credential | None
    flaw: str = ""


def inventory(bench: Workbench) -> list[Item]:
    """Stored profiles in the order of the file, then what else can be used, by provider."""
    found = {(item.provider.id, item.id): item for item in _usable(bench)}
    stored = [_stored(bench, profile, found) for profile in bench.snapshot.profiles.values()]
    return [*(item for item in stored if item is not None), *(item for item in found.values() if item.profile is None)]


def named(items: list[Item], bench: Workbench, name: str) -> list[Item]:
    """Those that `name` means: one by its id, or all of a provider."""
    exact = [item for item in items if item.id == name]
    provider, colon, rest = name.partition(":")
    spelled = f"{bench.catalog.normalise(provider)}:{rest}" if colon else ""
    return exact or [item for item in items if item.id == spelled or item.provider.id == bench.catalog.normalise(name)]


def _usable(bench: Workbench) -> Iterator[Item]:
    profiles = bench.snapshot.profiles
    owners = sorted({profile.owner for profile in profiles.values() if profile.owner is not None})
    callers = (bench.caller, *(replace(bench.caller, subject=owner) for owner in owners))
    for provider in bench.snapshot.providers.values():
        seen: set[str] = set()
        for caller in callers:
            credentials, _ = bench.manager.credentials(bench.snapshot, provider, caller)
            for credential in credentials:
                if credential.id not in seen:
                    seen.add(credential.id)
                    yield Item(credential.id, provider, profiles.get(credential.id), credential)


def _stored(bench: Workbench, profile: Profile, usable: dict[tuple[str, str], Item]) -> Item | None:
    provider = bench.snapshot.providers.get(profile.provider)
    if provider is None:
        return None
    known = usable.get((provider.id, profile.id))
    if known is not None:
        return known
    caller = bench.caller if profile.owner is None else replace(bench.caller, subject=profile.owner)
    _, passed = bench.manager.credentials(bench.snapshot, provider, caller)
    flaw = next((each.reason for each in passed if each.candidate == profile.id), "it can't be used")
    return Item(profile.id, provider, profile, None, flaw)
