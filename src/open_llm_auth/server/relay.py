"""One model call: its attempts in order, and fail-over before the commit point (SPEC §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from ..auth.health import HealthTable
from ..auth.history import History
from ..auth.manager import ProviderManager
from ..auth.profiles import NO_ADDRESS_NEEDED
from ..auth.reasoning import ReasoningOrigins
from ..auth.stickiness import Affinity
from ..errors import (
    EgressBlocked,
    GatewayError,
    InvalidRequest,
    NotConfigured,
    RenewalUncertain,
    SignInLapsed,
    UnsafeDestination,
    UpstreamCredentialRejected,
)
from ..policy.egress import Verdict, blocked, check_endpoint, parse_endpoint
from ..policy.failover import fell_from, moves_on
from ..ports import Clock, ConfigSource, Programs, SecretSource, Transport
from ..providers.sanctioned import sanctioned_way
from ..providers.spec import UpstreamKind
from ..values import Attempt, Call, Endpoint, Fault, Model, PassedOver, Plan, Secret, Snapshot
from .answer import Answer
from .attempt import Courier, Try
from .headers import gateway_headers
from .images import ImageFetcher
from .passage import Job, choose_kind
from .renewals import Renewals
from .traces import Trace, Traces

__all__ = ["Relay"]

Discovered = Mapping[str, Mapping[str, Model]]

_FALL_SECONDS: Final = 60.0
_MOST_FALLS: Final = 1_000


def _nobody(_: Secret) -> None:
    """For those who keep no secrets that may have changed."""


def _no_matter(*_: str) -> None:
    """For those who pay for nothing."""


class Relay:
    """Carries calls. One for the process; everything it needs is passed in."""

    def __init__(
        self,
        *,
        config: ConfigSource,
        manager: ProviderManager,
        health: HealthTable,
        history: History,
        transport: Transport,
        programs: Programs,
        kinds: Mapping[str, UpstreamKind],
        secrets: SecretSource,
        clock: Clock,
        discovered: Callable[[], Discovered],
        on_blocked: Callable[[str, str, str], object],
        renewals: Renewals | None = None,
        on_refused: Callable[[Secret], object] = _nobody,
        on_fall: Callable[[str, str], object] = _no_matter,
    ) -> None:
        """`on_blocked` is told provider, host and reason, once for each destination and snapshot; `on_refused` every
        secret that a provider did not take; `on_fall` the subscription and the metered credential that took its place,
        once a minute for each pair."""
        self._config = config
        self._manager = manager
        self._health = health
        self._history = history
        self._renewals = renewals
        self._courier = Courier(
            health=health,
            history=history,
            transport=transport,
            programs=programs,
            secrets=secrets,
            clock=clock,
            hidden=tuple if renewals is None else renewals.hidden,
        )
        self._images = ImageFetcher(transport)
        self._kinds = kinds
        self._clock = clock
        self._discovered = discovered
        self._on_blocked = on_blocked
        self._on_refused = on_refused
        #: verdicts about endpoints, good for one snapshot
        self._judged_for: Snapshot | None = None
        self._judged: dict[tuple[str, Endpoint], Verdict] = {}
        #: providers that refused `stream_options` (SPEC §11)
        self._without_usage: set[str] = set()
        self._origins = ReasoningOrigins()
        self._on_fall = on_fall
        #: when each fall from a subscription was last told of, in monotonic seconds
        self._falls: dict[tuple[str, str], float] = {}
        #: the last calls, for whoever asks why
        self.traces = Traces()

    def plan(self, snapshot: Snapshot, call: Call, passed: list[PassedOver] | None = None) -> Plan:
        """The attempts that egress lets be made. `passed` is filled with what is passed over, whatever comes of it.

        Raises:
            EgressBlocked: the policy forbids every one.
            GatewayError: as `ProviderManager.plan` does.
        """
        try:
            plan = self._manager.plan(
                snapshot,
                model=call.request.model,
                caller=call.caller,
                operation=call.operation,
                preferred_profile=call.preferred_profile,
                discovered=self._discovered(),
                surface=call.surface,
                affinity=Affinity(call, self._origins),
                passed=passed,
            )
        except NotConfigured as refusal:
            raise _unreadable_address(snapshot, refusal) or refusal from None
        if self._judged_for is not snapshot:
            self._judged_for, self._judged = snapshot, {}
        first: EgressBlocked | None = None
        for attempt in plan.attempts:
            error = self._forbidden(snapshot, attempt)
            if error is not None:
                first = first or error
                plan = _without(plan, attempt, str(error.details.get("reason")))
                if passed is not None:
                    passed.append(plan.passed_over[-1])
        if first is not None and not plan.attempts:
            raise first
        return plan

    async def open(self, call: Call, on_attempt: Callable[[Attempt, int], object] | None = None) -> Answer:
        """Make the call: the first attempt that answers well is the answer.

        `on_attempt` is told of each attempt, numbered from 1, before it is made.

        Raises:
            GatewayError: what the last attempt failed with, its headers naming provider, profile and attempts.
        """
        snapshot = self._config.current()
        passed: list[PassedOver] = []
        trace = Trace(call.id, call.caller.subject, call.surface, call.request.model, self._clock.now())
        self.traces.append(trace)
        try:
            plan = self.plan(snapshot, call, passed)
            trace.planned(plan)
            return await self._carry(snapshot, call, plan, trace, on_attempt)
        except GatewayError as error:
            trace.passed = tuple(passed)
            trace.ended_with(error)
            raise

    async def _carry(
        self,
        snapshot: Snapshot,
        call: Call,
        plan: Plan,
        trace: Trace,
        on_attempt: Callable[[Attempt, int], object] | None,
    ) -> Answer:
        """One attempt after the other. Raises as `open`."""
        job = Job(call, self._clock, self._images, several=len(plan.considered) > 1 or bool(plan.passed_over))
        told: list[tuple[Attempt, GatewayError]] = []
        for number, planned in enumerate(plan.attempts, 1):
            if on_attempt is not None:
                on_attempt(planned, number)
            began = self._clock.monotonic()
            fallen = fell_from(plan, planned) if job.several else None
            try:
                attempt, outcome = await self._try_known(snapshot, job, planned, began)
            except InvalidRequest:
                if told:  # a stand-in that can't carry the call is none
                    raise _last_word(told) from None
                raise
            now = self._clock.monotonic()
            self._remember(call, attempt, outcome, began, now)
            if isinstance(outcome, Answer):
                outcome.attempts, outcome.told, outcome.trace = number, tuple(told), trace
                trace.answered(number, outcome.status, now - began, outcome.headers)
                if fallen is not None:
                    outcome.fell_from = trace.fell_from = fallen
                    self._tell_fall(fallen, planned, now)
                outcome.headers = (*gateway_headers(attempt, number, fallen=fallen is not None), *outcome.headers)
                return outcome
            error = outcome.error
            if outcome.kind == "auth" and attempt.credential.secret is not None:
                self._on_refused(attempt.credential.secret)
            rests = self._health.resting(attempt.credential, attempt.model, now)
            trace.failed(number, outcome, now - began, rests)
            if isinstance(error, UpstreamCredentialRejected):
                _name_the_sanctioned_way(snapshot, attempt, error)
            fields = gateway_headers(attempt, number, fallen=fallen is not None)
            error.headers += tuple((n.decode(), v.decode("latin-1")) for n, v in fields)
            told.append((attempt, error))
            if number == len(plan.attempts) or not moves_on(outcome, snapshot.fallback):
                raise _last_word(told)
        raise AssertionError("a plan is never empty")

    def first(self, call: Call) -> tuple[Attempt, UpstreamKind]:
        """Who would be asked first, and as what. Raises as `plan`."""
        attempt = self.plan(self._config.current(), call).attempts[0]
        return attempt, choose_kind(self._kinds, call, attempt)

    def _remember(self, call: Call, attempt: Attempt, outcome: Answer | Fault, began: float, now: float) -> None:
        """What the attempt says of its credential. Counting tokens has limits of its own, and says nothing of calls."""
        counts = call.operation == "count_tokens"
        if isinstance(outcome, Answer):
            if outcome.committed and not counts:
                self._health.succeeded(attempt.credential, attempt.model, now, began)
                self._history.used(attempt.credential)
        elif not isinstance(outcome.error, EgressBlocked):
            if not counts or outcome.kind == "auth":
                self._health.failed(attempt.credential, attempt.model, outcome, now)
            self._history.failed(attempt.credential, outcome)

    async def _try_known(
        self, snapshot: Snapshot, job: Job, attempt: Attempt, now: float
    ) -> tuple[Attempt, Answer | Fault]:
        """One attempt. While it runs nobody else tries what is due again, if there is another way (SPEC §5, Health)."""
        if not len(self._health):
            return await self._try_fresh(snapshot, job, attempt)
        due = self._health.begin(attempt.credential, attempt.model, now)
        try:
            return await self._try_fresh(snapshot, job, attempt)
        finally:
            self._health.end(due)

    async def _try_fresh(self, snapshot: Snapshot, job: Job, attempt: Attempt) -> tuple[Attempt, Answer | Fault]:
        """One attempt, a sign-in renewed before it where it is due, and once more with a new one where the provider
        does not take it (SPEC §5, Refresh). Also the attempt as it was made in the end."""
        if self._renewals is None or not attempt.credential.renewable:
            return attempt, await self._try(snapshot, job, attempt)
        try:
            attempt = replace(attempt, credential=await self._renewals.ready(attempt.credential))
            outcome = await self._try(snapshot, job, attempt)
            if isinstance(outcome, Fault) and outcome.kind == "auth" and outcome.status == 401:
                renewed = await self._renewals.after_rejection(attempt.credential)
                if renewed is not None:
                    attempt = replace(attempt, credential=renewed)
                    outcome = await self._try(snapshot, job, attempt)
        except SignInLapsed as error:
            return attempt, Fault("auth", error)
        except RenewalUncertain as error:
            return attempt, Fault("unreachable", error)
        return attempt, outcome

    async def _try(self, snapshot: Snapshot, job: Job, attempt: Attempt) -> Answer | Fault:
        kind = choose_kind(self._kinds, job.call, attempt)
        watch = self._watcher(job, attempt) if job.several else None
        this = Try(snapshot, job.call, attempt, kind, await job.passage(kind, attempt), watch)
        name = attempt.provider.id
        refuses_usage = name in self._without_usage
        outcome = await self._courier.carry(this, refuses_usage=refuses_usage)
        asked_usage = job.call.request.stream and not refuses_usage
        if asked_usage and isinstance(outcome, Fault) and outcome.names_stream_options:
            outcome = await self._courier.carry(this, refuses_usage=True)
            if isinstance(outcome, Answer):
                self._without_usage.add(name)
        if isinstance(outcome, Fault) and outcome.refuses_reasoning and not job.call.strict:
            passage = this.passage.without_reasoning(attempt.model)
            if passage is not None:
                bare = msgspec.structs.replace(this, passage=passage)
                outcome = await self._courier.carry(bare, refuses_usage=name in self._without_usage)
        return outcome

    def _watcher(self, job: Job, attempt: Attempt) -> Callable[[bytes], None]:
        """What remembers whose reasoning an answer holds."""
        return self._origins.watcher(job.call.dialect, attempt.provider.id, attempt.credential.id)

    def _tell_fall(self, subscription: str, attempt: Attempt, now: float) -> None:
        """Once a minute for each pair."""
        pair = (subscription, attempt.credential.id)
        if now - self._falls.get(pair, -_FALL_SECONDS) < _FALL_SECONDS:
            return
        if len(self._falls) >= _MOST_FALLS:
            self._falls.clear()
        self._falls[pair] = now
        self._on_fall(*pair)

    def _forbidden(self, snapshot: Snapshot, attempt: Attempt) -> EgressBlocked | None:
        if attempt.provider.api in NO_ADDRESS_NEEDED:
            return None
        endpoint = attempt.credential.endpoint or attempt.provider.endpoint
        if endpoint is None:
            return EgressBlocked(
                f"Provider {attempt.provider.id!r} has no usable baseUrl. Set providers.{attempt.provider.id}.baseUrl.",
                details={"provider": attempt.provider.id, "reason": "missing_host", "phase": "resolve"},
            )
        key = (attempt.provider.id, endpoint)
        verdict = self._judged.get(key)
        if verdict is None:
            verdict = self._judged[key] = check_endpoint(snapshot.egress, *key)
            if not verdict.allowed:
                self._on_blocked(attempt.provider.id, endpoint.host, verdict.reason or "")
        if verdict.allowed:
            return None
        return blocked(attempt.provider.id, endpoint, verdict.reason or "blocked", "resolve")


def _name_the_sanctioned_way(snapshot: Snapshot, attempt: Attempt, error: GatewayError) -> None:
    """A sign-in that is used at one's own risk was refused: the message says what the provider allows instead."""
    credential = attempt.credential
    profile = snapshot.profiles.get(credential.id) if credential.source == "profile" else None
    at_risk = profile is not None and any(profile.metadata.get(name) for name in ("risk", "termsUrl"))
    if at_risk or (credential.source == "environment" and credential.type == "oauth"):
        error.message = f"{error.message.rstrip()} {sanctioned_way(attempt.provider.id)}"


