"""Whether a failed attempt is followed by the next one (SPEC §5, "What moves on"), as a table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from ..values import FallbackRules, Fault, FaultKind

__all__ = ["moves_on"]

#: `always`: another credential or provider may do better, whatever the status was.
#: `status`: `retryStatusCodes` decides; a fault without an error status (an error event on a stream that began with
#: 200, before its commit point) moves on.
#: `listed`: the request's own fault comes back at once, unless its status is in `retryStatusCodes`.
_RULES: Final[Mapping[FaultKind, Literal["always", "status", "listed"]]] = MappingProxyType(
    {
        "auth": "always",
        "billing": "always",
        "denied": "always",
        "rate_limit": "status",
        "overloaded": "status",
        "server": "status",
        "rejected": "listed",
        "invalid": "always",
        "unreachable": "always",
        "timeout": "always",
    }
)


def moves_on(fault: Fault, rules: FallbackRules) -> bool:
    """Whether the next attempt may be made. Only before the commit point; the caller keeps that.

    `rules.enabled` plays no part: it decides whether other providers are in the plan at all, and the credentials of
    one provider always stand in for each other.
    """
    rule = _RULES[fault.kind]
    if rule == "always" or fault.status in rules.retry_status_codes:
        return True
    return rule == "status" and (fault.status is None or fault.status < 400)
