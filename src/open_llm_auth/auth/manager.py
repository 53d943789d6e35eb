"""From a model name to a plan (SPEC §5): which provider, which credentials, which fall-backs, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isinf
from typing import Final

import msgspec

from ..errors import (
    GatewayError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    NoCredentials,
    NotConfigured,
    ProviderNotFound,
)
from ..policy.access import allows
from ..ports import Clock, RenewalStates, SecretSource
from ..values import (
    EMPTY,
    Attempt,
    Caller,
    Credential,
    FallbackRules,
    Model,
    Operation,
    PassedOver,
    Plan,
    Provider,
    Snapshot,
)
from .health import BEING_TRIED, HealthTable
from .profiles import Selection, select, unusable
from .references import closest, closest_ids, family, plain, shown
from .stickiness import Affinity
from .view import DEMO, Entry, View

__all__ = ["Discovered", "ProviderManager"]

#: Models that providers themselves list, by provider id. A mapping is never changed once it was handed in here.
Discovered = Mapping[str, Mapping[str, Model]]

#: Where a family of models goes when its own provider has no usable credential but a sign-in elsewhere serves it.
_SIGN_INS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {"openai": ("gpt-", ("openai-codex", "codex-cli"))}


@dataclass(frozen=True, slots=True)
class _Target:
    """What a name resolved to. `model` is the upstream's name for it; `listed` is None for an unlisted one."""

    entry: Entry
    model: str
    listed: Model | None
    profile: str | None = None

    @property
    def ref(self) -> str:
        return f"{self.entry.id}/{self.model}"


class _Asking(msgspec.Struct, frozen=True, gc=False):
    """What of a call decides which credentials it gets, and in which order."""

    caller: Caller
    surface: str
    affinity: Affinity | None


