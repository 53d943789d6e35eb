"""Who is calling: the caller of a request under the snapshot in force (SPEC §2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ..errors import AccessDenied, Unauthenticated
from ..policy.access import Scope, check_scope, find_caller, presented_token
from ..values import Caller, Snapshot, TokenTable

__all__ = ["Authenticator", "tokenless"]


class Authenticator:
    """Turns request headers into a caller.

    `anonymous` is decided once, at the start of the process: a reload that brings a token ends anonymous mode,
    and nothing begins it later. `open_on_purpose` admits anonymous callers from beyond this machine too.
    """

    def __init__(self, *, anonymous: bool, open_on_purpose: bool = False) -> None:
        self._anonymous = anonymous
        self._open_on_purpose = open_on_purpose

    def caller(
        self,
        headers: dict[bytes, bytes],
        snapshot: Snapshot,
        now: float,
        required: Scope,
        connection: Mapping[str, Any],
    ) -> Caller:
        """The caller, if it holds the scope. `now` is seconds since the epoch, `connection` the ASGI scope.

        Raises:
            Unauthenticated: 401.
            InsufficientScope: 403.
        """
        if self._anonymous and not tokenless(snapshot.tokens):
            self._anonymous = False
        caller = find_caller(snapshot.tokens, presented_token(headers), now, anonymous=self._anonymous)
        if caller.kind == "anonymous" and not self._open_on_purpose and not _stays_here(connection):
            raise Unauthenticated(
                "OPEN_LLM_AUTH_ALLOW_ANON is for callers on the gateway's own machine, and this connection came to "
                "an address that others reach. Make a token (open-llm-auth tokens create NAME), or open it "
                "to all: serve --i-know-this-is-open, or OPEN_LLM_AUTH_OPEN_ON_PURPOSE=1 for another ASGI server.",
                headers=(("www-authenticate", "Bearer"),),
            )
        check_scope(caller, required)
        return caller

    def caller_if_any(
        self,
        headers: dict[bytes, bytes],
        snapshot: Snapshot,
        now: float,
        wanted: Scope,
        connection: Mapping[str, Any],
    ) -> Caller | None:
        """The caller for a route that answers everybody, and some with more."""
        try:
            return self.caller(headers, snapshot, now, wanted, connection)
        except AccessDenied:
            return None


def tokenless(tokens: TokenTable) -> bool:
    """Whether no token exists, disabled ones counted too: the only state in which anonymous mode may be."""
    return tokens.configured == 0 and not tokens.legacy


def _stays_here(connection: Mapping[str, Any]) -> bool:
    """Whether a connection can't have come from another machine: by a Unix socket, or to a loopback address.

    An ASGI server that does not tell its own address is judged by the peer's.
    """
    server = connection.get("server")
    if server is not None and server[1] is None:
        return True
    end = server or connection.get("client")
    return end is not None and _is_loopback(end[0])


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
