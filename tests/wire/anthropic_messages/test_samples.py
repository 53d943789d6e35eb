"""The golden answers: what each of them says, the same plain and streamed, however it is cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from open_llm_auth.wire.anthropic_messages import (
    StreamDecoder,
    StreamEncoder,
    StreamRelay,
    read_conversation,
    read_error,
    read_reply,
    read_request,
    read_usage,
    write_reply,
    write_request,
)
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.events import (
    BlockEnded,
    ErrorBody,
    Event,
    Failed,
    Finished,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

GOLDEN = Path(__file__).parents[2] / "golden"
REPLIES = GOLDEN / "replies" / "anthropic-messages"
REQUESTS = sorted(
    path
    for path in (GOLDEN / "requests" / "anthropic-messages").glob("*.json")
    if path.stem != "thinking_moved"  # what was signed elsewhere is written as this dialect's own
)
PLAIN = sorted(path.stem for path in REPLIES.glob("*.json") if not path.stem.startswith("error_"))
STREAMS = sorted(path.stem for path in REPLIES.glob("*.sse"))
UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
SUNNY = TextDelta("It is sunny in Paris.")
THOUGHT = [ThinkingDelta("The user asks for weather."), ThinkingSigned(Signature("anthropic-messages", "c2lnbmF0dXJl"))]
USAGE, THINKING = Usage(20, 7), Usage(20, 7, reasoning=5)


def call(city: str) -> list[Event]:
    return [ToolCallStarted(f"call_{city.lower()}", "get_weather"), ToolCallDelta(f'{{"city":"{city}"}}')]


#: What an answer holds, why it ended, its count and its stop sequence.
SAID: dict[str, tuple[list[Event], str, Usage, str | None]] = {
    "text": ([SUNNY], "stop", USAGE, None),
    "unicode": ([TextDelta(UNICODE)], "stop", USAGE, None),
    "tools": ([TextDelta("Let me look."), *call("Paris")], "tool_calls", USAGE, None),
    "parallel_tools": ([*call("Paris"), *call("Berlin")], "tool_calls", USAGE, None),
    "json": ([TextDelta('{"city":"Paris","celsius":21}')], "stop", USAGE, None),
    "thinking": ([*THOUGHT, SUNNY], "stop", THINKING, None),
    "thinking_tools": ([*THOUGHT, *call("Paris")], "tool_calls", THINKING, None),
    "cache_hit": ([SUNNY], "stop", Usage(1200, 7, cache_read=1000, cache_write=150), None),
    "stop": ([TextDelta("one two three ")], "stop_sequence", USAGE, "STOP"),
    "refusal": ([TextDelta("I can't help with that.")], "refusal", USAGE, None),
    "length": ([TextDelta("It is")], "length", USAGE, None),
}


def expected(name: str) -> list[Event]:
    blocks, reason, usage, stop = SAID[name]
    return [Started("msg_01Sample", "sample-model"), *blocks, Finished(reason, usage, stop, "default")]


def joined(events: list[Event]) -> list[Event]:
    """The events with deltas of one block made one, and without what is known only at the start of a stream."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        match last, event:
            case TextDelta(), TextDelta():
                out[-1] = TextDelta(last.text + event.text)
            case ThinkingDelta(), ThinkingDelta():
                out[-1] = ThinkingDelta(last.text + event.text)
            case ToolCallDelta(), ToolCallDelta():
                out[-1] = ToolCallDelta(last.arguments + event.arguments)
            case _, Started():
                out.append(Started(event.id, event.model))
            case _:
                out.append(event)
    return out


def decoded(chunks: list[bytes]) -> list[Event]:
    decoder = StreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.end()


def test_every_sample_is_known():
    assert set(PLAIN) == set(SAID)
    assert set(STREAMS) == set(SAID) | {"stream_error"}


@pytest.mark.parametrize("name", SAID)
def test_a_plain_answer_says_it(name):
    assert read_reply((REPLIES / f"{name}.json").read_bytes()) == expected(name)


@pytest.mark.parametrize("name", SAID)
def test_a_plain_answer_counts(name):
    assert read_usage((REPLIES / f"{name}.json").read_bytes()) == SAID[name][2]


@pytest.mark.parametrize("name", SAID)
def test_a_stream_says_the_same(name, chop):
    assert joined(decoded(chop((REPLIES / f"{name}.sse").read_bytes()))) == expected(name)


@pytest.mark.parametrize("name", SAID)
def test_a_stream_tells_at_its_start_what_is_known_of_its_input(name):
    known = decoded([(REPLIES / f"{name}.sse").read_bytes()])[0].usage
    assert (known.input, known.cache_read) == (SAID[name][2].input, SAID[name][2].cache_read)


def test_a_stream_that_fails_says_what_came_before(chop):
    assert joined(decoded(chop((REPLIES / "stream_error.sse").read_bytes()))) == [
        Started("msg_01Sample", "sample-model"),
        TextDelta("It is"),
        Failed(ErrorBody("went wrong midway", "api_error")),
    ]


@pytest.mark.parametrize("name", SAID)
def test_a_stream_is_relayed_as_the_bytes_it_is(name, chop):
    stream = (REPLIES / f"{name}.sse").read_bytes()
    relay = StreamRelay()
    assert b"".join([relay.feed(chunk) for chunk in chop(stream)]) + relay.end() == stream
    assert (relay.committed, relay.done, relay.failure, relay.usage) == (True, True, None, SAID[name][2])


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, "invalid_request_error", "bad request sample"),
        (401, "authentication_error", "invalid key sample"),
        (429, "rate_limit_error", "slow down sample"),
        (529, "overloaded_error", "overloaded sample"),
    ],
)
def test_an_error_is_read(status, kind, message):
    assert read_error((REPLIES / f"error_{status}.json").read_bytes()) == ErrorBody(message, kind)


@pytest.mark.parametrize("name", SAID)
def test_what_was_read_is_written_the_same(name, chop):
    """Read, written for a client, read again: nothing is lost or changed on the way but the id."""
    events = decoded(chop((REPLIES / f"{name}.sse").read_bytes()))
    answering = Answering("ab12", 1, "other")
    encoder = StreamEncoder(answering)
    streamed = joined(decoded([b"".join(encoder.feed([event]) for event in events)]))
    plain = read_reply(write_reply(events, answering))
    told = [Started("msg_ab12", "sample-model"), *expected(name)[1:]]
    assert streamed == plain == told


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_a_request_is_written_as_it_was_read(path):
    conversation = read_conversation(read_request(path.read_bytes()).envelope)
    written = write_request(conversation, "claude-sonnet-4-5")
    again = read_conversation(read_request(json.dumps(written).encode()).envelope)
    assert again == conversation


def test_blocks_of_one_kind_stay_apart():
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = {"type": "message", "content": blocks, "stop_reason": "end_turn"}
    events = read_reply(json.dumps(body).encode())
    assert events[1:-1] == [TextDelta("a"), BlockEnded(), TextDelta("b")]
    assert json.loads(write_reply(events, Answering("a", 1, "m")))["content"] == blocks
