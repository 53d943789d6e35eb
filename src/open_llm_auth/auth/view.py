"""A snapshot as resolution needs it: providers with their credential candidates, and who lists which model, worked out
once per snapshot so that a call only looks things up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from ..errors import ProfileNotFound, ProfileOwnerMismatch, ProviderKindNotSupported
from ..values import EMPTY, Caller, Credential, Endpoint, Model, PassedOver, Profile, Provider, Snapshot, TokenTable
from .profiles import Candidate, candidates_of
from .references import shown

__all__ = ["DEMO", "Entry", "View"]

#: The built-in provider that answers while nothing else is usable (catalog row `demo`).
DEMO: Final = "demo"


def _runtime(provider_id: str) -> Provider:
    return Provider(
        id=provider_id,
        api="agent-bridge",
        auth="api-key",
        name="Agent Bridge",
        base_url="http://127.0.0.1:20100/v1",
        endpoint=Endpoint("http", "127.0.0.1", 20100, "/v1"),
        auth_header=False,
        models=MappingProxyType({name: Model(name) for name in ("agent", "assistant")}),
        billing="local",
        lists_models=False,
    )


#: Task runtimes are in no catalog (SPEC §4): they always resolve, and are listed only when configured.
_RUNTIMES: Final = ("agent_bridge", "agent")


@dataclass(frozen=True, slots=True)
class Entry:
    """One provider. `offered`: it may be listed and may serve bare ids, given a credential. `by_key` finds a model by
    its lower-case id; `variants` are the provider as each kind among its models sees it."""

    provider: Provider
    active: bool
    offered: bool
    candidates: tuple[Candidate, ...]
    notes: tuple[PassedOver, ...]
    by_key: Mapping[str, Model]
    variants: Mapping[str, Provider]
    tokens: TokenTable
    #: credentials made by the last calls, by candidate id
    made: dict[str, Credential] = field(default_factory=dict, repr=False, compare=False)

    @property
    def id(self) -> str:
        return self.provider.id

    def serving(self, model: Model | None, kinds: frozenset[str]) -> Provider:
        """The provider with the kind that `model` needs.

        Raises:
            ProviderKindNotSupported: this release does not carry that kind.
        """
        api = self.provider.api if model is None or model.api is None else model.api
        if api not in kinds:
            raise ProviderKindNotSupported(
                f"Provider {self.id!r} needs the kind {api!r}, which this release does not support.",
                param="model",
                details={"provider": self.id, "kind": api, "supported": sorted(kinds)},
            )
        return self.provider if api == self.provider.api else self.variants[api]


class View:
    """A compiled snapshot. Reading it never changes it, except for credentials kept for the next call."""

    __slots__ = ("_active", "_named", "_owners", "entries", "listing", "snapshot")

    def __init__(self, snapshot: Snapshot, kinds: frozenset[str]) -> None:
        self.snapshot = snapshot
        providers = {**snapshot.providers}
        for provider_id in _RUNTIMES:
            providers.setdefault(provider_id, _runtime(provider_id))
        profiles = self._profiles_by_provider()
        order = {self.normalise(key): value for key, value in snapshot.order.items()}
        active = snapshot.active_providers
        self._active = None if active is None else frozenset(map(self.normalise, active))
        #: every provider by id
        self.entries: dict[str, Entry] = {
            provider_id: self._entry(provider, profiles.get(provider_id, []), order.get(provider_id, ()), kinds)
            for provider_id, provider in providers.items()
        }
        #: the providers that list a model, by its lower-case id
        self.listing: dict[str, list[str]] = {}
        for entry in self.entries.values():
            for key in entry.by_key:
                self.listing.setdefault(key, []).append(entry.id)

    def normalise(self, provider_id: str) -> str:
        """The id behind any accepted spelling."""
        key = provider_id.strip().lower()
        return self.snapshot.aliases.get(key, key)

    def provider_at(self, text: str) -> tuple[Entry, str | None] | None:
        """The provider that `text` names, as ``provider`` or ``provider:profile``, with the profile's full id."""
        entry = self.entries.get(text) or self.entries.get(self.normalise(text))
        if entry is not None:
            return entry, None
        left, colon, name = text.partition(":")
        entry = self.entries.get(self.normalise(left)) if colon else None
        return None if entry is None else (entry, f"{entry.id}:{name.strip()}")

    def owner_of(self, profile: str) -> str | None:
        """The provider that a full profile id belongs to; None for an unknown one and for a bare name."""
        provider_id, _, name = profile.partition(":")
        return self._owners.get(profile) or self._owners.get(self._named.get((self.normalise(provider_id), name), ""))

    def candidates(self, entry: Entry, preferred: str | None, caller: Caller) -> tuple[Candidate, ...]:
        """The candidates of a provider, the preferred one first.

        `preferred` is a profile id, a name (of a profile of this provider), or an id as `x-gateway-profile` shows it.

        Raises:
            ProfileNotFound: there is no such profile, or it belongs to another provider.
            ProfileOwnerMismatch: it belongs to another subject.
        """
        if preferred is None:
            return entry.candidates
        wanted = self._candidate_id(entry, preferred.strip())
        first = next((each for each in entry.candidates if each.id == wanted), None)
        if first is None:
            raise ProfileNotFound(
                self._no_such_profile(entry, preferred, wanted), param="profile", details={"provider": entry.id}
            )
        if first.owner is not None and first.owner != caller.subject:
            raise ProfileOwnerMismatch(
                f"The profile {shown(preferred)} belongs to another subject; name one of your own, or none.",
                param="profile",
                details={"provider": entry.id},
            )
        # It stands before its equals, whatever their order is.
        chosen = replace(first, rank="") if first.rank else first
        return (chosen, *(each for each in entry.candidates if each is not first))

    def _candidate_id(self, entry: Entry, text: str) -> str:
        left, colon, name = text.partition(":")
        if not colon:
            return self._named.get((entry.id, text), text)
        if text in self._owners:
            return text
        return self._named.get((self.normalise(left), name), text)

    def _no_such_profile(self, entry: Entry, preferred: str, wanted: str) -> str:
        if (owner := self._owners.get(wanted)) is not None and owner != entry.id:
            return f"The profile {shown(preferred)} belongs to provider {owner!r}, but the model to {entry.id!r}."
        return (
            f"Provider {entry.id!r} has no profile {shown(preferred)}. See 'open-llm-auth auth list', or add it with: "
            f"open-llm-auth auth add-api-key {entry.id} --profile NAME"
        )

    def _profiles_by_provider(self) -> dict[str, list[Profile]]:
        """Also fills the two ways to a profile: by full id, and by the name it has within its provider."""
        grouped: dict[str, list[Profile]] = {}
        #: profile id -> provider id
        self._owners: dict[str, str] = {}
        #: (provider id, name) -> profile id
        self._named: dict[tuple[str, str], str] = {}
        for profile in self.snapshot.profiles.values():
            provider_id = self.normalise(profile.provider)
            grouped.setdefault(provider_id, []).append(profile)
            self._owners[profile.id] = provider_id
            left, colon, name = profile.id.partition(":")
            short = name if colon and self.normalise(left) == provider_id else profile.id
            self._named.setdefault((provider_id, short), profile.id)
        return grouped

    def _entry(
        self, provider: Provider, profiles: list[Profile], order: tuple[str, ...], kinds: frozenset[str]
    ) -> Entry:
        apis = {provider.api} | {model.api for model in provider.models.values() if model.api is not None}
        hidden = not provider.configured and (provider.id == DEMO or provider.id in _RUNTIMES)
        active = self._active is None or provider.id in self._active
        listed = {each: self._own_profile(provider.id, each) for each in order}
        return Entry(
            provider=provider,
            active=active,
            offered=active and not hidden and not apis.isdisjoint(kinds),
            candidates=candidates_of(
                provider, profiles, [found for found in listed.values() if found is not None], self.snapshot.sign_ins
            ),
            notes=tuple(
                PassedOver(each, f"authOrder lists it, but provider {provider.id!r} has no such profile")
                for each, found in listed.items()
                if found is None
            ),
            by_key=MappingProxyType(_by_key(provider)),
            tokens=self.snapshot.tokens,
            variants=MappingProxyType({api: replace(provider, api=api) for api in apis}) if len(apis) > 1 else EMPTY,
        )

    def _own_profile(self, provider_id: str, text: str) -> str | None:
        if self._owners.get(text) == provider_id:
            return text
        left, colon, name = text.partition(":")
        if colon and self.normalise(left) != provider_id:
            return None
        return self._named.get((provider_id, name if colon else text))


def _by_key(provider: Provider) -> dict[str, Model]:
    """Where two ids differ in case only, the first one listed has the key; the other is found by its exact id."""
    found: dict[str, Model] = {}
    for model in provider.models.values():
        found.setdefault(model.id.lower(), model)
    return found
