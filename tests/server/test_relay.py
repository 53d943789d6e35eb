"""One model call, as a client and a provider see it: attempts, the commit point, streams, and what ends them."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection  # noqa: TID251 - a client that can be cut at will
from typing import Any

import httpx
import pytest

from open_llm_auth.testing import BEHAVIOURS, Behaviour, FakeAnthropic, FakeProvider, GatewayProcess, free_port

FIRST, SECOND, SPARE = "sk-canary-first-0001", "sk-canary-second-0002", "sk-canary-spare-0003"
CHAT = {"model": "alpha/m", "messages": [{"role": "user", "content": "hi"}]}


def profile(provider: str, key: str) -> dict[str, str]:
    return {"provider": provider, "type": "api_key", "key": key}


def row(base_url: str, **fields: Any) -> dict[str, Any]:
    return {"baseUrl": base_url, "auth": "api-key", "api": "openai-completions", "models": [], **fields}


@pytest.fixture
def alpha():
    with FakeProvider(keys=(FIRST, SECOND), models=("m",)) as provider:
        yield provider


@pytest.fixture
def beta():
    with FakeProvider(keys=(SPARE,), models=("m",)) as provider:
        yield provider


@pytest.fixture
def start(make_gateway: Callable[..., GatewayProcess], alpha: FakeProvider, beta: FakeProvider, client_token: str):
    """`start(**sections)`: alpha with two keys, falling back to beta."""

    def start_gateway(**sections: Any) -> GatewayProcess:
        config = {
            "authProfiles": {
                "alpha:one": profile("alpha", FIRST),
                "alpha:two": profile("alpha", SECOND),
                "beta:default": profile("beta", SPARE),
            },
            "authOrder": {"alpha": ["alpha:one", "alpha:two"]},
            "providers": {"alpha": row(alpha.base_url), "beta": row(beta.base_url)},
            "providerFallback": {"order": {"chat:alpha": ["beta"]}},
            "authorization": {"tokens": {"ci": {"token": client_token, "scopes": ["read", "write"]}}},
            "egressPolicy": {"allowLocalProviders": ["alpha", "beta"]},
        }
        return make_gateway(config | sections)

    return start_gateway


def ask(gateway: GatewayProcess, body: Any = CHAT, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{gateway.base_url}/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {gateway.token}", **headers},
        timeout=30,
    )


def events(response: httpx.Response) -> list[Any]:
    """The data of each event; the end mark as it is."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def text_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks if chunk != "[DONE]" for choice in chunk["choices"]
    )


def test_a_plain_call_reaches_the_provider_with_its_own_key_and_every_field(start, alpha):
    gateway = start()
    body = {**CHAT, "temperature": 0.5, "x_new_field": {"deep": [1, 2.50, "é"]}}
    answer = ask(gateway, body, **{"x-request-id": "mine-1"})
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"]
    sent = alpha.calls[-1].request
    assert sent.key == FIRST
    assert sent.json()["model"] == "m"
    assert sent.json()["x_new_field"] == body["x_new_field"]
    assert gateway.token not in str(sent.headers)
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-gateway-provider"] == "alpha"
    assert answer.headers["x-gateway-model"] == "m"
    assert answer.headers["x-gateway-profile"] == "alpha:one"
    assert answer.headers["x-gateway-attempts"] == "1"
    assert answer.headers["x-gateway-call-id"].startswith("call_")


