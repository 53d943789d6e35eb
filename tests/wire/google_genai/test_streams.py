"""GenerateContent streams: however they are cut, both forms, and what is written again."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse, UpstreamUnreachable
from open_llm_auth.wire import sse
from open_llm_auth.wire.conversation import Thinking
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
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
from open_llm_auth.wire.google_genai import StreamDecoder, StreamEncoder
from open_llm_auth.wire.signatures import Recalled, seal, unseal_thinking

SAMPLES = sorted((Path(__file__).parents[2] / "golden/replies/google-genai").glob("*.sse"))
SHOWN = {"generationConfig": msgspec.Raw(b'{"thinkingConfig":{"includeThoughts":true}}')}


def decoded(chunks):
    decoder = StreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.end()


def datas(stream):
    return [data for event in sse.split_events(stream) if (data := sse.data_of(event)) is not None]


# ---------------------------------------------------------------------------------------------- decoding


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_stream_says_the_same_however_it_is_cut(sample, chop):
    whole = decoded([sample.read_bytes()])
    assert decoded(chop(sample.read_bytes())) == whole
    assert isinstance(whole[-1], Finished | Failed)


FORMS = {
    "line feeds": lambda values: b"".join(sse.event(value) for value in values),
    "carriage returns too": lambda values: b"".join(b"data: %b\r\n\r\n" % value for value in values),
    "byte order mark": lambda values: b"\xef\xbb\xbf" + b"".join(sse.event(value) for value in values),
    "comments and blank lines": lambda values: (
        b"\n\n: hello\n\n" + b"".join(b": x\n\n" + sse.event(value) for value in values)
    ),
    "no last line": lambda values: b"".join(sse.event(value) for value in values).rstrip(b"\n"),
    "an end mark of another dialect": lambda values: b"".join(sse.event(value) for value in values) + sse.DONE,
    "array": lambda values: b"[" + b"\n,\r\n".join(values) + b"\n]\n",
    "array laid out": lambda values: (
        b"\r\n [\n" + b",\n".join(json.dumps(json.loads(v), indent=2).encode() for v in values) + b"]"
    ),
    "array after a byte order mark": lambda values: b"\xef\xbb\xbf[" + b",".join(values) + b"]",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_stream_says_the_same(form, chop):
    values = datas(Path(SAMPLES[0].parent, "tools.sse").read_bytes())
    assert decoded(chop(form(values))) == decoded([b"".join(sse.event(value) for value in values)])


@pytest.mark.parametrize("form", [FORMS["line feeds"], FORMS["array"]], ids=["events", "array"])
def test_a_stream_cut_off_never_looks_whole(form, chop):
    values = datas(Path(SAMPLES[0].parent, "text.sse").read_bytes())
    with pytest.raises(UpstreamInvalidResponse):
        decoded(chop(form(values[:-1]).rstrip(b"]\n")))
    with pytest.raises(UpstreamInvalidResponse):
        decoded(chop(form(values)[:-40]))


@pytest.mark.parametrize("nothing", [b"", b"\n\n", b": hello\n\n", b"[]", b"data: {}\n\n", b"data: [DONE]\n\n"])
def test_nothing_is_no_answer(nothing, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(chop(nothing))


@pytest.mark.parametrize("garbage", [b"data: <html>\n\n", b"data: {\n\n", b"[1]", b"[{}x]", b'data: "a"\n\n'])
def test_garbage_is_the_providers_fault(garbage, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(chop(garbage))


ERROR = b'{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}'


@pytest.mark.parametrize("body", [sse.event(ERROR), sse.event(b"[%b]" % ERROR), b"[%b]" % ERROR, ERROR])
def test_an_error_is_told_last_in_whatever_form(body, chop):
    (failed,) = decoded(chop(body))
    assert (failed.error.message, failed.error.type) == ("slow", "RESOURCE_EXHAUSTED")


def test_nothing_is_told_after_an_error():
    decoder = StreamDecoder()
    after = sse.event(b'{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}')
    assert len(decoder.feed(sse.event(ERROR) + after)) == 1
    assert decoder.feed(after) == []
    assert decoder.end() == []


def test_an_event_of_five_megabytes_is_taken_in_its_stride():
    text = "x" * 5_000_000
    value = msgspec.json.encode({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]})
    for stream in (sse.event(value), b"[%b]" % value):
        chunks = [stream[at : at + 65_536] for at in range(0, len(stream), 65_536)]
        assert decoded(chunks)[1] == TextDelta(text)


@given(st.binary(max_size=200), st.sampled_from([b"", b"data: ", b"[", b'data: {"candidates":[']))
def test_no_bytes_break_the_decoder(tail, head):
    try:
        decoded([head + tail])
    except UpstreamInvalidResponse as error:
        assert error.message


# ---------------------------------------------------------------------------------------------- encoding


def encoder(**fields):
    return StreamEncoder(Answering("0123abcd", 1, "asked-for", **fields))


def encoded(*events, **fields):
    return [json.loads(data) for data in datas(encoder(**fields).feed(events))]


def parts(*events, **fields):
    return [value["candidates"][0]["content"]["parts"][0] for value in encoded(*events, **fields)]


def test_each_piece_of_text_is_a_response_of_its_own():
    first, last = encoded(Started(model="m-1"), TextDelta("hé\n"), Finished("stop", Usage(20, 7, 5, 3, 2)))
    assert first == {
        "candidates": [{"content": {"parts": [{"text": "hé\n"}], "role": "model"}, "index": 0}],
        "modelVersion": "m-1",
        "responseId": "0123abcd",
    }
    assert last == {
        "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 20,
            "candidatesTokenCount": 5,
            "totalTokenCount": 27,
            "cachedContentTokenCount": 5,
            "thoughtsTokenCount": 2,
        },
        "modelVersion": "m-1",
        "responseId": "0123abcd",
    }


def test_the_model_asked_for_is_named_where_the_provider_names_none():
    assert encoded(Started(), TextDelta("a"))[0]["modelVersion"] == "asked-for"
    assert encoded(TextDelta("a"))[0]["modelVersion"] == "asked-for"


def test_a_call_is_written_once_it_is_whole():
    stream = encoder()
    assert stream.feed([ToolCallStarted("c1", "look"), ToolCallDelta('{"a":')]) == b""
    assert stream.feed([ToolCallDelta(" 1}")]) == b""
    (call,) = datas(stream.feed([ToolCallStarted("c2", "wait")]))
    assert json.loads(call)["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "c1", "name": "look", "args": {"a": 1}}}
    ]
    (last,) = (json.loads(data) for data in datas(stream.feed([BlockEnded(), Finished("tool_calls")])))
    # A last response with an empty text beside calls would be no valid one to older SDKs.
    assert last["candidates"][0]["content"]["parts"] == [{"functionCall": {"id": "c2", "name": "wait", "args": {}}}]
    assert last["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("after", [TextDelta("a"), ThinkingDelta("b"), Finished("stop")])
def test_a_call_is_whole_where_anything_else_begins(after):
    assert "functionCall" in parts(ToolCallStarted("c", "look"), after)[0]


def test_the_text_of_a_custom_call_is_its_one_argument():
    (part,) = parts(
        ToolCallStarted("c", "patch", custom=True), ToolCallDelta("*** a"), ToolCallDelta("b"), Finished("stop")
    )
    assert part["functionCall"]["args"] == {"input": "*** ab"}


@pytest.mark.parametrize(("reason", "word"), [("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")])
def test_a_call_that_is_no_json_is_left_out_and_said_so(reason, word):
    (last,) = encoded(ToolCallStarted("c", "look"), ToolCallDelta('{"a": '), Finished(reason))
    assert last["candidates"][0]["finishReason"] == word


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "STOP"),
        ("stop_sequence", "STOP"),
        ("tool_calls", "STOP"),
        ("length", "MAX_TOKENS"),
        ("refusal", "SAFETY"),
        ("pause", "OTHER"),
    ],
)
def test_every_reason_has_its_word(reason, word):
    assert encoded(Finished(reason))[0]["candidates"][0]["finishReason"] == word


FOREIGN = Signature("anthropic-messages", "proof")
THOUGHT = (ThinkingDelta("hm"), ThinkingSigned(FOREIGN), TextDelta("yes"))


def test_thoughts_are_shown_to_who_asked_for_them():
    assert parts(*THOUGHT, envelope=SHOWN) == [
        {"text": "hm", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": seal(FOREIGN)},
        {"text": "yes"},
    ]


@pytest.mark.parametrize(
    "envelope", [{}, {"generationConfig": msgspec.Raw(b'{"thinkingConfig":{"thinkingBudget":9}}')}]
)
def test_thoughts_are_not_shown_to_who_did_not_ask(envelope):
    """Clients take the first part for the answer."""
    assert parts(*THOUGHT, envelope=envelope) == [{"text": "yes"}]


def test_a_signature_of_this_dialect_is_written_as_it_is():
    own = Signature("google-genai", "c2ln")
    assert parts(TextDelta("a"), ThinkingSigned(own)) == [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}]
    (call,) = parts(ToolCallStarted("c", "look", signature=own), Finished("stop"))
    assert call["thoughtSignature"] == "c2ln"
    (call,) = parts(ToolCallStarted("c", "look", signature=FOREIGN), Finished("stop"))
    assert call["thoughtSignature"] == seal(FOREIGN)


def led_by(*events, envelope=None):
    """What travelled in the first call of an answer that these events begin."""
    told = parts(*events, ToolCallStarted("c", "look"), Finished("tool_calls"), envelope=envelope or {})
    return unseal_thinking(next(part["thoughtSignature"] for part in told if "functionCall" in part))


@pytest.mark.parametrize("envelope", [{}, SHOWN], ids=["hidden", "shown"])
def test_the_thinking_of_others_travels_in_the_call_that_it_led_to(envelope):
    """gemini-cli keeps no thoughts in its history, and calls with their signatures it does."""
    assert led_by(ThinkingDelta("h"), ThinkingDelta("m"), ThinkingSigned(FOREIGN), envelope=envelope) == Recalled(
        (Thinking("hm", FOREIGN),)
    )


def test_thinking_is_known_by_its_place_before_the_call():
    hidden = ThinkingSigned(FOREIGN, redacted=True)
    assert led_by(
        ThinkingDelta("a"), BlockEnded(), hidden, TextDelta("Let me look."), ThinkingDelta("b", summary=True)
    ) == Recalled((Thinking("a"), Thinking("", FOREIGN, redacted=True)), (Thinking("b", summary=True),))


def test_each_call_takes_what_led_to_it_and_no_more():
    first, second, last = parts(
        ThinkingDelta("a"),
        ToolCallStarted("c1", "look"),
        ThinkingDelta("b"),
        ToolCallStarted("c2", "look"),
        ToolCallStarted("c3", "look"),
        Finished("tool_calls"),
    )
    assert unseal_thinking(first["thoughtSignature"]) == Recalled((Thinking("a"),))
    assert unseal_thinking(second["thoughtSignature"]) == Recalled((Thinking("b"),))
    assert "thoughtSignature" not in last


def test_a_signature_of_the_call_itself_goes_before_what_led_to_it():
    own = Signature("google-genai", "c2ln")
    (call,) = parts(ThinkingDelta("a"), ToolCallStarted("c", "look", signature=own), Finished("tool_calls"))
    assert call["thoughtSignature"] == "c2ln"


def test_refusals_are_text_and_items_of_other_dialects_are_not_written():
    own = Opaque("google-genai", {"executableCode": {"code": "1"}})
    assert parts(RefusalDelta("no"), Opaque("openai-responses", {"a": 1}), own) == [{"text": "no"}, own.value]


def test_sources_and_probabilities_are_told_with_the_end_in_bytes():
    *_, last = encoded(
        TextDelta("né "),
        Citation("https://a.example", "A", "é", 1, 2),
        TextDelta("x"),
        Logprobs((TokenLogprob("x", -0.5, (TokenLogprob("y", -1.0),)),)),
        Citation("https://b.example"),
        Finished("stop"),
    )
    candidate = last["candidates"][0]
    assert candidate["groundingMetadata"] == {
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"web": {"uri": "https://b.example", "title": ""}},
        ],
        "groundingSupports": [{"segment": {"startIndex": 1, "endIndex": 3, "text": "é"}, "groundingChunkIndices": [0]}],
    }
    assert candidate["logprobsResult"]["chosenCandidates"] == [{"token": "x", "logProbability": -0.5}]
    assert candidate["logprobsResult"]["topCandidates"] == [{"candidates": [{"token": "y", "logProbability": -1.0}]}]


def test_a_failure_is_an_event_that_begins_as_googles_sdk_looks_for_it():
    error = UpstreamUnreachable("gone \ud800")
    event = encoder().fail(error)
    assert event.startswith(b'data: {"error":')
    assert json.loads(event[6:])["error"] == {"code": 502, "message": "gone ?", "status": "INTERNAL"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_what_was_written_is_read_as_what_was_said(sample):
    """Both ways through this dialect nothing is lost but the cut of its calls."""
    events = decoded([sample.read_bytes()])
    if isinstance(events[-1], Failed):
        return
    again = decoded([encoder(envelope=SHOWN).feed(events)])
    assert [event for event in again if not isinstance(event, Started)] == [
        event for event in events if not isinstance(event, Started)
    ]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1, max_size=6),
    st.data(),
)
def test_any_text_survives_both_ways_and_any_cut(texts, data):
    stream = encoder().feed([Started(), *map(TextDelta, texts), Finished("stop", Usage(1, 2))])
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    chunks = [stream[start:end] for start, end in pairwise(cuts)]
    said = [event.text for event in decoded(chunks) if isinstance(event, TextDelta)]
    assert said == texts
