"""Whether a failed attempt is followed by the next one (SPEC §5, "What moves on"), as a table, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from ..values import Attempt, FallbackRules, Fault, FaultKind, Plan

__all__ = ["fell_from", "moves_on"]

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


def fell_from(plan: Plan, served: Attempt) -> str | None:
    """The subscription whose place the metered `served` took: one that failed, rests or can't be used, and that would
    have gone first; None where it took none's (SPEC §5, Money)."""
    if served.credential.billing != "metered":
        return None
    for each in plan.considered:
        if each is served:
            return None
        if each is None:
            lapsed = (passed.candidate for passed in plan.passed_over if passed.billing == "subscription")
            return next(lapsed, "subscription")
        if each.credential.billing == "subscription":
            return each.credential.id
    return None
