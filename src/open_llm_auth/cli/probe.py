"""Looks whether a server answers: the local model servers of the catalog, and the providers a doctor asks about."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..errors import GatewayError, UpstreamInvalidResponse
from ..policy.egress import blocked, check_endpoint
from ..values import Endpoint, Outbound, Provider, Timeouts
from ..wire.models import read_models

if TYPE_CHECKING:
    from ..ports import Reply, Transport
    from ..values import EgressRules
    from .workbench import Workbench

__all__ = ["LocalServer", "Reached", "find_local_servers", "local_servers", "reach"]

#: All loopback ports together, in seconds: a person is waiting for the banner.
_PATIENCE = 0.45
_REACH_SECONDS = 8.0
_LIST_BYTES = 4 << 20
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server that answers on this machine. `models` is None when it wants a key before it tells."""

    provider: Provider
    models: tuple[str, ...] | None

    @property
    def told(self) -> str:
        """What it said of itself, in words."""
        if self.models is None:
            return "which wants a key"
        return "1 model" if len(self.models) == 1 else f"{len(self.models)} models"


@dataclass(frozen=True, slots=True)
class Reached:
    """What asking a provider for its list of models came to. `date` is its clock, in seconds since the epoch."""

    provider: str
    status: int | None = None
    date: float | None = None
    error: GatewayError | None = None


def local_servers(bench: Workbench, ours: Collection[int] = ()) -> tuple[LocalServer, ...]:
    """The catalog's local servers that answer now, asked through the transport so that egress holds.

    `ours` are ports of the gateway itself, which are not asked.
    """
    from ..transport import HttpTransport
    from .workbench import SystemClock

    async def look() -> tuple[LocalServer, ...]:
        transport = HttpTransport(lambda: bench.snapshot.egress, bench.secrets, SystemClock())
        try:
            return await find_local_servers(bench.snapshot.providers.values(), transport, bench.snapshot.egress, ours)
        finally:
            await transport.aclose()

    return asyncio.run(look())


async def find_local_servers(
    providers: Iterable[Provider], transport: Transport, rules: EgressRules, ours: Collection[int] = ()
) -> tuple[LocalServer, ...]:
    """The local servers among `providers` that answer, all asked at once."""
    tasks = [
        asyncio.create_task(_ask(provider, endpoint, transport))
        for provider in providers
        if provider.billing == "local"
        and (endpoint := provider.endpoint) is not None
        and endpoint.host in _LOOPBACK
        and endpoint.port not in ours
        and check_endpoint(rules, provider.id, endpoint).allowed
    ]
    if not tasks:
        return ()
    done, late = await asyncio.wait(tasks, timeout=_PATIENCE)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    found = [task.result() for task in tasks if task in done]
    return tuple(server for server in found if server is not None)


async def _ask(provider: Provider, endpoint: Endpoint, transport: Transport) -> LocalServer | None:
    try:
        reply = await transport.send(_list_request(provider, endpoint, Timeouts(_PATIENCE, _PATIENCE, _PATIENCE)))
    except GatewayError:
        return None
    try:
        return await _understand(provider, reply)
    except GatewayError:
        return None
    finally:
        await reply.aclose()


async def _understand(provider: Provider, reply: Reply) -> LocalServer | None:
    if reply.header(b"x-gateway-call-id") is not None:
        # A gateway like this one, on a port that a model server usually has.
        return None
    if reply.status in {401, 403} and provider.auth_header:
        return LocalServer(provider, None)
    if reply.status != 200:
        return None
    try:
        return LocalServer(provider, tuple(model.id for model in read_models(await reply.read(_LIST_BYTES))))
    except UpstreamInvalidResponse:
        return None


def _list_request(provider: Provider, endpoint: Endpoint, timeouts: Timeouts) -> Outbound:
    """Without a credential: that something answers is all there is to learn."""
    headers = ((b"accept", b"application/json"), (b"user-agent", b"open-llm-auth"))
    return Outbound(provider.id, "GET", endpoint, f"{endpoint.path}/models", headers, timeouts=timeouts)


async def reach(provider: Provider, transport: Transport, rules: EgressRules) -> Reached:
    """Whether the provider's server answers at all, whatever it says; no credential is sent."""
    endpoint = provider.endpoint
    if endpoint is None:
        return Reached(provider.id)
    verdict = check_endpoint(rules, provider.id, endpoint)
    if not verdict.allowed:
        return Reached(provider.id, error=blocked(provider.id, endpoint, verdict.reason or "forbidden", "resolve"))
    timeouts = Timeouts(connect=_REACH_SECONDS, first_byte=_REACH_SECONDS, idle=_REACH_SECONDS)
    try:
        reply = await transport.send(_list_request(provider, endpoint, timeouts))
    except GatewayError as error:
        return Reached(provider.id, error=error)
    await reply.aclose()
    return Reached(provider.id, reply.status, _seconds(reply.header(b"date")))


def _seconds(date: bytes | None) -> float | None:
    try:
        return parsedate_to_datetime((date or b"").decode("latin-1")).timestamp()
    except (ValueError, TypeError, IndexError):
        return None
