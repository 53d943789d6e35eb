"""`POST /v1/responses`, what it can't do without a store, and the WebSocket that Codex asks for first."""

from __future__ import annotations

import pytest

from ...ways_in import WAYS

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
RESPONSES = WAYS["responses"]


def test_an_upgrade_is_426_so_that_codex_posts_instead(families):
    gateway = families("chat").gateway
    headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": "x" * 22 + "=="}
    answer = gateway.request("GET", "/v1/responses", headers=headers)
    assert answer.status == 426
    assert answer.json()["error"]["code"] == "websocket_not_supported"
    assert answer.headers["upgrade"] == "HTTP/1.1"
    assert gateway.request("GET", "/v1/responses", headers=headers, token="").status == 401


def test_what_is_stored_can_not_be_listed_because_nothing_is(families):
    answer = families("chat").gateway.request("GET", "/v1/responses")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_an_earlier_answer_is_known_only_where_the_provider_keeps_it(family, upstream):
    first = RESPONSES.ask(upstream.gateway, upstream.model, store=True)
    assert first.status == 200, first.body
    second = RESPONSES.ask(upstream.gateway, upstream.model, previous_response_id=first.json()["id"])
    if family == "responses":
        assert second.status == 200, second.body
        assert upstream.fake.calls[-1].request.json()["previous_response_id"] == first.json()["id"]
    else:
        assert (second.status, second.json()["error"]["param"]) == (400, "previous_response_id")
        assert len(upstream.fake.calls) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_says_that_it_is_not_kept(families, stream):
    upstream = families("anthropic")
    answer = RESPONSES.ask(upstream.gateway, upstream.model, stream=stream, store=False)
    if stream:
        assert b'"store":true' not in answer.body
    else:
        assert answer.json()["store"] is False


def test_instructions_and_a_plain_text_are_enough(family, upstream):
    body = {"model": upstream.model, "instructions": "You are terse.", "input": "hi"}
    answer = upstream.gateway.request("POST", "/v1/responses", body=body)
    assert answer.json()["output"][-1]["content"][0]["text"].startswith("Hello")
    assert "You are terse." in upstream.fake.calls[-1].request.body.decode()
