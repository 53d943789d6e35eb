"""The streamed answer of ConverseStream in its odd forms: order, gaps, errors, ends."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.testing.event_stream import event_message, exception_message, write_message
from open_llm_auth.wire.bedrock_converse import StreamDecoder
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
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

START = event_message("messageStart", {"role": "assistant"})
STOP = event_message("messageStop", {"stopReason": "end_turn"})
USED = event_message("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, "metrics": {}})
END = STOP + USED
DONE = Finished("stop", Usage(input=3, output=2))


def delta(index: int, **said: Any) -> bytes:
    return event_message("contentBlockDelta", {"contentBlockIndex": index, "delta": said})


def text(words: str, index: int = 0) -> bytes:
    return delta(index, text=words)


def calls(index: int, call_id: str = "c1", name: str = "f", **more: Any) -> bytes:
    use = {"toolUseId": call_id, "name": name, **more}
    return event_message("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": use}})


def stops(index: int) -> bytes:
    return event_message("contentBlockStop", {"contentBlockIndex": index})


def events(*chunks: bytes) -> list[Event]:
    decoder = StreamDecoder()
    told = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*told, *decoder.end()]


def test_an_answer_without_usage_ends_with_the_stream() -> None:
    assert events(START + text("hi") + stops(0) + STOP) == [Started(), TextDelta("hi"), BlockEnded(), Finished("stop")]


def test_usage_may_come_before_the_stop_reason() -> None:
    assert events(START + text("hi") + USED + STOP) == [Started(), TextDelta("hi"), DONE]


def test_an_answer_may_begin_without_being_announced() -> None:
    assert events(text("hi") + END) == [Started(), TextDelta("hi"), DONE]


def test_a_text_block_may_be_announced_with_nothing() -> None:
    empty = event_message("contentBlockStart", {"contentBlockIndex": 0, "start": {}})
    bare = event_message("contentBlockStart", {"contentBlockIndex": 0})
    assert events(START + empty + bare + text("hi") + END) == [Started(), TextDelta("hi"), DONE]


def test_empty_deltas_and_unknown_events_say_nothing() -> None:
    odd = [
        text(""),
        delta(0),
        delta(0, text=None),
        delta(0, image={"source": {"bytes": "AA=="}}),
        delta(0, reasoningContent={}),
        event_message("contentBlockDelta", {"contentBlockIndex": 0}),
        event_message("contentBlockDelta", {"contentBlockIndex": 0, "delta": None}),
        event_message("somethingNew", {"x": 1}),
        event_message("initial-response", {}),
        write_message({":message-type": "event"}, b"not even json"),
    ]
    assert events(START, *odd, text("hi"), END) == [Started(), TextDelta("hi"), DONE]


def test_calls_that_interleave_come_one_after_the_other() -> None:
    stream = (
        calls(0, "a"),
        calls(1, "b"),
        delta(0, toolUse={"input": '{"x":'}),
        delta(1, toolUse={"input": "{}"}),
        delta(0, toolUse={"input": "1}"}),
        stops(1),
        stops(0),
    )
    assert events(START, *stream, END)[1:-1] == [
        ToolCallStarted("a", "f"),
        ToolCallDelta('{"x":'),
        ToolCallDelta("1}"),
        BlockEnded(),
        ToolCallStarted("b", "f"),
        ToolCallDelta("{}"),
        BlockEnded(),
    ]


def test_blocks_that_nobody_closes_are_told_in_order() -> None:
    stream = (
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        text("hi", 1),
    )
    assert events(START, *stream, END)[1:-1] == [
        ThinkingDelta("hm"),
        ThinkingSigned(Signature("bedrock-converse", "c2ln")),
        TextDelta("hi"),
    ]


def test_a_call_makes_the_end_of_a_turn_a_call_for_tools() -> None:
    assert events(START, calls(0), stops(0), STOP)[-1] == Finished("tool_calls")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "refusal"),
        ("content_filtered", "refusal"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_each_stop_reason_has_its_meaning(said: str | None, meant: Any) -> None:
    assert events(START, text("x"), event_message("messageStop", {"stopReason": said}))[-1] == Finished(meant)


@pytest.mark.parametrize("said", ["malformed_model_output", "malformed_tool_use"])
def test_words_that_the_service_could_not_read_are_no_answer(said: str) -> None:
    with pytest.raises(UpstreamInvalidResponse, match=said):
        events(START, text("x"), event_message("messageStop", {"stopReason": said}), USED)


def test_redacted_reasoning_in_pieces_is_one_seal() -> None:
    pieces = [base64.b64encode(piece).decode() for piece in (b"ab", b"cde")]
    stream = [delta(0, reasoningContent={"redactedContent": piece}) for piece in pieces]
    assert events(START, *stream, stops(0), END)[1:3] == [
        ThinkingSigned(Signature("bedrock-converse", base64.b64encode(b"abcde").decode()), redacted=True),
        BlockEnded(),
    ]
    with pytest.raises(UpstreamInvalidResponse, match="sealed reasoning"):
        events(START, delta(0, reasoningContent={"redactedContent": "%"}), *stream, stops(0))


def test_a_signature_in_pieces_is_one_signature() -> None:
    stream = [delta(0, reasoningContent={"signature": piece}) for piece in ("c2", "ln")]
    assert events(START, *stream, stops(0), END)[1] == ThinkingSigned(Signature("bedrock-converse", "c2ln"))


def test_citations_stand_in_their_text() -> None:
    source = {
        "title": "T",
        "sourceContent": [{"text": "quo"}, {"text": "te"}],
        "location": {"web": {"url": "https://example.com/a"}},
    }
    within = {"location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}}, "sourceContent": "odd"}
    assert events(START, text("hi"), delta(0, citation=source), delta(0, citation=within), END)[2:4] == [
        Citation("https://example.com/a", "T", "quote"),
        Citation(),
    ]


def test_what_the_provider_runs_itself_is_nobody_elses_call() -> None:
    stream = (calls(0, type="server_tool_use"), delta(0, toolUse={"input": "{}"}), stops(0), text("hi", 1))
    assert events(START, *stream, END) == [Started(), TextDelta("hi"), DONE]


def test_the_tier_that_served_it_is_told() -> None:
    used = event_message("metadata", {"usage": {}, "serviceTier": {"type": "priority"}})
    assert events(START, text("x"), STOP, used)[-1] == Finished("stop", Usage(), service_tier="priority")


@pytest.mark.parametrize(
    "usage",
    [None, 7, {"inputTokens": "many", "outputTokens": -1, "cacheReadInputTokens": True}, {"inputTokens": 10**30}],
)
def test_counts_that_are_nonsense_count_as_nothing(usage: Any) -> None:
    finished = events(START, text("x"), STOP, event_message("metadata", {"usage": usage}))[-1]
    assert isinstance(finished, Finished)
    assert finished.usage in (None, Usage())


def test_nothing_comes_after_the_end() -> None:
    assert events(START + text("hi") + END + text("more") + END, b"garbage") == [Started(), TextDelta("hi"), DONE]


def test_an_exception_ends_it() -> None:
    stream = exception_message("throttlingException", {"message": "slow down"}) + text("more")
    assert events(START + stream, b"garbage") == [
        Started(),
        Failed(ErrorBody("slow down", "ThrottlingException", "429")),
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        START,
        START + text("hi"),
        START + text("hi") + stops(0),
        START + text("hi") + STOP + USED[:-1],
        USED,
        START[:5],
    ],
)
def test_a_stream_that_stops_early_is_no_answer(stream: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse, match="stopped before"):
        events(stream)


@pytest.mark.parametrize(
    "bad",
    [
        event_message("contentBlockDelta", {"contentBlockIndex": "zero", "delta": {"text": "x"}}),
        event_message("contentBlockDelta", {"delta": {"text": 7}}),
        event_message("contentBlockStart", {"start": []}),
        write_message({":event-type": "contentBlockDelta", ":message-type": "event"}, b'{"delta": '),
        write_message({":event-type": "messageStop", ":message-type": "event"}, b"[]"),
        write_message({":event-type": "contentBlockDelta", ":message-type": "event"}, b"[" * 50_000),
        write_message({":event-type": "contentBlockDelta", ":message-type": "event"}, b'{"delta":{"text":"\xff"}}'),
        delta(0, toolUse={"input": "{}"}),
        calls(0, name=""),
        calls(0) + stops(0) + delta(0, toolUse={"input": "{}"}),
    ],
)
def test_nonsense_is_an_invalid_answer(bad: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse):
        events(START, bad, END)


KINDS = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "contentBlockIndex",
                    "start",
                    "delta",
                    "text",
                    "toolUse",
                    "input",
                    "name",
                    "toolUseId",
                    "usage",
                    "stopReason",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(KINDS, VALUES), max_size=8))
def test_no_stream_brings_down_the_decoder_and_every_answer_ends_once(messages: list[tuple[str, Any]]) -> None:
    try:
        told = events(*(event_message(kind, value) for kind, value in messages))
    except UpstreamInvalidResponse:
        return
    ends = [event for event in told if isinstance(event, Finished | Failed)]
    assert [told[-1]] == ends
    assert told[0] == Started()
