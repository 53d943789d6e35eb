"""Every way in meets every family of providers: answers arrive whole, and every trouble is told as the way in tells it.

What a client can do without is absorbed, everything else ends in that dialect's own error: never a hang, a fake success
or a traceback.
"""

from __future__ import annotations

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.events import Failed, Finished

from ..ways_in import WAYS, text_in

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
SAID = "Hello from the fake provider: naïve 日本語 🦙."


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request):
    return request.param


@pytest.fixture(autouse=True)
def no_traceback(upstream):
    """Whatever happens, it is no fault of ours."""
    yield
    assert "Traceback" not in upstream.gateway.log()
    assert not [row for row in upstream.gateway.rows() if row.get("code") == "internal_error"]


def ask(way, upstream, text="hi", **options):
    return way.ask(upstream.gateway, upstream.model, text, **options)


def is_relayed(way, family):
    """Whether both sides speak one dialect."""
    return (way.name, family) in {
        ("chat", "chat"),
        ("universal", "chat"),
        ("responses", "responses"),
        ("messages", "anthropic"),
        ("gemini", "gemini"),
    }


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_arrives_whole_with_its_usage(way, family, upstream, stream):
    answer = ask(way, upstream, stream=stream)
    assert answer.status == 200, answer.body
    events = way.read(answer.body, stream=stream)
    assert text_in(events) == SAID
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"
    if not (stream and way.dialect == "openai-chat"):  # where usage is told to those who ask for it
        assert events[-1].usage is not None
        assert events[-1].usage.input > 0
        assert events[-1].usage.output > 0
    assert answer.headers["x-gateway-provider"] == upstream.provider
    assert answer.headers["x-gateway-attempts"] == "1"


@pytest.mark.parametrize("behaviour", ["every_byte", "inside_characters", "one_write", "comments", "carriage_returns"])
def test_however_a_stream_is_written_the_client_reads_the_same(way, family, upstream, behaviour):
    assert text_in(way.read(ask(way, upstream, f"#{behaviour}", stream=True).body, stream=True)) == SAID


def test_one_event_of_five_megabytes_arrives(way, family, upstream):
    answer = ask(way, upstream, "#huge_event", stream=True)
    assert len(text_in(way.read(answer.body, stream=True))) == len("before ") + (5 << 20) + len(" after")


@pytest.mark.parametrize("behaviour", ["error_mid_stream", "truncated", "closes_mid_body", "garbage"])
def test_what_breaks_in_the_middle_is_told_and_never_looks_like_a_good_end(way, family, upstream, behaviour):
    answer = ask(way, upstream, f"#{behaviour}", stream=True)
    if answer.status != 200:  # it broke before anything was to be seen
        assert answer.status >= 500
        return
    if behaviour == "garbage" and way.failure not in answer.body:
        # Between two sides of one dialect an event that means nothing goes on as it is; else it is stepped over.
        if not is_relayed(way, family):
            assert text_in(way.read(answer.body, stream=True)) == SAID
        return
    assert way.failure in answer.body
    assert way.good_end is None or way.good_end not in answer.body
    try:
        last = way.read(answer.body, stream=True)[-1]
    except UpstreamInvalidResponse:
        return
    assert isinstance(last, Failed)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("bad_request", 400), ("key_refused", 401), ("rate_limited", 429), ("server_error", 500), ("overloaded", 529)],
)
def test_a_refusal_keeps_its_status_in_the_shape_of_the_way_in(way, family, upstream, stream, behaviour, status):
    upstream.fake.when(behaviour)
    answer = ask(way, upstream, stream=stream)
    error = answer.json()["error"]
    assert error["message"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.status == status
    if way.name == "gemini":
        assert error["code"] == status
    if behaviour == "rate_limited":
        assert answer.headers["retry-after"]


@pytest.mark.parametrize("stream", [False, True])
def test_bytes_that_are_no_answer_are_a_bad_gateway(way, family, upstream, stream):
    upstream.fake.when("server_error_html")
    answer = ask(way, upstream, stream=stream)
    assert answer.status == 502
    assert b"html" not in answer.body
