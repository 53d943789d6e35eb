"""Addresses that an issuer tells: nobody is sent to one, and no credential, before it is known to be the issuer's own.

A token endpoint that is lied to, or lies, could otherwise send a person to a page that asks for their password, and
every later call with its credential to a stranger.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from ...errors import UnsafeDestination, UpstreamInvalidResponse
from ...policy.egress import parse_endpoint
from ...values import Endpoint, SignIn
from .answers import issuer

__all__ = ["base_url_told", "is_among", "origin_of", "page_told", "parse_told"]

_QUERY: Final = re.compile(r"[!$-;=?-Z\[\]_a-z~@]*")


def is_among(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether a host is one of `hosts`, or ends with one that begins with a dot."""
    return any(host == one or (one.startswith(".") and (host.endswith(one) or host == one[1:])) for one in hosts)


def base_url_told(sign_in: SignIn, told: str, *also: str) -> str:
    """Where calls go, as an issuer told it: https and one of the sign-in's hosts, or one of `also`.

    Raises:
        UpstreamInvalidResponse: it is anything else.
    """
    endpoint = parse_told(sign_in, told if "//" in told else f"https://{told}")
    if endpoint.scheme != "https" or not is_among(endpoint.host, (*sign_in.hosts, *also)):
        raise _foreign(sign_in, "would send calls", endpoint)
    return str(endpoint)


def page_told(sign_in: SignIn, told: str) -> str:
    """Where the person goes, as an issuer told it: https, and of the site that the sign-in itself is at; or the very
    origin of the device endpoint, which may be a server of this machine.

    Raises:
        UpstreamInvalidResponse: it is anything else.
    """
    address, _, query = told.partition("?")
    endpoint = parse_told(sign_in, address)
    own = origin_of(sign_in.device_url)
    at_home = (endpoint.scheme, endpoint.host, endpoint.port) == (own.scheme, own.host, own.port)
    if not at_home and (endpoint.scheme != "https" or not _is_own_site(sign_in, endpoint.host)):
        raise _foreign(sign_in, "would send you", endpoint)
    if not _QUERY.fullmatch(query):
        raise _unreadable(sign_in)
    return told


def _is_own_site(sign_in: SignIn, host: str) -> bool:
    stated = (sign_in.device_url, sign_in.token_url, sign_in.authorize_url, sign_in.verification_url)
    own = [origin_of(url).host for url in stated if url]
    return is_among(host, (*sign_in.hosts, *own, *(f".{each}" for each in own)))


def origin_of(url: str) -> Endpoint:
    """Scheme, host and port of an address that the catalog or the config states.

    Raises:
        UnsafeDestination: it is none.
    """
    parts = urlsplit(url)
    return parse_endpoint(f"{parts.scheme}://{parts.netloc}")


def parse_told(sign_in: SignIn, told: str) -> Endpoint:
    """An address without a query.

    Raises:
        UpstreamInvalidResponse: it is none.
    """
    try:
        return parse_endpoint(told)
    except UnsafeDestination:
        raise _unreadable(sign_in) from None


def _unreadable(sign_in: SignIn) -> UpstreamInvalidResponse:
    return UpstreamInvalidResponse(
        f"{issuer(sign_in)} told an address that does not parse.", details={"provider": sign_in.provider}
    )


def _foreign(sign_in: SignIn, what: str, endpoint: Endpoint) -> UpstreamInvalidResponse:
    return UpstreamInvalidResponse(
        f"{issuer(sign_in)} {what} to {endpoint.scheme}://{endpoint.authority}, which is not known to be its own. "
        "Nothing was sent there.",
        details={"provider": sign_in.provider, "host": endpoint.host, "reason": "foreign_host"},
    )