class ProviderManager:
    """Makes plans. It holds no config: every question brings its snapshot, and the view of the last one is kept.

    `kinds` are the API kinds this release carries. `renewals` tells which sign-ins need their person.
    """

    def __init__(
        self,
        secrets: SecretSource,
        health: HealthTable,
        clock: Clock,
        kinds: frozenset[str],
        renewals: RenewalStates | None = None,
    ) -> None:
        self._secrets = secrets
        self._health = health
        self._clock = clock
        self._kinds = kinds
        self._renewals = renewals
        self._view: View | None = None
        self._by_key: dict[str, tuple[Mapping[str, Model], dict[str, Model]]] = {}

    def plan(
        self,
        snapshot: Snapshot,
        *,
        model: str | None,
        caller: Caller,
        operation: Operation = "chat",
        preferred_profile: str | None = None,
        discovered: Discovered = EMPTY,
        surface: str = "",
        affinity: Affinity | None = None,
        passed: list[PassedOver] | None = None,
    ) -> Plan:
        """The attempts that `model` means now, best first, never none.

        A profile named within the reference (``provider:profile/model``) goes before `preferred_profile`. `surface` is
        the way the call came in, `affinity` what it wishes of the order of equals. `passed` is filled with what is
        passed over, also where no plan comes of it.

        Raises:
            InvalidRequest: no model is named and there is no default.
            ModelNotFound, ProviderNotFound, ProfileNotFound: the name, or a part of it, means nothing here.
            ModelNotAllowed, ProfileOwnerMismatch: it means something that the caller may not use.
            NoCredentials, NotConfigured, ProviderKindNotSupported: it can't be called as things stand.
        """
        view = self._view_of(snapshot)
        requested = model.strip() if model else ""
        if not requested:
            requested = self._default(view, caller)
        preferred = preferred_profile.strip() or None if preferred_profile else None
        target = self._resolve(view, plain(requested), caller, preferred, discovered)
        preferred = target.profile or preferred
        found: list[Attempt | None] = []
        passed = [] if passed is None else passed
        asking = _Asking(caller, surface, affinity)
        refusal: NotConfigured | None = None
        try:
            self._add_primary(view, target, asking, preferred, found, passed)
        except NotConfigured as error:
            refusal = error
        rules = snapshot.fallback
        if rules.enabled and rules.order:
            for value in _fallbacks(rules, operation, target, requested):
                self._add_fallback(view, value, target, asking, discovered, found, passed)
        if refusal is not None and not any(found):
            raise refusal
        allowed = _allowed(found, caller, target)
        sought = affinity if preferred is None else None
        attempts = self._choose(allowed, rules, target, passed, sought)
        return Plan(requested, tuple(attempts), tuple(passed), tuple(allowed))

    def resolve(
        self, snapshot: Snapshot, *, model: str, caller: Caller, discovered: Discovered = EMPTY
    ) -> tuple[Provider, Model]:
        """The provider and the listed model that `model` means, named in any way that `plan` takes.

        Raises:
            ModelNotFound: also for a model that a provider would be asked for without listing it; else as `plan`.
        """
        view = self._view_of(snapshot)
        target = self._resolve(view, plain(model), caller, None, discovered)
        provider = target.entry.serving(target.listed, self._kinds)
        selection = self._select_preferred(view, target.entry, caller, target.profile)
        if not selection.credentials:
            raise unusable(provider, caller, selection.passed_over)
        if not _any_allowed(caller, target.entry, target.model, selection.credentials):
            raise _not_allowed(caller, target.ref)
        if target.listed is None:
            offered = [f"{each.id}/{listed.id}" for each, listed in self.models(snapshot, caller, discovered)]
            near = closest(target.ref, offered)
            raise ModelNotFound(
                f"Provider {provider.id!r} lists no model {shown(target.model)}.{_hint(near)} A call is sent to it all "
                "the same.",
                param="model",
                details={"closest": near},
            )
        return provider, target.listed

    def usable(self, snapshot: Snapshot, caller: Caller) -> tuple[Provider, ...]:
        """Providers with a supported kind and a credential the caller may use, in the order of the snapshot."""
        return tuple(entry.provider for entry in self._usable(self._view_of(snapshot), caller))

    def models(
        self, snapshot: Snapshot, caller: Caller, discovered: Discovered = EMPTY
    ) -> tuple[tuple[Provider, Model], ...]:
        """What usable providers serve and the caller may call, configured and catalogued models before discovered."""
        view = self._view_of(snapshot)
        return tuple(
            (entry.provider, model)
            for entry in self._usable(view, caller)
            for credentials in (self._select(entry, caller).credentials,)
            for model in _listed(entry, discovered)
            if (model.api or entry.provider.api) in self._kinds and _any_allowed(caller, entry, model.id, credentials)
        )

    def credentials(
        self, snapshot: Snapshot, provider: Provider, caller: Caller, preferred: str | None = None
    ) -> tuple[tuple[Credential, ...], tuple[PassedOver, ...]]:
        """The credentials of one provider in the order they are tried, whatever rests, and what is passed over.

        Raises:
            ProviderNotFound: the snapshot does not have it.
            ProfileNotFound, ProfileOwnerMismatch: as in `plan`.
        """
        view = self._view_of(snapshot)
        entry = view.entries.get(provider.id)
        if entry is None:
            raise ProviderNotFound(f"Unknown provider {shown(provider.id)}.", param="provider")
        selection = self._select_preferred(view, entry, caller, preferred)
        return selection.credentials, selection.passed_over

    # -- names -------------------------------------------------------------------------------------------------

    def _default(self, view: View, caller: Caller) -> str:
        """What a request that names no model means."""
        if view.snapshot.default_model:
            return view.snapshot.default_model
        usable = self._usable(view, caller)
        if [entry.id for entry in usable] == [DEMO]:
            return f"{DEMO}/{next(iter(usable[0].provider.models), 'echo')}"
        raise InvalidRequest(
            "The request names no model and no default is set. Name one as 'provider/model' (GET /v1/models lists "
            "them), or set a default with: open-llm-auth models set-default REF",
            param="model",
        )

    def _resolve(self, view: View, name: str, caller: Caller, preferred: str | None, discovered: Discovered) -> _Target:
        left, slash, right = name.partition("/")
        if slash and (place := view.provider_at(left)) is not None:
            return self._explicit(place[0], right, place[1], discovered)
        matches = self._matches(view, name, caller, discovered)
        if len(matches) == 1:
            return matches[0]
        if matches:
            return self._preferred_match(view, name, matches, caller, preferred)
        relative = family(name)
        if relative is not None and (entry := view.entries.get(relative)) is not None and entry.active:
            return self._explicit(entry, name, None, discovered)
        raise self._not_found(view, name, caller, discovered)

    def _explicit(self, entry: Entry, model: str, profile: str | None, discovered: Discovered) -> _Target:
        """`provider/model` is sent even if it is not listed, unless the config replaces the provider's models."""
        if not entry.active:
            raise ProviderNotFound(
                f"Provider {entry.id!r} is switched off: 'activeProviderIds' in the config does not list it.",
                param="model",
                details={"provider": entry.id},
            )
        model = model.strip()
        if not model:
            raise ModelNotFound(f"No model is named after the slash of '{entry.id}/'.", param="model")
        listed = self._find(entry, model, discovered)
        if listed is None and entry.provider.replaces_models:
            near = closest(f"{entry.id}/{model}", [f"{entry.id}/{each}" for each in entry.provider.models])
            raise ModelNotFound(
                f"Provider {entry.id!r} serves only the models listed in the config (models.mode is 'replace'), and "
                f"{shown(model)} is not one of them.{_hint(near)}",
                param="model",
                details={"closest": near},
            )
        return _Target(entry, model if listed is None else listed.id, listed, profile)

    def _matches(self, view: View, name: str, caller: Caller, discovered: Discovered) -> list[_Target]:
        """The usable providers that list a bare id, those that the caller may use it from.

        Raises:
            ModelNotAllowed: there are some, and the caller may use none of them.
        """
        found: list[_Target] = []
        refused = False
        for provider_id in dict.fromkeys((*view.listing.get(name.lower(), ()), *discovered)):
            entry = view.entries.get(provider_id)
            listed = None if entry is None else self._find(entry, name, discovered)
            if entry is None or listed is None or not self._serves(entry, listed):
                continue
            credentials = self._credentials_for_bare(view, entry, caller)
            if not credentials:
                continue
            if _any_allowed(caller, entry, listed.id, credentials):
                found.append(_Target(entry, listed.id, listed))
            else:
                refused = True
        if refused and not found:
            raise _not_allowed(caller, name)
        return found

    def _credentials_for_bare(self, view: View, entry: Entry, caller: Caller) -> tuple[Credential, ...]:
        if not entry.offered:
            # The demo answers to its bare name only while it is the default.
            alone = entry.id == DEMO and any(each is entry for each in self._usable(view, caller))
            return self._select(entry, caller).credentials if alone else ()
        return self._select(entry, caller).credentials

    def _serves(self, entry: Entry, model: Model) -> bool:
        return (model.api or entry.provider.api) in self._kinds

    def _preferred_match(
        self, view: View, name: str, matches: list[_Target], caller: Caller, preferred: str | None
    ) -> _Target:
        """One of several usable providers: the preferred profile's, the preferred of those that share a key, the
        family's own; else it is for the caller to say."""
        owner = view.owner_of(preferred) if preferred else None
        keys = {each.ref: {c.secret for c in self._select(each.entry, caller).credentials} for each in matches}
        rest = [
            each
            for each in matches
            if each.entry.provider.preferred
            or not any(o.entry.provider.preferred and keys[o.ref] & keys[each.ref] - {None} for o in matches)
        ]
        relative = family(name)
        for choice in (
            [each for each in matches if each.entry.id == owner],
            rest,
            [each for each in rest if each.entry.id == relative],
        ):
            if len(choice) == 1:
                return choice[0]
        candidates = [each.ref for each in rest]
        raise ModelNotFound(
            f"Several providers serve {shown(name)}. Name one: {', '.join(map(repr, candidates))}.",
            param="model",
            details={"candidates": candidates},
        )

    def _not_found(self, view: View, name: str, caller: Caller, discovered: Discovered) -> GatewayError:
        offered = [f"{provider.id}/{model.id}" for provider, model in self.models(view.snapshot, caller, discovered)]
        near = closest(name, offered)
        known = [each for each in view.listing.get(name.lower(), ()) if view.entries[each].offered]
        if known:
            error = unusable(view.entries[known[0]].provider, caller, ())
            return ModelNotFound(
                f"No usable provider serves {shown(name)}; {known[0]!r} would. {error.message}",
                param="model",
                details={"closest": near, "providers": known},
            )
        left, slash, rest = name.partition("/")
        if slash:
            near = near or [f"{each}/{rest}" for each in closest_ids(left, view.entries)]
            return ProviderNotFound(
                f"Unknown provider {shown(left)}, and no usable provider lists a model {shown(name)}.{_hint(near)}",
                param="model",
                details={"closest": near},
            )
        return ModelNotFound(
            f"Unknown model {shown(name)}.{_hint(near)} GET /v1/models lists what can be called.",
            param="model",
            details={"closest": near},
        )

    def _find(self, entry: Entry, model: str, discovered: Discovered) -> Model | None:
        """The listed model of that id: exactly, else in another case."""
        provider = entry.provider
        if (found := provider.models.get(model)) is not None:
            return found
        more = None if provider.replaces_models else discovered.get(provider.id)
        if more and (found := more.get(model)) is not None:
            return found
        key = model.lower()
        if (found := entry.by_key.get(key)) is not None:
            return found
        return self._lower(provider.id, more).get(key) if more else None

    def _lower(self, provider_id: str, models: Mapping[str, Model]) -> Mapping[str, Model]:
        """The discovered models of a provider by lower-case id, made once for each listing it gave."""
        kept = self._by_key.get(provider_id)
        if kept is None or kept[0] is not models:
            kept = self._by_key[provider_id] = (models, {model.id.lower(): model for model in models.values()})
        return kept[1]

    # -- credentials -------------------------------------------------------------------------------------------

    def _view_of(self, snapshot: Snapshot) -> View:
        view = self._view
        if view is None or view.snapshot is not snapshot:
            view = self._view = View(snapshot, self._kinds)
        return view

    def _select(self, entry: Entry, caller: Caller, surface: str = "") -> Selection:
        return select(
            entry.candidates,
            provider=entry.provider,
            caller=caller,
            secrets=self._secrets,
            now_ms=self._clock.now() * 1000,
            made=entry.made,
            tokens=entry.tokens,
            surface=surface,
            renewals=self._renewals,
        )

    def _select_preferred(
        self, view: View, entry: Entry, caller: Caller, preferred: str | None, surface: str = ""
    ) -> Selection:
        if preferred is None and not entry.notes:
            return self._select(entry, caller, surface)
        selection = select(
            view.candidates(entry, preferred, caller),
            provider=entry.provider,
            caller=caller,
            secrets=self._secrets,
            now_ms=self._clock.now() * 1000,
            made=entry.made,
            tokens=entry.tokens,
            surface=surface,
            renewals=self._renewals,
        )
        return replace(selection, passed_over=entry.notes + selection.passed_over)

    def _usable(self, view: View, caller: Caller) -> list[Entry]:
        """Offered providers with a credential; while there is none, the demo."""
        found = [entry for entry in view.entries.values() if entry.offered and self._select(entry, caller).credentials]
        demo = view.entries.get(DEMO)
        if found or demo is None or not demo.active or demo.provider.api not in self._kinds:
            return found
        return [demo] if self._select(demo, caller).credentials else []

    # -- attempts ----------------------------------------------------------------------------------------------

    def _add_primary(
        self,
        view: View,
        target: _Target,
        asking: _Asking,
        preferred: str | None,
        found: list[Attempt | None],
        passed: list[PassedOver],
    ) -> None:
        try:
            self._add(view, target, asking, preferred, found, passed)
        except NoCredentials:
            stand_ins = [] if preferred else list(_stand_ins(view, target))
            for each in stand_ins:
                try:
                    self._add(view, each, asking, None, found, passed)
                except NotConfigured as error:
                    passed.append(PassedOver(each.ref, error.message))
            if not any(found):
                raise

    def _add_fallback(
        self,
        view: View,
        value: str,
        primary: _Target,
        asking: _Asking,
        discovered: Discovered,
        found: list[Attempt | None],
        passed: list[PassedOver],
    ) -> None:
        """One entry of `providerFallback.order`. What is wrong with it never fails the call, it is passed over."""
        try:
            place = None if "/" in value else view.provider_at(value)
            if place is not None:
                target = self._explicit(place[0], primary.model, place[1], discovered)
            else:
                target = self._resolve(view, plain(value), asking.caller, None, discovered)
            self._add(view, target, asking, target.profile, found, passed, fallback=True)
        except GatewayError as error:
            passed.append(PassedOver(value, error.message))

    def _add(
        self,
        view: View,
        target: _Target,
        asking: _Asking,
        preferred: str | None,
        found: list[Attempt | None],
        passed: list[PassedOver],
        *,
        fallback: bool = False,
    ) -> None:
        """Append the target's attempts; a None among them marks where a subscription had to be passed over."""
        provider = target.entry.serving(target.listed, self._kinds)
        selection = self._select_preferred(view, target.entry, asking.caller, preferred, asking.surface)
        passed += selection.passed_over
        credentials = selection.credentials
        if not credentials:
            if selection.lapsed is not None:
                found.append(None)
            raise unusable(provider, asking.caller, selection.passed_over)
        if selection.equals and asking.affinity is not None:
            credentials = asking.affinity.arrange(credentials, selection.equals)
        attempts: list[Attempt | None] = [
            Attempt(provider, target.model, credential, fallback) for credential in credentials
        ]
        if selection.lapsed is not None:
            attempts.insert(selection.lapsed, None)
        if found:
            made = {(each.provider.id, each.model, each.credential.id) for each in found if each is not None}
            attempts = [
                each
                for each in attempts
                if each is None or (each.provider.id, each.model, each.credential.id) not in made
            ]
        found += attempts

    def _choose(
        self,
        allowed: Sequence[Attempt | None],
        rules: FallbackRules,
        target: _Target,
        passed: list[PassedOver],
        affinity: Affinity | None,
    ) -> list[Attempt]:
        attempts = _affordable(allowed, rules, passed)
        if not attempts:
            raise NoCredentials(
                f"The subscription for {target.ref!r} needs a new sign-in, and "
                f"providerFallback.subscriptionToMetered is 'refuse', so that no metered key stands in for it.",
                param="model",
                details={"provider": target.entry.id},
            )
        if len(self._health):
            attempts = self._rested(attempts, passed)
        if affinity is not None and len(attempts) > 1:
            attempts = affinity.toward_origin(attempts)
        most = max(rules.max_attempts, 1)
        if len(attempts) > most:
            passed += (_passed_over(each, "beyond providerFallback.maxAttempts") for each in attempts[most:])
            attempts = attempts[:most]
        return attempts

    def _rested(self, attempts: list[Attempt], passed: list[PassedOver]) -> list[Attempt]:
        """Those that do not rest; where all do, the soonest first, and an invalid one only where all are invalid."""
        now = self._clock.monotonic()
        rests = [(self._health.resting(each.credential, each.model, now), each) for each in attempts]
        if all(rest is None for rest, _ in rests):
            return attempts
        if not (ready := [each for rest, each in rests if rest is None]):
            due = sorted(((rest or 0.0, each) for rest, each in rests), key=lambda pair: pair[0])
            ready = [each for rest, each in due if not isinf(rest)] or attempts
        kept = set(map(id, ready))
        passed += (_passed_over(each, _rest_reason(rest)) for rest, each in rests if id(each) not in kept)
        return ready


