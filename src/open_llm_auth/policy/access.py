"""Who may call, and what for: tokens, scopes, allow-lists, Host and Origin (SPEC §2)."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from ..errors import HostNotAllowed, InsufficientScope, OriginNotAllowed, Unauthenticated
from ..values import Caller, TokenTable

__all__ = [
    "LOCAL_ADMIN",
    "TOKEN_PREFIX",
    "Scope",
    "allows",
    "check_host",
    "check_origin",
    "check_scope",
    "digest",
    "find_caller",
    "is_gateway_token",
    "presented_token",
    "unauthenticated",
]

Scope = Literal["read", "write", "admin"]

#: Whoever runs a command on the machine itself (SPEC §8).
LOCAL_ADMIN = Caller(subject="local-admin", admin=True, kind="local")

#: What every token that the gateway makes begins with.
TOKEN_PREFIX = "ola_"

_ANONYMOUS = Caller(subject="anonymous", admin=True, kind="anonymous")
_LOOPBACK_NAMES = frozenset({"localhost", "host.docker.internal"})
#: A name of 253 characters, its last dot, and a port. What is longer is nobody's, and not worth remembering.
_LONGEST_HOST = 260
_PORT = re.compile(r":\d{0,5}\Z")


def digest(token: str) -> bytes:
    """SHA-256 of a client token: what is stored, looked up and compared in its place."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def presented_token(headers: dict[bytes, bytes]) -> str | None:
    """The credential of a request: `Authorization: Bearer`, else `x-api-key`, else `x-goog-api-key`.

    An Authorization header of another scheme wins too, and is nobody's: what a client meant as its
    credential is never passed over for a second one.
    """
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, rest = value.partition(b" ")
        return rest.strip().decode("utf-8", "surrogateescape") if scheme.lower() == b"bearer" else ""
    value = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key")
    return value.strip().decode("utf-8", "surrogateescape") if value is not None else None


def find_caller(table: TokenTable, token: str | None, now: float, *, anonymous: bool) -> Caller:
    """The caller that `token` stands for. `now` is seconds since the epoch.

    Raises:
        Unauthenticated: nobody's token, an expired one, or none at all.
    """
    if not token:
        if anonymous and token is None:
            return _ANONYMOUS
        raise unauthenticated(table)
    # Only digests are ever compared: what the time of a lookup tells of a digest says nothing of its token.
    caller = table.callers.get(digest(token))
    if caller is None:
        if anonymous:
            return _ANONYMOUS
        raise unauthenticated(table)
    if caller.expires_at is not None and caller.expires_at <= now * 1000:
        raise Unauthenticated(
            f"The token of {caller.subject!r} has expired. Make a new one with: open-llm-auth tokens create NAME",
            headers=_CHALLENGE,
        )
    return caller


_CHALLENGE = (("www-authenticate", "Bearer"),)


def unauthenticated(table: TokenTable) -> Unauthenticated:
    """The 401 that fits: how to set a first token where there is none, how to send one where there is."""
    if table.configured or table.legacy:
        message = "Missing or unknown token. Send one as 'Authorization: Bearer TOKEN' or 'x-api-key: TOKEN'."
    else:
        message = (
            "No token is configured, so nobody may call. Make one with: open-llm-auth tokens create NAME --admin "
            "(or set OPEN_LLM_AUTH_TOKEN)."
        )
    return Unauthenticated(message, headers=_CHALLENGE)


def is_gateway_token(table: TokenTable, text: str) -> bool:
    """Whether this is a client's key to a gateway, and not a gateway's key to a provider.

    Clients keep the first where programs look for the second (`OPENAI_API_KEY`), so that the two are easily mixed up.
    """
    return text.startswith(TOKEN_PREFIX) or digest(text) in table.callers


def check_scope(caller: Caller, required: Scope) -> None:
    """Scopes imply nothing; only `admin` implies the rest.

    Raises:
        InsufficientScope: with `details.required`.
    """
    if caller.admin or (required != "admin" and required in caller.scopes):
        return
    raise InsufficientScope(
        f"This token lacks the scope {required!r}.", details={"required": required, "scopes": sorted(caller.scopes)}
    )


def allows(caller: Caller, provider: str, model: str, profile: str) -> bool:
    """Whether the caller's allow-lists let this attempt be made. Globs match `provider/model` or the bare model."""
    if caller.models is None and caller.providers is None and caller.profiles is None:
        return True
    return (
        _listed(caller.models, (f"{provider}/{model}", model))
        and _listed(caller.providers, (provider,))
        and _listed(caller.profiles, (profile,))
    )


def _listed(globs: tuple[str, ...] | None, names: tuple[str, ...]) -> bool:
    return globs is None or any(fnmatchcase(name.lower(), glob.lower()) for glob in globs for name in names)


def check_host(host: str | None, allowed: Collection[str]) -> None:
    """Refuse a name that a hostile page could have pointed here (DNS rebinding needs a name, so IP literals pass).

    Raises:
        HostNotAllowed: 421, naming the setting that lets the host in.
    """
    if host is not None and len(host) <= _LONGEST_HOST and _host_is_ours(host, frozenset(allowed)):
        return
    raise HostNotAllowed(
        f"The host {(host or '')[:255]!r} is not one this gateway answers to. Add it to server.allowedHosts.",
        details={"setting": "server.allowedHosts"},
    )


@lru_cache(maxsize=512)
def _host_is_ours(host: str, allowed: frozenset[str]) -> bool:
    name = _PORT.sub("", host).lower().removesuffix(".")
    if name in _LOOPBACK_NAMES or name.endswith(".localhost") or name in allowed or host.lower() in allowed:
        return True
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True


def check_origin(origin: str, own: str, allowed: Collection[str]) -> bool:
    """True for a listed foreign origin (which needs CORS headers), False for the gateway's own.

    Raises:
        OriginNotAllowed: naming the setting.
    """
    if origin == own:
        return False
    if origin in allowed:
        return True
    raise OriginNotAllowed(
        f"Requests from the origin {origin[:255]!r} are refused. Add it to server.corsOrigins to allow it.",
        details={"setting": "server.corsOrigins"},
    )
