"""`POST /v1/messages`: what Claude Code and Anthropic's SDKs send beside a body."""

from __future__ import annotations

import pytest

from ...ways_in import WAYS

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
MESSAGES = WAYS["messages"]
#: as Claude Code sends them
HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "interleaved-thinking-2025-05-14",
    "anthropic-dangerous-direct-browser-access": "true",
    "user-agent": "claude-cli/2.0 (external, cli)",
    "x-app": "cli",
    "x-stainless-lang": "js",
    "x-claude-code-session-id": "session-1",
}


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/messages/count_tokens?beta=true"])
def test_a_beta_in_the_address_changes_nothing(family, upstream, path):
    body = MESSAGES.body(upstream.model)
    if "count_tokens" in path:
        del body["max_tokens"], body["stream"]
    assert upstream.gateway.request("POST", path, body=body, headers=HEADERS).status == 200


def test_what_a_client_says_of_itself_goes_to_its_own_dialect_alone(family, upstream):
    headers = {**HEADERS, "authorization": "Bearer " + upstream.gateway.token, "cookie": "a=b", "x-mine": "1"}
    assert MESSAGES.ask(upstream.gateway, upstream.model, headers=headers).status == 200
    sent = upstream.fake.calls[-1].request
    told = {name: sent.fields.get(name) for name in HEADERS}
    passed_on = ("anthropic-version", "anthropic-beta", "user-agent", "x-app", "x-claude-code-session-id")
    if family == "anthropic":
        assert told == {name: HEADERS[name] if name in passed_on else None for name in HEADERS}
    else:
        assert [value for value in told.values() if value in HEADERS.values()] == []
    assert not {"cookie", "x-mine"} & set(sent.fields)
    assert upstream.gateway.token not in repr(sent)


def test_every_answer_has_the_id_that_anthropic_s_clients_look_for(family, upstream):
    for stream in (False, True):
        answer = MESSAGES.ask(upstream.gateway, upstream.model, stream=stream, headers={"x-request-id": "mine-7"})
        assert answer.headers["request-id"] == "mine-7"
    upstream.fake.when("rate_limited")
    refused = MESSAGES.ask(upstream.gateway, upstream.model)
    assert refused.json()["request_id"] == refused.headers["request-id"] == refused.headers["x-request-id"]


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("bad_request", "invalid_request_error"),
        ("key_refused", "authentication_error"),
        ("unknown_model", "not_found_error"),
        ("rate_limited", "rate_limit_error"),
        ("server_error", "api_error"),
        ("overloaded", "overloaded_error"),
    ],
)
def test_errors_have_anthropic_s_own_words_for_what_they_are(family, upstream, behaviour, kind):
    upstream.fake.when(behaviour)
    document = MESSAGES.ask(upstream.gateway, upstream.model).json()
    assert set(document) == {"type", "error", "request_id"}
    assert (document["type"], document["error"]["type"]) == ("error", kind)


def test_a_model_s_context_suffix_is_cut(families):
    upstream = families("anthropic")
    assert MESSAGES.ask(upstream.gateway, f"{upstream.model}[1m]").status == 200
    assert upstream.fake.calls[-1].request.json()["model"] == upstream.model.partition("/")[2]