def _listed(entry: Entry, discovered: Discovered) -> Iterator[Model]:
    yield from entry.provider.models.values()
    if not entry.provider.replaces_models:
        for model in discovered.get(entry.id, EMPTY).values():
            if model.id not in entry.provider.models:
                yield model


def _any_allowed(caller: Caller, entry: Entry, model: str, credentials: Sequence[Credential]) -> bool:
    return any(allows(caller, entry.id, model, credential.id) for credential in credentials)


def _fallbacks(rules: FallbackRules, operation: Operation, target: _Target, requested: str) -> tuple[str, ...]:
    """The entries of the most specific key; an empty list there means none for it."""
    provider, ref = target.entry.id, target.ref
    for key in (f"{operation}:{ref}", f"{operation}:{provider}", ref, provider, requested):
        if (values := rules.order.get(key)) is not None:
            return values
    return ()


def _stand_ins(view: View, target: _Target) -> Iterator[_Target]:
    prefix, providers = _SIGN_INS.get(target.entry.id, ("", ()))
    for provider_id in providers:
        entry = view.entries.get(provider_id)
        if entry is not None and entry.active and target.model.lower().startswith(prefix):
            yield _Target(entry, target.model, entry.by_key.get(target.model.lower()))


def _affordable(found: Sequence[Attempt | None], rules: FallbackRules, passed: list[PassedOver]) -> list[Attempt]:
    """Without the metered attempts that follow a subscription, where the config refuses those (SPEC §5, Money)."""
    if rules.subscription_to_metered == "allow":
        return [each for each in found if each is not None]
    kept: list[Attempt] = []
    subscribed = False
    for each in found:
        if each is None or each.credential.billing == "subscription":
            subscribed = True
        elif subscribed and each.credential.billing == "metered":
            passed.append(_passed_over(each, "metered, after a subscription: subscriptionToMetered is 'refuse'"))
            continue
        if each is not None:
            kept.append(each)
    return kept


