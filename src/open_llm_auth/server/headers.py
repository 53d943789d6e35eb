"""Header fields that the gateway adds: to what leaves for a provider, and to what goes back to a client (SPEC §1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from ..errors import SecretUnavailable
from ..ports import SecretSource
from ..values import Attempt, Billing, Headers, SecretRef

__all__ = ["asked_headers", "dropped_header", "gateway_headers", "resolve_headers"]


#: names come from the client
_NAMES_LIMIT: Final = 512


def resolve_headers(headers: tuple[tuple[str, SecretRef], ...], secrets: SecretSource) -> Headers:
    """Configured header fields with their references resolved, names in lower case.

    Raises:
        SecretUnavailable: a reference can't be resolved, or what stands behind it can't stand in a header.
    """
    resolved = []
    for name, ref in headers:
        value = secrets.get(ref).reveal().strip()
        if not (value.isascii() and value.isprintable()):
            raise SecretUnavailable(f"The value of the header {name!r} ({ref.label}) can't stand in a header.")
        resolved.append((name.lower().encode(), value.encode()))
    return tuple(resolved)


#: how the credential bills; what has taken a subscription's place says so
_BILLINGS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    billing: (b"x-gateway-billing", billing.encode()) for billing in get_args(Billing)
}
_FALLEN: Final = (b"x-gateway-billing", b"metered; fell-from=subscription")


def gateway_headers(attempt: Attempt, number: int, *, fallen: bool = False) -> Headers:
    """Which attempt answered, and how it is paid for."""
    return (
        (b"x-gateway-provider", _header_text(attempt.provider.id)),
        (b"x-gateway-model", _header_text(attempt.model)),
        (b"x-gateway-profile", _header_text(attempt.credential.id)),
        (b"x-gateway-attempts", b"%d" % number),
        _FALLEN if fallen else _BILLINGS[attempt.credential.billing],
    )


def asked_headers(attempt: Attempt, number: int) -> Headers:
    """Which attempt it would be, of a call that costs nothing because nobody is asked."""
    return gateway_headers(attempt, number)[:-1]


def dropped_header(names: tuple[str, ...]) -> tuple[bytes, bytes]:
    """What of the request the provider's dialect could not carry, by name (docs/dialects.md)."""
    return (b"x-gateway-dropped", _header_text(", ".join(names)[:_NAMES_LIMIT]))


def _header_text(text: str) -> bytes:
    """A name fit for a header field: what is not printable ASCII is shown as it would be in a literal."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return text.encode("unicode_escape")
