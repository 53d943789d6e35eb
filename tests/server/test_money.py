"""Who pays, as callers are told: every answer says it, and a fall from a subscription to a metered key is told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from open_llm_auth.testing import BEHAVIOURS, FakeAnthropic, FakeProvider, GatewayProcess

from ..ways_in import WAYS

PLAN, KEY, FREE = "canary-plan-0001", "sk-canary-key-0002", "sk-canary-free-0003"
FELL = "metered; fell-from=subscription"


@pytest.fixture
def lab() -> Iterator[FakeProvider]:
    with FakeProvider(keys=(PLAN, KEY, FREE), models=("m",)) as provider:
        yield provider


def stored(**fields: Any) -> dict[str, Any]:
    """A subscription and a metered key."""
    return {
        "lab:plan": {"provider": "lab", "type": "oauth", "access": PLAN, **fields},
        "lab:key": {"provider": "lab", "type": "api_key", "key": KEY},
    }


@pytest.fixture
def start(make_gateway: Callable[..., GatewayProcess], lab: FakeProvider, client_token: str, admin_token: str):
    def start_gateway(profiles: dict[str, Any], **sections: Any) -> GatewayProcess:
        tokens = {
            "ci": {"token": client_token, "scopes": ["read", "write"]},
            "root": {"token": admin_token, "admin": True},
        }
        config = {
            "authProfiles": profiles,
            "providers": {
                "lab": {"baseUrl": lab.base_url, "auth": "api-key", "api": "openai-completions", "models": []}
            },
            "authorization": {"tokens": tokens},
            "egressPolicy": {"allowLocalProviders": ["lab"]},
            **sections,
        }
        return make_gateway(config, secrets=(PLAN, KEY, FREE))

    return start_gateway


def ask(gateway: GatewayProcess, *, status: int = 200, way: str = "chat", **headers: str) -> Any:
    answer = WAYS[way].ask(gateway, "lab/m", headers=headers)
    assert answer.status == status, answer.body
    return answer


@pytest.mark.parametrize("billing", ["metered", "subscription", "free", "local"])
def test_every_answer_says_how_it_is_paid_for_and_so_does_the_log(start, billing) -> None:
    profile = {"provider": "lab", "type": "api_key", "key": FREE, "metadata": {"billing": billing}}
    gateway = start({"lab:x": profile})
    for way in WAYS.values():
        for stream in (False, True):
            answer = way.ask(gateway, "lab/m", stream=stream)
            assert answer.headers["x-gateway-billing"] == billing
    row = gateway.wait_for_row(lambda row: row.get("profile") == "lab:x")
    assert row["billing"] == billing
    assert "fellFrom" not in row


def test_an_error_of_a_provider_says_it_too(start, lab) -> None:
    gateway = start({"lab:key": stored()["lab:key"]})
    lab.behaviour = BEHAVIOURS["bad_request"]
    assert ask(gateway, status=400).headers["x-gateway-billing"] == "metered"


def test_an_estimate_costs_nothing_and_says_nothing(start) -> None:
    gateway = start(stored())
    body = {"model": "lab/m", "messages": [{"role": "user", "content": "hi"}]}
    answer = gateway.request("POST", "/v1/messages/count_tokens", body=body)
    assert answer.headers["x-gateway-estimated"] == "1"
    assert "x-gateway-billing" not in answer.headers


@pytest.mark.parametrize("behaviour", ["rate_limited_without_time", "quota_spent", "server_error"])
def test_a_fall_to_a_metered_key_is_told_in_the_header_the_row_and_once_in_the_log(start, lab, behaviour) -> None:
    gateway = start(stored())
    assert ask(gateway).headers["x-gateway-billing"] == "subscription"
    lab.when(behaviour, key=PLAN)
    # It fails first, and rests the next times: both are falls.
    for _ in range(4):
        assert ask(gateway).headers["x-gateway-billing"] == FELL
    row = gateway.wait_for_row(lambda row: row.get("fellFrom") is not None)
    assert (row["billing"], row["fellFrom"]) == ("metered", "lab:plan")
    warnings = [line for line in gateway.log().splitlines() if line.startswith("warning: calls go to the metered")]
    assert len(warnings) == 1
    assert "'lab:key'" in warnings[0]
    assert "'lab:plan'" in warnings[0]


def test_a_sign_in_that_expired_is_fallen_from_too(start) -> None:
    gateway = start(stored(expires=int((time.time() - 60) * 1000)))
    assert ask(gateway).headers["x-gateway-billing"] == FELL


def test_a_metered_key_that_goes_first_by_order_or_by_wish_falls_from_nothing(start) -> None:
    gateway = start(stored(), authOrder={"lab": ["lab:key", "lab:plan"]})
    assert ask(gateway).headers["x-gateway-billing"] == "metered"
    gateway = start(stored())
    assert ask(gateway, **{"x-auth-profile": "key"}).headers["x-gateway-billing"] == "metered"


# --- refused ---------------------------------------------------------------------------------------------------

REFUSE = {"providerFallback": {"subscriptionToMetered": "refuse"}}


def test_where_a_fall_is_refused_the_subscription_is_all_there_is(start, lab) -> None:
    gateway = start(stored(), **REFUSE)
    assert ask(gateway).headers["x-gateway-billing"] == "subscription"
    lab.when("rate_limited_without_time", key=PLAN)
    for _ in range(2):
        answer = ask(gateway, status=429)
        assert answer.headers["x-gateway-profile"] == "lab:plan"
        assert answer.headers["x-gateway-billing"] == "subscription"
    assert KEY not in {call.request.key for call in lab.calls}


def test_a_sign_in_that_expired_is_not_replaced_by_a_metered_key(start, lab) -> None:
    gateway = start(stored(expires=int((time.time() - 60) * 1000)), **REFUSE)
    answer = ask(gateway, status=403)
    assert answer.json()["error"]["code"] == "no_credentials"
    assert "subscriptionToMetered" in answer.json()["error"]["message"]
    assert lab.calls == []


def test_what_costs_nothing_may_stand_in_all_the_same(start, lab) -> None:
    free = {"provider": "lab", "type": "api_key", "key": FREE, "metadata": {"billing": "free"}}
    gateway = start({**stored(), "lab:free": free}, **REFUSE)
    lab.when("server_error", key=PLAN)
    answer = ask(gateway)
    assert (answer.headers["x-gateway-profile"], answer.headers["x-gateway-billing"]) == ("lab:free", "free")


# --- where a profile may be used -------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", list(WAYS))
def test_a_profile_that_is_kept_to_some_ways_in_is_used_there_alone(start, admin_token, surface) -> None:
    gateway = start(stored(metadata={"surfaces": [surface]}))
    for way in WAYS.values():
        answer = way.ask(gateway, "lab/m")
        expected = "lab:plan" if way.name == surface else "lab:key"
        assert answer.headers["x-gateway-profile"] == expected
        # That is how its owner wants it, and no fall.
        assert answer.headers["x-gateway-billing"] == ("subscription" if way.name == surface else "metered")
        call_id = answer.headers["x-gateway-call-id"]
        told = gateway.request("GET", f"/config/calls/{call_id}", token=admin_token).json()
        reasons = {each["candidate"]: each["reason"] for each in told["passedOver"]}
        assert ("lab:plan" in reasons) is (way.name != surface)
        assert all(surface in reason for reason in reasons.values())


def test_embeddings_and_the_gateways_own_pages_are_ways_in_too(start) -> None:
    gateway = start(stored(metadata={"surfaces": ["embeddings", "ui"]}))
    body = {"model": "lab/m", "input": "hi"}
    assert gateway.request("POST", "/v1/embeddings", body=body).headers["x-gateway-profile"] == "lab:plan"
    assert ask(gateway).headers["x-gateway-profile"] == "lab:key"
    page = ask(gateway, **{"sec-fetch-site": "same-origin"})
    assert page.headers["x-gateway-profile"] == "lab:plan"


@pytest.mark.parametrize("surfaces", [[], ["chats"], [7], {"chat": True}, "nowhere", 7])
def test_a_list_that_says_nothing_sensible_opens_nothing(start, surfaces) -> None:
    gateway = start(stored(metadata={"surfaces": surfaces}))
    assert ask(gateway).headers["x-gateway-profile"] == "lab:key"


def test_one_surface_may_be_said_without_a_list(start) -> None:
    gateway = start(stored(metadata={"surfaces": "chat"}))
    assert ask(gateway).headers["x-gateway-profile"] == "lab:plan"
    assert ask(gateway, way="messages").headers["x-gateway-profile"] == "lab:key"


# --- a sign-in that its provider refuses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "named"), [({"risk": "at your own"}, True), ({"termsUrl": "https://t"}, True), ({}, False)]
)
def test_a_refused_sign_in_names_the_way_that_is_allowed(
    make_gateway, client_token: str, metadata: dict[str, str], named: bool
) -> None:
    with FakeAnthropic(keys=("another",), models=("claude-x",)) as claude:
        config = {
            "authProfiles": {
                "anthropic:setup-token": {
                    "provider": "anthropic",
                    "type": "token",
                    "token": PLAN,
                    "metadata": {"billing": "subscription", **metadata},
                }
            },
            "providers": {"anthropic": {"baseUrl": claude.base_url, "models": []}},
            "authorization": {"tokens": {"ci": {"token": client_token, "scopes": ["read", "write"]}}},
            "egressPolicy": {"allowLocalProviders": ["anthropic"]},
        }
        gateway = make_gateway(config)
        answer = WAYS["chat"].ask(gateway, "anthropic/claude-x")
    error = answer.json()["error"]
    assert (answer.status, error["code"]) == (401, "upstream_credential_rejected")
    assert ("claude-cli/MODEL" in error["message"]) is named
