"""Trouble on the way between two dialects: every provider's failure is told as the client's dialect tells it.

Each way in meets each family of providers. What a client can do without is absorbed, everything else ends in that
dialect's own error: never a hang, a fake success or a traceback.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.dialects import provider_side
from open_llm_auth.wire.events import Event, Failed, Finished, TextDelta

FAMILIES = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")


@dataclass(frozen=True)
class WayIn:
    """How a client of one dialect asks, and what tells it that a stream is whole, or that it failed."""

    dialect: Any
    path: str
    stream_path: str
    good_end: bytes | None
    failure: bytes

    def body(self, model: str, text: str, *, stream: bool) -> dict[str, Any]:
        message = [{"role": "user", "content": text}]
        fields: dict[str, Any] = {
            "openai-chat": {"model": model, "messages": message},
            "openai-responses": {"model": model, "input": message},
            "anthropic-messages": {"model": model, "messages": message, "max_tokens": 4000},
            "google-genai": {"contents": [{"role": "user", "parts": [{"text": text}]}]},
        }[self.dialect]
        return {**fields, "stream": True} if stream and self.dialect != "google-genai" else fields


WAYS = {
    way.dialect: way
    for way in (
        WayIn("openai-chat", "/v1/chat/completions", "/v1/chat/completions", b"data: [DONE]", b'{"error":{'),
        WayIn("openai-responses", "/v1/responses", "/v1/responses", b"response.completed", b'"type":"error"'),
        WayIn("anthropic-messages", "/v1/messages", "/v1/messages", b"message_stop", b"event: error\n"),
        WayIn(
            "google-genai",
            "/v1beta/models/{model}:generateContent",
            "/v1beta/models/{model}:streamGenerateContent?alt=sse",
            None,
            b'{"error":{',
        ),
    )
}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(params=list(WAYS))
def way(request):
    return WAYS[request.param]


def ask(upstream: Any, way: WayIn, text: str, *, stream: bool, headers: dict[str, str] | None = None) -> httpx.Response:
    path = (way.stream_path if stream else way.path).format(model=upstream.model)
    return httpx.post(
        f"http://127.0.0.1:{upstream.gateway.port}{path}",
        json=way.body(upstream.model, text, stream=stream),
        headers={"x-api-key": upstream.gateway.token, **(headers or {})},
        timeout=30,
    )


def events_of(way: WayIn, answer: httpx.Response, *, stream: bool) -> list[Event]:
    """The answer as that dialect's clients would read it."""
    side = provider_side(way.dialect)
    if not stream:
        return side.read_reply(answer.content)
    decoder = side.decoder()
    return decoder.feed(answer.content) + decoder.end()


def text_in(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


SAID = "Hello from the fake provider: naïve 日本語 🦙."


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_arrives_whole_with_its_usage(way, upstream, stream):
    answer = ask(upstream, way, "hi", stream=stream)
    assert answer.status_code == 200, answer.text
    events = events_of(way, answer, stream=stream)
    assert text_in(events) == SAID
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"
    assert events[-1].usage is not None
    assert events[-1].usage.output > 0
    assert answer.headers["x-gateway-provider"] == upstream.family


@pytest.mark.parametrize("behaviour", ["every_byte", "inside_characters", "one_write", "comments", "carriage_returns"])
def test_however_a_stream_is_written_the_client_reads_the_same(way, upstream, behaviour):
    assert text_in(events_of(way, ask(upstream, way, f"#{behaviour}", stream=True), stream=True)) == SAID


def test_one_event_of_five_megabytes_arrives(way, upstream):
    text = text_in(events_of(way, ask(upstream, way, "#huge_event", stream=True), stream=True))
    assert len(text) == len("before ") + (5 << 20) + len(" after")


@pytest.mark.parametrize("behaviour", ["error_mid_stream", "truncated", "closes_mid_body", "garbage"])
def test_what_breaks_in_the_middle_is_told_and_never_looks_like_a_good_end(way, upstream, behaviour):
    answer = ask(upstream, way, f"#{behaviour}", stream=True)
    if answer.status_code != 200:  # it broke before anything was to be seen
        assert answer.status_code >= 500
        return
    if way.failure not in answer.content:
        # An event that means nothing may be stepped over; then the answer is whole.
        assert behaviour == "garbage"
        assert text_in(events_of(way, answer, stream=True)) == SAID
        return
    assert way.good_end is None or way.good_end not in answer.content
    try:
        last = events_of(way, answer, stream=True)[-1]
    except UpstreamInvalidResponse:
        return
    assert isinstance(last, Failed)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("bad_request", 400), ("key_refused", 401), ("rate_limited", 429), ("server_error", 500), ("overloaded", 529)],
)
def test_a_refusal_keeps_its_status_in_the_shape_of_the_way_in(way, upstream, stream, behaviour, status):
    upstream.fake.when(behaviour)
    answer = ask(upstream, way, f"hi {behaviour}", stream=stream)
    error = json.loads(answer.content)["error"]
    assert error["message"]
    assert answer.headers["content-type"] == "application/json"
    if upstream.family == "bedrock" and behaviour == "overloaded":
        status = answer.status_code  # its API has no 529
        assert status >= 500
    assert answer.status_code == status
    if way.dialect == "google-genai":
        assert error["code"] == status
    if behaviour == "rate_limited":
        assert answer.headers["retry-after"]


@pytest.mark.parametrize("stream", [False, True])
def test_bytes_that_are_no_answer_are_a_bad_gateway(way, upstream, stream):
    upstream.fake.when("server_error_html")
    answer = ask(upstream, way, "hi", stream=stream)
    assert answer.status_code == 502
    assert "html" not in answer.text
