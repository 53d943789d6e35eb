"""Streams for clients: the exact events, in order, with the right indices."""

import json

import pytest

from open_llm_auth.errors import UpstreamTimeout
from open_llm_auth.wire.anthropic_messages import StreamEncoder
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
    Finished,
    Logprobs,
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
FOREIGN = Signature("google-genai", "sig")


def encoded(*events):
    encoder = StreamEncoder(Answering("ab12", 1, "asked-model"))
    return b"".join(encoder.feed([event]) for event in events)


def read(stream):
    """The events of a stream as their values, each checked against its name."""
    values = []
    for part in stream.split(b"\n\n")[:-1]:
        name, data = part.split(b"\n")
        value = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        values.append(value)
    return values


def blocks(*events):
    """What happens between the beginning and the end, in short: b(egin), d(elta) and e(nd), each with its index."""
    out = []
    for value in read(encoded(Started(), *events, Finished("stop")))[1:-2]:
        kind = value["type"]
        if kind == "content_block_start":
            out.append(("b", value["index"], value["content_block"]))
        elif kind == "content_block_delta":
            out.append(("d", value["index"], value["delta"]))
        else:
            assert kind == "content_block_stop"
            out.append(("e", value["index"]))
    return out


TEXT = {"type": "text", "text": ""}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}


def text(words):
    return {"type": "text_delta", "text": words}


def piece(words):
    return {"type": "input_json_delta", "partial_json": words}


def use(call_id, name):
    return {"type": "tool_use", "id": call_id, "name": name, "input": {}}


def test_a_whole_stream():
    stream = encoded(Started("up", "m", Usage(20)), TextDelta("hi"), Finished("stop_sequence", Usage(20, 7), "END"))
    usage = {"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
    message = {
        "id": "msg_ab12",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    assert read(stream) == [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": TEXT},
        {"type": "content_block_delta", "index": 0, "delta": text("hi")},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
            "usage": {**usage, "output_tokens": 7},
        },
        {"type": "message_stop"},
    ]


def test_the_tier_is_told_as_soon_as_it_is_known():
    start, *_, delta, _ = read(encoded(Started(service_tier="flex"), Finished("stop", service_tier="default")))
    assert start["message"]["usage"]["service_tier"] == "batch"
    assert delta["usage"]["service_tier"] == "standard"
    assert "service_tier" not in read(encoded(Started(service_tier="auto")))[0]["message"]["usage"]


def test_input_that_is_known_late_is_told_late():
    start, *_, delta, _ = read(encoded(Started(), Finished("stop", Usage(1200, 7, 1000, 150))))
    assert start["message"]["usage"]["input_tokens"] == 0
    assert delta["usage"] == {
        "input_tokens": 50,
        "cache_creation_input_tokens": 150,
        "cache_read_input_tokens": 1000,
        "output_tokens": 7,
    }


def test_an_end_without_counts_repeats_what_was_known():
    *_, delta, _ = read(encoded(Started(usage=Usage(20)), Finished("stop")))
    assert delta["usage"]["input_tokens"] == 20


def test_the_model_that_was_asked_for_is_told_where_the_provider_names_none():
    assert read(encoded(Started()))[0]["message"]["model"] == "asked-model"


def test_a_block_may_come_before_the_beginning():
    assert [value["type"] for value in read(encoded(TextDelta("a")))][:2] == ["message_start", "content_block_start"]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        (
            [TextDelta("a"), TextDelta('"\n世')],
            [("b", 0, TEXT), ("d", 0, text("a")), ("d", 0, text('"\n世')), ("e", 0)],
        ),
        ([Logprobs(())], []),
        (
            [TextDelta("a"), BlockEnded(), TextDelta("b")],
            [("b", 0, TEXT), ("d", 0, text("a")), ("e", 0), ("b", 1, TEXT), ("d", 1, text("b")), ("e", 1)],
        ),
        (
            [ThinkingDelta("hm"), ThinkingSigned(Signature(NAME, "s")), TextDelta("a")],
            [
                ("b", 0, THINKING),
                ("d", 0, {"type": "thinking_delta", "thinking": "hm"}),
                ("d", 0, {"type": "signature_delta", "signature": "s"}),
                ("e", 0),
                ("b", 1, TEXT),
                ("d", 1, text("a")),
                ("e", 1),
            ],
        ),
        # Unsigned: the signature stays empty.
        ([ThinkingDelta("hm")], [("b", 0, THINKING), ("d", 0, {"type": "thinking_delta", "thinking": "hm"}), ("e", 0)]),
        (
            [ThinkingSigned(FOREIGN)],
            [("b", 0, THINKING), ("d", 0, {"type": "signature_delta", "signature": seal(FOREIGN)}), ("e", 0)],
        ),
        (
            [ThinkingSigned(Signature(NAME, "d"), redacted=True), ThinkingSigned(FOREIGN, redacted=True)],
            [
                ("b", 0, {"type": "redacted_thinking", "data": "d"}),
                ("e", 0),
                ("b", 1, {"type": "redacted_thinking", "data": seal(FOREIGN)}),
                ("e", 1),
            ],
        ),
        (
            [
                TextDelta("a"),
                ToolCallStarted("c", "t"),
                ToolCallDelta('{"a"'),
                ToolCallDelta(":1}"),
                ToolCallStarted("d", "u"),
            ],
            [
                ("b", 0, TEXT),
                ("d", 0, text("a")),
                ("e", 0),
                ("b", 1, use("c", "t")),
                ("d", 1, piece('{"a"')),
                ("d", 1, piece(":1}")),
                ("e", 1),
                ("b", 2, use("d", "u")),
                ("d", 2, piece("{}")),
                ("e", 2),
            ],
        ),
        (
            [ToolCallStarted("c", "t", signature=FOREIGN), ToolCallDelta("{}")],
            [("b", 0, use(seal_call_id("c", FOREIGN), "t")), ("d", 0, piece("{}")), ("e", 0)],
        ),
        ([ToolCallStarted("", "t")], [("b", 0, use("toolu_ab121", "t")), ("d", 0, piece("{}")), ("e", 0)]),
        (
            [TextDelta("a"), Citation("u", "t", "q"), TextDelta("b")],
            [
                ("b", 0, TEXT),
                ("d", 0, text("a")),
                (
                    "d",
                    0,
                    {
                        "type": "citations_delta",
                        "citation": {
                            "type": "web_search_result_location",
                            "url": "u",
                            "title": "t",
                            "encrypted_index": "",
                            "cited_text": "q",
                        },
                    },
                ),
                ("d", 0, text("b")),
                ("e", 0),
            ],
        ),
        (
            [Opaque(NAME, {"type": "server_tool_use", "id": "s"}), Opaque("ollama", {"type": "x"})],
            [("b", 0, {"type": "server_tool_use", "id": "s"}), ("e", 0)],
        ),
    ],
    ids=range(13),
)
def test_blocks_open_and_close_in_order(events, expected):
    assert blocks(*events) == expected


