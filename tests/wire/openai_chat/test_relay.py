"""A relayed stream keeps its bytes, and a cut one never looks whole; a plain answer becomes the stream asked for."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire import sse
from open_llm_auth.wire.events import ErrorBody, Usage
from open_llm_auth.wire.openai_chat import DIALECT, StreamRelay, read_request, stream_from_reply

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(["model", "messages", "stream", "stream_options", "n", "usage", "choices", "error", "x"])

# ---------------------------------------------------------------------------------------------- streams


def chunk(delta=None, finish=None, index=0, **more):
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return sse.event(json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": choices, **more}).encode())


def compact(value):
    return sse.event(json.dumps(value, separators=(",", ":")).encode())


COUNTS = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
ROLE = chunk({"role": "assistant", "content": ""})
HI = chunk({"content": "Hi"})
THERE = chunk({"content": ' "usage" there [DONE] event: "error"'})
STOP = chunk({}, "stop")
USAGE = chunk(usage=COUNTS)
DONE = b"data: [DONE]\n\n"


def relayed(chunks, *, hide_usage=False, choices=1):
    relay = StreamRelay(hide_usage=hide_usage, choices=choices)
    out = b"".join(relay.feed(part) for part in chunks)
    return relay, out + relay.end()


PASSED = {
    "openai": ROLE + HI + THERE + STOP + DONE,
    "with usage": ROLE + HI + STOP + USAGE + DONE,
    "null everywhere": chunk({"content": "a"}, usage=None, error=None)
    + compact({"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": None}], "usage": None})
    + compact({"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": ""}], "error": ""})
    + STOP
    + DONE,
    "Azure's first chunk without choices": chunk(prompt_filter_results=[]) + ROLE + HI + STOP + DONE,
    "comments": b": hello\n\n" + ROLE + b": ping\n\n" + HI + b": ping\n\n" + STOP + DONE,
    "CRLF": (ROLE + HI + THERE + STOP + USAGE + DONE).replace(b"\n", b"\r\n"),
    "CR": (ROLE + HI + THERE + STOP + USAGE + DONE).replace(b"\n", b"\r"),
    "data over two lines": ROLE + b'data: {"choices": [{"delta":\ndata: {"content": "x"}}]}\n\n' + STOP + DONE,
    "something that is not JSON": HI + b"data: hello?\n\n" + STOP + DONE,
    "JSON that is no object": HI + b"data: [1, 2]\n\ndata: 5\n\n" + STOP + DONE,
    "choices that are no list": HI + b'data: {"choices": {"a": 1}}\n\ndata: {"choices": [1]}\n\n' + STOP + DONE,
    "llama-cpp-python's tool deltas": chunk({"role": "assistant"})
    + chunk({"role": None, "content": None, "function_call": {"name": "f"}, "tool_calls": [{"index": 0, "id": "a"}]})
    + chunk({}, "tool_calls")
    + DONE,
    "no space after data": (ROLE + HI + STOP + DONE).replace(b"data: ", b"data:"),
    "two choices": chunk({"content": "a"}) + chunk({"content": "b"}, index=1) + STOP + chunk({}, "stop", 1) + DONE,
    "nothing said": ROLE + STOP + DONE,
    "two end marks' worth of silence": HI + STOP + b"\n\n\n\n" + DONE,
}


@pytest.mark.parametrize("stream", PASSED.values(), ids=PASSED)
def test_a_stream_passes_byte_for_byte(stream, chop):
    relay, out = relayed(chop(stream))
    assert out == stream
    assert relay.done
    assert relay.failure is None


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_usage_chunk_is_hidden_and_counted(chop, ending):
    llama = chunk(usage=COUNTS, timings={"predicted_ms": 1.0})
    for usage in (USAGE, llama, compact({"usage": COUNTS}), compact({"choices": [], "usage": COUNTS})):
        stream = (ROLE + HI + STOP + usage + DONE).replace(b"\n", ending)
        relay, out = relayed(chop(stream), hide_usage=True)
        if b'"choices"' in usage:
            assert out == (ROLE + HI + STOP + DONE).replace(b"\n", ending)
        assert relay.usage == Usage(3, 4)


def test_usage_on_the_finishing_chunk_stays_and_is_counted(chop):
    stream = ROLE + HI + chunk({}, "stop", usage=COUNTS) + DONE
    relay, out = relayed(chop(stream), hide_usage=True)
    assert (out, relay.usage) == (stream, Usage(3, 4))


def test_the_last_of_growing_counts_is_kept(chop):
    stream = b"".join(chunk({"content": "a"}, usage={**COUNTS, "completion_tokens": n}) for n in (1, 2, 3))
    relay, _ = relayed(chop(stream + STOP + DONE), hide_usage=True)
    assert relay.usage == Usage(3, 4)


@pytest.mark.parametrize(
    "last",
    [
        chunk({}, "stop", x_groq={"id": "r", "usage": COUNTS}),
        compact({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": COUNTS}]}),
    ],
    ids=["Groq", "Moonshot"],
)
def test_usage_in_other_places_is_counted(last, chop):
    relay, _ = relayed(chop(HI + last + DONE))
    assert relay.usage == Usage(3, 4)


def test_a_missing_end_mark_is_supplied_after_a_finish(chop):
    relay, out = relayed(chop(ROLE + HI + STOP))
    assert out == ROLE + HI + STOP + DONE
    assert relay.done


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n", b"data:[DONE]"])
def test_an_end_mark_without_its_blank_line_is_one(tail, chop):
    relay, out = relayed(chop(HI + STOP + tail))
    assert out.count(b"[DONE]") == 1
    assert out.endswith(b"\n\n")
    assert relay.done


def test_a_last_event_without_its_blank_line_is_forwarded(chop):
    _, out = relayed(chop(ROLE + HI + STOP.rstrip()))
    assert out == ROLE + HI + STOP + DONE


TRUNCATED = {
    "nothing": b"",
    "blank lines": b"\n\n\n\n",
    "comments only": b": ping\n\n",
    "an end mark only": DONE,
    "no finish": ROLE + HI,
    "cut within an event": ROLE + HI + STOP[:40],
    "cut within the finish": ROLE + HI + STOP[:-8],
    "usage but no finish": ROLE + HI + USAGE,
    "one of two choices finished": HI + chunk({"content": "b"}, index=1) + STOP,
    "not a stream": b"<html>hello</html>\n\n",
    "other events": b'data: {"type": "ping"}\n\n',
}


@pytest.mark.parametrize("stream", TRUNCATED.values(), ids=TRUNCATED)
def test_a_stream_that_stops_early_never_looks_whole(stream, chop):
    relay = StreamRelay(hide_usage=True, choices=2 if "one of" in repr(stream) or b'"index": 1' in stream else 1)
    out = b"".join(relay.feed(part) for part in chop(stream))
    assert b"[DONE]" not in out
    with pytest.raises(UpstreamInvalidResponse, match="stream"):
        relay.end()


def test_choices_that_begin_late_are_waited_for(chop):
    stream = HI + STOP + chunk({"content": "b"}, index=1)
    with pytest.raises(UpstreamInvalidResponse):
        relayed(chop(stream), choices=2)
    _, out = relayed(chop(stream + chunk({}, "stop", 1)), choices=2)
    assert out.endswith(DONE)


FAILURES = {
    "openai": (b'data: {"error": {"message": "boom", "type": "server_error", "code": null}}\n\n', "boom"),
    "text": (b'data: {"error": "boom"}\n\n', "boom"),
    "llama-server": (b'data: {"error": {"code": 500, "message": "boom", "type": "server_error"}}\n\n', "boom"),
    "named event": (b'event: error\ndata: {"message": "boom"}\n\n', "boom"),
    "older vLLM": (b'data: {"object": "error", "message": "boom", "code": 400}\n\n', "boom"),
    "OpenRouter": (chunk({"content": ""}, "error", error={"code": 502, "message": "boom"}), "boom"),
    "in the choice": (
        compact({"choices": [{"index": 0, "delta": {}, "error": {"code": 502, "message": "boom"}}]}),
        "boom",
    ),
    "a finish reason alone": (chunk({}, "error"), "error"),
    "a bare body": (b'{"error": {"message": "boom"}}\n\n', "boom"),
    "several lines": (b'{"error":\n{"message": "boom"}}\n\n', "boom"),
}


@pytest.mark.parametrize(("event", "message"), FAILURES.values(), ids=FAILURES)
def test_an_error_ends_the_stream_and_nothing_after_it_goes_on(event, message, chop):
    relay = StreamRelay(hide_usage=False)
    out = b"".join(relay.feed(part) for part in chop(ROLE + HI + event + HI + STOP + DONE))
    assert out == ROLE + HI
    assert relay.failure is not None
    assert message in relay.failure.message
    assert relay.feed(HI) == b""
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()


def test_an_error_at_the_very_end_without_a_blank_line_is_one(chop):
    relay = StreamRelay(hide_usage=False)
    out = b"".join(relay.feed(part) for part in chop(ROLE + HI + b'{"error": {"message": "boom"}}'))
    assert out == ROLE + HI
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()
    assert relay.failure == ErrorBody("boom")


def test_nothing_after_the_end_mark_goes_on(chop):
    _, out = relayed(chop(HI + STOP + DONE + HI + b": ping\n\n"))
    assert out == HI + STOP + DONE


@pytest.mark.parametrize(
    ("delta", "commits"),
    [
        ({"role": "assistant"}, False),
        ({"role": "assistant", "content": ""}, False),
        ({"content": None, "reasoning_content": None, "tool_calls": [], "refusal": None}, False),
        ({"content": "x"}, True),
        ({"content": [{"type": "text", "text": "x"}]}, True),
        ({"content": None, "reasoning_content": "x"}, True),
        ({"reasoning": "x"}, True),
        ({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}, True),
        ({"function_call": {"name": "f"}}, True),
        ({"refusal": "no"}, True),
        ({"audio": {"id": "a"}}, True),
        ("nonsense", False),
        ([1], False),
    ],
)
def test_the_first_thing_a_client_would_see_commits(delta, commits, chop):
    relay = StreamRelay(hide_usage=False)
    for part in chop(chunk(prompt_filter_results=[]) + chunk(delta)):
        relay.feed(part)
    assert relay.committed is commits


def test_a_finish_without_content_does_not_commit_but_ends_well():
    relay, out = relayed([ROLE, STOP, DONE])
    assert not relay.committed
    assert out == ROLE + STOP + DONE


def test_events_arrive_as_soon_as_they_are_complete():
    relay = StreamRelay(hide_usage=True)
    relay.feed(HI)
    assert relay.feed(THERE[:30]) == b""
    assert relay.feed(THERE[30:] + HI[:5]) == THERE
    assert relay.feed(HI[5:]) == HI


PIECES = st.lists(
    st.sampled_from(
        [ROLE, HI, THERE, STOP, USAGE, DONE, b"\n", b"\r\n", b"data: ", b'{"error":', b'"usage":{}', b": c\n\n"]
        + [event for event, _ in FAILURES.values()]
    )
    | st.binary(max_size=8),
    max_size=8,
).map(b"".join)


def outcome(chunks):
    relay = StreamRelay(hide_usage=True)
    out = b"".join(relay.feed(part) for part in chunks)
    try:
        out += relay.end()
    except UpstreamInvalidResponse as error:
        return out, str(error), relay.failure, relay.usage, relay.committed
    return out, None, relay.failure, relay.usage, relay.committed


@given(PIECES, st.lists(st.integers(0, 800), max_size=6))
def test_no_stream_crashes_and_no_split_changes_what_comes_out(stream, cuts):
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    assert outcome([stream[a:b] for a, b in itertools.pairwise(edges)]) == outcome([stream])


def test_a_failure_after_the_beginning_is_told_as_an_event_without_an_end_mark():
    relay = StreamRelay(hide_usage=False)
    relay.feed(ROLE + HI)
    told = relay.fail(UpstreamInvalidResponse("it broke"))
    assert json.loads(sse.data_of(told))["error"]["message"] == "it broke"
    assert b"[DONE]" not in told


@pytest.mark.parametrize("wanted", [True, False])
def test_the_relay_of_a_request_shows_usage_to_those_who_asked_for_it(wanted):
    body = {"messages": [1], "n": 2, "stream": True, "stream_options": {"include_usage": wanted}}
    relay = DIALECT.client.relay(read_request(json.dumps(body).encode()))
    out = relay.feed(ROLE + HI + STOP + chunk({}, "stop", 1) + USAGE + DONE)
    assert (USAGE in out) is wanted
    assert relay.done


# ---------------------------------------------------------------------------------------------- plain to stream


REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 12345678901234567890,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hi",
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ],
    "usage": COUNTS,
}


def test_a_plain_answer_becomes_a_stream_that_says_the_same(chop):
    laid_out = json.dumps(REPLY, indent=1).replace("\n", "\r\n").encode()
    relay, out = relayed(chop(stream_from_reply(laid_out)))
    events = [json.loads(sse.data_of(event)) for event in sse.split_events(out)[:-1]]
    assert [event["object"] for event in events] == ["chat.completion.chunk"] * 3
    delta = events[0]["choices"][0]["delta"]
    assert delta["content"] == "Hi"
    assert delta["tool_calls"][0] == {"index": 0, **REPLY["choices"][0]["message"]["tool_calls"][0]}
    assert events[0]["created"] == REPLY["created"]
    assert events[1]["choices"][0]["finish_reason"] == "tool_calls"
    assert events[2]["choices"] == []
    assert (relay.committed, relay.usage) == (True, Usage(3, 4))
    assert out.endswith(DONE)


def test_every_choice_of_a_plain_answer_is_streamed():
    reply = {"choices": [{"index": n, "message": {"content": str(n)}} for n in range(3)]}
    relay, out = relayed([stream_from_reply(json.dumps(reply).encode())], choices=3)
    assert out.count(b"data: ") == 7
    assert relay.done


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"choices": []}', b'{"choices": {}}', b'{"choices": [{"message": 1}]}']
)
def test_what_is_no_plain_answer_is_not_streamed(body):
    with pytest.raises(UpstreamInvalidResponse):
        stream_from_reply(body)


@given(st.binary() | st.dictionaries(FIELDS, JSON).map(lambda value: json.dumps(value).encode()))
def test_any_plain_answer_is_streamed_or_refused(body):
    try:
        stream_from_reply(body)
    except UpstreamInvalidResponse:
        return


@given(JSON)
def test_any_message_is_streamed_or_refused(message):
    body = json.dumps({"choices": [{"message": message}]}).encode()
    try:
        stream = stream_from_reply(body)
    except UpstreamInvalidResponse:
        return
    assert stream.endswith(DONE)
