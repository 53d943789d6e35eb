"""One attempt on its way between two dialects: what is left out is named, and every form of answer is made of any."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from open_llm_auth.testing import BEHAVIOURS, Behaviour, FakeAnthropic, FakeResponses, GatewayProcess
from open_llm_auth.wire.events import Finished, Signature, TextDelta, ToolCallStarted
from open_llm_auth.wire.signatures import seal

from ..conftest import FAMILIES
from ..ways_in import PIXEL, WAYS, text_in

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
SAID = "Hello from the fake provider: naïve 日本語 🦙."


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request):
    return request.param


# --- answers in a form that was not asked for ------------------------------------------------------------------


def test_a_provider_that_ignores_the_wish_for_a_stream_is_told_as_one(way, family, upstream):
    upstream.fake.when("plain_for_stream")
    answer = way.ask(upstream.gateway, upstream.model, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = way.read(answer.body, stream=True)
    assert text_in(events) == SAID
    assert isinstance(events[-1], Finished)
    assert way.good_end is None or answer.body.count(way.good_end) == 1


@pytest.mark.parametrize("behaviour", ["error_first", "error_before_content", "closes_before_content"])
def test_what_fails_before_anything_is_said_is_an_ordinary_error(way, family, upstream, behaviour):
    answer = way.ask(upstream.gateway, upstream.model, f"#{behaviour}", stream=True)
    assert answer.status >= 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory, config_for, client_token, provider_key):
    """A gateway before a backend that only streams, as a ChatGPT sign-in's does."""
    with FakeResponses(keys=(provider_key,), models=("gpt-5.5",)) as fake:
        row = {"baseUrl": fake.base_url, "apiKey": provider_key, "api": "openai-codex-responses", "auth": "oauth"}
        config = config_for(fake, providers={"backend": row}, egressPolicy={"allowLocalProviders": ["backend"]})
        with GatewayProcess(tmp_path_factory.mktemp("signed-in"), config, token=client_token) as gateway:
            yield fake, gateway


@pytest.fixture
def backend(signed_in):
    fake, gateway = signed_in
    fake.reset()
    return fake, gateway


@pytest.mark.parametrize("stream", [False, True])
def test_a_backend_that_only_streams_is_gathered_for_who_wants_one_answer(way, backend, stream):
    fake, gateway = backend
    answer = way.ask(gateway, "backend/gpt-5.5", stream=stream)
    assert answer.status == 200, answer.body
    events = way.read(answer.body, stream=stream)
    assert text_in(events) == SAID
    if not (stream and way.dialect == "openai-chat"):
        assert events[-1].usage.output > 0
    (call,) = fake.calls
    assert call.request.path.endswith("/codex/responses")
    assert call.request.json()["stream"] is True
    assert call.request.json()["store"] is False


@pytest.mark.parametrize("behaviour", ["error_mid_stream", "truncated", "closes_mid_body", "garbage"])
def test_a_gathered_stream_that_breaks_is_no_answer(way, backend, behaviour):
    _, gateway = backend
    answer = way.ask(gateway, "backend/gpt-5.5", f"#{behaviour}")
    if behaviour == "garbage" and way.name == "responses":  # relayed as it is; the answer stands in its last event
        assert text_in(way.read(answer.body)) == SAID
        return
    assert answer.status >= 500
    assert SAID[:5].encode() not in answer.body


def test_a_gathered_answer_of_its_own_dialect_keeps_what_only_that_dialect_has(backend):
    _, gateway = backend
    document = WAYS["responses"].ask(gateway, "backend/gpt-5.5").json()
    assert document["object"] == "response"
    assert document["id"].startswith("resp_0000")
    assert document["service_tier"] == "default"


# --- answers that never come -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def impatient(tmp_path_factory, config_for, client_token, provider_key):
    """A gateway that waits a second, before every family."""
    with ExitStack() as running:
        fakes = {
            name: running.enter_context(family.fake(keys=(provider_key,), behaviour="silent"))
            for name, family in FAMILIES.items()
        }
        rows = {
            name: {"baseUrl": fake.base_url, "apiKey": provider_key, "api": FAMILIES[name].api, "auth": "api-key"}
            for name, fake in fakes.items()
        }
        config = config_for(
            fakes["chat"],
            providers=rows,
            egressPolicy={"allowLocalProviders": list(rows)},
            server={"requestTimeoutSeconds": 1},
        )
        gateway = GatewayProcess(tmp_path_factory.mktemp("impatient"), config, token=client_token)
        yield fakes, running.enter_context(gateway)


