"""How many tokens a request has: asked where the provider counts in the same dialect, else estimated and said so."""

from __future__ import annotations

import pytest

from open_llm_auth.testing import Behaviour

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
WORDS = "How many tokens are there in this sentence?"
MESSAGES = {"messages": [{"role": "user", "content": WORDS}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": WORDS}]}]}


def anthropic_count(upstream, **more):
    answer = upstream.gateway.request(
        "POST", "/v1/messages/count_tokens", body={"model": upstream.model, **MESSAGES, **more}
    )
    return answer, answer.json().get("input_tokens")


def gemini_count(upstream, body=CONTENTS, version="v1beta"):
    answer = upstream.gateway.request("POST", f"/{version}/models/{upstream.model}:countTokens", body=body)
    return answer, answer.json().get("totalTokens")


def test_anthropic_is_asked_by_its_own_clients_and_nobody_else_is(family, upstream):
    answer, count = anthropic_count(upstream)
    assert answer.status == 200, answer.body
    assert count > 5
    assert ("x-gateway-estimated" in answer.headers) == (family != "anthropic")
    assert [call.request.path for call in upstream.fake.calls] == (
        ["/v1/messages/count_tokens"] if family == "anthropic" else []
    )
    assert answer.headers["x-gateway-provider"] == upstream.provider


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_gemini_is_asked_by_its_own_clients_and_nobody_else_is(family, upstream, version):
    answer, count = gemini_count(upstream, version=version)
    assert answer.status == 200, answer.body
    assert count > 5
    assert ("x-gateway-estimated" in answer.headers) == (family != "gemini")
    assert len(upstream.fake.calls) == (family == "gemini")


def test_an_estimate_counts_what_a_model_reads(families):
    upstream = families("chat")
    _, small = anthropic_count(upstream)
    _, more = anthropic_count(upstream, system="You are a very terse person, and say very little.")
    tool = {"name": "get_weather", "description": "The weather of a city", "input_schema": {"type": "object"}}
    _, tools = anthropic_count(upstream, tools=[tool])
    _, most = anthropic_count(upstream, messages=[{"role": "user", "content": WORDS * 50}])
    assert small < more < most
    assert small < tools < most
    assert 300 < most < 800


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_compatible_host_without_such_a_route_is_no_reason_to_fail(families, status):
    upstream = families("anthropic")
    refusal = {"error": {"message": "no such route", "type": "not_found_error"}}
    upstream.fake.when(Behaviour(status=status, body=refusal), path="/count_tokens")
    answer, count = anthropic_count(upstream)
    assert (answer.status, answer.headers["x-gateway-estimated"]) == (200, "1")
    assert count > 5


def test_a_model_that_is_not_there_is_no_missing_route(families):
    upstream = families("anthropic")
    named = {"message": f"model: {upstream.model.partition('/')[2]}", "type": "not_found_error"}
    refusal = {"type": "error", "error": named}
    upstream.fake.when(Behaviour(status=404, body=refusal), path="/count_tokens")
    answer, _ = anthropic_count(upstream)
    assert (answer.status, answer.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(("behaviour", "status"), [("bad_request", 400), ("key_refused", 401), ("overloaded", 529)])
def test_what_else_a_provider_says_is_passed_on(families, behaviour, status):
    upstream = families("anthropic")
    upstream.fake.when(behaviour)
    answer, _ = anthropic_count(upstream)
    assert answer.status == status
    assert answer.json()["type"] == "error"


def test_gemini_s_nested_form_is_read_too(families):
    body = {
        "generateContentRequest": {"model": "models/x", **CONTENTS, "systemInstruction": {"parts": [{"text": "a"}]}}
    }
    for family in ("gemini", "chat"):
        answer, count = gemini_count(families(family), body)
        assert answer.status == 200, answer.body
        assert count > 5


@pytest.mark.parametrize("body", [{}, {"messages": "x"}, {"messages": [7]}, {"messages": []}])
def test_what_can_t_be_counted_is_400(families, body):
    upstream = families("chat")
    answer = upstream.gateway.request("POST", "/v1/messages/count_tokens", body={"model": upstream.model, **body})
    assert answer.status == 400, answer.body
    assert "messages" in answer.json()["error"]["message"]


def test_counting_needs_no_more_than_the_right_to_read(families, make_gateway, config_for):
    upstream = families("chat")
    tokens = {"reader": {"token": "counting-reader", "scopes": ["read"]}}
    gateway = make_gateway(config_for(upstream.fake, authorization={"tokens": tokens}), token="counting-reader")
    answer = gateway.request("POST", "/v1/messages/count_tokens", body={"model": "fake/fake-model", **MESSAGES})
    assert answer.status == 200, answer.body
