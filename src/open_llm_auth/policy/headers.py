"""Header fields of a request to a provider that only the transport writes."""

from __future__ import annotations

from typing import Final

__all__ = ["RESERVED_HEADERS"]

#: Lower-case names: those that say where a message ends, those that concern one connection only (RFC 9110 §7.6.1), and
#: `accept-encoding`, because the gateway reads what it relays.
RESERVED_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
