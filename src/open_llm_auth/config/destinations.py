"""The addresses a document would send bytes to, and the egress policy's word on those a write changes (SPEC §6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from ..auth.secrets import is_reference
from ..errors import UnsafeDestination
from ..policy.egress import check_endpoint, parse_endpoint, unsafe
from ..values import EgressRules
from .model import ConfigDocument, OAuthEntry

__all__ = ["PROXY", "Destination", "destinations", "judge_changes"]

#: Whom the policy takes the proxy and the database for, as it takes a provider id.
PROXY: Final = "egressPolicy.proxy"
_DATABASE: Final = "durableState.url"

_USERINFO: Final = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")
_DATABASE_SCHEMES: Final = frozenset({"postgres", "postgresql"})
_Kind = Literal["provider", "proxy", "database"]


@dataclass(frozen=True, slots=True)
class Destination:
    """`path` is where the document says it. Two are equal when nothing about where bytes go has changed."""

    path: str
    provider: str
    url: str
    kind: _Kind = "provider"

    def __repr__(self) -> str:
        return f"Destination({self.path!r})"  # the URL of a proxy or a database may hold a password


def destinations(document: ConfigDocument, normalise: Callable[[str], str]) -> Iterator[Destination]:
    """Every address the document states. A reference is none: what it stands for is judged when it is used."""
    for id_, provider in document.providers.items():
        yield from _stated(f"providers.{id_}.baseUrl", normalise(id_), provider.base_url)
    for id_, profile in document.auth_profiles.items():
        yield from _stated(f"authProfiles.{id_}.baseUrl", normalise(profile.provider), profile.base_url)
    for id_, entry in document.oauth.items():
        yield from _sign_in(f"oauth.{id_}", normalise(id_), entry)
    yield from _stated(PROXY, PROXY, document.egress_policy.proxy, "proxy")
    yield from _stated(_DATABASE, _DATABASE, document.durable_state.url, "database")


def judge_changes(
    before: ConfigDocument, after: ConfigDocument, rules: EgressRules, normalise: Callable[[str], str]
) -> None:
    """Judge what `after` states and `before` did not, by its literal spelling; no name is looked up.

    Raises:
        UnsafeDestination: `param` is the path, `details` the provider, scheme, host, reason and phase.
    """
    known = set(destinations(before, normalise))
    for destination in destinations(after, normalise):
        if destination not in known:
            _JUDGES[destination.kind](rules, destination)


def _stated(path: str, provider: str, url: str | None, kind: _Kind = "provider") -> Iterator[Destination]:
    if url and url.strip() and (kind == "provider" or not is_reference(url)):
        yield Destination(path, provider, url.strip(), kind)


def _sign_in(path: str, provider: str, entry: OAuthEntry) -> Iterator[Destination]:
    yield from _stated(f"{path}.authorizeUrl", provider, entry.authorize_url)
    yield from _stated(f"{path}.tokenUrl", provider, entry.token_url)
    yield from _stated(f"{path}.deviceUrl", provider, entry.device_url)
    yield from _stated(f"{path}.exchangeUrl", provider, entry.exchange_url)
    yield from _stated(f"{path}.verificationUrl", provider, entry.verification_url)


def _judge(rules: EgressRules, destination: Destination, url: str) -> None:
    try:
        endpoint = parse_endpoint(url)
    except UnsafeDestination as error:
        raise _refused(destination, error.message, error.details) from None
    verdict = check_endpoint(rules, destination.provider, endpoint)
    if not verdict.allowed:
        raise unsafe(destination.provider, endpoint, verdict.reason or "", param=destination.path)


def _judge_provider(rules: EgressRules, destination: Destination) -> None:
    _judge(rules, destination, destination.url)


def _judge_proxy(rules: EgressRules, destination: Destination) -> None:
    _judge(rules, destination, _USERINFO.sub(r"\1", destination.url))


def _judge_database(rules: EgressRules, destination: Destination) -> None:
    """A database is reached by its own protocol and is usually near: what stays forbidden is what is to everybody."""
    near = replace(rules, allow_local_providers=frozenset({destination.provider}))
    for host in _database_hosts(destination):
        _judge(near, destination, f"https://{host}")


def _database_hosts(destination: Destination) -> list[str]:
    """Host and port of each server the URL names; none for a socket in the file system."""
    try:
        parts = urlsplit(destination.url)
    except ValueError:
        raise _refused(destination, "The address does not parse.", {"scheme": "", "reason": "malformed_url"}) from None
    if parts.scheme.partition("+")[0] not in _DATABASE_SCHEMES:
        what = "The address must be postgresql://user@host/database."
        raise _refused(destination, what, {"scheme": parts.scheme, "reason": "unsupported_scheme"})
    query = parse_qs(parts.query)
    named = [parts.netloc.rpartition("@")[2], *query.get("host", []), *query.get("hostaddr", [])]
    hosts = [host.strip() for each in named for host in each.split(",")]
    return [_bracketed(host) for host in hosts if host and not host.startswith(("/", "%2F", "%2f"))]


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _refused(destination: Destination, message: str, details: Mapping[str, object]) -> UnsafeDestination:
    return UnsafeDestination(
        f"{destination.path}: {message}",
        param=destination.path,
        details={"host": "", **details, "provider": destination.provider, "phase": "config_write"},
    )


_JUDGES: Final[Mapping[_Kind, Callable[[EgressRules, Destination], None]]] = {
    "provider": _judge_provider,
    "proxy": _judge_proxy,
    "database": _judge_database,
}
