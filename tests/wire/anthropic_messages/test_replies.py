"""Plain answers: their blocks, counts, reasons and citations, and what is no answer at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.anthropic_messages import read_count, read_reply, read_usage, write_count, write_reply
from open_llm_auth.wire.anthropic_messages.replies import Counts, counts_of, read_citation, write_citation, write_usage
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
    ErrorBody,
    Failed,
    Finished,
    Opaque,
    RefusalDelta,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.signatures import seal, seal_call_id

NAME = "anthropic-messages"
ANSWERING = Answering("ab12", 1, "asked-model")
FOREIGN = Signature("openai-responses", "enc", "rs_1")


def reply(*blocks, **fields):
    return json.dumps({"id": "msg_1", "type": "message", "model": "m", "content": list(blocks), **fields}).encode()


def written(*events):
    return json.loads(write_reply([Started(), *events], ANSWERING))


def content(*events):
    return written(*events, Finished("stop"))["content"]


# ---------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("block", "events"),
    [
        ({"type": "text", "text": "a", "citations": None}, [TextDelta("a")]),
        (
            {
                "type": "text",
                "text": "a",
                "citations": [{"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "q"}],
            },
            [TextDelta("a"), Citation("u", "t", "q")],
        ),
        ({"type": "thinking", "thinking": "", "signature": "s"}, [ThinkingSigned(Signature(NAME, "s"))]),
        ({"type": "thinking", "thinking": "hm"}, [ThinkingDelta("hm")]),
        ({"type": "redacted_thinking", "data": "d"}, [ThinkingSigned(Signature(NAME, "d"), redacted=True)]),
        ({"type": "tool_use", "id": "c", "name": "t"}, [ToolCallStarted("c", "t"), ToolCallDelta("{}")]),
        ({"type": "server_tool_use", "id": "s"}, [Opaque(NAME, {"type": "server_tool_use", "id": "s"})]),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_a_block_is_events(block, events):
    assert read_reply(reply(block))[1:-1] == events


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("a_new_word", "stop"),
        (None, "stop"),
        (7, "stop"),
    ],
)
def test_a_reason_is_read(word, reason):
    assert read_reply(reply(stop_reason=word))[-1].reason == reason


def test_an_answer_with_calls_ended_for_them_whatever_the_provider_says():
    assert (
        read_reply(reply({"type": "tool_use", "id": "c", "name": "t"}, stop_reason="end_turn"))[-1].reason
        == "tool_calls"
    )
    assert (
        read_reply(reply({"type": "tool_use", "id": "c", "name": "t"}, stop_reason="max_tokens"))[-1].reason == "length"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"content":"a"}',
        b'{"content":["a"]}',
        b'{"content":[{"type":"tool_use","id":"c","input":{}}]}',
        b'{"base_resp":{"status_code":1008}}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_what_is_no_message_is_the_providers_fault(body):
    with pytest.raises(UpstreamInvalidResponse):
        read_reply(body)


def test_an_error_that_looks_like_success_is_a_failure():
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    assert read_reply(body)[-1] == Failed(ErrorBody("busy", "overloaded_error"))


# ---------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 20, "output_tokens": 7}, Usage(20, 7)),
        (
            {
                "input_tokens": 50,
                "output_tokens": 7,
                "cache_read_input_tokens": 1000,
                "cache_creation_input_tokens": 150,
            },
            Usage(1200, 7, 1000, 150),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 7,
                "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
            },
            Usage(6, 7, 0, 5),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 7,
                "cache_creation_input_tokens": 9,
                "cache_creation": {"ephemeral_5m_input_tokens": 2},
            },
            Usage(10, 7, 0, 9),
        ),
        # The parts are of the whole and not beside it.
        (
            {
                "input_tokens": 1,
                "output_tokens": 7,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_5m_input_tokens": 5},
            },
            Usage(6, 7, 0, 5),
        ),
        (
            {"input_tokens": 1, "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 5}},
            Usage(1, 7, reasoning=5),
        ),
        ({"input_tokens": 1, "output_tokens": 7, "cache_creation": None, "output_tokens_details": None}, Usage(1, 7)),
        ({"input_tokens": None, "output_tokens": 7.0}, Usage(0, 7)),
        ({"input_tokens": "20", "output_tokens": True}, None),
        ({"input_tokens": -1, "output_tokens": 10**30}, None),
        ({}, None),
        (None, None),
        ([], None),
        (3, None),
    ],
    ids=str,
)
def test_input_includes_what_was_cached(usage, expected):
    assert read_usage(reply(usage=usage)) == expected
    assert read_reply(reply(usage=usage))[-1].usage == expected


def test_an_answer_without_usage_counts_nothing():
    assert read_usage(b'{"content":[]}') is None
    assert read_usage(b"nonsense") is None


@given(st.builds(Usage, *[st.integers(0, 10**9)] * 5))
def test_counts_survive_the_way_to_a_client_and_back(usage):
    whole = Usage(
        usage.input + usage.cache_read + usage.cache_write,
        usage.output,
        usage.cache_read,
        usage.cache_write,
        usage.reasoning,
    )
    assert counts_of(json.dumps(write_usage(whole)).encode()).usage() == whole


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        (Counts(20, 1), Counts(output=7), Usage(20, 7)),
        (Counts(0, 0), Counts(20, 7), Usage(20, 7)),
        (Counts(20, 1), Counts(0, 7), Usage(20, 7)),
        # A split that comes later replaces the sum that came first.
        (Counts(1020, 1), Counts(20, 7, cache_read=1000), Usage(1020, 7, 1000)),
        (Counts(0, 0), Counts(0, 7, cache_read=1000), Usage(1000, 7, 1000)),
        (Counts(20, 1, 5, 6), Counts(20, 7), Usage(31, 7, 5, 6)),
        (Counts(20, 1), Counts(), Usage(20, 1)),
    ],
)
def test_later_counts_are_totals(first, later, expected):
    assert first.then(later).usage() == expected


def test_tokens_are_counted_ahead():
    assert json.loads(write_count(42)) == {"input_tokens": 42}
    assert read_count(write_count(42)) == 42
    assert read_count(b'{"input_tokens":"x"}') is read_count(b"nonsense") is None


# ---------------------------------------------------------------------------------------------- writing


def test_an_answer_has_the_form_of_a_message():
    assert written(TextDelta("a"), Finished("stop", Usage(1200, 7, 1000, 150, 5), None, "priority")) == {
        "id": "msg_ab12",
        "type": "message",
        "role": "assistant",
        "model": "asked-model",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 50,
            "cache_creation_input_tokens": 150,
            "cache_read_input_tokens": 1000,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 5},
            "service_tier": "priority",
        },
    }


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("stop_sequence", "stop_sequence"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
    ],
)
def test_a_reason_is_written(reason, word):
    assert written(Finished(reason))["stop_reason"] == word


def test_a_refusal_is_a_text_and_the_reason():
    answer = written(RefusalDelta("I can't."), Finished("refusal"))
    assert (answer["content"], answer["stop_reason"]) == ([{"type": "text", "text": "I can't."}], "refusal")


@pytest.mark.parametrize(
    ("events", "blocks"),
    [
        ([], []),
        ([TextDelta("")], []),
        ([TextDelta("a"), TextDelta("b")], [{"type": "text", "text": "ab"}]),
        ([ThinkingDelta("a"), ThinkingDelta("b")], [{"type": "thinking", "thinking": "ab", "signature": ""}]),
        (
            [ThinkingDelta("a"), ThinkingSigned(Signature(NAME, "s")), ThinkingDelta("b")],
            [
                {"type": "thinking", "thinking": "a", "signature": "s"},
                {"type": "thinking", "thinking": "b", "signature": ""},
            ],
        ),
        ([ThinkingSigned(FOREIGN)], [{"type": "thinking", "thinking": "", "signature": seal(FOREIGN)}]),
        ([TextDelta("a"), ThinkingSigned(FOREIGN)], [{"type": "text", "text": "a"}]),
        ([TextDelta("a"), ThinkingSigned(FOREIGN), TextDelta("b")], [{"type": "text", "text": "ab"}]),
        (
            [TextDelta("a"), ThinkingSigned(FOREIGN), ToolCallStarted("c", "t"), ThinkingSigned(FOREIGN)],
            [
                {"type": "text", "text": "a"},
                {"type": "thinking", "thinking": "", "signature": seal(FOREIGN)},
                {"type": "tool_use", "id": "c", "name": "t", "input": {}},
            ],
        ),
        (
            [TextDelta("a"), ThinkingDelta("b"), ThinkingSigned(FOREIGN)],
            [
                {"type": "text", "text": "a"},
                {"type": "thinking", "thinking": "b", "signature": seal(FOREIGN)},
            ],
        ),
        ([ThinkingSigned(FOREIGN, redacted=True)], [{"type": "redacted_thinking", "data": seal(FOREIGN)}]),
        ([ToolCallStarted("c", "t")], [{"type": "tool_use", "id": "c", "name": "t", "input": {}}]),
        (
            [
                ToolCallStarted("c", "t"),
                ToolCallDelta('{"a"'),
                ToolCallDelta(":1}"),
                ToolCallStarted("d", "t"),
                BlockEnded(),
            ],
            [
                {"type": "tool_use", "id": "c", "name": "t", "input": {"a": 1}},
                {"type": "tool_use", "id": "d", "name": "t", "input": {}},
            ],
        ),
        (
            [ToolCallStarted("c", "sh", custom=True), ToolCallDelta("ls "), ToolCallDelta("-l")],
            [{"type": "tool_use", "id": "c", "name": "sh", "input": {"input": "ls -l"}}],
        ),
        (
            [ToolCallStarted("", "t"), ToolCallStarted("functions.t:0", "t", signature=FOREIGN)],
            [
                {"type": "tool_use", "id": "toolu_ab121", "name": "t", "input": {}},
                {"type": "tool_use", "id": seal_call_id("functions_t_0_86ec7a9a", FOREIGN), "name": "t", "input": {}},
            ],
        ),
        (
            [Opaque(NAME, {"type": "server_tool_use"}), Opaque("openai-responses", {"type": "x"})],
            [{"type": "server_tool_use"}],
        ),
        (
            [TextDelta("a"), Citation("u", "t", "q")],
            [{"type": "text", "text": "a", "citations": [write_citation(Citation("u", "t", "q"))]}],
        ),
    ],
    ids=range(17),
)
def test_events_are_blocks(events, blocks):
    made = content(*events)
    for block in made:
        # The digest in a fitted id is the fitting's own affair.
        if block.get("id", "").startswith("functions_t_0_"):
            block["id"] = blocks[1]["id"]
    assert made == blocks


@pytest.mark.parametrize(
    "citation", [Citation("https://a", "T", "q"), Citation("", "T", "q"), Citation("", "", "q"), Citation("https://a")]
)
def test_a_citation_survives_the_way_to_a_client_and_back(citation):
    assert read_citation(write_citation(citation)) == citation


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"type": "char_location", "document_title": "T", "cited_text": "q", "start_char_index": 3},
            Citation("", "T", "q"),
        ),
        ({"type": "search_result_location", "source": "s", "title": None, "cited_text": "q"}, Citation("s", "", "q")),
        ({}, None),
        (None, None),
        ("x", None),
    ],
)
def test_a_citation_is_read(given, expected):
    assert read_citation(given) == expected
