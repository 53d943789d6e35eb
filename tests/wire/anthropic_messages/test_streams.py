"""Streams of providers: everything that real and broken ones send becomes events, or the provider's fault."""

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.anthropic_messages import StreamDecoder
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
    ErrorBody,
    Failed,
    Finished,
    Opaque,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

NAME = "anthropic-messages"


def event(kind, **fields):
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def begin(index, **block):
    return event("content_block_start", index=index, content_block=block)


def gain(index, kind, **delta):
    return event("content_block_delta", index=index, delta={"type": kind, **delta})


def end(index):
    return event("content_block_stop", index=index)


def text(index, words):
    return gain(index, "text_delta", text=words)


def piece(index, json_text):
    return gain(index, "input_json_delta", partial_json=json_text)


def tool(index, name):
    return begin(index, type="tool_use", id=f"c{index}", name=name, input={})


START = event("message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 20, "output_tokens": 1}})
DELTA = event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 7})
STOP = event("message_stop")
TEXT = begin(0, type="text", text="")
WHOLE = START + TEXT + text(0, "hi") + end(0) + DELTA + STOP


def decoded(*chunks):
    decoder = StreamDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.end()


def told(*parts):
    """What stands between the beginning and the end of an answer."""
    return decoded(START + b"".join(parts) + DELTA + STOP)[1:-1]


EXPECTED = [Started("msg_1", "m", Usage(20, 1)), TextDelta("hi"), Finished("stop", Usage(20, 7))]


def test_a_stream_is_events(chop):
    assert decoded(*chop(WHOLE)) == EXPECTED


@pytest.mark.parametrize(
    "stream",
    [
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + WHOLE,
        b": hello\n\n" + WHOLE.replace(b"\n\nevent", b"\n\n: ping\n\nevent"),
        WHOLE.replace(b"data: ", b"data:"),
        b"".join(b"data: " + part.partition(b"data: ")[2] + b"\n\n" for part in WHOLE.split(b"\n\n")[:-1]),
        WHOLE.replace(STOP, event("ping") + event("a_new_event", delta="odd", index="x") + STOP),
        WHOLE + b"data: [DONE]\n\n",
        WHOLE.replace(STOP, b"data: [DONE]\n\n" + STOP),
        WHOLE.replace(STOP, b"data:\n\n" + STOP),
        WHOLE + text(0, "too late") + STOP + b"garbage\n\ndata: {\n\n",
        WHOLE.rstrip(b"\n"),
        WHOLE.replace(STOP, b""),
        WHOLE.replace(START, START + START),
        WHOLE.replace(text(0, "hi"), text(0, "") + text(0, "hi") + gain(0, "text_delta", text=None)),
        WHOLE.replace(end(0), end(0) + end(0) + end(9)),
        WHOLE.replace(end(0), b""),
        WHOLE.replace(TEXT, b""),
        WHOLE.replace(TEXT + text(0, "hi"), begin(0, type="text", text="hi")),
        WHOLE.replace(b'"index": 0', b'"index": null'),
        WHOLE.replace(DELTA, event("message_delta", delta=None, usage=None) + DELTA),
        WHOLE.replace(DELTA, event("content_block_delta", index=0, delta=None) + DELTA),
    ],
    ids=range(22),
)
def test_every_manner_of_saying_it_is_understood(stream, chop):
    assert decoded(*chop(stream)) == EXPECTED


def test_a_block_that_never_ends_does_not_hold_back_the_next():
    """llama-server ends all of its blocks at the very end."""
    decoder = StreamDecoder()
    decoder.feed(START + begin(0, type="thinking", thinking="", signature=""))
    assert decoder.feed(gain(0, "thinking_delta", thinking="hm")) == [ThinkingDelta("hm")]
    assert decoder.feed(begin(1, type="text", text="") + text(1, "hi")) == [TextDelta("hi")]
    assert decoder.feed(end(0) + end(1) + DELTA + STOP) == [Finished("stop", Usage(20, 7))]


def test_calls_that_interleave_come_one_after_the_other():
    assert told(
        tool(0, "a"), tool(1, "b"), piece(1, '{"x"'), piece(0, '{"y"'), piece(1, ":1}"), piece(0, ":2}"), end(1), end(0)
    ) == [
        ToolCallStarted("c0", "a"),
        ToolCallDelta('{"y"'),
        ToolCallDelta(":2}"),
        ToolCallStarted("c1", "b"),
        ToolCallDelta('{"x"'),
        ToolCallDelta(":1}"),
    ]