def _allowed(found: Sequence[Attempt | None], caller: Caller, target: _Target) -> list[Attempt | None]:
    """What of it the caller may use.

    Raises:
        ModelNotAllowed: nothing.
    """
    allowed = [
        each for each in found if each is None or allows(caller, each.provider.id, each.model, each.credential.id)
    ]
    if not any(allowed):
        raise _not_allowed(caller, target.ref)
    return allowed


def _passed_over(attempt: Attempt, reason: str) -> PassedOver:
    return PassedOver(_label(attempt), reason, attempt.credential.billing)


def _label(attempt: Attempt) -> str:
    return f"{attempt.provider.id}/{attempt.model} with {attempt.credential.id}"


def _rest_reason(rest: float | None) -> str:
    if rest == BEING_TRIED:
        return "it is due again, and another call is trying it just now"
    if rest is not None and isinf(rest):
        return "the provider rejected it; it is tried again when its secret changes"
    return f"it rests for another {rest or 0.0:.0f} s"


def _not_allowed(caller: Caller, name: str) -> ModelNotAllowed:
    return ModelNotAllowed(
        f"The token {caller.subject!r} may not use {shown(name)}: its allow-lists (models, providers, profiles) leave "
        f"nothing to call.",
        param="model",
    )


def _hint(near: Sequence[str]) -> str:
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
