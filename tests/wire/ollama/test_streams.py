"""Ollama's answers, streamed and whole, however they were cut."""

import json
from pathlib import Path

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.events import (
    BlockEnded,
    ErrorBody,
    Failed,
    Finished,
    Logprobs,
    Started,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.ollama import DIALECT, StreamDecoder, read_error, read_reply

SAMPLES = Path(__file__).parents[2] / "golden" / "replies" / "ollama"
UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
PARIS = (ToolCallStarted("call_paris", "get_weather"), ToolCallDelta('{"city":"Paris"}'))
BERLIN = (ToolCallStarted("call_berlin", "get_weather"), ToolCallDelta('{"city":"Berlin"}'))
USAGE = Usage(20, 7)

#: blocks, reason and usage of each sample
SAYS = {
    "text": ([TextDelta("It is sunny in Paris.")], "stop", USAGE),
    "unicode": ([TextDelta(UNICODE)], "stop", USAGE),
    "json": ([TextDelta('{"city":"Paris","celsius":21}')], "stop", USAGE),
    "thinking": ([ThinkingDelta("The user asks for weather."), TextDelta("It is sunny in Paris.")], "stop", USAGE),
    "cache_hit": ([TextDelta("It is sunny in Paris.")], "stop", Usage(1200, 7, cache_read=1000)),
    "stop": ([TextDelta("one two three ")], "stop", USAGE),
    "refusal": ([TextDelta("I can't help with that.")], "stop", USAGE),
    "length": ([TextDelta("It is")], "length", USAGE),
    "tools": ([TextDelta("Let me look."), *PARIS], "tool_calls", USAGE),
    "parallel_tools": ([*PARIS, *BERLIN], "tool_calls", USAGE),
    "thinking_tools": ([ThinkingDelta("The user asks for weather."), *PARIS], "tool_calls", USAGE),
}


def decoded(chunks):
    decoder = StreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.end()]


def joined(events):
    """The blocks of an answer, each said in one delta."""
    blocks = []
    for event in events:
        last = blocks[-1] if blocks else None
        if isinstance(event, TextDelta | ThinkingDelta) and type(event) is type(last):
            blocks[-1] = type(event)(last.text + event.text)
        elif not isinstance(event, Started | Finished | BlockEnded):
            blocks.append(event)
    return blocks


def line(**fields):
    return json.dumps({"model": "m", "created_at": "2026-11-24T09:00:00Z", "done": False} | fields).encode() + b"\n"


DONE = line(message={"role": "assistant", "content": ""}, done=True, done_reason="stop")


@pytest.mark.parametrize("name", SAYS)
def test_a_streamed_sample_says_what_it_says_however_it_was_cut(name, chop):
    events = decoded(chop((SAMPLES / f"{name}.jsonl").read_bytes()))
    blocks, reason, usage = SAYS[name]
    assert events[0] == Started(model="sample-model")
    assert joined(events) == blocks
    assert events[-1] == Finished(reason, usage)


@pytest.mark.parametrize("name", SAYS)
def test_a_plain_sample_says_the_same(name):
    events = read_reply((SAMPLES / f"{name}.json").read_bytes())
    blocks, reason, usage = SAYS[name]
    assert events[0] == Started(model="sample-model")
    assert [json.loads(e.arguments) if isinstance(e, ToolCallDelta) else e for e in joined(events)] == [
        json.loads(e.arguments) if isinstance(e, ToolCallDelta) else e for e in blocks
    ]
    assert events[-1] == Finished(reason, usage)


def test_an_error_within_a_stream_ends_it(chop):
    events = decoded(chop((SAMPLES / "stream_error.jsonl").read_bytes()))
    assert events == [
        Started(model="sample-model"),
        TextDelta("It is"),
        Failed(ErrorBody("went wrong midway")),
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("error_400", "bad request sample"),
        ("error_401", "invalid key sample"),
        ("error_429", "slow down sample"),
        ("error_529", "overloaded sample"),
    ],
)
def test_errors_are_their_text(name, message):
    assert DIALECT.provider.read_error((SAMPLES / f"{name}.json").read_bytes()) == ErrorBody(message)