def test_the_first_of_interleaving_calls_streams_at_once():
    decoder = StreamDecoder()
    decoder.feed(START + tool(0, "a") + tool(1, "b"))
    assert decoder.feed(piece(0, "{")) == [ToolCallDelta("{")]
    assert decoder.feed(piece(1, "{")) == []


@pytest.mark.parametrize(
    ("parts", "events"),
    [
        ([tool(0, "a"), end(0)], [ToolCallStarted("c0", "a")]),
        ([tool(0, "a"), piece(0, ""), end(0)], [ToolCallStarted("c0", "a")]),
        # Some providers say the whole input at once, at the beginning.
        (
            [begin(0, type="tool_use", id="c0", name="a", input={"x": "ü"}), end(0)],
            [ToolCallStarted("c0", "a"), ToolCallDelta('{"x":"ü"}')],
        ),
        (
            [begin(0, type="tool_use", id="c0", name="a", input={"x": 1}), piece(0, '{"x":1}'), end(0)],
            [ToolCallStarted("c0", "a"), ToolCallDelta('{"x":1}')],
        ),
        ([begin(0, type="tool_use", id=None, name="a", input=None), end(0)], [ToolCallStarted("", "a")]),
        (
            [begin(0, type="text", text="a"), end(0), begin(1, type="text", text=""), text(1, "b"), end(1)],
            [TextDelta("a"), BlockEnded(), TextDelta("b")],
        ),
        (
            [text(0, "a"), text(1, "b"), text(0, "c")],
            [TextDelta("a"), BlockEnded(), TextDelta("b"), BlockEnded(), TextDelta("c")],
        ),
        (
            [
                begin(0, type="thinking"),
                gain(0, "signature_delta", signature="s1"),
                gain(0, "signature_delta", signature="s2"),
                end(0),
            ],
            [ThinkingSigned(Signature(NAME, "s1s2"))],
        ),
        (
            [gain(0, "thinking_delta", thinking="hm"), gain(1, "signature_delta", signature="s")],
            [ThinkingDelta("hm"), BlockEnded(), ThinkingSigned(Signature(NAME, "s"))],
        ),
        (
            [begin(0, type="thinking", thinking="hm", signature="s"), end(0)],
            [ThinkingDelta("hm"), ThinkingSigned(Signature(NAME, "s"))],
        ),
        ([begin(0, type="thinking"), gain(0, "thinking_delta", thinking="hm"), end(0)], [ThinkingDelta("hm")]),
        ([begin(0, type="redacted_thinking", data="d"), end(0)], [ThinkingSigned(Signature(NAME, "d"), redacted=True)]),
        (
            [
                TEXT,
                text(0, "a"),
                gain(0, "citations_delta", citation={"url": "u", "title": "t", "cited_text": "q"}),
                end(0),
            ],
            [TextDelta("a"), Citation("u", "t", "q")],
        ),
        ([TEXT, gain(0, "citations_delta", citation=None), gain(0, "a_new_delta", more=1), end(0)], []),
        (
            [
                begin(0, type="server_tool_use", id="s", name="web_search", input={}),
                piece(0, '{"query"'),
                piece(0, ':"x"}'),
                end(0),
            ],
            [Opaque(NAME, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}})],
        ),
        (
            [
                begin(0, type="compaction", content=None),
                gain(0, "compaction_delta", content="a"),
                gain(0, "compaction_delta", content="b"),
                end(0),
            ],
            [Opaque(NAME, {"type": "compaction", "content": "ab"})],
        ),
        (
            [begin(0, type="web_search_tool_result", content=[1]), end(0)],
            [Opaque(NAME, {"type": "web_search_tool_result", "content": [1]})],
        ),
        (
            [begin(0, type="server_tool_use", id="s"), piece(0, '{"que'), end(0)],
            [Opaque(NAME, {"type": "server_tool_use", "id": "s"})],
        ),
    ],
    ids=range(18),
)
def test_a_block_is_events(parts, events, chop):
    stream = START + b"".join(parts) + DELTA + STOP
    assert decoded(*chop(stream))[1:-1] == events


def test_an_answer_with_calls_ended_for_them_whatever_the_provider_says():
    assert decoded(START + tool(0, "a") + DELTA + STOP)[-1].reason == "tool_calls"


