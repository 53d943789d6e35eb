"""The ASGI edge: ids, Host and Origin, routing, authentication, errors, the log row. Every request passes here once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from ..errors import GatewayError, InternalError, InvalidRequest
from ..policy.access import check_host, check_origin
from ..ports import Clock, ConfigSource
from ..values import ServerSettings
from .asgi import Disconnected, Exchange, Handler, Receive, Scope, Send
from .auth import Authenticator
from .errors import write_error
from .faults import describe_fault
from .routes import ROUTES, Route, find_route, surface_of
from .usage import Ledger, Row

__all__ = ["Edge"]

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
_EXPOSED: Final = (
    b"x-request-id, request-id, x-gateway-call-id, x-gateway-provider, x-gateway-model, x-gateway-profile, "
    b"x-gateway-attempts, x-gateway-billing, x-gateway-dropped, x-gateway-estimated, x-gateway-trace, retry-after"
)
#: What a request is judged by. Said twice, it could mean one thing here and another to whoever stands in front.
_ONCE: Final = (b"host", b"origin", b"authorization", b"x-api-key", b"x-goog-api-key", b"content-encoding")
_ANY_HOST: Final = frozenset(route.path for route in ROUTES if route.any_host)
#: What nginx writes for a client that left before its answer.
_CLIENT_GONE: Final = 499


class Edge:
    """The application an ASGI server calls once a gateway is open."""

    def __init__(
        self,
        *,
        config: ConfigSource,
        handlers: Mapping[tuple[str, str], Handler],
        authenticator: Authenticator,
        ledger: Ledger,
        clock: Clock,
        new_id: Callable[[], str],
        log_fault: Callable[[str], object],
    ) -> None:
        self._config = config
        self._handlers = handlers
        self._authenticator = authenticator
        self._ledger = ledger
        self._clock = clock
        self._new_id = new_id
        self._log_fault = log_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._exchange(scope, receive, send)
        row = exchange.row
        try:
            route = self._admit(exchange)
            if route is None:
                return await _answer_preflight(exchange)
            await self._handlers[route.method, route.path](exchange)
        except GatewayError as error:
            row.code = error.code
            await _refuse(exchange, error)
        except Disconnected:
            row.status, row.code = _CLIENT_GONE, "client_disconnected"
        except Exception as error:  # noqa: BLE001 - the server's one edge: whatever is left is a fault of ours
            row.code = InternalError.code
            self._log_fault(f"{row.call_id} {describe_fault(error)}")
            await _refuse(exchange, InternalError(f"The gateway failed. Its log tells more under {row.call_id}."))
        finally:
            row.ended = self._clock.monotonic()
            self._ledger.record(row)

    def _exchange(self, scope: Scope, receive: Receive, send: Send) -> Exchange:
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        call_id = self._new_id()
        request_id = given.decode() if given is not None and _SANE_ID.match(given) else f"req_{call_id[5:]}"
        row = Row(self._clock.now(), self._clock.monotonic(), call_id, request_id, scope["method"], scope["path"])
        surface = surface_of(scope["path"])
        common = [(b"x-request-id", request_id.encode()), (b"x-gateway-call-id", call_id.encode())]
        if surface == "anthropic":
            common.append((b"request-id", request_id.encode()))  # the name that Anthropic's clients look for
        return Exchange(
            scope=scope,
            receive=receive,
            send=send,
            headers=headers,
            snapshot=self._config.current(),
            surface=surface,
            row=row,
            common=common,
        )

    def _admit(self, exchange: Exchange) -> Route | None:
        """Everything that is judged before the body is read. None for a preflight, which ends here."""
        row, headers, snapshot = exchange.row, exchange.headers, exchange.snapshot
        if len(headers) != len(exchange.scope["headers"]):
            _refuse_doubles(exchange.scope["headers"])
        if row.path not in _ANY_HOST:
            host, scheme = _addressed(exchange, snapshot.server)
            check_host(host, snapshot.server.allowed_hosts)
            origin = headers.get(b"origin")
            if origin is not None and self._is_foreign(exchange, origin, f"{scheme}://{host}"):
                exchange.common += ((b"access-control-allow-origin", origin), (b"vary", b"origin"))
                exchange.common.append((b"access-control-expose-headers", _EXPOSED))
                if row.method == "OPTIONS" and b"access-control-request-method" in headers:
                    return None
        route, exchange.tail = find_route(row.method, row.path)
        exchange.route_path = route.path
        if route.scope is not None:
            exchange.caller = self._authenticator.caller(headers, snapshot, row.at, route.scope, exchange.scope)
            row.subject = exchange.caller.subject
        return route

    def _is_foreign(self, exchange: Exchange, origin: bytes, own: str) -> bool:
        return check_origin(origin.decode("latin-1"), own.lower(), exchange.snapshot.server.cors_origins)


def _refuse_doubles(fields: Iterable[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise InvalidRequest(f"The header {name.decode()!r} is sent more than once. Send it once.")


def _addressed(exchange: Exchange, settings: ServerSettings) -> tuple[str | None, str]:
    """The host and scheme the client used; a trusted proxy's word for them counts (SPEC §2)."""
    host = exchange.headers.get(b"host")
    scheme: str = exchange.scope.get("scheme", "http")
    if settings.trusted_proxies and _is_trusted(exchange.scope.get("client"), settings.trusted_proxies):
        host = _first(exchange.headers.get(b"x-forwarded-host")) or host
        scheme = (_first(exchange.headers.get(b"x-forwarded-proto")) or scheme.encode()).decode("latin-1")
    return (None if host is None else host.decode("latin-1")), scheme


def _first(forwarded: bytes | None) -> bytes | None:
    """Of a list to which each proxy on the way appended, what the client used."""
    return None if forwarded is None else forwarded.partition(b",")[0].strip()


def _is_trusted(client: tuple[str, int] | None, proxies: tuple[str, ...]) -> bool:
    return client is not None and _peer_in(client[0], proxies)


@lru_cache(maxsize=256)
def _peer_in(peer: str, proxies: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
        return any(address in ipaddress.ip_network(proxy, strict=False) for proxy in proxies)
    except ValueError:
        return False


async def _answer_preflight(exchange: Exchange) -> None:
    asked = exchange.headers.get(b"access-control-request-headers", b"authorization, content-type")
    await exchange.start(
        204,
        (
            (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
            (b"access-control-allow-headers", asked),
            (b"access-control-allow-private-network", b"true"),
            (b"access-control-max-age", b"600"),
        ),
    )
    await exchange.send({"type": "http.response.body", "body": b""})


async def _refuse(exchange: Exchange, error: GatewayError) -> None:
    if exchange.started:
        return  # the server cuts an answer that does not end, which is how its client learns
    body = write_error(exchange.surface, error, exchange.row.request_id)
    headers = tuple((name.encode(), value.encode("latin-1", "replace")) for name, value in error.headers)
    await exchange.respond(error.status, body, headers, b"application/json")