@pytest.mark.parametrize("pieces", [[], ["ls -l"], ['say "hi"', "\n\\end", "世"]])
def test_a_custom_call_is_an_object_of_one_string(pieces):
    said = blocks(ToolCallStarted("c", "sh", custom=True), *map(ToolCallDelta, pieces))
    arguments = "".join(step[2]["partial_json"] for step in said if step[0] == "d")
    assert json.loads(arguments) == {"input": "".join(pieces)}


SAID = [TextDelta("a"), ToolCallStarted("c", "t"), Opaque(NAME, {"type": "server_tool_use"})]


@pytest.mark.parametrize("said", SAID, ids=["text", "a call", "a tool of the provider's"])
def test_a_proof_without_words_behind_what_was_said_is_no_block(said):
    """Claude Code takes the last block for the answer, and Gemini signs its text."""
    assert blocks(said, ThinkingSigned(FOREIGN)) == blocks(said)


@pytest.mark.parametrize("said", SAID, ids=["text", "a call", "a tool of the provider's"])
def test_a_proof_without_words_is_told_when_a_call_follows(said):
    found = [block[2] for block in blocks(said, ThinkingSigned(FOREIGN), ToolCallStarted("d", "t")) if block[0] == "b"]
    assert found[1:] == [THINKING, use("d", "t")]


def test_text_goes_on_over_a_proof_of_it():
    assert blocks(TextDelta("a"), ThinkingSigned(FOREIGN), TextDelta("b")) == [
        ("b", 0, TEXT),
        ("d", 0, text("a")),
        ("d", 0, text("b")),
        ("e", 0),
    ]


@pytest.mark.parametrize(
    "signed",
    [[ThinkingDelta("hm"), ThinkingSigned(FOREIGN)], [ThinkingSigned(Signature(NAME, "s"))]],
    ids=["with words", "its own"],
)
def test_another_proof_has_its_place_behind_text_too(signed):
    assert blocks(TextDelta("a"), *signed)[-1] == ("e", 1)


def test_a_refusal_is_a_text_and_the_reason():
    *_, delta, _ = read(encoded(Started(), RefusalDelta("No"), RefusalDelta("."), Finished("refusal")))
    assert delta["delta"]["stop_reason"] == "refusal"
    assert blocks(RefusalDelta("No")) == [("b", 0, TEXT), ("d", 0, text("No")), ("e", 0)]


def test_an_error_is_an_event_and_closes_nothing():
    encoder = StreamEncoder(Answering("ab12", 1, "m"))
    encoder.feed([Started(), TextDelta("a")])
    assert read(encoder.fail(UpstreamTimeout("too late"))) == [
        {"type": "error", "error": {"type": "timeout_error", "message": "too late"}}
    ]


def test_events_may_come_together_or_alone():
    events = [
        Started(),
        ThinkingDelta("a"),
        TextDelta("b"),
        ToolCallStarted("c", "t"),
        ToolCallDelta("{}"),
        Finished("stop"),
    ]
    assert StreamEncoder(Answering("ab12", 1, "asked-model")).feed(events) == encoded(*events)