def test_input_that_is_known_late_counts():
    late = event(
        "message_delta",
        delta={"stop_reason": "stop_sequence", "stop_sequence": "END"},
        usage={"input_tokens": 50, "cache_read_input_tokens": 1000, "output_tokens": 7},
    )
    start = event(
        "message_start", message={"usage": {"input_tokens": 0, "output_tokens": 0, "service_tier": "priority"}}
    )
    assert decoded(start + late + STOP) == [
        Started(usage=Usage(), service_tier="priority"),
        Finished("stop_sequence", Usage(1050, 7, 1000), "END", "priority"),
    ]


def test_a_stream_without_counts_says_so():
    stream = event("message_start", message=None) + event("message_delta", delta={"stop_reason": "end_turn"}) + STOP
    assert decoded(stream) == [Started(), Finished("stop")]


def test_an_answer_may_begin_without_a_word_of_it():
    assert decoded(TEXT + text(0, "hi") + DELTA + STOP) == [Started(), TextDelta("hi"), Finished("stop", Usage(0, 7))]


# ---------------------------------------------------------------------------------------------- failures

ERROR = event("error", error={"type": "overloaded_error", "message": "busy"})


@pytest.mark.parametrize(
    "error",
    [
        ERROR,
        ERROR.replace(b"event: error\n", b""),
        ERROR.partition(b"data: ")[2],
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
    ],
)
def test_an_error_ends_the_answer(error, chop):
    events = decoded(*chop(START + TEXT + text(0, "hi") + error))
    assert events == [*EXPECTED[:2], Failed(ErrorBody("busy", "overloaded_error"))]


def test_an_error_may_be_all_there_is():
    assert decoded(ERROR + WHOLE) == [Started(), Failed(ErrorBody("busy", "overloaded_error"))]


def test_an_error_without_words_is_one():
    assert decoded(START, event("error"))[-1].error.message


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        START,
        START + TEXT + text(0, "hi"),
        START + TEXT + text(0, "hi") + end(0),
        START + event("message_delta", delta={"stop_reason": None}, usage={}),
        STOP,
        b": only a comment\n\n",
    ],
    ids=range(7),
)
def test_a_stream_that_stops_early_is_the_providers_fault(stream, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(*chop(stream))


@pytest.mark.parametrize("cut", range(1, len(WHOLE) - len(STOP) - len(DELTA), 7))
def test_a_stream_that_is_cut_anywhere_never_looks_whole(cut):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(WHOLE[:cut])


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"data: nonsense\n\n",
        b"data: [1]\n\n",
        b"data: 3\n\n",
        b"data: \xff\n\n",
        b"data: " + b"[" * 9999 + b"\n\n",
        event("content_block_delta", index="0", delta={"type": "text_delta", "text": "a"}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": 5}),
        event("content_block_delta", index=0, delta=[]),
        event("message_delta", delta={"stop_reason": 5}),
        piece(4, '{"a"'),
        begin(0, type="tool_use", id="c", name="n") + end(0) + piece(0, "{}"),
        begin(0, type="tool_use", id="c", name=None),
    ],
    ids=range(13),
)
def test_garbage_is_the_providers_fault(garbage, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(*chop(START + garbage + DELTA + STOP))


def test_an_event_of_five_megabytes_is_read():
    words = "x" * 5_000_000
    assert decoded(START + TEXT + text(0, words) + DELTA + STOP)[1] == TextDelta(words)


PARTS = st.sampled_from(
    [
        TEXT,
        begin(1, type="text"),
        tool(1, "b"),
        tool(2, "c"),
        begin(0, type="thinking"),
        begin(3, type="server_tool_use"),
        end(0),
        end(1),
        end(2),
        text(0, "a"),
        text(1, "b"),
        gain(0, "thinking_delta", thinking="t"),
        gain(0, "signature_delta", signature="s"),
        piece(1, "{}"),
        piece(2, "{}"),
        piece(3, "{}"),
        START,
        DELTA,
        event("ping"),
    ]
)


@given(st.lists(PARTS, max_size=14), st.randoms(use_true_random=False))
def test_whatever_the_order_an_answer_ends_once_and_keeps_its_rules(parts, rng: random.Random):
    stream = START + b"".join(parts) + DELTA + STOP
    cuts = sorted({0, len(stream), *(rng.randrange(len(stream)) for _ in range(5))})
    try:
        events = decoded(*(stream[a:b] for a, b in itertools.pairwise(cuts)))
    except UpstreamInvalidResponse:
        return
    assert isinstance(events[0], Started)
    assert [isinstance(event, Finished) for event in events].count(True) == 1
    assert isinstance(events[-1], Finished)
    calling = False
    for event_ in events:
        assert calling or not isinstance(event_, ToolCallDelta)
        calling = isinstance(event_, ToolCallStarted | ToolCallDelta)
