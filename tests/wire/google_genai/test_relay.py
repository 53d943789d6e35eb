"""The relay: bytes as they are, comments left behind, and an end only where every candidate gave its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse, UpstreamTimeout
from open_llm_auth.wire import sse
from open_llm_auth.wire.events import Usage
from open_llm_auth.wire.google_genai import StreamRelay

GOLDEN = Path(__file__).parents[2] / "golden/replies/google-genai"
SAMPLES = sorted(path for path in GOLDEN.glob("*.sse") if path.stem not in ("stream_error", "blocked"))


def event(*parts, **more):
    candidate = {"content": {"parts": list(parts), "role": "model"}} | more.pop("candidate", {})
    return sse.event(json.dumps({"candidates": [candidate], **more}).encode())


def ending(**candidate):
    return event(candidate={"finishReason": "STOP"} | candidate)


def fed(relay, chunks):
    return b"".join(relay.feed(chunk) for chunk in chunks)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_stream_goes_on_byte_for_byte(sample, chop):
    relay = StreamRelay()
    assert fed(relay, chop(sample.read_bytes())) + relay.end() == sample.read_bytes()
    assert (relay.committed, relay.done, relay.failure) == (True, True, None)
    assert relay.usage.output == 7


def test_an_answer_that_was_blocked_is_whole_without_a_candidate(chop):
    sample = (GOLDEN / "blocked.sse").read_bytes()
    relay = StreamRelay()
    assert fed(relay, chop(sample)) + relay.end() == sample
    assert (relay.committed, relay.done, relay.failure, relay.usage.input) == (False, True, None, 20)


@pytest.mark.parametrize("chop_again", [1, 7])
def test_unknown_fields_and_line_endings_survive(chop_again):
    stream = b'data:  {"candidates": [{"finishReason":"STOP", "x":[1, 2.50]}], "new": null}\r\n\r\n'
    relay = StreamRelay()
    chunks = [stream[at : at + chop_again] for at in range(0, len(stream), chop_again)]
    assert fed(relay, chunks) + relay.end() == stream


def test_an_end_without_its_blank_line_is_given_one():
    relay = StreamRelay()
    assert relay.feed(ending().rstrip(b"\n")) == b""
    assert relay.end() == ending()


def test_comments_stay_behind(chop):
    """gemini-cli breaks on them."""
    relay = StreamRelay()
    text = event({"text": "a"})
    stream = b": one\n\n" + text + b": two\n\n" + text + b":\n\n" + ending() + b": three\n\n"
    assert fed(relay, chop(stream)) + relay.end() == text + text + ending()


def test_half_an_event_goes_no_further():
    relay = StreamRelay()
    assert relay.feed(event({"text": "a"}) + b'data: {"candi') == event({"text": "a"})
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()


@pytest.mark.parametrize("stream", [b"", b": a\n\n", event({"text": "a"}), b"data: {}\n\n"])
def test_a_stream_without_an_end_is_not_whole(stream, chop):
    relay = StreamRelay()
    fed(relay, chop(stream))
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()
    assert not relay.done


@pytest.mark.parametrize(
    ("parts", "committed"),
    [
        ([{"text": "a"}], True),
        ([{"text": "a", "thought": True}], True),
        ([{"functionCall": {"name": "a"}}], True),
        ([{"inlineData": {"mimeType": "image/png", "data": "QQ=="}}], True),
        ([{"executableCode": {"code": "1"}}], True),
        ([{"text": ""}], False),
        ([{"text": "", "thoughtSignature": "c2ln", "thought": True}], False),
        ([{}], False),
        ([], False),
    ],
)
def test_what_a_client_sees_commits(parts, committed):
    relay = StreamRelay()
    relay.feed(event(*parts))
    assert relay.committed is committed


def test_a_blocked_prompt_is_a_whole_answer(chop):
    relay = StreamRelay()
    stream = sse.event(b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}')
    assert fed(relay, chop(stream)) + relay.end() == stream
    assert (relay.done, relay.committed, relay.usage) == (True, False, Usage(input=4))


@pytest.mark.parametrize("feedback", [b'{"blockReason":null}', b"{}", b'{"safetyRatings":[]}'])
def test_feedback_that_blocks_nothing_ends_nothing(feedback):
    relay = StreamRelay()
    relay.feed(sse.event(b'{"promptFeedback":%b}' % feedback))
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()


def test_several_candidates_each_give_their_reason():
    relay = StreamRelay(choices=2)
    relay.feed(event({"text": "a"}) + ending())
    relay.feed(event({"text": "b"}, candidate={"index": 1}))
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()
    relay = StreamRelay(choices=2)
    relay.feed(event({"text": "a"}) + event({"text": "b"}, candidate={"index": 1}) + ending() + ending(index=1))
    relay.end()
    assert relay.done


ERROR = b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}'


@pytest.mark.parametrize("error", [ERROR, b"[%b]" % ERROR])
def test_an_error_goes_no_further_and_nothing_after_it(error, chop):
    relay = StreamRelay()
    out = fed(relay, chop(event({"text": "a"}) + sse.event(error) + ending()))
    assert out == event({"text": "a"})
    assert (relay.failure.message, relay.committed) == ("busy", True)
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()


def test_talk_of_errors_is_no_error():
    relay = StreamRelay()
    stream = event({"text": '"error": {"finishReason": 1} "promptFeedback"'}) + ending()
    assert relay.feed(stream) + relay.end() == stream
    assert relay.failure is None


def test_what_is_not_understood_is_not_judged():
    relay = StreamRelay()
    odd = b"data: [DONE]\n\n" + sse.event(b'{"candidates":7}') + sse.event(b'"x"')
    assert relay.feed(odd + ending()) == odd + ending()
    relay.end()


def test_the_count_is_known_at_any_moment():
    relay = StreamRelay()
    relay.feed(event({"text": "a"}, usageMetadata={"promptTokenCount": 20, "candidatesTokenCount": 1}))
    assert relay.usage == Usage(input=20, output=1)
    relay.feed(event({"text": "b"}, usageMetadata={"promptTokenCount": 20, "candidatesTokenCount": 2}))
    relay.feed(event({"text": "c"}))
    assert relay.usage == Usage(input=20, output=2)
    relay.feed(ending())
    assert relay.usage == Usage(input=20, output=2)
    relay.feed(sse.event(b'{"usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":3}}'))
    relay.end()
    assert relay.usage == Usage(input=20, output=3)


def test_a_failure_of_ours_is_told_as_google_does():
    said = json.loads(StreamRelay().fail(UpstreamTimeout("too slow"))[6:])
    assert said == {"error": {"code": 504, "message": "too slow", "status": "DEADLINE_EXCEEDED"}}


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([event({"text": "a"}), ending(), b"data: [", b"\n\n"]), max_size=8
    )
)
def test_no_bytes_break_the_relay(chunks):
    relay = StreamRelay()
    try:
        fed(relay, chunks)
        relay.end()
    except UpstreamInvalidResponse as error:
        assert error.message
