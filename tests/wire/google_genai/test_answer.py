"""Responses to events: parts of every kind, ends of every kind, and what is no answer."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.events import (
    Citation,
    ErrorBody,
    Failed,
    Finished,
    Logprobs,
    Opaque,
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
from open_llm_auth.wire.google_genai.answer import AnswerReader

OWN = Signature("google-genai", "c2ln")


def response(*parts, reason=None, **more):
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate | more.pop("candidate", {})], **more}


def read(*responses):
    """The events of a whole answer, `Started` aside."""
    reader = AnswerReader()
    events = [event for value in responses for event in reader.take(json.dumps(value).encode())] + reader.finish()
    return [event for event in events if not isinstance(event, Started)]


def test_an_answer_begins_with_what_it_says_of_itself():
    usage = {"promptTokenCount": 20, "cachedContentTokenCount": 5, "candidatesTokenCount": 1}
    said = response({"text": "a"}, modelVersion="m-001", responseId="r1", usageMetadata=usage)
    first, _ = AnswerReader().take(json.dumps(said).encode())
    assert first == Started("r1", "m-001", Usage(input=20, cache_read=5))


@pytest.mark.parametrize("nothing", [{}, {"x": 1}, {"candidates": None}])
def test_what_says_nothing_begins_nothing(nothing):
    assert AnswerReader().take(json.dumps(nothing).encode()) == []


def test_text_thoughts_and_signatures_are_told_in_order():
    events = read(
        response(
            {"text": "hm", "thought": True},
            {"text": "!", "thought": True, "thoughtSignature": "c2ln"},
            {"text": ""},
            {"text": "yes"},
        ),
        response({"text": "", "thoughtSignature": "c2ln"}, reason="STOP"),
    )
    assert events == [
        ThinkingDelta("hm", summary=True),
        ThinkingDelta("!", summary=True),
        ThinkingSigned(OWN),
        TextDelta("yes"),
        ThinkingSigned(OWN),
        Finished("stop"),
    ]


def test_calls_are_told_whole_and_end_the_answer_as_calls():
    first = {"functionCall": {"id": "c1", "name": "a", "args": {"x": [1, 2.0]}}, "thoughtSignature": "c2ln"}
    second = {"functionCall": {"id": "c2", "name": "b"}}
    assert read(response(first, second, reason="STOP")) == [
        ToolCallStarted("c1", "a", signature=OWN),
        ToolCallDelta('{"x":[1,2.0]}'),
        ToolCallStarted("c2", "b"),
        Finished("tool_calls"),
    ]


def test_arguments_are_on_one_line_however_they_were_laid_out():
    said = json.dumps(response({"functionCall": {"id": "c", "name": "a", "args": {"x": "l\n"}}}), indent=2)
    assert AnswerReader().take(said.encode())[-1] == ToolCallDelta('{"x":"l\\n"}')


def test_a_call_without_an_id_gets_one_that_no_other_has():
    part = {"functionCall": {"name": "a", "args": {}}}
    ids = [event.id for event in read(response(part, part), response(part, reason="STOP"))[:-1]]
    assert len(set(ids)) == 3
    assert all(id_.startswith("call_") for id_ in ids)
    assert [event.id for event in read(response(part, part), response(part, reason="STOP"))[:-1]] == ids


def test_parts_of_other_kinds_are_told_as_they_are():
    picture = {"inlineData": {"mimeType": "image/png", "data": "QQ=="}, "thoughtSignature2": 1}
    code = {"executableCode": {"code": "1", "language": "PYTHON"}}
    assert read(response({"text": "a"}, picture, code, {}, reason="STOP")) == [
        TextDelta("a"),
        Opaque("google-genai", picture),
        Opaque("google-genai", code),
        Finished("stop"),
    ]


def test_of_several_candidates_the_first_is_read():
    one, two = response({"text": "a"}, reason="STOP"), response({"text": "b"}, candidate={"index": 1})
    assert read({"candidates": two["candidates"] + one["candidates"]}) == [TextDelta("a"), Finished("stop")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "refusal"),
        ("RECITATION", "refusal"),
        ("PROHIBITED_CONTENT", "refusal"),
        ("BLOCKLIST", "refusal"),
        ("SPII", "refusal"),
        ("LANGUAGE", "refusal"),
        ("IMAGE_SAFETY", "refusal"),
        ("OTHER", "stop"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_every_end_has_its_reason(word, reason):
    assert read(response({"text": "a"}, reason=word)) == [TextDelta("a"), Finished(reason)]


def test_a_limit_beats_a_call():
    part = {"functionCall": {"id": "c", "name": "a"}}
    assert read(response(part, reason="MAX_TOKENS"))[-1] == Finished("length")


@pytest.mark.parametrize(
    "word",
    [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    ],
)
def test_an_answer_that_went_wrong_is_a_failure(word):
    *_, last = read(response({"text": "a"}, reason=word, candidate={"finishMessage": "print(1)"}))
    assert last == Failed(ErrorBody(f"The model gave no answer that can be used ({word}): print(1)", type=word))


def test_an_end_without_words_for_a_reason_nobody_knows_is_a_failure():
    assert isinstance(read(response(reason="OTHER"))[-1], Failed)
    assert read(response(reason="STOP")) == [Finished("stop")]


def test_a_blocked_prompt_is_a_refusal():
    usage = {"promptTokenCount": 20, "totalTokenCount": 20}
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage}
    assert read(blocked) == [Finished("refusal", Usage(input=20))]


def test_the_last_count_is_the_answers():
    events = read(
        response({"text": "a"}, usageMetadata={"promptTokenCount": 20, "candidatesTokenCount": 1}),
        response(reason="STOP", usageMetadata={"promptTokenCount": 20, "candidatesTokenCount": 2}),
        {"usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 3, "thoughtsTokenCount": 4}},
    )
    assert events[-1] == Finished("stop", Usage(input=20, output=7, reasoning=4))


def test_sources_are_told_once_and_in_characters():
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {"web": {"uri": "https://b.example"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 3, "endIndex": 5, "text": "é"}, "groundingChunkIndices": [0, 9]},
        ],
    }
    events = read(
        response({"text": "né "}, candidate={"groundingMetadata": grounding}),
        response({"text": "x"}, reason="STOP", candidate={"groundingMetadata": grounding}),
    )
    assert events == [
        TextDelta("né "),
        Citation("https://a.example", "A", "é", 2, 3),
        Citation("https://b.example"),
        TextDelta("x"),
        # Bytes 3 to 5 reach further once there is more text.
        Citation("https://a.example", "A", "é", 2, 4),
        Finished("stop"),
    ]


def test_logprobs_and_citations_are_told_after_their_text():
    logprobs = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1}]}],
    }
    cited = {"citationSources": [{"startIndex": 0, "endIndex": 1, "uri": "https://a.example"}]}
    said = response({"text": "a"}, reason="STOP", candidate={"logprobsResult": logprobs, "citationMetadata": cited})
    assert read(said) == [
        TextDelta("a"),
        Logprobs((TokenLogprob("a", -0.5, (TokenLogprob("b", -1.0),)),)),
        Citation("https://a.example", start=0, end=1),
        Finished("stop"),
    ]


@pytest.mark.parametrize("nonsense", [1, [], {"groundingChunks": 1}, {"groundingSupports": [{"segment": []}]}])
def test_nonsense_beside_an_answer_costs_nothing(nonsense):
    said = response({"text": "a"}, reason="STOP", candidate={"groundingMetadata": nonsense, "logprobsResult": nonsense})
    assert read(said) == [TextDelta("a"), Finished("stop")]


def test_an_error_ends_it():
    reader = AnswerReader()
    error = b'{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}'
    assert reader.take(error) == [Failed(ErrorBody("m", "UNAVAILABLE", "503"))]
    assert reader.take(json.dumps(response({"text": "a"})).encode()) == []
    assert reader.finish() == []


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'{"candidates": 1}',
        b'{"candidates": [{"content": {"parts": "a"}}]}',
        b'{"candidates": [{"content": {"parts": [{"text": 1}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "a", "args": 1}}]}}]}',
        b'{"candidates": [{"content": {"parts": [{"x": ' + b"[" * 100_000 + b"}]}}]}",
    ],
)
def test_what_is_no_response_is_the_providers_fault(said):
    with pytest.raises(UpstreamInvalidResponse):
        AnswerReader().take(said)


def test_an_answer_without_an_end_is_none():
    reader = AnswerReader()
    reader.take(json.dumps(response({"text": "a"}, reason="FINISH_REASON_UNSPECIFIED")).encode())
    with pytest.raises(UpstreamInvalidResponse):
        reader.finish()
