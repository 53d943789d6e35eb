"""One model call: its attempts in order, and fail-over before the commit point (SPEC §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..auth.health import HealthTable
from ..auth.manager import ProviderManager
from ..auth.profiles import NO_ADDRESS_NEEDED
from ..errors import EgressBlocked, GatewayError, InvalidRequest, NotConfigured, UnsafeDestination
from ..policy.egress import Verdict, blocked, check_endpoint, parse_endpoint
from ..policy.failover import moves_on
from ..ports import Clock, ConfigSource, Programs, SecretSource, Transport
from ..providers.spec import UpstreamKind
from ..values import Attempt, Call, Endpoint, Fault, Model, PassedOver, Plan, Snapshot
from .answer import Answer
from .attempt import Courier, Try
from .headers import gateway_headers
from .images import ImageFetcher
from .passage import Job, choose_kind

__all__ = ["Relay"]

Discovered = Mapping[str, Mapping[str, Model]]


class Relay:
    """Carries calls. One for the process; everything it needs is passed in."""

    def __init__(
        self,
        *,
        config: ConfigSource,
        manager: ProviderManager,
        health: HealthTable,
        transport: Transport,
        programs: Programs,
        kinds: Mapping[str, UpstreamKind],
        secrets: SecretSource,
        clock: Clock,
        discovered: Callable[[], Discovered],
        on_blocked: Callable[[str, str, str], object],
    ) -> None:
        """`on_blocked` is told provider, host and reason, once for each destination and snapshot."""
        self._config = config
        self._manager = manager
        self._health = health
        self._courier = Courier(health=health, transport=transport, programs=programs, secrets=secrets, clock=clock)
        self._images = ImageFetcher(transport)
        self._kinds = kinds
        self._clock = clock
        self._discovered = discovered
        self._on_blocked = on_blocked
        #: verdicts about endpoints, good for one snapshot
        self._judged_for: Snapshot | None = None
        self._judged: dict[tuple[str, Endpoint], Verdict] = {}
        #: providers that refused `stream_options` (SPEC §11)
        self._without_usage: set[str] = set()

    def plan(self, snapshot: Snapshot, call: Call) -> Plan:
        """The attempts that egress lets be made.

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
        plan = self.plan(snapshot, call)
        job = Job(call, int(self._clock.now()), self._images)
        told: list[tuple[Attempt, GatewayError]] = []
        for number, attempt in enumerate(plan.attempts, 1):
            if on_attempt is not None:
                on_attempt(attempt, number)
            try:
                outcome = await self._try(snapshot, job, attempt)
            except InvalidRequest:
                if told:  # a stand-in that can't carry the call is none
                    raise _last_word(told) from None
                raise
            now = self._clock.monotonic()
            if isinstance(outcome, Answer):
                if outcome.committed:
                    self._health.succeeded(attempt.credential, attempt.model, now)
                outcome.attempts, outcome.told = number, tuple(told)
                outcome.headers = (*gateway_headers(attempt, number), *outcome.headers)
                return outcome
            error = outcome.error
            if not isinstance(error, EgressBlocked):
                self._health.failed(attempt.credential, attempt.model, outcome, now)
            error.headers += tuple((n.decode(), v.decode("latin-1")) for n, v in gateway_headers(attempt, number))
            told.append((attempt, error))
            if number == len(plan.attempts) or not moves_on(outcome, snapshot.fallback):
                raise _last_word(told)
        raise AssertionError("a plan is never empty")

    def first(self, call: Call) -> tuple[Attempt, UpstreamKind]:
        """Who would be asked first, and as what. Raises as `plan`."""
        attempt = self.plan(self._config.current(), call).attempts[0]
        return attempt, choose_kind(self._kinds, call, attempt)

    async def _try(self, snapshot: Snapshot, job: Job, attempt: Attempt) -> Answer | Fault:
        kind = choose_kind(self._kinds, job.call, attempt)
        this = Try(snapshot, job.call, attempt, kind, await job.passage(kind, attempt))
        name = attempt.provider.id
        refuses_usage = name in self._without_usage
        outcome = await self._courier.carry(this, refuses_usage=refuses_usage)
        asked_usage = job.call.request.stream and not refuses_usage
        if asked_usage and isinstance(outcome, Fault) and outcome.names_stream_options:
            outcome = await self._courier.carry(this, refuses_usage=True)
            if isinstance(outcome, Answer):
                self._without_usage.add(name)
        return outcome

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
    return replace(
        plan,
        attempts=tuple(a for a in plan.attempts if a is not attempt),
        passed_over=(*plan.passed_over, PassedOver(name, f"egress: {reason}")),
    )
