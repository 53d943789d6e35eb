"""A relayed stream: its bytes go on as they are, and it is known how far it has come."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse, UpstreamTimeout
from open_llm_auth.wire.events import ErrorBody, Usage
from open_llm_auth.wire.openai_responses import StreamRelay

RESPONSE = {"id": "resp_1", "object": "response", "model": "m", "tools": [], "status": "in_progress", "output": []}
CREATED = {"type": "response.created", "sequence_number": 0, "response": RESPONSE}
COMPLETED = {"type": "response.completed", "response": {**RESPONSE, "usage": {"input_tokens": 3, "output_tokens": 2}}}


def text(delta, number=3):
    return {"type": "response.output_text.delta", "sequence_number": number, "item_id": "msg_1", "delta": delta}


def wire(*events, names=True, end=b"\n\n"):
    heads = [f"event: {event['type']}\n".encode() if names else b"" for event in events]
    return b"".join(
        head + b"data: " + json.dumps(event).encode() + end for head, event in zip(heads, events, strict=True)
    )


def relayed(relay, data, chop):
    return b"".join(relay.feed(chunk) for chunk in chop(data)) + relay.end()


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_a_stream_goes_on_byte_for_byte(names, end, chop):
    stream = wire(CREATED, text("Hel"), text("lo"), {"type": "response.unheard_of"}, COMPLETED, names=names, end=end)
    relay = StreamRelay()
    assert relayed(relay, b": hi\n\n" + stream, chop) == b": hi\n\n" + stream
    assert (relay.committed, relay.done, relay.failure, relay.usage) == (True, True, None, Usage(3, 2))


def test_what_comes_after_the_end_goes_no_further(chop):
    stream = wire(CREATED, text("a"), COMPLETED)
    relay = StreamRelay()
    assert relayed(relay, stream + b"data: [DONE]\n\n", chop) == stream


@pytest.mark.parametrize(
    "event",
    [
        text("a"),
        {"type": "response.refusal.delta", "delta": "no"},
        {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
        {"type": "response.reasoning_text.delta", "delta": "hm"},
        {"type": "response.function_call_arguments.delta", "delta": "{"},
        {"type": "response.custom_tool_call_input.delta", "delta": "*"},
        {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}},
        {"type": "response.output_item.added", "item": {"type": "web_search_call"}},
        {"type": "response.output_item.added", "item": {"type": ["odd"]}},
        {"type": "response.output_item.done", "item": {"type": "message"}},
        {"type": "response.incomplete", "response": {}},
    ],
    ids=lambda event: event["type"],
)
def test_what_a_client_sees_commits_a_stream(event):
    relay = StreamRelay()
    relay.feed(wire(CREATED))
    assert not relay.committed
    relay.feed(wire(event))
    assert relay.committed


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.in_progress", "response": RESPONSE},
        {"type": "response.output_item.added", "item": {"type": "message", "content": []}},
        {"type": "response.output_item.added", "item": {"type": "reasoning"}},
        {"type": "response.output_item.added", "item": ["odd"]},
        {"type": "response.content_part.added", "part": {}},
        {"type": "response.output_text.delta", "delta": ""},
        {"type": "codex.rate_limits"},
        {"type": ["odd"]},
    ],
    ids=lambda event: str(event["type"]),
)
def test_a_preamble_commits_nothing(event):
    relay = StreamRelay()
    stream = wire(CREATED, event, names=False)
    assert relay.feed(stream) == stream
    assert not relay.committed


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "c", "message": "went wrong"},
        {"type": "error", "error": {"code": "c", "message": "went wrong"}},
        {"type": "response.failed", "response": {**RESPONSE, "error": {"code": "c", "message": "went wrong"}}},
    ],
)
@pytest.mark.parametrize("names", [True, False])
def test_an_error_stops_the_stream_and_is_not_passed_on(event, names, chop):
    stream = wire(CREATED, text("a"), names=names)
    relay = StreamRelay()
    out = b"".join(relay.feed(chunk) for chunk in chop(stream + wire(event, text("b"), COMPLETED, names=names)))
    assert out == stream
    assert relay.failure == ErrorBody("went wrong", code="c")
    assert not relay.done
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()


def test_an_error_without_a_type_is_one_where_its_event_says_so():
    relay = StreamRelay()
    relay.feed(b'event: error\ndata: {"error": {"message": "m"}}\n\n')
    assert relay.failure == ErrorBody("m")


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"data: [DONE]\n\n",
        wire(CREATED),
        wire(CREATED, text("a")),
        wire(CREATED, text("a")) + wire(COMPLETED)[:-40],
    ],
)
def test_a_stream_that_stops_is_no_answer(stream, chop):
    relay = StreamRelay()
    with pytest.raises(UpstreamInvalidResponse):
        relayed(relay, stream, chop)


def test_a_text_about_events_is_a_text(chop):
    words = 'event: response.completed\ndata: {"type":"response.completed"}\n\ndata: .delta\ndata: {'
    stream = wire(CREATED, text("a"), text(words), text(words), COMPLETED)
    relay = StreamRelay()
    assert relayed(relay, stream, chop) == stream


def test_deltas_and_an_end_in_one_chunk_are_not_taken_for_deltas_alone():
    relay = StreamRelay()
    relay.feed(wire(CREATED, text("a")))
    relay.feed(wire(text("b"), COMPLETED))
    assert relay.done


def test_an_error_of_ours_ends_the_response_that_the_provider_began(chop):
    relay = StreamRelay()
    for chunk in chop(wire(CREATED, text("a", 7), text("b", 8))):
        relay.feed(chunk)
    first, second = relay.fail(UpstreamTimeout("too slow")).decode().strip().split("\n\n")
    assert first.startswith("event: error\n")
    assert json.loads(first.split("data: ")[1])["sequence_number"] == 9
    failed = json.loads(second.split("data: ")[1])
    assert failed["sequence_number"] == 10
    assert failed["response"] == {
        **RESPONSE,
        "status": "failed",
        "error": {"code": "server_error", "message": "too slow"},
    }


def test_an_error_of_ours_before_anything_came_is_told_all_the_same():
    told = StreamRelay().fail(UpstreamTimeout("too slow"))
    assert json.loads(told.split(b"data: ")[-1])["response"]["error"]["message"] == "too slow"
