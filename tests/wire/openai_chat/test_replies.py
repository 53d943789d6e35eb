"""Plain answers: what any server's says, and what a client is told in its turn."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.dialect import Answering
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
from open_llm_auth.wire.openai_chat import read_reply, write_reply
from open_llm_auth.wire.signatures import open_call_id

ANSWERING = Answering(id="ab12", created=9, model="asked")
STARTED = Started("c", "m", None, 5)
STOP = Finished("stop")


def reply(message, finish="stop", choice=(), **more):
    row = {"index": 0, "message": message, "finish_reason": finish, **dict(choice)}
    return json.dumps({"id": "c", "model": "m", "created": 5, "choices": [row], **more}).encode()


def written(*events):
    return json.loads(write_reply([STARTED, *events], ANSWERING))


def message(*events):
    return written(*events, STOP)["choices"][0]["message"]


# ---------------------------------------------------------------------------------------------- from a provider


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (reply({"content": "x"}), [STARTED, TextDelta("x"), STOP]),
        (reply({"content": "x"}, "length", usage={"prompt_tokens": 1, "completion_tokens": 2}),
         [STARTED, TextDelta("x"), Finished("length", Usage(1, 2))]),
        (reply({"content": None, "refusal": "no"}), [STARTED, RefusalDelta("no"), Finished("refusal")]),
        (reply({"content": "x", "refusal": ""}), [STARTED, TextDelta("x"), STOP]),
        (reply({"content": ""}), [STARTED, STOP]),
        (reply({"content": "x"}, None), [STARTED, TextDelta("x"), STOP]),
        (reply({"content": "x"}, choice={"stop_reason": "END"}),
         [STARTED, TextDelta("x"), Finished("stop_sequence", stop_sequence="END")]),
        (reply({"content": "x"}, service_tier="flex"),
         [STARTED, TextDelta("x"), Finished("stop", service_tier="flex")]),
        (reply({"content": "x"}, choice={"logprobs": {"content": [{"token": "x", "logprob": -1}]}}),
         [STARTED, TextDelta("x"), Logprobs((TokenLogprob("x", -1.0),)), STOP]),
        (reply({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call"),
         [STARTED, ToolCallStarted("call_c_0", "f"), ToolCallDelta("{}"), Finished("tool_calls")]),
        (b'{"choices": [{"message": {"content": "x"}}]}', [Started(), TextDelta("x"), STOP]),
        (b'{"id": 3, "model": 3, "created": "x", "choices": [{"message": {"content": "x"}}]}',
         [Started(), TextDelta("x"), STOP]),
        (b'{"created": 5.5, "choices": [{"message": {"content": "x"}}]}',
         [Started(created=5), TextDelta("x"), STOP]),
        (b'{"error": {"message": "boom"}}', [Failed(ErrorBody("boom"))]),
        (b'{"error": "boom", "choices": []}', [Failed(ErrorBody("boom"))]),
    ],
)  # fmt: skip
def test_a_plain_answer_is_understood(body, events):
    assert read_reply(body) == events


def test_an_answer_that_broke_off_failed():
    *_, last = read_reply(reply({"content": "x"}, "network_error"))
    assert isinstance(last, Failed)


def test_an_error_in_a_choice_is_told_in_its_own_words():
    broken = reply({"content": "x"}, "error", choice={"error": {"message": "boom", "code": 502}})
    assert read_reply(broken) == [STARTED, TextDelta("x"), Failed(ErrorBody("boom", code="502"))]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"<html>", b'{"choices": []}', b'{"choices": {}}', b'{"choices": [{"message": 1}]}',
     b'{"choices": [{}]}', b'{"choices": [{"message": {"content": "\xff"}}]}', b'{"choices": [1], "error": null}',
     reply({"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]})],
)  # fmt: skip
def test_what_is_no_answer_is_the_providers_fault(body):
    with pytest.raises(UpstreamInvalidResponse):
        read_reply(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["content", "tool_calls", "id", "type", "function", "name", "arguments", "message", "finish_reason",
             "logprobs", "token", "logprob", "reasoning_details", "text", "data", "choices", "usage", "error"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | JSON.map(reply))
def test_any_body_is_understood_or_refused_and_what_is_understood_can_be_told(body):
    try:
        events = read_reply(body)
    except UpstreamInvalidResponse:
        return
    assert isinstance(events[-1], Finished | Failed)
    if isinstance(events[-1], Finished):
        assert json.loads(write_reply(events, ANSWERING))["choices"]


# ---------------------------------------------------------------------------------------------- to a client


def test_a_client_is_told_in_openais_form():
    finished = Finished("length", Usage(1, 2), service_tier="flex")
    assert written(TextDelta("a"), BlockEnded(), TextDelta("b"), finished) == {
        "id": "chatcmpl-ab12",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab", "refusal": None},
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "service_tier": "flex",
    }


def test_what_the_provider_does_not_name_is_what_was_asked_for():
    told = json.loads(write_reply([Started(), STOP], ANSWERING))
    assert (told["created"], told["model"], told["choices"][0]["message"]["content"]) == (9, "asked", "")
    assert "usage" not in told


def test_calls_are_told_with_null_for_text():
    signature = Signature("google-genai", "c2ln")
    told = message(
        ToolCallStarted("a", "f", signature=signature),
        ToolCallDelta('{"x"'),
        ToolCallDelta(":1}"),
        ToolCallStarted("b", "g"),
        ToolCallStarted("c", "patch", custom=True),
        ToolCallDelta("***"),
    )
    first, second, third = told["tool_calls"]
    assert told["content"] is None
    assert open_call_id(first["id"]) == ("a", signature)
    assert first["function"] == {"name": "f", "arguments": '{"x":1}'}
    assert second == {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    assert third == {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "***"}}


def test_an_answer_that_calls_ended_by_calling():
    assert written(ToolCallStarted("a", "f"), STOP)["choices"][0]["finish_reason"] == "tool_calls"


def test_thinking_is_told_in_words_and_block_by_block():
    proof = ThinkingSigned(Signature("openai-chat", "proof"))
    told = message(ThinkingDelta("a"), ThinkingDelta("b"), proof, ThinkingDelta("c"), TextDelta("so"), proof)
    assert told["reasoning_content"] == "abc"
    assert told["reasoning_details"] == [
        {"type": "reasoning.text", "text": "ab", "signature": "proof", "index": 0},
        {"type": "reasoning.text", "text": "c", "index": 1},
        {"type": "reasoning.text", "signature": "proof", "index": 2},
    ]


def test_thinking_that_was_not_counted_is_not_counted_as_none():
    told = written(ThinkingDelta("hm"), TextDelta("so"), Finished("stop", Usage(1, 2)))
    assert "completion_tokens_details" not in told["usage"]
    told = written(ThinkingDelta("hm"), TextDelta("so"), Finished("stop", Usage(1, 2, reasoning=1)))
    assert told["usage"]["completion_tokens_details"] == {"reasoning_tokens": 1}


def test_citations_count_characters_of_all_the_text():
    told = message(
        TextDelta("See "), BlockEnded(), TextDelta("it."), Citation("u", "t"), Citation("v", start=0, end=2),
        Citation(title="a book"),
    )  # fmt: skip
    assert [
        (one["url_citation"]["url"], one["url_citation"]["start_index"], one["url_citation"]["end_index"])
        for one in told["annotations"]
    ] == [("u", 4, 7), ("v", 4, 6)]


def test_a_refusal_and_logprobs_are_told():
    said = [RefusalDelta("n"), RefusalDelta("o"), Logprobs((TokenLogprob("no", -1.0),)), Finished("refusal")]
    told = written(*said)["choices"][0]
    assert (told["message"]["refusal"], told["message"]["content"]) == ("no", None)
    assert told["finish_reason"] == "stop"
    assert told["logprobs"]["content"][0]["token"] == "no"


def test_what_only_another_dialect_understands_is_not_told():
    told = message(TextDelta("x"), Opaque("anthropic-messages", {"y": 1}), Opaque("openai-chat", {"images": [1]}))
    assert told == {"role": "assistant", "content": "x", "refusal": None, "images": [1]}


@pytest.mark.parametrize("events", [[], [STARTED, TextDelta("x")], [STARTED, Failed(ErrorBody("secret"))]])
def test_half_an_answer_is_never_told_as_a_whole_one(events):
    with pytest.raises(UpstreamInvalidResponse) as caught:
        write_reply(events, ANSWERING)
    assert "secret" not in caught.value.message