@pytest.mark.parametrize("behaviour", ["silent", "hangs_mid_body"])
def test_an_answer_that_does_not_come_in_time_is_504_in_the_shape_of_every_way_in(impatient, behaviour):
    """Plain answers have to be whole by then; of a stream it is the first byte that counts."""
    fakes, gateway = impatient
    for fake in fakes.values():
        fake.behaviour = BEHAVIOURS[behaviour]
    asked = [
        (way, f"{family}/{FAMILIES[family].model}", stream)
        for way in WAYS.values()
        for family in FAMILIES
        for stream in ((False, True) if behaviour == "silent" else (False,))
    ]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda each: each[0].ask(gateway, each[1], stream=each[2]), asked))
    for (way, model, stream), answer in zip(asked, answers, strict=True):
        assert answer.status == 504, (way.name, model, stream, answer.body)
        assert "within 1 s" in answer.json()["error"]["message"]
        words = {"messages": "timeout_error", "gemini": "DEADLINE_EXCEEDED"}
        assert way.code(answer) == words.get(way.name, "upstream_timeout")


# --- what is left out ------------------------------------------------------------------------------------------

#: What each way in can say that a provider of the family can't be told, and its name.
LOST = [
    ("chat", "anthropic", {"seed": 7}, "seed"),
    ("chat", "gemini", {"user": "u-1"}, "user"),
    ("chat", "ollama", {"prompt_cache_key": "k"}, "prompt_cache_key"),
    ("chat", "bedrock", {"x_new_field": {"a": 1}}, "x_new_field"),
    ("responses", "ollama", {"prompt_cache_key": "k"}, "prompt_cache_key"),
    ("responses", "chat", {"x_new_field": 1}, "x_new_field"),
    ("responses", "ollama", {"text": {"verbosity": "low"}}, "verbosity"),
    ("messages", "chat", {"top_k": 5}, "top_k"),
    ("messages", "responses", {"stop_sequences": ["STOP"]}, "stop"),
    ("messages", "gemini", {"metadata": {"user_id": "u-1"}}, "user"),
    ("gemini", "responses", {"generationConfig": {"topK": 5}}, "top_k"),
    ("gemini", "bedrock", {"generationConfig": {"seed": 7}}, "seed"),
    ("gemini", "anthropic", {"safetySettings": []}, "safetySettings"),
    ("universal", "anthropic", {"seed": 7}, "seed"),
    ("universal", "bedrock", {"x_new_field": 1}, "x_new_field"),
]


@pytest.mark.parametrize(("way", "family", "fields", "name"), LOST)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_dropped_is_named(way, families, fields, name, family, stream):
    upstream = families(family)
    answer = WAYS[way].ask(upstream.gateway, upstream.model, stream=stream, **fields)
    assert answer.status == 200, answer.body
    assert answer.headers["x-gateway-dropped"].split(", ") == [name]
    assert name not in upstream.fake.calls[-1].request.json()


@pytest.mark.parametrize(("way", "family", "fields", "name"), LOST)
def test_a_strict_caller_is_refused_instead_and_nothing_is_sent(way, families, fields, name, family):
    upstream = families(family)
    answer = WAYS[way].ask(upstream.gateway, upstream.model, headers={"x-gateway-strict": "1"}, **fields)
    assert answer.status == 400
    assert repr(name) in answer.json()["error"]["message"]
    assert upstream.fake.calls == []
    if way in ("chat", "responses"):
        assert answer.json()["error"]["param"] == name


def test_a_call_of_which_nothing_is_dropped_says_nothing_of_it(way, family, upstream):
    answer = way.ask(upstream.gateway, upstream.model, headers={"x-gateway-strict": "1"})
    assert answer.status == 200, answer.body
    assert "x-gateway-dropped" not in answer.headers


