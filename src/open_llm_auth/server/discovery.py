"""Which models the usable providers say they have: asked in the background, cached, never on the hot path (SPEC §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..auth.manager import ProviderManager
from ..errors import GatewayError, InvalidRequest, UpstreamHTTPError
from ..policy.access import LOCAL_ADMIN
from ..policy.egress import check_endpoint
from ..ports import Clock, ConfigSource, SecretSource, Transport
from ..providers.spec import UpstreamKind
from ..values import Credential, Model, Provider, Snapshot
from ..wire.models import read_models
from .headers import resolve_headers

__all__ = ["Discovery"]

_FRESH_SECONDS: Final = 300.0
#: Local servers change models when their user does; a failed question is soon asked again too.
_SOON_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 1.0
_ANSWER_BYTES: Final = 8 << 20
_PATIENCE_SECONDS: Final = 5.0
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class _Finding:
    models: Mapping[str, Model]
    due: float
    #: what the question was asked with: a new key or address makes it stale at once
    asked: tuple[Provider, Credential]


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
    ) -> None:
        self._config = config
        self._manager = manager
        self._transport = transport
        self._kinds = kinds
        self._secrets = secrets
        self._clock = clock
        self._findings: dict[str, _Finding] = {}
        self._models: Mapping[str, Mapping[str, Model]] = {}
        self._settled = asyncio.Event()
        self._seen: Snapshot | None = None

    def models(self) -> Mapping[str, Mapping[str, Model]]:
        """Models by provider id, as last heard. Swapped whole, never changed in place."""
        return self._models

    async def settled(self) -> None:
        """Wait, briefly, for the first answers after a start or a change of config."""
        if self._seen is not self._config.current():
            self._settled.clear()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS / 2):
                await self._settled.wait()
        except TimeoutError:
            return  # what is known is listed; the rest shows up when it answers

    async def run(self) -> None:
        """Ask what is due, again and again, until cancelled."""
        while True:
            await self.refresh()
            for _ in range(int(_SOON_SECONDS / _POLL_SECONDS)):
                await asyncio.sleep(_POLL_SECONDS / 4 if self._seen is None else _POLL_SECONDS)
                if self._seen is not self._config.current():
                    break

    async def refresh(self) -> None:
        """Ask every usable provider whose answer is missing or old."""
        snapshot = self._config.current()
        now = self._clock.monotonic()
        usable = {provider.id: provider for provider in self._manager.usable(snapshot, LOCAL_ADMIN)}
        for gone in self._findings.keys() - usable.keys():
            del self._findings[gone]
        gate = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for provider in usable.values():
                if provider.lists_models and not provider.replaces_models:
                    group.create_task(self._ask(snapshot, provider, now, gate))
        self._publish()
        self._seen = snapshot
        self._settled.set()

    def _publish(self) -> None:
        self._models = {name: finding.models for name, finding in self._findings.items() if finding.models}

    async def _ask(self, snapshot: Snapshot, provider: Provider, now: float, gate: asyncio.Semaphore) -> None:
        credentials, _ = self._manager.credentials(snapshot, provider, LOCAL_ADMIN)
        kind = self._kinds.get(provider.api)
        if not credentials or kind is None:
            return
        asked = (provider, credentials[0])
        known = self._findings.get(provider.id)
        if known is not None and known.asked == asked and known.due > now:
            return
        models = known.models if known is not None and known.asked == asked else {}
        due = now + _SOON_SECONDS
        try:
            async with gate, asyncio.timeout(_PATIENCE_SECONDS):
                models = await self._fetch(snapshot, kind, provider, credentials[0])
            due = now + (_SOON_SECONDS if provider.billing == "local" else _FRESH_SECONDS)
        except (GatewayError, TimeoutError):
            pass  # not every provider lists its models, and a server that is down now may be up later
        self._findings[provider.id] = _Finding(models, due, asked)
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
        try:
            return {found.id: Model(found.id, context_window=found.context_window) for found in read_models(body)}
        except InvalidRequest as error:
            raise UpstreamHTTPError(f"Provider {provider.id!r} lists its models unreadably.") from error
