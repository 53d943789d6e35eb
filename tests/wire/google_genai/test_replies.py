"""Plain answers: read as events, written from them, and told as a stream."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire import sse
from open_llm_auth.wire.conversation import Thinking
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
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.google_genai import StreamDecoder, read_reply, read_usage, unfold, write_reply
from open_llm_auth.wire.signatures import Recalled, seal, seal_thinking, unseal_thinking

GOLDEN = Path(__file__).parents[2] / "golden/replies/google-genai"
SAMPLES = sorted(path for path in GOLDEN.glob("*.json") if not path.stem.startswith("error"))
SHOWN = {"generationConfig": msgspec.Raw(b'{"thinkingConfig":{"includeThoughts":true}}')}
FOREIGN = Signature("anthropic-messages", "proof")


def written(*events, **fields):
    return json.loads(write_reply(events, Answering("0123abcd", 1, "asked-for", **fields)))


def parts(*events, **fields):
    return written(*events, Finished("stop"), **fields)["candidates"][0]["content"]["parts"]


def joined(events):
    """Events with the deltas of each block in one."""
    found = []
    for event in events:
        if type(event) in (TextDelta, ThinkingDelta) and found and type(found[-1]) is type(event):
            found[-1] = msgspec.structs.replace(event, text=found[-1].text + event.text)
        else:
            found.append(event)
    return found


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_plain_answer_says_what_its_stream_says(sample):
    decoder = StreamDecoder()
    events = decoder.feed(sample.with_suffix(".sse").read_bytes()) + decoder.end()
    assert read_reply(sample.read_bytes()) == joined(events)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_what_was_written_is_read_as_what_was_said(sample):
    events = read_reply(sample.read_bytes())
    again = read_reply(write_reply(events, Answering("0123abcd", 1, "m", SHOWN)))
    assert again[1:] == events[1:]
    assert (again[0].id, again[0].model) == ("0123abcd", "sample-model")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_an_answer_can_be_told_as_a_stream_of_one_event(sample):
    stream = unfold(sample.read_bytes())
    assert stream.count(b"\n") == 2
    decoder = StreamDecoder()
    assert joined(decoder.feed(stream) + decoder.end()) == read_reply(sample.read_bytes())


def test_a_list_of_responses_is_one_answer():
    values = [sse.data_of(event) for event in sse.split_events((GOLDEN / "thinking.sse").read_bytes())]
    body = b"[" + b",\n".join(values) + b"]"
    assert read_reply(body) == read_reply((GOLDEN / "thinking.json").read_bytes())
    assert read_usage(body) == Usage(input=20, output=7, reasoning=5)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b"[",
        b"[1]",
        b'{"usageMetadata": {"promptTokenCount": 1}}',
        b'{"candidates": []}',
        b'{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}',
        b'{"error": {"message": "secret"}}',
        b'{"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "secret"}]}',
    ],
)
def test_what_is_no_answer_is_the_providers_fault_and_its_words_are_not_passed_on(body):
    with pytest.raises(UpstreamInvalidResponse) as caught:
        read_reply(body)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(("word", "told"), [("MALFORMED_FUNCTION_CALL", True), ("sk-secret", False)])
def test_only_a_word_of_googles_own_is_told_of_a_failure(word, told):
    body = json.dumps({"candidates": [{"finishReason": word}]}).encode()
    with pytest.raises(UpstreamInvalidResponse) as caught:
        read_reply(body)
    assert (word in caught.value.message) is told


# ---------------------------------------------------------------------------------------------- writing


def test_an_answer_is_one_candidate():
    said = written(Started(model="m-1"), TextDelta("a"), TextDelta("b"), Finished("stop", Usage(20, 7)))
    assert said == {
        "candidates": [{"content": {"parts": [{"text": "ab"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 27},
        "modelVersion": "m-1",
        "responseId": "0123abcd",
    }


def test_blocks_are_parts():
    assert parts(
        ThinkingDelta("h"),
        ThinkingDelta("m"),
        ThinkingSigned(FOREIGN),
        TextDelta("a"),
        BlockEnded(),
        TextDelta("b"),
        ToolCallStarted("c1", "look"),
        ToolCallDelta('{"a":'),
        ToolCallDelta("1}"),
        ToolCallStarted("c2", "wait"),
        RefusalDelta("no"),
        Opaque("google-genai", {"executableCode": {}}),
        Opaque("ollama", {}),
        envelope=SHOWN,
    ) == [
        {"text": "hm", "thought": True, "thoughtSignature": seal(FOREIGN)},
        {"text": "a"},
        {"text": "b"},
        {
            "functionCall": {"id": "c1", "name": "look", "args": {"a": 1}},
            "thoughtSignature": seal_thinking(Recalled((Thinking("hm", FOREIGN),))),
        },
        {"functionCall": {"id": "c2", "name": "wait", "args": {}}},
        {"text": "no"},
        {"executableCode": {}},
    ]


def test_thoughts_that_are_not_shown_travel_in_their_call():
    (text, call) = parts(ThinkingDelta("hm"), ThinkingSigned(FOREIGN), TextDelta("a"), ToolCallStarted("c", "look"))
    assert text == {"text": "a"}
    assert unseal_thinking(call["thoughtSignature"]) == Recalled((Thinking("hm", FOREIGN),))


def test_thoughts_are_not_shown_to_who_did_not_ask():
    assert parts(ThinkingDelta("hm"), ThinkingSigned(FOREIGN), TextDelta("a")) == [{"text": "a"}]


def test_withheld_thoughts_are_their_signature_alone():
    assert parts(ThinkingSigned(FOREIGN), TextDelta("a"), envelope=SHOWN)[0] == {
        "text": "",
        "thought": True,
        "thoughtSignature": seal(FOREIGN),
    }


def test_redacted_thoughts_are_left_out():
    assert parts(ThinkingSigned(FOREIGN, redacted=True), TextDelta("a"), envelope=SHOWN) == [{"text": "a"}]


def test_a_refusal_without_words_has_no_parts():
    (candidate,) = written(Started(), Finished("refusal"))["candidates"]
    assert candidate == {"content": {"role": "model"}, "finishReason": "SAFETY", "index": 0}


def test_a_call_that_is_no_json_is_left_out_and_said_so():
    (candidate,) = written(ToolCallStarted("c", "look"), ToolCallDelta("{"), Finished("tool_calls"))["candidates"]
    assert (candidate["content"], candidate["finishReason"]) == ({"role": "model"}, "MALFORMED_FUNCTION_CALL")


def test_sources_and_probabilities_stand_beside_the_parts():
    logprobs = Logprobs((TokenLogprob("a", -1.0),))
    events = (TextDelta("é"), Citation("https://a.example", "A", start=0, end=1), logprobs, Finished("stop"))
    (candidate,) = written(*events)["candidates"]
    assert candidate["groundingMetadata"]["groundingSupports"] == [
        {"segment": {"startIndex": 0, "endIndex": 2}, "groundingChunkIndices": [0]}
    ]
    assert candidate["logprobsResult"] == {"chosenCandidates": [{"token": "a", "logProbability": -1.0}]}
    assert read_reply(json.dumps({"candidates": [candidate]}).encode())[1:] == [
        TextDelta("é"),
        logprobs,
        Citation("https://a.example", "A", start=0, end=1),
        Finished("stop"),
    ]
