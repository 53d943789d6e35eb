"""`HttpTransport`: judge, dial what was judged, send, and hand back the answer once its head is here (SPEC §6, §11)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..errors import EgressBlocked, UnsafeDestination, UpstreamUnreachable
from ..policy.egress import (
    AWS_METADATA,
    Phase,
    Verdict,
    blocked,
    check_address,
    check_endpoint,
    is_local,
    literal_address,
)
from ..ports import Clock, SecretSource
from ..values import EgressRules, Endpoint, Outbound, SecretRef
from .aws import AwsSigner
from .connection import Connection
from .dial import connect_first
from .faults import Peer, os_words
from .pool import Lane, LaneKey, Pool
from .proxy import PROXY, Proxy, open_tunnel, proxy_rules, read_proxy
from .reply import HttpReply
from .request import write_head
from .resolver import NameUnknown, Resolver
from .tls import default_tls

__all__ = ["HttpTransport", "Sighting", "TransportStats"]

_MAX_ROUTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something the policy objected to, for the log and for admins. `address` is what DNS gave, None for the host."""

    provider: str
    host: str
    reason: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class TransportStats:
    """Connections `open` (busy, idle and being dialled) and `idle` now; `dials`, `blocked`, `observed` since start."""

    open: int
    idle: int
    dials: int
    blocked: int
    observed: int


@dataclass(frozen=True, slots=True)
class _Route:
    """What is known of a provider at an endpoint before anything is looked up, and the rules that say so."""

    peer: Peer
    verdict: Verdict
    lane: Lane
    rules: EgressRules
    generation: int


@dataclass(frozen=True, slots=True)
class _Hop:
    """Where to dial, all of it judged, and the proxy to go through."""

    addresses: tuple[str, ...]
    port: int
    proxy: Proxy | None = None


def _ignore(_: Sighting) -> None:
    """Nobody wants to know."""