def test_what_a_kind_leaves_out_is_named_too(backend):
    fake, gateway = backend
    answer = WAYS["chat"].ask(gateway, "backend/gpt-5.5", temperature=0.5)
    assert answer.headers["x-gateway-dropped"] == "temperature"
    assert "temperature" not in fake.calls[-1].request.json()
    refused = WAYS["chat"].ask(gateway, "backend/gpt-5.5", temperature=0.5, headers={"x-gateway-strict": "on"})
    assert (refused.status, refused.json()["error"]["param"]) == (400, "temperature")


# --- thinking that is not at hand --------------------------------------------------------------------------------

LOOK = {"name": "look", "input_schema": {"type": "object"}}


@pytest.fixture(scope="module")
def older_claude(tmp_path_factory, config_for, client_token, provider_key):
    """A gateway before a Claude that thinks by a budget alone."""
    with FakeAnthropic(keys=(provider_key,), models=("claude-sonnet-4-5",)) as fake:
        row = {"baseUrl": fake.base_url, "apiKey": provider_key, "api": "anthropic-messages", "auth": "api-key"}
        config = config_for(fake, providers={"older": row}, egressPolicy={"allowLocalProviders": ["older"]})
        with GatewayProcess(tmp_path_factory.mktemp("older"), config, token=client_token) as gateway:
            yield fake, gateway


def looked(*before):
    """A conversation that goes on from a call of a tool."""
    call = {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "r"}
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [*before, call]},
        {"role": "user", "content": [result]},
    ]


def test_thinking_that_can_t_go_on_is_off_and_that_is_said_where_bytes_go_on_too(older_claude):
    fake, gateway = older_claude
    foreign = {"type": "thinking", "thinking": "hm", "signature": seal(Signature("openai-responses", "gAAAA", "rs_1"))}
    asked = {
        "messages": looked(foreign),
        "tools": [LOOK],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    }
    answer = WAYS["messages"].ask(gateway, "older/claude-sonnet-4-5", **asked)
    assert answer.status == 200, answer.body
    assert answer.headers["x-gateway-dropped"] == "reasoning_budget"
    assert "thinking" not in fake.calls[-1].request.json()
    asked_before = len(fake.calls)
    refused = WAYS["messages"].ask(gateway, "older/claude-sonnet-4-5", headers={"x-gateway-strict": "1"}, **asked)
    assert (refused.status, len(fake.calls)) == (400, asked_before)
    assert "reasoning_budget" in refused.json()["error"]["message"]


@pytest.mark.parametrize("strict", [False, True])
def test_thinking_that_can_t_go_on_is_off_and_that_is_said_between_dialects(families, strict):
    upstream = families("bedrock")
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    asked = {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "reasoning_effort": "low",
    }
    headers = {"x-gateway-strict": "1"} if strict else {}
    answer = WAYS["chat"].ask(upstream.gateway, upstream.model, headers=headers, **asked)
    if strict:
        assert (answer.status, answer.json()["error"]["param"]) == (400, "reasoning_effort")
    else:
        assert (answer.status, answer.headers["x-gateway-dropped"]) == (200, "reasoning_effort")


@pytest.mark.parametrize("family", [name for name in UPSTREAMS if name != "chat"])
def test_several_answers_at_once_are_refused_between_dialects(families, family):
    upstream = families(family)
    answer = WAYS["chat"].ask(upstream.gateway, upstream.model, n=2)
    assert (answer.status, answer.json()["error"]["param"]) == (400, "n")
    assert upstream.fake.calls == []


# --- images ----------------------------------------------------------------------------------------------------


def picture(way: str, url: str) -> dict[str, object]:
    """A body with one image at an address, or the bytes of one."""
    parts = {
        "chat": {"type": "image_url", "image_url": {"url": url}},
        "responses": {"type": "input_image", "image_url": url},
        "messages": {"type": "image", "source": {"type": "url", "url": url}},
        "universal": {"type": "image_url", "image_url": {"url": url}},
    }
    return {"input" if way in ("responses", "universal") else "messages": [{"role": "user", "content": [parts[way]]}]}