def test_what_is_no_error_is_none():
    assert read_error(b"<html>") is None
    assert read_error(b"{}") is None


def test_windows_line_ends_blank_lines_and_a_mark_are_nothing(chop):
    stream = b"\xef\xbb\xbf" + line(message={"content": "a"}).replace(b"\n", b"\r\n") + b"\r\n\n" + DONE
    assert joined(decoded(chop(stream))) == [TextDelta("a")]


def test_the_last_line_may_lack_its_end(chop):
    assert decoded(chop(DONE.rstrip()))[-1] == Finished("stop")


def test_nothing_is_read_after_the_end():
    assert decoded([DONE, b"rubbish\n", line(message={"content": "more"})])[-1] == Finished("stop")


@pytest.mark.parametrize("stream", [b"", b"\n", line(message={"content": "It is"})])
def test_a_stream_that_stops_early_is_no_answer(stream, chop):
    with pytest.raises(UpstreamInvalidResponse, match="before the answer was complete"):
        decoded(chop(stream))


@pytest.mark.parametrize(
    "rubbish",
    [
        b"<html>\n",
        b"{\n",
        b"[]\n",
        b"{}\n",
        b'{"done":"yes"}\n',
        b'{"message":[]}\n',
        b"\xff\n",
        b'{"message":{"tool_calls":[{"function":{}}]}}\n',
        b"[" * 5000 + b"\n",
    ],
    ids=repr,
)
def test_rubbish_is_no_answer_and_no_traceback(rubbish, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(chop(rubbish[:200]))
    with pytest.raises(UpstreamInvalidResponse):
        read_reply(rubbish)


def test_nulls_and_unknown_fields_are_nothing():
    stream = line(message={"content": None, "thinking": None, "tool_calls": None, "novel": 1}, error=None, novel={})
    events = decoded([stream, line(message=None, done=True, done_reason=None, eval_count=None)])
    assert events == [Started(model="m"), Finished("stop")]


def test_a_reason_nobody_knows_is_an_ordinary_end():
    assert decoded([line(message={}, done=True, done_reason="novel")])[-1] == Finished("stop")


def test_calls_without_ids_get_ones_that_differ_within_an_answer_and_between_two():
    def ids(moment):
        calls = [{"function": {"name": "f", "arguments": {"a": 1}}}] * 2
        events = decoded([line(message={"tool_calls": calls}, created_at=moment), DONE])
        return [event.id for event in events if isinstance(event, ToolCallStarted)]

    first, second = ids("2026-11-24T09:00:00Z"), ids("2026-11-24T09:00:01Z")
    assert len({*first, *second}) == 4
    assert first == ids("2026-11-24T09:00:00Z")
    assert all(name.startswith("call_ollama_") for name in first)


@pytest.mark.parametrize(
    ("arguments", "deltas"),
    [
        ({}, []),
        (None, []),
        ('{"a":1}', [ToolCallDelta('{"a":1}')]),
        ({"a": 1}, [ToolCallDelta('{"a": 1}')]),
    ],
)
def test_arguments_are_their_json_text(arguments, deltas):
    call = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    events = decoded([line(message={"tool_calls": [call]}), DONE])
    assert events[1:-1] == [ToolCallStarted("1", "f"), *deltas]


def test_logprobs_come_after_their_text():
    told = [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -2.5}]}]
    events = decoded([line(message={"content": "a"}, logprobs=told), DONE])
    assert events[1:3] == [TextDelta("a"), Logprobs((TokenLogprob("a", -0.1, (TokenLogprob("b", -2.5),)),))]


def test_one_line_of_five_megabytes_is_read_and_an_endless_one_is_refused():
    assert joined(decoded([line(message={"content": "x" * 5_000_000}), DONE])) == [TextDelta("x" * 5_000_000)]
    decoder = StreamDecoder()
    endless = (decoder.feed(b"x" * 1_000_000) for _ in range(40))
    with pytest.raises(UpstreamInvalidResponse, match="one line of more than"):
        list(endless)
