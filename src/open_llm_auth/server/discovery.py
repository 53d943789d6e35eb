"""Which models the usable providers say they have: asked in the background, cached, never on the hot path (SPEC §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ..auth.manager import ProviderManager
from ..errors import GatewayError, UpstreamHTTPError
from ..policy.access import LOCAL_ADMIN
from ..policy.egress import check_endpoint
from ..ports import Clock, ConfigSource, SecretSource, Transport
from ..providers.spec import UpstreamKind
from ..values import Credential, Model, Provider, Snapshot
from ..wire.models import read_models
from .headers import resolve_headers
from .renewals import Renewals

__all__ = ["Discovery"]

_FRESH_SECONDS: Final = 300.0
#: Local servers change models when their user does; a failed question is soon asked again too.
_SOON_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 1.0
_ANSWER_BYTES: Final = 8 << 20
_PATIENCE_SECONDS: Final = 5.0
#: How long a listing waits for a question that is new.
_LISTING_SECONDS: Final = 0.75
_AT_ONCE: Final = 16


#: What a provider is asked with: a new key or address makes what was found stale at once.
_Asked = tuple[Provider, Credential]


@dataclass(frozen=True, slots=True)
class _Finding:
    models: Mapping[str, Model]
    due: float
    asked: _Asked | None


@dataclass(frozen=True, slots=True)
class _Question:
    """One that is under way. `new` tells it from one whose last answer is known; `began` is monotonic seconds."""

    asked: _Asked
    task: asyncio.Task[None]
    new: bool
    began: float


_NOTHING: Final = _Finding({}, 0.0, None)


class Discovery:
    """A table of findings that a background task keeps fresh."""

    def __init__(
        self,
        *,
        config: ConfigSource,
        manager: ProviderManager,
        transport: Transport,
        kinds: Mapping[str, UpstreamKind],
        secrets: SecretSource,
        clock: Clock,
        renewals: Renewals | None = None,
    ) -> None:
        self._config = config
        self._manager = manager
        self._transport = transport
        self._kinds = kinds
        self._secrets = secrets
        self._clock = clock
        self._renewals = renewals
        self._findings: dict[str, _Finding] = {}
        self._models: Mapping[str, Mapping[str, Model]] = {}
        self._questions: dict[str, _Question] = {}
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._seen: Snapshot | None = None

    def models(self) -> Mapping[str, Mapping[str, Model]]:
        """Models by provider id, as last heard. Swapped whole, never changed in place."""
        return self._models

    async def settled(self) -> None:
        """Wait, briefly, for the first answers after a start or a change of config, once for each question."""
        if self._seen is not self._config.current():
            self._ask_what_is_due()
        now = self._clock.monotonic()
        ends = {
            question.task: question.began + _LISTING_SECONDS
            for question in self._questions.values()
            if question.new and not question.task.done() and question.began + _LISTING_SECONDS > now
        }
        if ends:
            # What is known then is listed; the rest shows up when it answers.
            await asyncio.wait(ends, timeout=max(ends.values()) - now)

    async def run(self) -> None:
        """Ask what is due, again and again, until cancelled."""
        try:
            while True:
                self._ask_what_is_due()
                for _ in range(int(_SOON_SECONDS / _POLL_SECONDS)):
                    await asyncio.sleep(_POLL_SECONDS)
                    self._collect()
                    if self._seen is not self._config.current():
                        break
        except asyncio.CancelledError:
            tasks = [question.task for question in self._questions.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def refresh(self) -> None:
        """Ask every usable provider whose answer is missing or old, and wait for all of them."""
        self._ask_what_is_due()
        if self._questions:
            await asyncio.wait([question.task for question in self._questions.values()])
        self._collect()

    def _ask_what_is_due(self) -> None:
        snapshot = self._config.current()
        now = self._clock.monotonic()
        wanted = self._wanted(snapshot)
        for gone in self._findings.keys() - wanted.keys():
            del self._findings[gone]
        for name, question in list(self._questions.items()):
            # An answer to what is asked no more would be a wrong one, and nobody waits for the end of a hang.
            if wanted.get(name) != question.asked:
                question.task.cancel()
                del self._questions[name]
        for name, asked in wanted.items():
            known = self._findings.get(name, _NOTHING)
            new = known.asked != asked
            if name not in self._questions and (new or known.due <= now):
                task = asyncio.create_task(self._ask(snapshot, asked, {} if new else known.models, now))
                self._questions[name] = _Question(asked, task, new, now)
                # Until the answer, and for a question that ends in no answer at all.
                self._findings[name] = _Finding(known.models, now + _SOON_SECONDS, asked)
        self._publish()
        self._seen = snapshot

    def _wanted(self, snapshot: Snapshot) -> dict[str, _Asked]:
        """Whom to ask with what. Asking is the gateway's own act, so a credential that only its owner may use will do
        where there is no other."""
        owners = sorted({profile.owner for profile in snapshot.profiles.values() if profile.owner is not None})
        found: dict[str, _Asked] = {}
        for caller in (LOCAL_ADMIN, *(replace(LOCAL_ADMIN, subject=owner) for owner in owners)):
            for provider in self._manager.usable(snapshot, caller):
                if provider.id in found or provider.replaces_models or not provider.lists_models:
                    continue
                credentials, _ = self._manager.credentials(snapshot, provider, caller)
                if credentials and provider.api in self._kinds:
                    found[provider.id] = (provider, credentials[0])
        return found

    def _collect(self) -> None:
        """Forget the questions that are answered, and raise what one of them failed with beyond the expected."""
        for name, question in list(self._questions.items()):
            if question.task.done():
                del self._questions[name]
                if not question.task.cancelled():
                    question.task.result()

    def _publish(self) -> None:
        self._models = {name: finding.models for name, finding in self._findings.items() if finding.models}

    async def _ask(self, snapshot: Snapshot, asked: _Asked, models: Mapping[str, Model], now: float) -> None:
        """`models` is what is listed if there is no answer."""
        provider, credential = asked
        pause = _SOON_SECONDS
        try:
            async with self._gate, asyncio.timeout(_PATIENCE_SECONDS):
                if self._renewals is not None and credential.renewable:
                    credential = await self._renewals.ready(credential)
                models = await self._fetch(snapshot, self._kinds[provider.api], provider, credential)
            pause = _SOON_SECONDS if provider.billing == "local" else _FRESH_SECONDS
        except (GatewayError, TimeoutError):
            pass  # not every provider lists its models, and a server that is down now may be up later
        self._findings[provider.id] = _Finding(models, now + pause, asked)
        self._publish()  # the slow do not hold up the quick

    async def _fetch(
        self, snapshot: Snapshot, kind: UpstreamKind, provider: Provider, credential: Credential
    ) -> Mapping[str, Model]:
        endpoint = credential.endpoint or provider.endpoint
        if kind.prepare_models is None or endpoint is None:
            return {}
        if not check_endpoint(snapshot.egress, provider.id, endpoint).allowed:
            return {}
        request = kind.prepare_models(provider, credential, resolve_headers(provider.headers, self._secrets))
        if request is None:
            return {}
        reply = await self._transport.send(request)
        try:
            body = await reply.read(_ANSWER_BYTES)
        finally:
            await reply.aclose()
        if reply.status != 200:
            raise UpstreamHTTPError(f"Provider {provider.id!r} does not list its models (HTTP {reply.status}).")
        return {found.id: Model(found.id, context_window=found.context_window) for found in read_models(body)}
