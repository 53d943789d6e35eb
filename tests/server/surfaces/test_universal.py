"""`POST /v1/universal`: one form of call for every model, with what happened on the way to it."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.testing import FakeProvider, GatewayProcess

from ...ways_in import data_in

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
SAID = "Hello from the fake provider: naïve 日本語 🦙."
INPUT = [{"role": "user", "content": "hi"}]


def call(gateway, body, **headers):
    return gateway.request("POST", "/v1/universal", body=body, headers=headers)


def test_an_answer_says_who_gave_it_and_what_it_is(family, upstream):
    document = call(upstream.gateway, {"model": upstream.model, "input": INPUT}).json()
    assert document["object"] == "universal.response"
    assert document["provider"] == upstream.provider
    assert f"{upstream.provider}/{document['model']}" == upstream.model
    assert document["profile"] == f"config:{upstream.provider}"
    assert document["auth_source"] == "provider"
    assert document["fallback"] == {"active": False, "attempt_count": 1, "failed_attempts": []}
    assert document["output_text"] == SAID
    assert document["response"]["object"] == "chat.completion"
    assert document["response"]["choices"][0]["message"]["content"] == SAID


def test_a_stream_wraps_each_chunk_and_ends_as_chat_streams_do(family, upstream):
    answer = call(upstream.gateway, {"model": upstream.model, "input": INPUT, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, end = data_in(answer.body)
    assert end == b"[DONE]"
    documents = [json.loads(chunk) for chunk in chunks]
    assert {document["object"] for document in documents} == {"universal.chunk"}
    assert {document["provider"] for document in documents} == {upstream.provider}
    deltas = [choice["delta"] for document in documents for choice in document["raw"]["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == SAID


def test_a_task_without_input_says_its_objective(family, upstream):
    body = {"model": upstream.model, "task": {"objective": "count the #documented leaves", "more": 1}, "input": []}
    assert call(upstream.gateway, body).json()["output_text"] == SAID
    (sent,) = upstream.fake.calls
    assert "count the #documented leaves" in sent.request.body.decode()
    assert "more" not in sent.request.json()


def test_a_task_beside_an_input_leaves_the_input_as_it_is(families):
    upstream = families("chat")
    body = {"model": upstream.model, "input": INPUT, "task": {"objective": "something else"}}
    assert call(upstream.gateway, body).status == 200
    assert upstream.fake.calls[-1].request.json()["messages"] == INPUT


def test_options_are_what_a_chat_completion_takes(families):
    upstream = families("chat")
    options = {"temperature": 0.25, "stop": ["x"], "x_new_field": {"a": 1}}
    assert call(upstream.gateway, {"model": upstream.model, "input": INPUT, "options": options}).status == 200
    assert upstream.fake.calls[-1].request.json().items() >= options.items()


@pytest.mark.parametrize("stream", [False, True])
def test_the_usage_of_a_stream_is_told_to_who_asks_in_the_options(families, stream):
    upstream = families("anthropic")
    body = {"model": upstream.model, "input": INPUT, "stream": stream}
    if stream:
        body["options"] = {"stream_options": {"include_usage": True}}
        found = [json.loads(data)["raw"] for data in data_in(call(upstream.gateway, body).body)[:-1]]
        assert found[-1]["usage"]["completion_tokens"] > 0
    else:
        assert call(upstream.gateway, body).json()["response"]["usage"]["completion_tokens"] > 0


BAD = [
    ({}, "input"),
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": "hi"}, "input"),
    ({"input": {"role": "user"}}, "input"),
    ({"task": "walk"}, "task"),
    ({"task": []}, "task"),
    ({"task": {}}, "task.objective"),
    ({"task": {"objective": ""}}, "task.objective"),
    ({"task": {"objective": 7}}, "task.objective"),
    ({"input": INPUT, "options": []}, "options"),
    ({"input": INPUT, "options": "x"}, "options"),
    ({"input": INPUT, "options": {"model": "x"}}, "options.model"),
    ({"input": INPUT, "options": {"messages": []}}, "options.messages"),
    ({"input": INPUT, "options": {"stream": True}}, "options.stream"),
    ({"input": INPUT, "stream": "yes"}, "stream"),
    ({"input": INPUT, "model": 7}, "model"),
    ({"input": INPUT, "authProfile": 7}, "authProfile"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=lambda value: json.dumps(value)[:40])
def test_a_body_that_is_none_is_400_and_names_the_field(families, body, field):
    upstream = families("chat")
    answer = call(upstream.gateway, {"model": upstream.model, **body})
    error = answer.json()["error"]
    assert (answer.status, error["code"]) == (400, "invalid_request"), answer.body
    assert error["details"]["param"] == field
    assert repr(field) in error["message"]
    assert upstream.fake.calls == []


@pytest.fixture(scope="module")
def two_providers(tmp_path_factory, client_token):
    """alpha with two keys, and beta in its place."""
    with FakeProvider(keys=("sk-one-0001", "sk-two-0002")) as alpha, FakeProvider(keys=("sk-beta-0001",)) as beta:
        row = {"auth": "api-key", "api": "openai-completions"}
        config = {
            "authProfiles": {
                "alpha:one": {"provider": "alpha", "type": "api_key", "key": "sk-one-0001"},
                "alpha:two": {"provider": "alpha", "type": "api_key", "key": "sk-two-0002"},
                "beta:default": {"provider": "beta", "type": "api_key", "key": "sk-beta-0001"},
            },
            "authOrder": {"alpha": ["alpha:one", "alpha:two"]},
            "providers": {"alpha": {"baseUrl": alpha.base_url, **row}, "beta": {"baseUrl": beta.base_url, **row}},
            "providerFallback": {"order": {"alpha": ["beta"]}},
            "authorization": {"tokens": {"ci": {"token": client_token, "scopes": ["read", "write"]}}},
            "egressPolicy": {"allowLocalProviders": ["alpha", "beta"]},
        }
        with GatewayProcess(tmp_path_factory.mktemp("universal"), config, token=client_token) as gateway:
            yield gateway, alpha, beta


@pytest.fixture
def fresh(two_providers):
    gateway, alpha, beta = two_providers
    alpha.reset()
    beta.reset()
    return gateway, alpha, beta


def test_the_profile_may_stand_in_the_body_and_the_header_has_the_last_word(fresh):
    gateway, alpha, _ = fresh
    body = {"model": "alpha/m", "input": INPUT, "authProfile": "alpha:two"}
    assert call(gateway, body).json()["profile"] == "alpha:two"
    assert call(gateway, body, **{"x-auth-profile": "alpha:one"}).json()["profile"] == "alpha:one"
    assert [sent.request.key for sent in alpha.calls] == ["sk-two-0002", "sk-one-0001"]
    answer = call(gateway, body | {"authProfile": "alpha:none"})
    assert (answer.status, answer.json()["error"]["code"]) == (404, "profile_not_found")


def test_what_failed_on_the_way_is_told(fresh):
    gateway, alpha, _ = fresh
    alpha.when("server_error")
    document = call(gateway, {"model": "alpha/m", "input": INPUT}).json()
    assert (document["provider"], document["profile"]) == ("beta", "beta:default")
    assert document["fallback"]["active"] is True
    assert document["fallback"]["attempt_count"] == 3
    told = document["fallback"]["failed_attempts"]
    assert [(each["profile"], each["status"], each["code"]) for each in told] == [
        ("alpha:one", 500, "upstream_http_error"),
        ("alpha:two", 500, "upstream_http_error"),
    ]
