"""One mechanism asks every fake for trouble, and each tells it in its own wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from open_llm_auth.testing import (
    BEHAVIOURS,
    Behaviour,
    FakeAnthropic,
    FakeGemini,
    FakeOllama,
    FakeProvider,
    FakeResponses,
)
from open_llm_auth.testing.behaviours import SPLITS
from open_llm_auth.testing.fake_server import KEY, FakeServer, events_of, refusal_in

HEADERS = {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01"}


def messages(said: str) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 999, "stream": True, "messages": [{"role": "user", "content": said}]}


#: Each fake with a streaming route and what asks it.
WIRES: dict[type[FakeServer], tuple[str, Any]] = {
    FakeProvider: ("/chat/completions", messages),
    FakeResponses: ("/responses", lambda said: {"model": "m", "stream": True, "input": said}),
    FakeAnthropic: ("/v1/messages", messages),
    FakeGemini: ("/models/m:streamGenerateContent?alt=sse", lambda said: {"contents": [{"parts": [{"text": said}]}]}),
    FakeOllama: ("/api/chat", messages),
}


@pytest.fixture(params=WIRES, ids=lambda kind: kind.__name__)
def provider(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    with request.param() as provider:
        yield provider


def ask(provider: FakeServer, said: str = "hello") -> httpx.Response:
    path, body = WIRES[type(provider)]
    return httpx.post(f"{provider.base_url}{path}", json=body(said), headers=HEADERS, timeout=5)


def test_a_behaviour_is_queued_ruled_named_or_the_usual_one(provider):
    provider.behaviour = BEHAVIOURS["server_error"]
    assert ask(provider).status_code == 500
    assert ask(provider, "#payment_required please").status_code == 402
    provider.when("overloaded", model="m")
    assert ask(provider, "#payment_required please").status_code == 529
    provider.next("rate_limited")
    limited = ask(provider)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
    assert ask(provider).status_code == 529
    provider.reset()
    assert ask(provider, "#absent and #documented").status_code == 200


@pytest.mark.parametrize("name", ["bad_request", "rate_limited", "quota_spent", "overloaded", "unavailable"])
def test_a_refusal_says_the_same_in_every_wire(provider, name):
    answer = ask(provider, f"#{name}")
    assert answer.status_code == BEHAVIOURS[name].status
    assert BEHAVIOURS[name].body["error"]["message"] in answer.text


def test_an_error_in_a_stream_comes_after_two_pieces(provider):
    answer = ask(provider, "#error_mid_stream")
    assert answer.status_code == 200
    before, error, _ = answer.text.partition("The server had an error")
    assert error
    assert "Hello" in before
    assert "provider" not in before


def test_a_stream_that_stops_short_looks_whole_to_http(provider):
    answer = ask(provider, "#truncated")
    assert "Hello" in answer.text
    assert "provider" not in answer.text


def test_garbage_stands_between_two_pieces(provider):
    before, broken, after = ask(provider, "#garbage").text.partition('{"broken"')
    assert "Hello" in before
    assert broken
    assert "provider" in after


@pytest.mark.parametrize("name", ["closes_at_once", "closes_mid_body"])
def test_a_connection_can_be_cut(provider, name):
    with pytest.raises(httpx.TransportError):
        ask(provider, f"#{name}")


def test_what_was_asked_is_kept(provider):
    ask(provider, "remember me")
    [seen] = provider.requests
    assert seen.path == f"{provider.mount}{WIRES[type(provider)][0]}".partition("?")[0]
    assert seen.fields["anthropic-version"] == "2023-06-01"
    assert "remember me" in str(seen.json())


def test_no_body_and_no_key_are_refused(provider):
    url = f"{provider.base_url}{WIRES[type(provider)][0]}"
    assert httpx.post(url, content=b"{", headers=HEADERS).status_code == 400
    provider.keys = ("other",)
    assert httpx.post(url, json={}, headers=HEADERS).status_code in (400, 401)


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_says_the_same(provider, split):
    whole = ask(provider).content
    provider.reset()
    provider.behaviour = Behaviour(split=split)
    assert len(ask(provider).content) == len(whole)


def test_events_have_names_line_ends_and_comments():
    documents = [("start", {"a": 1}), ("", {"b": 2})]
    assert list(events_of(documents, Behaviour())) == [b'event: start\ndata: {"a":1}\n\n', b'data: {"b":2}\n\n']
    odd = list(events_of(documents[:1], Behaviour(line_end="\r\n", comments=True)))
    assert odd == [b'event: start\r\ndata: {"a":1}\r\n\r\n', b": keep-alive\r\n\r\n"]


@pytest.mark.parametrize("document", [{}, {"error": "text"}, {"error": {"code": 1}}])
def test_what_is_no_error_of_openai_is_sent_as_it_is(document):
    assert refusal_in(document, 400) is None