class HttpTransport:
    """Implements `ports.Transport`.

    `rules` gives the rules in force; when they change, kept connections are not used again. `on_observed` hears of
    what only the mode `observe` let pass, `on_blocked` of every refusal; both are called on the loop and must be quick.
    """

    def __init__(
        self,
        rules: Callable[[], EgressRules],
        secrets: SecretSource,
        clock: Clock,
        *,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        max_per_host: int = 1000,
        on_observed: Callable[[Sighting], object] = _ignore,
        on_blocked: Callable[[Sighting], object] = _ignore,
    ) -> None:
        self._rules = rules
        self._rules_seen = rules()
        self._secrets = secrets
        self._resolver = resolver or Resolver(clock)
        self._tls = tls
        self._on_observed = on_observed
        self._on_blocked = on_blocked
        self._pool = Pool(max_per_lane=max_per_host)
        self._aws = AwsSigner(self._send, secrets, rules)
        self._routes: dict[tuple[str, Endpoint], _Route] = {}
        self._dials = self._blocked = self._observed = 0

    def stats(self) -> TransportStats:
        return TransportStats(self._pool.open, self._pool.idle, self._dials, self._blocked, self._observed)

    async def aclose(self) -> None:
        self._aws.close()
        await self._pool.aclose()
        await self._resolver.aclose()

    async def send(self, request: Outbound) -> HttpReply:
        """Send and wait for the head.

        A kept connection that closes within a second of the write, without a byte of answer, was being closed while
        the request was on its way: it is sent once more, whatever its method, on a new connection. Any other loss is
        the caller's to decide, for the provider may have read the request: `UpstreamUnreachable` with `details.sent`.
        What is to be sent `once` takes a new connection, and is the caller's to decide whatever happens to it.

        Raises:
            InvalidRequest: method, target or headers would not be read as what they are.
            EgressBlocked: the destination, or every address of it, is forbidden (phase ``connect``).
            SecretUnavailable: the egress proxy stands behind a reference that can't be resolved, or there are no AWS
                credentials to sign with.
            UpstreamUnreachable: DNS or connection trouble.
            UpstreamInvalidResponse: the answer is not HTTP.
            UpstreamTimeout: connect or first byte took too long.
        """
        return await self._send(request if request.signing is None else await self._aws.sign(request))

    async def _send(self, request: Outbound) -> HttpReply:
        route = self._route(request.provider, request.endpoint)
        head = write_head(request, request.endpoint.authority)
        kept = None if request.once else route.lane.take()
        connection = kept or await self._acquire(route, request.timeouts.connect)
        try:
            return await self._exchange(connection, route, request, head)
        except UpstreamUnreachable:
            if request.once or not connection.lost_race:
                raise
        route = self._route(request.provider, request.endpoint)  # the rules may have changed meanwhile
        connection = await self._acquire(route, request.timeouts.connect)
        return await self._exchange(connection, route, request, head)

    # --- one exchange ---

    async def _exchange(self, connection: Connection, route: _Route, request: Outbound, head: bytes) -> HttpReply:
        reply = HttpReply(connection, route.peer, request.timeouts, asyncio.get_running_loop())
        connection.ask(reply, head, request.body)
        try:
            await reply.arrival()
        except BaseException:
            connection.drop()  # cancelled or failed: an answer that comes now would be nobody's
            raise
        return reply

    # --- policy ---

    def _route(self, provider: str, endpoint: Endpoint) -> _Route:
        rules = self._rules()
        if rules is not self._rules_seen:
            if rules != self._rules_seen:
                self._pool.renew()
                self._routes.clear()
            self._rules_seen = rules
        key = (provider, endpoint)
        route = self._routes.get(key)
        if route is None:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
                self._pool.forget_empty()
            route = self._routes[key] = self._new_route(rules, provider, endpoint)
        verdict = route.verdict
        if not verdict.allowed:
            raise self._refusal(provider, endpoint, verdict.reason or "", "connect")
        if verdict.observed:
            self._saw(provider, endpoint, verdict.reason or "", None)
        return route

    def _new_route(self, rules: EgressRules, provider: str, endpoint: Endpoint) -> _Route:
        exempt = provider in rules.allow_local_providers
        key = LaneKey(endpoint.scheme, endpoint.host, endpoint.port, exempt)
        verdict = check_endpoint(rules, provider, endpoint)
        return _Route(Peer(provider, endpoint), verdict, self._pool.lane(key), rules, self._pool.generation)

    def _saw(self, provider: str, endpoint: Endpoint, reason: str, address: str | None) -> None:
        self._observed += 1
        self._on_observed(Sighting(provider, endpoint.host, reason, address))

    def _refusal(
        self, provider: str, endpoint: Endpoint, reason: str, phase: Phase, address: str | None = None
    ) -> EgressBlocked:
        self._blocked += 1
        self._on_blocked(Sighting(provider, endpoint.host, reason, address))
        return blocked(provider, endpoint, reason, phase)

    def _judged(
        self, rules: EgressRules, provider: str, endpoint: Endpoint, addresses: tuple[str, ...], *, every: bool
    ) -> tuple[str, ...]:
        """Those that may be dialled. `every`: one that may not spoils them all, for another will do the choosing.

        Raises:
            EgressBlocked: none is left.
        """
        allowed: list[str] = []
        refusals: list[EgressBlocked] = []
        for address in addresses:
            verdict = check_address(rules, provider, endpoint, address, resolved=True)
            if not verdict.allowed:
                refusals.append(self._refusal(provider, endpoint, verdict.reason or "", "connect", address))
                continue
            if verdict.observed:
                self._saw(provider, endpoint, verdict.reason or "", address)
            allowed.append(address)
        if refusals and (every or not allowed):
            raise refusals[0]
        return tuple(allowed)

    # --- getting a connection ---

    async def _acquire(self, route: _Route, patience: float) -> Connection:
        """A free connection or a new one, all within the connect time-out."""
        peer = route.peer
        try:
            async with asyncio.timeout(patience):
                connection = await route.lane.room()
                if connection is not None:
                    return connection
                try:
                    return await self._dial(route)
                finally:
                    route.lane.dialled()
        except TimeoutError as fault:
            raise peer.timeout("connect", "could not be connected to", patience, sent=False) from fault
        except OSError as fault:
            raise peer.unreachable(f"can't be reached: {os_words(fault)}", reason=_reason(fault)) from fault

    async def _dial(self, route: _Route) -> Connection:
        if self._pool.closed:
            raise route.peer.unreachable("is not called any more: the gateway is stopping")
        hop = await self._hop(route.rules, route.peer)
        self._dials += 1
        try:
            dialled = await connect_first(hop.addresses, hop.port)
        except OSError as fault:
            via = "" if hop.proxy is None else "the egress proxy: "
            raise route.peer.unreachable(
                f"can't be reached: {via}{os_words(fault)}", reason="connect_failed"
            ) from fault
        try:
            if hop.proxy is not None:
                await open_tunnel(dialled, route.peer.endpoint, hop.proxy, route.peer)
            return await self._attach(dialled, route)
        except BaseException:
            dialled.close()
            raise

    async def _attach(self, dialled: socket.socket, route: _Route) -> Connection:
        """Put the protocol, and TLS where it belongs, on a connected socket. The certificate must be for the name."""
        endpoint = route.peer.endpoint
        loop = asyncio.get_running_loop()
        connection = Connection(route.lane, loop, route.generation)
        secure = endpoint.scheme == "https"
        tls = await self._trust() if secure else None
        try:
            await loop.create_connection(
                lambda: connection, sock=dialled, ssl=tls, server_hostname=endpoint.host if secure else None
            )
        except BaseException:
            connection.drop()
            route.lane.lost(connection)  # cancelled between connection_made and here, uvloop calls no connection_lost
            raise
        return connection

    async def _trust(self) -> ssl.SSLContext:
        if self._tls is None:  # reading the bundle takes some 20 ms, which the loop does not have
            self._tls = await asyncio.get_running_loop().run_in_executor(None, default_tls)
        return self._tls

    async def _hop(self, rules: EgressRules, peer: Peer) -> _Hop:
        """Where to dial for `peer`.

        Raises:
            EgressBlocked: the destination or the proxy is forbidden.
        """
        endpoint = peer.endpoint
        if rules.proxy is None or _is_near(peer):
            addresses = await self._addresses(peer)
            return _Hop(self._judged_unless_literal(rules, peer, addresses, every=False), endpoint.port)
        if rules.resolve_dns:
            await self._judge_for_proxy(rules, peer)
        proxy = self._proxy(rules.proxy)
        own = Peer(PROXY, proxy.endpoint)
        for_proxy = proxy_rules(rules)
        verdict = check_endpoint(for_proxy, PROXY, proxy.endpoint)
        if not verdict.allowed:
            raise self._refusal(PROXY, proxy.endpoint, verdict.reason or "", "connect")
        if verdict.observed:
            self._saw(PROXY, proxy.endpoint, verdict.reason or "", None)
        addresses = self._judged_unless_literal(for_proxy, own, await self._addresses(own), every=False)
        return _Hop(addresses, proxy.endpoint.port, proxy)

    async def _judge_for_proxy(self, rules: EgressRules, peer: Peer) -> None:
        try:
            addresses = await self._addresses(peer)
        except UpstreamUnreachable:
            if rules.fail_closed:
                raise
            return  # a machine without names of its own, told to leave them to its proxy
        self._judged_unless_literal(rules, peer, addresses, every=True)

    def _proxy(self, ref: SecretRef) -> Proxy:
        try:
            return read_proxy(self._secrets.get(ref))
        except UnsafeDestination as fault:
            nowhere = Endpoint(str(fault.details.get("scheme", "")), str(fault.details.get("host", "")), 0, "")
            raise self._refusal(PROXY, nowhere, str(fault.details["reason"]), "connect") from None

    def _judged_unless_literal(
        self, rules: EgressRules, peer: Peer, addresses: tuple[str, ...], *, every: bool
    ) -> tuple[str, ...]:
        """A literal was judged as the endpoint it is; what DNS gave is judged here."""
        if literal_address(peer.endpoint.host) is not None:
            return addresses
        return self._judged(rules, peer.provider, peer.endpoint, addresses, every=every)

    async def _addresses(self, peer: Peer) -> tuple[str, ...]:
        literal = literal_address(peer.endpoint.host)
        return (literal,) if literal is not None else await self._resolve(peer, peer.endpoint.host)

    async def _resolve(self, peer: Peer, host: str) -> tuple[str, ...]:
        try:
            return await self._resolver.addresses(host)
        except NameUnknown as fault:
            words = "its name has no address" if fault.reason == "dns_no_answers" else "its name does not resolve"
            raise peer.unreachable(f"can't be reached: {words}", reason=fault.reason) from fault


def _is_near(peer: Peer) -> bool:
    """What means this machine, or the network it stands in, would mean the proxy's own elsewhere."""
    return is_local(peer.endpoint) or peer.provider == AWS_METADATA


def _reason(fault: OSError) -> str:
    return "tls_failed" if isinstance(fault, ssl.SSLError) else "connect_failed"