def _last_word(told: list[tuple[Attempt, GatewayError]]) -> GatewayError:
    """What the caller hears: the last failure, and of egress only where nothing else was tried."""
    reached = [error for _, error in told if not isinstance(error, EgressBlocked)]
    return reached[-1] if reached else told[0][1]


def _unreadable_address(snapshot: Snapshot, error: NotConfigured) -> EgressBlocked | None:
    """The refusal of a provider whose base URL is none, with the reason that names what is wrong with it (SPEC §6)."""
    provider = snapshot.providers.get(str(error.details.get("provider")))
    if provider is None or not provider.base_url or provider.endpoint is not None:
        return None
    try:
        parse_endpoint(provider.base_url)
    except UnsafeDestination as unsafe:
        return EgressBlocked(
            f"The base URL of provider {provider.id!r} can't be used. {unsafe.message} "
            f"Set providers.{provider.id}.baseUrl.",
            param="model",
            details={"provider": provider.id, **unsafe.details, "phase": "resolve"},
        )
    return None


def _without(plan: Plan, attempt: Attempt, reason: str) -> Plan:
    name = f"{attempt.provider.id}/{attempt.model} via {attempt.credential.id}"
    return msgspec.structs.replace(
        plan,
        attempts=tuple(a for a in plan.attempts if a is not attempt),
        passed_over=(*plan.passed_over, PassedOver(name, f"egress: {reason}", attempt.credential.billing)),
    )
