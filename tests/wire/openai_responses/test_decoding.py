"""A provider's stream as events, whatever it leaves out, however it was cut, and whatever it lies about."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
    ErrorBody,
    Failed,
    Finished,
    Logprobs,
    Opaque,
    RefusalDelta,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.openai_responses import StreamDecoder, read_reply

OWN = "openai-responses"
CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 17.5}}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}
BEGUN = Started("resp_1", "m", created=17)
TEXT_ITEM = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello"}],
}
CALL_ITEM = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'}


def wire(*events, names=True, end=b"\n\n"):
    lines = []
    for event in events:
        head = f"event: {event.get('type')}\n".encode() if names else b""
        lines.append(head + b"data: " + json.dumps(event).encode() + end)
    return b"".join(lines)


def decoded(data, chop=lambda data: [data]):
    decoder = StreamDecoder()
    events = [event for chunk in chop(data) for event in decoder.feed(chunk)]
    return events + decoder.end()


def text(delta, **more):
    return {"type": "response.output_text.delta", "delta": delta, **more}


def added(item, **more):
    return {"type": "response.output_item.added", "item": item, **more}


def done(item, **more):
    return {"type": "response.output_item.done", "item": item, **more}


def arguments(delta, **more):
    return {"type": "response.function_call_arguments.delta", "delta": delta, **more}


def test_a_stream_that_says_everything(chop):
    item = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    stream = wire(
        CREATED,
        {"type": "response.in_progress", "response": CREATED["response"]},
        added({**TEXT_ITEM, "content": []}, output_index=0),
        {"type": "response.content_part.added", **item, "part": {"type": "output_text", "text": ""}},
        text("Hel", **item, logprobs=[], sequence_number=4, obfuscation="x"),
        text("", **item),
        text("lo", **item),
        {"type": "response.output_text.done", **item, "text": "Hello"},
        done(TEXT_ITEM, output_index=0),
        {
            "type": "response.completed",
            "response": {
                **COMPLETED["response"],
                "output": [TEXT_ITEM],
                "usage": {"input_tokens": 3, "output_tokens": 2},
            },
        },
    )
    assert decoded(stream, chop) == [BEGUN, TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(3, 2))]


def test_a_bare_stream_as_llama_server_and_transformers_send_it(chop):
    """No indices, no numbers, no event lines, no model, an empty output and an end mark of another dialect."""
    stream = wire(
        {"type": "response.created", "response": {"id": "resp_1"}},
        added({"id": "msg_1", "type": "message"}),
        text("Hello", item_id="msg_1"),
        done({"id": "msg_1", "type": "message", "content": [{"type": "output_text", "text": "Hello"}]}),
        COMPLETED,
        names=False,
    )
    assert decoded(stream + b"data: [DONE]\n\n", chop) == [Started("resp_1"), TextDelta("Hello"), Finished("stop")]


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n: ping\n\n", b"\r\r"])
def test_line_endings_and_comments_do_not_matter(end):
    assert decoded(wire(CREATED, text("a"), COMPLETED, end=end)) == [BEGUN, TextDelta("a"), Finished("stop")]


def test_a_last_event_without_its_blank_line_counts(chop):
    assert decoded(wire(CREATED, text("a"), COMPLETED).rstrip(b"\n"), chop) == [BEGUN, TextDelta("a"), Finished("stop")]


def test_what_no_delta_said_is_taken_from_the_whole_items(chop):
    reasoning = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"text": "one"}, {"text": "two"}],
        "encrypted_content": "c2ln",
    }
    stream = wire(CREATED, done(reasoning), done(TEXT_ITEM), done(CALL_ITEM), COMPLETED)
    assert decoded(stream, chop) == [
        BEGUN,
        ThinkingDelta("one\n\ntwo", summary=True),
        ThinkingSigned(Signature(OWN, "c2ln", "rs_1")),
        TextDelta("Hello"),
        ToolCallStarted("call_1", "f"),
        ToolCallDelta('{"a":1}'),
        Finished("tool_calls"),
    ]


def test_what_no_item_said_is_taken_from_the_whole_response(chop):
    whole = {**COMPLETED, "response": {**COMPLETED["response"], "output": [TEXT_ITEM, CALL_ITEM]}}
    expected = [
        BEGUN,
        TextDelta("Hello"),
        ToolCallStarted("call_1", "f"),
        ToolCallDelta('{"a":1}'),
        Finished("tool_calls"),
    ]
    assert decoded(wire(CREATED, whole), chop) == expected
    assert decoded(wire(CREATED, added(TEXT_ITEM), text("Hello"), whole), chop) == expected


def test_calls_that_interleave_are_put_one_after_the_other(chop):
    """As llama-server tells parallel calls: items by their ids alone."""
    first, second = {**CALL_ITEM, "arguments": ""}, {**CALL_ITEM, "id": "fc_2", "call_id": "call_2", "arguments": ""}
    stream = wire(
        CREATED,
        added(first),
        added(second),
        arguments('{"a":', item_id="fc_1"),
        arguments('{"b":', item_id="fc_2"),
        arguments("1}", item_id="fc_1"),
        arguments("2}", item_id="fc_2"),
        done({**first, "arguments": '{"a":1}'}),
        done({**second, "arguments": '{"b":2}'}),
        COMPLETED,
    )
    assert decoded(stream, chop) == [
        BEGUN,
        ToolCallStarted("call_1", "f"),
        ToolCallDelta('{"a":'),
        ToolCallDelta("1}"),
        ToolCallStarted("call_2", "f"),
        ToolCallDelta('{"b":'),
        ToolCallDelta("2}"),
        Finished("tool_calls"),
    ]


def test_ids_that_change_with_every_event_are_held_together_by_their_index(chop):
    stream = wire(
        CREATED,
        added({**TEXT_ITEM, "id": "x1", "content": []}, output_index=0),
        text("Hel", item_id="x2", output_index=0),
        text("lo", item_id="x3", output_index=0),
        done({**TEXT_ITEM, "id": "x4"}, output_index=0),
        added({**CALL_ITEM, "id": "x5"}, output_index=1),
        arguments('{"a":1}', item_id="x6", output_index=1),
        done({**CALL_ITEM, "id": "x7"}, output_index=1),
        COMPLETED,
    )
    assert decoded(stream, chop) == [
        BEGUN,
        TextDelta("Hel"),
        TextDelta("lo"),
        ToolCallStarted("call_1", "f"),
        ToolCallDelta('{"a":1}'),
        Finished("tool_calls"),
    ]


def test_an_index_that_all_items_share_does_not_mix_them_up(chop):
    stream = wire(
        CREATED,
        added({**TEXT_ITEM, "content": []}, output_index=0),
        text("Hello", item_id="msg_1", output_index=0),
        added(CALL_ITEM, output_index=0),
        arguments('{"a":1}', item_id="fc_1", output_index=0),
        done(TEXT_ITEM, output_index=0),
        done(CALL_ITEM, output_index=0),
        COMPLETED,
    )
    call = [ToolCallStarted("call_1", "f"), ToolCallDelta('{"a":1}')]
    assert decoded(stream, chop) == [BEGUN, TextDelta("Hello"), *call, Finished("tool_calls")]


def test_an_item_that_is_announced_twice_is_one(chop):
    stream = wire(CREATED, added(CALL_ITEM), added(CALL_ITEM), done(CALL_ITEM), COMPLETED)
    call = [ToolCallStarted("call_1", "f"), ToolCallDelta('{"a":1}')]
    assert decoded(stream, chop) == [BEGUN, *call, Finished("tool_calls")]


def test_a_call_without_a_name_waits_until_it_has_one(chop):
    stream = wire(CREATED, added({**CALL_ITEM, "name": None}), arguments('{"a"'), done(CALL_ITEM), COMPLETED)
    call = [ToolCallStarted("call_1", "f"), ToolCallDelta('{"a":1}')]
    assert decoded(stream, chop) == [BEGUN, *call, Finished("tool_calls")]


def test_calls_of_custom_tools_and_of_namespaces_are_told(chop):
    custom = {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c", "name": "patch", "input": ""}
    stream = wire(
        CREATED,
        added(custom),
        {"type": "response.custom_tool_call_input.delta", "item_id": "ctc_1", "delta": "*** x"},
        done({**custom, "input": "*** x"}),
        done({**CALL_ITEM, "namespace": "mcp__x__"}),
        COMPLETED,
    )
    assert decoded(stream, chop) == [
        BEGUN,
        ToolCallStarted("c", "patch", custom=True),
        ToolCallDelta("*** x"),
        ToolCallStarted("call_1", "mcp__x__f"),
        ToolCallDelta('{"a":1}'),
        Finished("tool_calls"),
    ]


def test_parts_of_one_kind_are_blocks_of_their_own(chop):
    stream = wire(
        CREATED,
        text("a", item_id="m1", content_index=0),
        text("b", item_id="m1", content_index=1),
        {"type": "response.refusal.delta", "item_id": "m1", "content_index": 2, "delta": "no"},
        text("c", item_id="m2", content_index=0),
        text("d", item_id="m3", content_index=0),
        COMPLETED,
    )
    assert decoded(stream, chop) == [
        BEGUN,
        TextDelta("a"),
        BlockEnded(),
        TextDelta("b"),
        RefusalDelta("no"),
        TextDelta("c"),
        BlockEnded(),
        TextDelta("d"),
        Finished("refusal"),
    ]


def test_all_words_of_one_reasoning_are_one_block_with_its_seal(chop):
    def thought(delta, index):
        kind = "response.reasoning_summary_text.delta"
        return {"type": kind, "item_id": "rs_1", "summary_index": index, "delta": delta}

    item = {"id": "rs_1", "type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": "c2ln"}
    plain = {"type": "response.reasoning_text.delta", "item_id": "rs_2", "content_index": 0, "delta": "w"}
    stream = wire(
        CREATED,
        thought("a", 0),
        thought("b", 1),
        done(item),
        plain,
        done({"id": "rs_2", "type": "reasoning"}),
        COMPLETED,
    )
    assert decoded(stream, chop) == [
        BEGUN,
        ThinkingDelta("a", summary=True),
        ThinkingDelta("\n\n", summary=True),
        ThinkingDelta("b", summary=True),
        ThinkingSigned(Signature(OWN, "c2ln", "rs_1")),
        BlockEnded(),
        ThinkingDelta("w"),
        Finished("stop"),
    ]


def test_sources_and_logarithms_are_told_once(chop):
    source = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 5}
    weights = [{"token": "Hello", "logprob": -0.5, "top_logprobs": [{"token": "Hi", "logprob": -1.5}]}]
    annotation = {"type": "response.output_text.annotation.added", "annotation": source}
    whole = {
        **TEXT_ITEM,
        "content": [{"type": "output_text", "text": "Hello", "annotations": [source], "logprobs": weights}],
    }
    told = [
        TextDelta("Hello"),
        Logprobs((TokenLogprob("Hello", -0.5, (TokenLogprob("Hi", -1.5),)),)),
        Citation("https://x", "X", "", 0, 5),
    ]
    streamed = wire(CREATED, text("Hello", logprobs=weights), annotation, done(whole), COMPLETED)
    assert decoded(streamed, chop) == [BEGUN, *told, Finished("stop")]
    assert decoded(wire(CREATED, done(whole), COMPLETED), chop) == [BEGUN, *told, Finished("stop")]


def test_what_only_this_dialect_knows_is_handed_on_as_it_is(chop):
    search = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    stream = wire(CREATED, added(search), {"type": "response.web_search_call.searching"}, done(search), COMPLETED)
    assert decoded(stream, chop) == [BEGUN, Opaque(OWN, search), Finished("stop")]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "refusal"),
        ({"status": "incomplete", "incomplete_details": {"reason": ["odd"]}}, "length"),
        ({"status": "incomplete"}, "length"),
        ({"status": 3}, "stop"),
        ({}, "stop"),
    ],
)
def test_an_end_says_why(response, reason):
    assert decoded(wire(CREATED, {"type": "response.completed", "response": response}))[-1] == Finished(reason)
    assert decoded(wire(CREATED, {"type": "response.incomplete", "response": {}}))[-1] == Finished("length")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "c", "message": "went wrong", "sequence_number": 3},
        {"type": "error", "error": {"code": "c", "message": "went wrong"}},
        {"error": {"code": "c", "message": "went wrong"}},
        {"type": "response.failed", "response": {"status": "failed", "error": {"code": "c", "message": "went wrong"}}},
        {
            "type": "response.completed",
            "response": {"status": "failed", "error": {"code": "c", "message": "went wrong"}},
        },
    ],
)
def test_an_error_within_the_stream_is_the_last_thing_told(event, chop):
    stream = wire(CREATED, text("a"), event, text("b"), COMPLETED)
    assert decoded(stream, chop) == [BEGUN, TextDelta("a"), Failed(ErrorBody("went wrong", code="c"))]


def test_an_error_as_the_first_thing_is_one_too():
    assert decoded(wire({"type": "error", "message": "m"})) == [Started(), Failed(ErrorBody("m"))]


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"data: [DONE]\n\n",
        wire(CREATED),
        wire(CREATED, text("a")),
        wire(CREATED, done(CALL_ITEM)),
        wire(CREATED, text("a")) + b'data: {"type":"response.compl',
        wire(CREATED, text("a")) + b"data: {oops}\n\n",
        wire(CREATED) + b"data: \xff\xfe\n\n",
        wire(CREATED) + b'data: ["a list"]\n\n',
        wire(CREATED) + b'data: {"type":"response.completed","response":3}\n\n',
        b"<html>not a stream</html>",
    ],
)
def test_a_stream_that_stops_or_is_none_is_no_answer(stream, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(stream, chop)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.unheard_of", "delta": "x"},
        {"type": {"a": 1}, "delta": "x"},
        {"type": None},
        {},
        text({"a": 1}),
        text(None),
        text(3, item_id=["x"], output_index="y", content_index=[]),
        added(None),
        added([1]),
        added({"type": ["message"], "id": {}}),
        done({"type": "message", "content": "x"}),
        done(
            {"type": "message", "content": [3, {"type": "output_text", "text": 3, "annotations": "x", "logprobs": 9}]}
        ),
        done({"type": "function_call"}),
        done({"type": "reasoning", "summary": 3, "content": [None], "encrypted_content": 3}),
        {"type": "response.output_text.annotation.added", "annotation": "x"},
        {"type": "response.created", "response": {"id": 3, "created_at": 10**40}},
    ],
    ids=str,
)
def test_nonsense_within_a_stream_is_absorbed(event):
    assert decoded(wire(CREATED, event, text("a"), COMPLETED)) == [BEGUN, TextDelta("a"), Finished("stop")]


def test_nothing_comes_after_the_end():
    decoder = StreamDecoder()
    assert decoder.feed(wire(CREATED, text("a"), COMPLETED))[-1] == Finished("stop")
    assert decoder.feed(wire(text("b"))) == []
    assert decoder.end() == []


def test_five_megabytes_in_one_event_are_one_event():
    big = "x" * 5_000_000
    assert decoded(wire(CREATED, text(big), COMPLETED))[1] == TextDelta(big)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "id", "text", "content", "summary", "name", "call_id"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
FIELDS = [
    "delta",
    "item_id",
    "output_index",
    "content_index",
    "summary_index",
    "item",
    "response",
    "error",
    "logprobs",
    "annotation",
]
KINDS = [
    "response.created", "response.output_text.delta", "response.refusal.delta", "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta", "response.function_call_arguments.delta", "response.output_item.added",
    "response.output_item.done", "response.output_text.annotation.added", "response.completed", "error",
]  # fmt: skip
EVENTS = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5),
)


@given(st.lists(EVENTS, max_size=8))
def test_no_stream_of_json_makes_it_stumble(events):
    try:
        found = decoded(wire(*events))
    except UpstreamInvalidResponse:
        return
    assert isinstance(found[0], Started)
    assert isinstance(found[-1], Finished | Failed)
    assert not any(isinstance(event, Finished | Failed | Started) for event in found[1:-1])


# ---------------------------------------------------------------------------------------------- plain answers


def test_a_plain_answer_is_the_same_events():
    body = {
        **COMPLETED["response"],
        "model": "m",
        "created_at": 17,
        "output": [TEXT_ITEM, CALL_ITEM],
        "service_tier": "flex",
    }
    assert read_reply(json.dumps(body).encode()) == [
        Started("resp_1", "m", created=17, service_tier="flex"),
        TextDelta("Hello"),
        ToolCallStarted("call_1", "f"),
        ToolCallDelta('{"a":1}'),
        Finished("tool_calls", service_tier="flex"),
    ]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_plain_answer_that_failed_says_so(status):
    assert isinstance(read_reply(json.dumps({"status": status, "output": []}).encode())[-1], Failed)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"{}", b'{"output": 3}', b'{"status": "queued", "output": []}', b"\xff", b'{"choices": []}'],
)
def test_a_body_that_is_no_answer_is_refused(body):
    with pytest.raises(UpstreamInvalidResponse):
        read_reply(body)