@pytest.mark.parametrize("name", ["chat", "responses", "messages", "universal"])
@pytest.mark.parametrize("family", ["bedrock", "ollama"])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1:1/x.png", "egress policy forbids"),
        ("https://localhost/x.png", "egress policy forbids"),
        ("https://169.254.169.254/latest/meta-data/", "egress policy forbids"),
        ("http://example.com/x.png", "https://"),
    ],
)
def test_an_image_is_not_fetched_from_where_nothing_may_be_fetched(families, name, family, url, why):
    """Not even for a provider that may be on this machine itself."""
    upstream = families(family)
    way = WAYS[name]
    body = way.body(upstream.model) | picture(name, url)
    answer = upstream.gateway.request("POST", way.path, body=body)
    assert answer.status == 400
    assert why in answer.json()["error"]["message"]
    assert upstream.fake.calls == []


@pytest.mark.parametrize("name", ["chat", "responses", "universal"])
def test_an_image_in_the_body_goes_to_every_provider(name, family, upstream):
    way = WAYS[name]
    body = way.body(upstream.model) | picture(name, f"data:image/png;base64,{PIXEL}")
    answer = upstream.gateway.request("POST", way.path, body=body)
    assert answer.status == 200, answer.body
    assert PIXEL in json.dumps(upstream.fake.calls[-1].request.json())


# --- tools -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_name_that_a_provider_does_not_take_comes_back_as_it_was_given(family, upstream, stream):
    """Longer than any provider takes, and with a character that most refuse."""
    name = "mcp.files/" + "x" * 80
    upstream.fake.when("tools")
    tool = {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    answer = WAYS["chat"].ask(upstream.gateway, upstream.model, stream=stream, tools=[tool])
    events = WAYS["chat"].read(answer.body, stream=stream)
    assert [event.name for event in events if isinstance(event, ToolCallStarted)] == [name]
    assert not [event for event in events if isinstance(event, TextDelta)]


# --- failures within an answer ---------------------------------------------------------------------------------

#: An answer with the good status that says of itself that it is none.
FAILED = {
    "chat": {
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It is"},
                "finish_reason": "error",
                "error": {"message": "went wrong midway", "code": 502},
            }
        ],
    },
    "responses": {
        "id": "resp_1",
        "object": "response",
        "status": "failed",
        "error": {"code": "server_error", "message": "went wrong midway"},
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is"}]}],
    },
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("family", list(FAILED))
def test_an_answer_that_says_it_failed_is_an_error_on_every_way_in(way, families, family, stream):
    upstream = families(family)
    upstream.fake.when(Behaviour(body=json.dumps(FAILED[family]).encode()))
    answer = way.ask(upstream.gateway, upstream.model, stream=stream)
    assert b"went wrong midway" in answer.body
    if answer.status == 200:  # something had been said
        assert stream
        assert way.failure in answer.body
    else:
        assert answer.status == 502


@pytest.fixture
def overloaded(tmp_path, make_gateway, client_token):
    """A gateway whose provider is a program that prints what Claude Code does when its API is overloaded."""
    said = Path(__file__).parents[1] / "golden" / "replies" / "claude-cli" / "error_529.jsonl"
    command = tmp_path / "claude.sh"
    command.write_text(f"#!/bin/sh\ncat > /dev/null\ncat '{said}'\n")
    command.chmod(0o755)
    row = {"api": "claude-cli", "auth": "cli", "command": str(command)}
    tokens = {"client": {"token": client_token, "scopes": ["read", "write"]}}
    return make_gateway({"providers": {"program": row}, "authorization": {"tokens": tokens}})


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_a_program_has_no_status_that_nobody_sent(overloaded, stream):
    answer = WAYS["chat"].ask(overloaded, "program/opus", stream=stream)
    assert answer.status == 529
    error = answer.json()["error"]
    assert error["details"] == {"provider": "program", "upstreamCode": "529", "upstreamType": "server_error"}
    assert "overloaded sample" in error["message"]
    assert "localhost" not in error["message"]


# --- when it was whole -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_translated_response_says_when_it_was_whole(families, stream):
    upstream = families("chat")
    answer = WAYS["responses"].ask(upstream.gateway, upstream.model, stream=stream)
    told = json.loads(answer.body.rpartition(b"data: ")[2])["response"] if stream else answer.json()
    assert told["created_at"] <= told["completed_at"] <= time.time()
