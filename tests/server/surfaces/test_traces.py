"""`GET /config/calls/{call_id}` and `x-gateway-trace`: why a call got its credential, for admins and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from open_llm_auth.testing import BEHAVIOURS, FakeProvider, GatewayAnswer, GatewayProcess

from ...ways_in import WAYS

ONE, TWO = "sk-canary-trace-one-1", "sk-canary-trace-two-2"
PROMPT = "canary-prompt-in-no-trace"
TRACE = {"x-gateway-trace": "1"}


@pytest.fixture
def lab() -> Iterator[FakeProvider]:
    with FakeProvider(keys=(ONE, TWO), models=("m",)) as provider:
        yield provider


@pytest.fixture
def gateway(make_gateway: Callable[..., GatewayProcess], lab: FakeProvider, client_token: str, admin_token: str):
    config = {
        "authProfiles": {
            "lab:one": {"provider": "lab", "type": "api_key", "key": ONE},
            "lab:two": {"provider": "lab", "type": "api_key", "key": TWO},
            "lab:ada": {"provider": "lab", "type": "api_key", "key": "sk-canary-trace-ada-3", "owner": "ada"},
        },
        "authOrder": {"lab": ["lab:one", "lab:two"]},
        "providers": {"lab": {"baseUrl": lab.base_url, "auth": "api-key", "api": "openai-completions", "models": []}},
        "authorization": {
            "tokens": {
                "ci": {"token": client_token, "scopes": ["read", "write"]},
                "root": {"token": admin_token, "admin": True},
            }
        },
        "egressPolicy": {"allowLocalProviders": ["lab"]},
    }
    return make_gateway(config, token=admin_token)


def ask(gateway: GatewayProcess, way: str = "chat", *, stream: bool = False, **options: Any) -> GatewayAnswer:
    target = WAYS[way].target("lab/m", stream=stream)
    return gateway.request("POST", target, body=WAYS[way].body("lab/m", PROMPT, stream=stream), **options)


def trace_of(gateway: GatewayProcess, answer: GatewayAnswer) -> dict[str, Any]:
    found = gateway.request("GET", f"/config/calls/{answer.headers['x-gateway-call-id']}")
    assert found.status == 200, found.body
    assert PROMPT not in found.body.decode()
    return found.json()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", list(WAYS))
def test_every_call_tells_afterwards_what_decided(gateway, lab, way, stream) -> None:
    lab.when("rate_limited", key=ONE)
    answer = ask(gateway, way, stream=stream)
    told = trace_of(gateway, answer)
    assert (told["id"], told["surface"], told["subject"]) == (answer.headers["x-gateway-call-id"], way, "root")
    assert (told["resolved"], told["outcome"]) == ("lab/m", "answered")
    assert [each["profile"] for each in told["candidates"]] == ["lab:one", "lab:two"]
    assert told["passedOver"] == [{"candidate": "lab:ada", "reason": "it belongs to 'ada'"}]
    first, second = told["attempts"]
    assert (first["profile"], first["status"], first["fault"]) == ("lab:one", 429, "rate_limit")
    assert (first["retryAfter"], first["restsSeconds"]) == (1.0, 1.0)
    assert (second["profile"], second["status"]) == ("lab:two", 200)
    assert told["served"]["billing"] == "metered"


def test_a_call_that_nobody_answered_tells_why(gateway, lab) -> None:
    lab.behaviour = BEHAVIOURS["key_refused"]
    told = trace_of(gateway, ask(gateway))
    assert (told["outcome"], told["code"]) == ("failed", "upstream_credential_rejected")
    assert [each["rejected"] for each in told["attempts"]] == [True, True]
    assert "served" not in told


def test_a_call_for_nothing_there_is_tells_that_too(gateway) -> None:
    answer = gateway.request("POST", "/v1/chat/completions", body=WAYS["chat"].body("nosuch/m", PROMPT), headers=TRACE)
    told = trace_of(gateway, answer)
    assert (told["outcome"], told["code"], told["requested"]) == ("refused", "provider_not_found", "nosuch/m")
    assert json.loads(answer.headers["x-gateway-trace"])["code"] == "provider_not_found"


def test_a_call_that_went_wrong_midway_was_answered_and_failed(gateway, lab) -> None:
    lab.behaviour = BEHAVIOURS["error_mid_stream"]
    told = trace_of(gateway, ask(gateway, stream=True))
    assert (told["outcome"], told["served"]["profile"]) == ("failed", "lab:one")


def test_an_unknown_call_is_not_found_and_only_admins_may_look(gateway, client_token) -> None:
    unknown = gateway.request("GET", "/config/calls/call_nosuch")
    assert (unknown.status, unknown.json()["error"]["code"]) == (404, "not_found")
    call_id = ask(gateway).headers["x-gateway-call-id"]
    denied = gateway.request("GET", f"/config/calls/{call_id}", token=client_token)
    assert (denied.status, denied.json()["error"]["code"]) == (403, "insufficient_scope")
    assert gateway.request("GET", f"/config/calls/{call_id}", token="").status == 401


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("stream", [False, True])
def test_an_admin_who_asks_gets_it_with_the_answer(gateway, way, stream) -> None:
    answer = ask(gateway, way, stream=stream, headers=TRACE)
    told = json.loads(answer.headers["x-gateway-trace"])
    assert told["served"]["profile"] == "lab:one"
    assert told["id"] == answer.headers["x-gateway-call-id"]
    assert len(answer.headers["x-gateway-trace"]) <= 4_096
    assert PROMPT not in answer.headers["x-gateway-trace"]


def test_an_admin_who_asks_gets_it_with_an_error_too(gateway, lab) -> None:
    lab.behaviour = BEHAVIOURS["bad_request"]
    answer = ask(gateway, headers=TRACE)
    told = json.loads(answer.headers["x-gateway-trace"])
    assert (answer.status, told["attempts"][0]["status"], told["outcome"]) == (400, 400, "failed")


@pytest.mark.parametrize("headers", [{}, {"x-gateway-trace": "0"}, {"x-gateway-trace": ""}])
def test_who_does_not_ask_gets_none(gateway, headers) -> None:
    assert "x-gateway-trace" not in ask(gateway, headers=headers).headers


def test_who_is_no_admin_gets_none_whatever_comes_of_the_call(gateway, lab, client_token) -> None:
    assert "x-gateway-trace" not in ask(gateway, headers=TRACE, token=client_token).headers
    lab.behaviour = BEHAVIOURS["bad_request"]
    assert "x-gateway-trace" not in ask(gateway, headers=TRACE, token=client_token).headers


def test_the_wish_for_a_trace_goes_to_no_provider(gateway, lab) -> None:
    ask(gateway, headers=TRACE)
    assert "x-gateway-trace" not in lab.calls[-1].request.fields