@pytest.mark.parametrize(
    "behaviour",
    ["rate_limited", "key_refused", "server_error", "overloaded", "quota_spent", "payment_required", "key_forbidden",
     "region_forbidden", "html_challenge", "closes_at_once", "redirect", "server_error_html"],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_attempt_moves_on_to_the_next_credential(start, alpha, behaviour, stream):
    gateway = start()
    alpha.when(behaviour, key=FIRST)
    answer = ask(gateway, {**CHAT, "stream": stream})
    assert answer.status_code == 200
    assert answer.headers["x-gateway-profile"] == "alpha:two"
    assert answer.headers["x-gateway-attempts"] == "2"
    # A kept connection that closes unanswered is replaced once before the attempt counts as failed.
    assert list(dict.fromkeys(call.request.key for call in alpha.calls)) == [FIRST, SECOND]


def test_a_cooling_credential_is_skipped_by_the_next_call(start, alpha):
    gateway = start()
    alpha.when("rate_limited_without_time", key=FIRST)
    ask(gateway)
    alpha.exchanges.clear()
    assert ask(gateway).headers["x-gateway-profile"] == "alpha:two"
    assert [call.request.key for call in alpha.calls] == [SECOND]


def test_when_every_credential_fails_the_next_provider_answers(start, alpha, beta):
    gateway = start()
    alpha.behaviour = BEHAVIOURS["server_error"]
    answer = ask(gateway)
    assert (answer.status_code, answer.headers["x-gateway-provider"]) == (200, "beta")
    assert answer.headers["x-gateway-attempts"] == "3"
    assert beta.calls[-1].request.key == SPARE


@pytest.mark.parametrize("behaviour", ["bad_request", "unknown_model", "integer_code"])
def test_the_requests_own_fault_comes_back_at_once_in_the_providers_words(start, alpha, beta, behaviour):
    gateway = start()
    alpha.behaviour = BEHAVIOURS[behaviour]
    answer = ask(gateway)
    assert answer.status_code == BEHAVIOURS[behaviour].status
    error = answer.json()["error"]
    assert error["code"] == "upstream_http_error"
    assert error["message"] == BEHAVIOURS[behaviour].body["error"]["message"]
    assert answer.headers["x-gateway-attempts"] == "1"
    assert len(alpha.calls) == 1
    assert not beta.calls


def test_a_refused_credential_is_told_apart_from_the_clients_own(start, alpha):
    gateway = start(providerFallback={"enabled": False})
    alpha.behaviour = BEHAVIOURS["key_echoed"]
    answer = ask(gateway)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "upstream_credential_rejected"
    assert "www-authenticate" not in answer.headers
    for secret in (FIRST, SECOND, SPARE):
        assert secret not in answer.text


def test_rate_limits_keep_their_status_and_time(start, alpha):
    gateway = start(providerFallback={"enabled": False})
    alpha.behaviour = BEHAVIOURS["rate_limited"]
    answer = ask(gateway)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_provider_that_is_down_is_502_and_a_silent_one_504(start, alpha, beta):
    gateway = start(
        providers={"alpha": row(f"http://127.0.0.1:{free_port()}/v1"), "beta": row(beta.base_url)},
        providerFallback={"enabled": False},
        server={"requestTimeoutSeconds": 1},
    )
    answer = ask(gateway)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    beta.behaviour = BEHAVIOURS["silent"]
    answer = ask(gateway, {**CHAT, "model": "beta/m"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    "behaviour",
    ["documented", "no_done", "usage_on_finish", "usage_unasked", "no_usage", "azure_first_chunk", "comments",
     "carriage_returns", "every_byte", "inside_characters", "one_write", "plain_for_stream", "refuses_stream_options",
     "refuses_stream_options_422"],
)  # fmt: skip
def test_every_kind_of_stream_arrives_whole(start, alpha, behaviour):
    gateway = start()
    alpha.behaviour = BEHAVIOURS[behaviour]
    answer = ask(gateway, {**CHAT, "stream": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    chunks = events(answer)
    assert chunks[-1] == "[DONE]"
    assert chunks.count("[DONE]") == 1
    assert text_of(chunks) == "".join(BEHAVIOURS[behaviour].text)
    assert answer.headers["x-gateway-attempts"] == "1"
    if behaviour != "azure_first_chunk":
        assert all(chunk["choices"] for chunk in chunks[:-1]), "nobody asked for a usage chunk"


def test_usage_is_counted_though_the_client_did_not_ask(start, alpha):
    gateway = start()
    ask(gateway, {**CHAT, "stream": True})
    assert alpha.calls[-1].request.json()["stream_options"] == {"include_usage": True}
    deadline = time.monotonic() + 5
    while '"outputTokens"' not in gateway.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    line = next(line for line in gateway.log().splitlines() if '"/v1/chat/completions"' in line)
    assert json.loads(line)["outputTokens"] > 0


def test_a_client_that_asked_for_usage_gets_the_chunk(start):
    chunks = events(ask(start(), {**CHAT, "stream": True, "stream_options": {"include_usage": True}}))
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"]["total_tokens"] > 0


def test_a_refusal_of_stream_options_is_remembered(start, alpha):
    gateway = start()
    alpha.behaviour = BEHAVIOURS["refuses_stream_options"]
    for _ in range(2):
        assert ask(gateway, {**CHAT, "stream": True}).status_code == 200
    assert ["stream_options" in call.request.json() for call in alpha.calls] == [True, False, False]


@pytest.mark.parametrize("behaviour", ["error_first", "error_before_content", "closes_before_content"])
def test_an_error_before_the_commit_point_moves_on(start, alpha, behaviour):
    gateway = start()
    alpha.when(behaviour, key=FIRST)
    answer = ask(gateway, {**CHAT, "stream": True})
    assert answer.headers["x-gateway-profile"] == "alpha:two"
    assert text_of(events(answer)) == "".join(BEHAVIOURS["documented"].text)


def test_an_error_before_the_commit_point_is_an_ordinary_error_when_nobody_is_left(start, alpha):
    gateway = start(providerFallback={"enabled": False})
    alpha.behaviour = BEHAVIOURS["error_before_content"]
    answer = ask(gateway, {**CHAT, "stream": True})
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_http_error"


@pytest.mark.parametrize("behaviour", ["error_mid_stream", "closes_mid_body"])
def test_a_committed_stream_is_never_repeated_and_ends_with_an_error(start, alpha, beta, behaviour):
    gateway = start()
    alpha.behaviour = BEHAVIOURS[behaviour]
    answer = ask(gateway, {**CHAT, "stream": True})
    chunks = events(answer)
    assert answer.status_code == 200
    assert chunks[-1]["error"]["message"]
    assert "[DONE]" not in chunks
    assert len(alpha.calls) == 1
    assert not beta.calls


def test_a_slow_start_is_held_two_seconds_and_then_shown(start, alpha):
    gateway = start()
    alpha.behaviour = replace(BEHAVIOURS["documented"], pace=3.0, text=("late",))
    began = time.monotonic()
    with httpx.stream(
        "POST",
        f"{gateway.base_url}/chat/completions",
        json={**CHAT, "stream": True},
        headers={"authorization": f"Bearer {gateway.token}"},
        timeout=30,
    ) as answer:
        head = time.monotonic() - began
        answer.read()
    assert 1.5 < head < 2.9
    assert text_of(events(answer)) == "late"


@pytest.mark.parametrize(
    ("behaviour", "stream"),
    [("silent", False), ("hangs_mid_body", False), ("silent", True), ("hangs_mid_body", True), ("endless", True)],
)
def test_a_client_that_leaves_cancels_the_upstream_at_once(start, alpha, behaviour, stream):
    gateway = start()
    alpha.behaviour = BEHAVIOURS[behaviour]
    connection = HTTPConnection("127.0.0.1", gateway.port)
    connection.request(
        "POST",
        "/v1/chat/completions",
        json.dumps({**CHAT, "stream": stream}),
        {"authorization": f"Bearer {gateway.token}", "content-type": "application/json"},
    )
    deadline = time.monotonic() + 5
    while not alpha.calls and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    left = time.monotonic()
    connection.sock.close()
    while alpha.calls[-1].outcome == "open" and time.monotonic() < deadline:
        time.sleep(0.005)
    assert alpha.calls[-1].outcome == "client_gone"
    # The gateway needs under 100 ms; the rest is the fake noticing it.
    assert alpha.calls[-1].ended - left < 0.25


def test_a_slow_reader_slows_the_provider_and_not_the_memory(start, alpha):
    gateway = start()
    alpha.behaviour = BEHAVIOURS["torrent"]
    connection = HTTPConnection("127.0.0.1", gateway.port)
    connection.request(
        "POST",
        "/v1/chat/completions",
        json.dumps({**CHAT, "stream": True}),
        {"authorization": f"Bearer {gateway.token}", "content-type": "application/json"},
    )
    time.sleep(2)
    sent = alpha.calls[-1].bytes_sent
    time.sleep(0.5)
    assert alpha.calls[-1].bytes_sent == sent, "the provider is still being read"
    assert sent < 24 << 20
    connection.sock.close()


def test_a_destination_that_egress_forbids_is_passed_over_and_403_only_when_none_is_left(start, alpha, beta):
    gateway = start(egressPolicy={"allowLocalProviders": ["beta"]})
    answer = ask(gateway)
    assert (answer.status_code, answer.headers["x-gateway-provider"]) == (200, "beta")
    beta_only = start(egressPolicy={"allowLocalProviders": []})
    answer = ask(beta_only)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "egress_destination_blocked")
    assert answer.json()["error"]["details"]["phase"] == "resolve"
    assert not alpha.calls


@pytest.mark.parametrize(
    "body", [b"<html>sign in</html>", b"{not: json}", b'{"object": "chat.completion", "choices": [']
)
def test_a_plain_answer_that_is_no_answer_moves_on(start, alpha, body):
    gateway = start()
    alpha.when(replace(BEHAVIOURS["documented"], body=body), key=FIRST)
    assert ask(gateway).headers["x-gateway-profile"] == "alpha:two"


def test_an_error_told_with_status_200_moves_on(start, alpha):
    gateway = start()
    alpha.when(replace(BEHAVIOURS["documented"], body={"error": {"message": "Busy", "code": 503}}), key=FIRST)
    assert ask(gateway).headers["x-gateway-profile"] == "alpha:two"


@pytest.mark.parametrize("behaviour", ["silent", "hangs_mid_body"])
def test_a_time_out_moves_on_like_any_trouble_before_the_commit_point(start, alpha, behaviour):
    gateway = start(server={"requestTimeoutSeconds": 1})
    alpha.when(behaviour, key=FIRST)
    answer = ask(gateway)
    assert (answer.status_code, answer.headers["x-gateway-profile"]) == (200, "alpha:two")
    alpha.exchanges.clear()
    assert ask(gateway).headers["x-gateway-profile"] == "alpha:two"
    assert [call.request.key for call in alpha.calls] == [SECOND], "nobody waits for the silent one again so soon"


def test_a_plain_answer_is_whole_within_the_time_limit_or_not_at_all(start, alpha):
    gateway = start(server={"requestTimeoutSeconds": 1}, providerFallback={"enabled": False})
    alpha.behaviour = BEHAVIOURS["hangs_mid_body"]
    began = time.monotonic()
    answer = ask(gateway)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - began < 4


def test_an_error_that_stands_in_a_choice_of_a_plain_answer_moves_on(start, alpha):
    gateway = start()
    choice = {"index": 0, "message": {"content": ""}, "finish_reason": "error", "error": {"message": "x", "code": 502}}
    alpha.when(replace(BEHAVIOURS["documented"], body={"object": "chat.completion", "choices": [choice]}), key=FIRST)
    answer = ask(gateway, {**CHAT, "stream": True})
    assert answer.headers["x-gateway-profile"] == "alpha:two"
    assert events(answer)[-1] == "[DONE]"


def test_a_rate_limit_told_after_two_seconds_is_remembered_too(start, alpha):
    gateway = start()
    limit = {"error": {"message": "slow down", "type": "requests", "code": 429}}
    # A role, silence until the stream has been shown without a word, an empty word, and then the refusal.
    late = replace(
        BEHAVIOURS["documented"], text=("", ""), pace=2.4, trouble="error_event", after_events=2, error=limit
    )
    alpha.when(late, key=FIRST)
    answer = ask(gateway, {**CHAT, "stream": True})
    assert answer.headers["x-gateway-profile"] == "alpha:one"
    assert events(answer)[-1]["error"]["message"] == "slow down"
    assert ask(gateway).headers["x-gateway-profile"] == "alpha:two"


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]}},
        b"Unrecognized request argument supplied: stream_options",
    ],
)
def test_every_shape_of_a_refusal_of_stream_options_is_understood(start, alpha, body):
    gateway = start()
    alpha.next(replace(BEHAVIOURS["documented"], status=422, body=body))
    assert ask(gateway, {**CHAT, "stream": True}).status_code == 200
    assert ["stream_options" in call.request.json() for call in alpha.calls] == [True, False]


