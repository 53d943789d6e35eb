"""Renewals as callers see them: real gateways before a provider that takes what an issuer gave, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from open_llm_auth.testing import FakeProvider, GatewayProcess
from open_llm_auth.testing.issuer import CLIENT_ID, FakeIssuer, Issued

PROFILE = "fake:default"
COMMAND = "open-llm-auth auth login fake --profile default"
CHAT = {"model": "fake/fake-chat", "messages": [{"role": "user", "content": "hello"}]}

MakeGateway = Callable[..., GatewayProcess]


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer() as issuer:
        yield issuer


@pytest.fixture
def upstream(issuer: FakeIssuer) -> Iterator[FakeProvider]:
    with FakeProvider(keys=issuer, models=("fake-chat",)) as provider:
        yield provider


@pytest.fixture
def config(
    config_for: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> Callable[..., dict[str, Any]]:
    def make(issued: Issued, **fields: Any) -> dict[str, Any]:
        document = config_for(upstream)
        del document["providers"]["fake"]["apiKey"]
        document["providers"]["fake"]["auth"] = "oauth"
        entry = {"provider": "fake", "type": "oauth", "access": issued.access, "refresh": issued.refresh}
        return {
            **document,
            "authProfiles": {PROFILE: {**entry, "expires": issued.expires, **fields}},
            "oauth": {"fake": {"tokenUrl": issuer.token_url, "clientId": CLIENT_ID}},
        }

    return make


def stored(gateway: GatewayProcess) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(gateway.config_path.read_text())["authProfiles"][PROFILE]
    return entry


def wait_for_line(gateway: GatewayProcess, words: str) -> None:
    """Its log is written behind the calls."""
    deadline = time.monotonic() + 5
    while words not in gateway.log():
        assert time.monotonic() < deadline, f"no line with {words!r} in:\n{gateway.log()}"
        time.sleep(0.02)


def check_nothing_said(gateway: GatewayProcess, issuer: FakeIssuer, *answers: bytes) -> None:
    said = gateway.log() + "".join(answer.decode() for answer in answers)
    for token in issuer.tokens():
        assert token not in said


def test_an_expired_sign_in_is_renewed_in_line_and_once_for_all(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    issued = issuer.sign_in()
    issuer.forget(issued.access)
    issuer.turn = "slow"
    gateway = make_gateway(config(issued, expires=1000))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: gateway.request("POST", "/v1/chat/completions", body=CHAT), range(20)))
    assert [answer.status for answer in answers] == [200] * 20
    assert {answer.headers["x-gateway-profile"] for answer in answers} == {PROFILE}
    assert {answer.headers["x-gateway-attempts"] for answer in answers} == {"1"}
    assert issuer.presented(issued.refresh) == len(issuer.presentations) == 1
    assert stored(gateway)["refresh"] != issued.refresh
    check_nothing_said(gateway, issuer, *(answer.body for answer in answers))


def test_a_401_leads_to_a_renewal_and_one_more_try(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    issued = issuer.sign_in()
    issuer.forget(issued.access)
    gateway = make_gateway(config(issued))
    answer = gateway.request("POST", "/v1/chat/completions", body=CHAT)
    assert answer.status == 200
    assert answer.headers["x-gateway-attempts"] == "1"
    assert [exchange.status for exchange in upstream.calls] == [401, 200]
    assert gateway.request("POST", "/v1/chat/completions", body={**CHAT, "stream": True}).status == 200
    assert [exchange.status for exchange in upstream.calls] == [401, 200, 200]
    assert len(issuer.presentations) == 1
    check_nothing_said(gateway, issuer, answer.body)


def test_a_401_that_a_renewal_does_not_mend_is_the_answer(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    issued = issuer.sign_in()
    gateway = make_gateway(config(issued))
    upstream.when("key_refused")
    answer = gateway.request("POST", "/v1/chat/completions", body=CHAT)
    assert (answer.status, answer.json()["error"]["code"]) == (401, "upstream_credential_rejected")
    assert [exchange.status for exchange in upstream.calls] == [401, 401]
    assert gateway.request("POST", "/v1/chat/completions", body=CHAT).status == 401
    assert len(issuer.presentations) == 1


def test_a_sign_in_that_needs_its_person_says_so_with_the_command(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    issued = issuer.sign_in()
    issuer.revoke(issued.refresh)
    gateway = make_gateway(config(issued, expires=1000))
    for _ in range(3):
        answer = gateway.request("POST", "/v1/chat/completions", body=CHAT)
        error = answer.json()["error"]
        assert (answer.status, error["code"]) == (403, "needs_login")
        assert COMMAND in error["message"]
        assert error["details"]["command"] == COMMAND
    assert upstream.calls == []
    assert issuer.presented(issued.refresh) == 1
    wait_for_line(gateway, "needs its person")
    check_nothing_said(gateway, issuer, answer.body)


def test_another_credential_serves_while_a_sign_in_can_not(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    spare = issuer.sign_in("acct-2")
    issued = issuer.sign_in()
    document = config(issued, expires=1000)
    document["authProfiles"]["fake:spare"] = {"provider": "fake", "type": "token", "token": spare.access}
    issuer.turn = "server_error"
    gateway = make_gateway(document)
    answer = gateway.request("POST", "/v1/chat/completions", body=CHAT)
    assert (answer.status, answer.headers["x-gateway-profile"]) == (200, "fake:spare")
    assert answer.headers["x-gateway-attempts"] == "2"
    wait_for_line(gateway, "not renewed (uncertain)")


def test_an_uncertain_renewal_is_told_as_the_fault_of_the_way(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    issuer.turn = "html"
    gateway = make_gateway(config(issuer.sign_in(), expires=1000))
    answer = gateway.request("POST", "/v1/chat/completions", body=CHAT)
    assert (answer.status, answer.json()["error"]["code"]) == (502, "renewal_uncertain")
    assert "HTML" in answer.json()["error"]["message"]


def test_a_sign_in_of_another_program_is_never_renewed(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    gateway = make_gateway(config(issuer.sign_in(), expires=1000, metadata={"mayRotate": False}))
    assert gateway.request("POST", "/v1/chat/completions", body=CHAT).status == 403
    assert issuer.presentations == []


def test_two_gateways_of_one_home_share_a_renewal(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    issued = issuer.sign_in()
    first = make_gateway(config(issued))
    with GatewayProcess(first.home, None, token=first.token, environ={"OPEN_LLM_AUTH_HOME": str(first.home)}) as second:
        issuer.forget(issued.access)
        issuer.turn = "slow"
        with ThreadPoolExecutor(10) as pool:
            answers = list(
                pool.map(
                    lambda turn: (first, second)[turn % 2].request("POST", "/v1/chat/completions", body=CHAT), range(10)
                )
            )
    assert [answer.status for answer in answers] == [200] * 10
    assert issuer.presented(issued.refresh) == len(issuer.presentations) == 1


def test_an_idle_gateway_renews_what_is_due(
    make_gateway: MakeGateway, config: Callable[..., dict[str, Any]], issuer: FakeIssuer, upstream: FakeProvider
) -> None:
    issued = issuer.sign_in()
    gateway = make_gateway(config(issued, expires=int(time.time() * 1000) + 60_000))
    issuer.wait_until(lambda: len(issuer.presentations) == 1, 10)
    deadline = time.monotonic() + 5
    while stored(gateway)["refresh"] == issued.refresh and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stored(gateway)["refresh"] != issued.refresh
