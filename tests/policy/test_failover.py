"""What moves on to the next attempt, and what comes back at once."""

from typing import get_args

import pytest

from open_llm_auth.errors import UpstreamHTTPError
from open_llm_auth.policy.failover import fell_from, moves_on
from open_llm_auth.values import (
    Attempt,
    Billing,
    Credential,
    FallbackRules,
    Fault,
    FaultKind,
    PassedOver,
    Plan,
    Provider,
)

DEFAULT = FallbackRules()

CASES: list[tuple[FaultKind, int | None, bool]] = [
    ("auth", 401, True),
    ("auth", 403, True),
    ("billing", 402, True),
    ("billing", 429, True),
    ("denied", 403, True),
    ("rate_limit", 429, True),
    ("overloaded", 529, True),
    ("overloaded", 503, True),
    ("overloaded", None, True),
    ("server", 500, True),
    ("server", 502, True),
    ("server", 504, True),
    ("server", 501, False),
    ("server", None, True),
    ("server", 200, True),
    ("rejected", 400, False),
    ("rejected", 404, False),
    ("rejected", 422, False),
    ("rejected", None, False),
    ("rejected", 408, True),
    ("invalid", None, True),
    ("invalid", 200, True),
    ("unreachable", None, True),
    ("timeout", None, True),
]


def fault(kind: FaultKind, status: int | None) -> Fault:
    return Fault(kind, UpstreamHTTPError("the provider said no"), status)


@pytest.mark.parametrize(("kind", "status", "expected"), CASES)
def test_each_fault_moves_on_as_the_contract_says(kind: FaultKind, status: int | None, expected: bool) -> None:
    assert moves_on(fault(kind, status), DEFAULT) is expected


def test_every_kind_of_fault_has_a_row() -> None:
    for kind in get_args(FaultKind):
        assert moves_on(fault(kind, None), DEFAULT) in {True, False}


def test_configured_status_codes_replace_the_default_ones() -> None:
    rules = FallbackRules(retry_status_codes=frozenset({404}))
    assert moves_on(fault("rejected", 404), rules)
    assert not moves_on(fault("rate_limit", 429), rules)
    assert not moves_on(fault("server", 500), rules)
    assert moves_on(fault("auth", 401), rules)
    assert moves_on(fault("unreachable", None), rules)


def test_disabling_provider_fallback_keeps_the_credentials_of_one_provider_standing_in_for_each_other() -> None:
    assert moves_on(fault("rate_limit", 429), FallbackRules(enabled=False))


# --- what it costs -----------------------------------------------------------------------------------------------

LAB = Provider("lab", "openai-completions", "api-key")


def attempt(name: str, billing: Billing) -> Attempt:
    return Attempt(LAB, "m", Credential(f"lab:{name}", "lab", "profile", "api_key", billing=billing))


PLUS, KEY, FREE = attempt("plus", "subscription"), attempt("key", "metered"), attempt("free", "free")


@pytest.mark.parametrize(
    ("considered", "served", "fallen"),
    [
        ((KEY,), KEY, None),
        ((PLUS,), PLUS, None),
        ((PLUS, KEY), KEY, "lab:plus"),
        ((PLUS, FREE, KEY), FREE, None),
        ((FREE, KEY), KEY, None),
        ((KEY, PLUS), KEY, None),
        ((KEY, None), KEY, None),
        ((None, KEY), KEY, "lab:old"),
        ((FREE, None, PLUS, KEY), KEY, "lab:old"),
    ],
)
def test_a_metered_key_falls_from_the_subscription_that_would_have_gone_first(
    considered: tuple[Attempt | None, ...], served: Attempt, fallen: str | None
) -> None:
    passed = (PassedOver("lab:none", "it has no 'key'", "metered"), PassedOver("lab:old", "expired", "subscription"))
    assert fell_from(Plan("m", (served,), passed, considered), served) == fallen


def test_a_subscription_that_nobody_can_name_is_one_all_the_same() -> None:
    assert fell_from(Plan("m", (KEY,), (), (None, KEY)), KEY) == "subscription"