def test_an_error_event_is_not_given_a_status_the_provider_never_sent(start, alpha):
    gateway = start(providerFallback={"enabled": False})
    alpha.behaviour = BEHAVIOURS["error_first"]
    assert ask(gateway, {**CHAT, "stream": True}).json()["error"]["details"]["upstreamStatus"] == 200


def test_the_end_mark_ends_the_answer_though_the_provider_lingers(start, alpha):
    gateway = start()
    alpha.behaviour = replace(
        BEHAVIOURS["documented"], trouble="hang", after_events=len(BEHAVIOURS["documented"].text) + 4
    )
    began = time.monotonic()
    answer = ask(gateway, {**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    assert events(answer)[-1] == "[DONE]"
    assert time.monotonic() - began < 2


def test_a_stream_that_says_nothing_at_length_is_shown_before_its_time_instead_of_kept(start, alpha):
    gateway = start()
    alpha.behaviour = replace(BEHAVIOURS["documented"], text=("",) * 4_000, trouble="hang", after_events=3_900)
    began = time.monotonic()
    with httpx.stream(
        "POST",
        f"{gateway.base_url}/chat/completions",
        json={**CHAT, "stream": True},
        headers={"authorization": f"Bearer {gateway.token}"},
        timeout=30,
    ) as answer:
        assert answer.status_code == 200
        assert time.monotonic() - began < 1.8, "two seconds are what the clock alone would have taken"


def test_the_demo_provider_answers_while_there_is_nothing_else(make_gateway, client_token):
    gateway = make_gateway({"authorization": {"tokens": {"ci": {"token": client_token, "scopes": ["read", "write"]}}}})
    answer = ask(gateway, {"messages": [{"role": "user", "content": "hello"}]})
    assert answer.status_code == 200
    assert answer.headers["x-gateway-provider"] == "demo"
    assert "emo" in answer.json()["choices"][0]["message"]["content"]
    streamed = events(ask(gateway, {"model": "demo/echo", "stream": True, "messages": CHAT["messages"]}))
    assert streamed[-1] == "[DONE]"
    assert text_of(streamed)


def test_the_limit_of_counting_tokens_says_nothing_of_calls(make_gateway, client_token):
    """Anthropic limits both apart, and Claude Code counts all the time."""
    with FakeAnthropic(keys=(FIRST, SECOND)) as fake:
        gateway = make_gateway(
            {
                "providers": {"alpha": row(fake.base_url, api="anthropic-messages")},
                "authProfiles": {"alpha:one": profile("alpha", FIRST), "alpha:two": profile("alpha", SECOND)},
                "authOrder": {"alpha": ["alpha:one", "alpha:two"]},
                "authorization": {"tokens": {"ci": {"token": client_token, "scopes": ["read", "write"]}}},
                "egressPolicy": {"allowLocalProviders": ["alpha"]},
            }
        )
        body = {"model": "alpha/m", "max_tokens": 9, "messages": CHAT["messages"]}
        limited = Behaviour(status=429, body={}, headers=(("retry-after", "600"),))

        def served_by(path):
            return gateway.request("POST", path, body=body).headers["x-gateway-profile"]

        fake.when(limited, key=FIRST, path="/count_tokens")
        assert served_by("/v1/messages/count_tokens") == "alpha:two"
        assert served_by("/v1/messages") == "alpha:one"
        fake.reset()
        fake.when(limited, key=FIRST, path="/messages")
        assert served_by("/v1/messages") == "alpha:two"
        assert served_by("/v1/messages/count_tokens") == "alpha:two"
        fake.reset()
        assert served_by("/v1/messages/count_tokens") == "alpha:two"
        assert served_by("/v1/messages") == "alpha:two", "an answer to a count ends no rest"
