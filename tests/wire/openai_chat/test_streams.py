"""Streams: what any server's chunks say, however they were cut, and what a client is told in its turn."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire import sse
from open_llm_auth.wire.conversation import Thinking
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
from open_llm_auth.wire.openai_chat import StreamDecoder, StreamEncoder, StreamRelay, write_reply
from open_llm_auth.wire.openai_chat.reasoning import read_thinking
from open_llm_auth.wire.signatures import open_call_id, unseal

COUNTS = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def chunk(delta=None, finish=None, index=0, choice=(), **more):
    row = {"index": index, "delta": delta, "finish_reason": finish, **dict(choice)}
    choices = [] if delta is None else [row]
    return sse.event(json.dumps({"id": "c", "model": "m", "created": 5, "choices": choices, **more}).encode())


ROLE = chunk({"role": "assistant", "content": ""})
HI = chunk({"content": "Hi"})
THERE = chunk({"content": " there"})
STOP = chunk({}, "stop")
USAGE = chunk(usage=COUNTS)
DONE = sse.DONE
STARTED = Started("c", "m", None, 5)
SAID = [STARTED, TextDelta("Hi"), TextDelta(" there")]


def decoded(chunks):
    decoder = StreamDecoder()
    events = [event for part in chunks for event in decoder.feed(part)]
    return events + decoder.end()


# ---------------------------------------------------------------------------------------------- from a provider

COUNTED = Finished("stop", Usage(3, 4))
PLAIN = Finished("stop")
WHOLE = {
    "OpenAI": (ROLE + HI + THERE + STOP + USAGE + DONE, COUNTED),
    "no usage": (ROLE + HI + THERE + STOP + DONE, PLAIN),
    "transformers serve": (ROLE + HI + THERE + chunk({}, "stop", usage=COUNTS), COUNTED),
    "no end mark": (ROLE + HI + THERE + STOP + USAGE, COUNTED),
    "no finish": (ROLE + HI + THERE + DONE, PLAIN),
    "finish on the last words": (ROLE + HI + chunk({"content": " there"}, "stop") + DONE, PLAIN),
    "no space after data": ((ROLE + HI + THERE + STOP + DONE).replace(b"data: ", b"data:"), PLAIN),
    "CRLF": ((ROLE + HI + THERE + STOP + USAGE + DONE).replace(b"\n", b"\r\n"), COUNTED),
    "CR": ((ROLE + HI + THERE + STOP + DONE).replace(b"\n", b"\r"), PLAIN),
    "comments and names": (b": hi\n\n" + ROLE + HI + b": ping\n\n" + THERE + b"event: x\n" + STOP + DONE, PLAIN),
    "Azure's first chunk": (chunk(prompt_filter_results=[]) + ROLE + HI + THERE + STOP + DONE, PLAIN),
    "other JSON between": (ROLE + HI + b'data: {"type": "ping"}\n\ndata: []\n\ndata:\n\n' + THERE + STOP + DONE, PLAIN),
    "a second choice": (ROLE + HI + chunk({"content": "x"}, index=1) + THERE + STOP + chunk({}, "stop", 1), PLAIN),
    "no end of the last line": ((ROLE + HI + THERE + STOP + DONE).rstrip(), PLAIN),
    "no end of the last chunk": ((ROLE + HI + THERE + STOP).rstrip(), PLAIN),
    "more after the end": (ROLE + HI + THERE + STOP + DONE + HI + b"nonsense", PLAIN),
    "nulls and empties": (
        chunk({"role": None, "content": None, "tool_calls": None, "refusal": None}, usage=None, error=None)
        + chunk({"content": "", "tool_calls": [], "reasoning_content": ""}, "", error="")
        + HI + b'data: {"choices": null}\n\ndata: {"choices": [{}]}\n\n' + THERE + STOP + DONE,
        PLAIN,
    ),
    "usage that grows": (chunk({"content": "Hi"}, usage={**COUNTS, "total_tokens": 4}) + THERE + STOP + USAGE, COUNTED),
    "Groq's usage": (HI + THERE + chunk({}, "stop", x_groq={"id": "r", "usage": COUNTS}) + DONE, COUNTED),
    "Moonshot's usage": (HI + THERE + chunk({}, "stop", choice={"usage": COUNTS}) + DONE, COUNTED),
    "a filter": (HI + THERE + chunk({"refusal": ""}) + chunk({}, "content_filter") + DONE, Finished("refusal")),
    "a tier": (HI + chunk({"content": " there"}, service_tier="flex") + STOP, Finished("stop", service_tier="flex")),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "finished"), WHOLE.values(), ids=WHOLE)
def test_a_stream_is_understood(stream, finished, chop):
    assert decoded(chop(stream)) == [*SAID, finished]


@pytest.mark.parametrize(
    ("word", "more", "reason", "stopped"),
    [
        ("stop", {}, "stop", None),
        ("length", {}, "length", None),
        ("content_filter", {}, "refusal", None),
        ("tool_calls", {}, "stop", None),
        ("eos", {}, "stop", None),
        ("STOP", {}, "stop", None),
        ("model_length", {}, "length", None),
        ("stop", {"stop_reason": "END"}, "stop_sequence", "END"),
        ("stop", {"matched_stop": "END"}, "stop_sequence", "END"),
        ("stop", {"stop_reason": 128009}, "stop", None),
        ("stop", {"stop_reason": "end_turn"}, "stop", None),
        ("length", {"stop_reason": "END"}, "length", None),
        (3, {}, "stop", None),
    ],
)
def test_why_it_ended_is_understood(word, more, reason, stopped, chop):
    events = decoded(chop(HI + chunk({}, word, choice=more) + DONE))
    assert events[-1] == Finished(reason, stop_sequence=stopped)


@pytest.mark.parametrize("word", ["tool_calls", "function_call", "stop"])
def test_an_answer_that_calls_ended_by_calling(word, chop):
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    events = decoded(chop(chunk({"tool_calls": [call]}) + chunk({}, word) + DONE))
    assert events[1:] == [ToolCallStarted("a", "f"), ToolCallDelta("{}"), Finished("tool_calls")]


def test_logprobs_stand_with_their_text(chop):
    tokens = [{"token": "Hi", "logprob": -0.5, "bytes": [72], "top_logprobs": [{"token": "Ho", "logprob": -1}]}]
    nonsense = [{"token": 3, "logprob": 1}, {"token": "x", "logprob": True}, 3]
    stream = chunk({"content": "Hi"}, choice={"logprobs": {"content": [*tokens, *nonsense]}}) + STOP
    assert decoded(chop(stream))[1:3] == [
        TextDelta("Hi"), Logprobs((TokenLogprob("Hi", -0.5, (TokenLogprob("Ho", -1.0),)),))
    ]  # fmt: skip


FAILURES = {
    "openai": (b'data: {"error": {"message": "boom", "type": "server_error", "code": null}}\n\n', "boom"),
    "text": (b'data: {"error": "boom"}\n\n', "boom"),
    "named event": (b'event: error\ndata: {"message": "boom"}\n\n', "boom"),
    "older vLLM": (b'data: {"object": "error", "message": "boom", "code": 400}\n\n', "boom"),
    "OpenRouter": (chunk({"content": ""}, "error", error={"code": 502, "message": "boom"}), "boom"),
    "in the choice": (chunk({}, choice={"error": {"code": 502, "message": "boom"}}), "boom"),
    "a finish reason alone": (chunk({}, "error"), "error"),
    "DeepSeek": (chunk({}, "insufficient_system_resource"), "insufficient_system_resource"),
    "a bare body": (b'{"error": {"message": "boom"}}\n\n', "boom"),
    "an empty error": (b'data: {"error": [1]}\n\n', "error"),
}


@pytest.mark.parametrize(("event", "message"), FAILURES.values(), ids=FAILURES)
def test_an_error_comes_last_and_nothing_after_it(event, message, chop):
    *said, failed = decoded(chop(ROLE + HI + event + THERE + STOP + DONE))
    assert said == SAID[:2]
    assert isinstance(failed, Failed)
    assert message in failed.error.message


def test_an_error_before_anything_else_is_one(chop):
    assert decoded(chop(b'data: {"error": {"message": "boom"}}\n\n')) == [Failed(ErrorBody("boom"))]


CUT = {
    "nothing": b"",
    "blank lines": b"\n\n\n\n",
    "comments only": b": ping\n\n",
    "an end mark only": DONE,
    "no finish": ROLE + HI,
    "cut within an event": ROLE + HI + STOP[:40],
    "usage but no finish": ROLE + HI + USAGE,
    "not a stream": b"<html>hello</html>\n\n",
    "another's events": b'data: {"type": "ping"}\n\n',
    "not JSON": ROLE + HI + b"data: hello?\n\n" + STOP + DONE,
    "half a chunk": ROLE + HI + STOP[:-8] + b"\n\n" + DONE,
    "choices that are no list": HI + b'data: {"choices": {"a": 1}}\n\n' + STOP + DONE,
    "choices of numbers": HI + b'data: {"choices": [1]}\n\n' + STOP + DONE,
    "a delta that is none": HI + chunk("nonsense") + STOP + DONE,
    "bytes that are no text": HI + b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n' + STOP + DONE,
    "a call without a name": HI + chunk({"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}) + STOP,
}  # fmt: skip


@pytest.mark.parametrize("stream", CUT.values(), ids=CUT)
def test_a_stream_that_is_not_whole_is_the_providers_fault(stream, chop):
    events, fault = outcome(chop(stream))
    assert fault is not None
    assert not any(isinstance(event, Finished) for event in events)


def test_what_came_before_nonsense_is_told_however_it_was_cut():
    decoder = StreamDecoder()
    assert decoder.feed(HI + b"data: hello?\n\n" + THERE) == SAID[:2]
    for again in (lambda: decoder.feed(THERE), decoder.end):
        with pytest.raises(UpstreamInvalidResponse, match="JSON"):
            again()


def test_an_event_is_told_as_soon_as_it_is_complete():
    decoder = StreamDecoder()
    decoder.feed(ROLE)
    assert decoder.feed(HI[:30]) == []
    assert decoder.feed(HI[30:] + THERE[:9]) == [TextDelta("Hi")]


@pytest.mark.parametrize("word", [[], {}, 7, ["error"]])
def test_an_end_that_is_no_word_is_an_end_like_another(word):
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":%b}]}\n\n' % json.dumps(word).encode()
    assert decoded([HI + end + DONE])[-1] == Finished("stop")


def test_an_event_of_five_megabytes_is_taken():
    text = "x" * 5_000_000
    assert decoded([chunk({"content": text}) + STOP])[1] == TextDelta(text)


PIECES = st.lists(
    st.sampled_from(
        [ROLE, HI, THERE, STOP, USAGE, DONE, b"\n", b"\r\n", b"data: ", b'{"error":', b'"usage":{}', b": c\n\n"]
        + [event for event, _ in FAILURES.values()]
        + [chunk({"tool_calls": [{"id": name, "function": {"name": "f", "arguments": "{}"}}]}) for name in "ab"]
        + [chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}), chunk({"reasoning": "hm"})]
    )
    | st.binary(max_size=8),
    max_size=8,
).map(b"".join)  # fmt: skip


def outcome(chunks):
    decoder, events = StreamDecoder(), []
    try:
        for part in chunks:
            events += decoder.feed(part)
        events += decoder.end()
    except UpstreamInvalidResponse as error:
        return events, str(error)
    return events, None


@given(PIECES, st.lists(st.integers(0, 1200), max_size=6))
def test_no_stream_crashes_and_no_split_changes_what_is_understood(stream, cuts):
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    events, fault = outcome([stream[a:b] for a, b in itertools.pairwise(edges)])
    assert (events, fault) == outcome([stream])
    last = [event for event in events if isinstance(event, Finished | Failed)]
    assert len(last) == (fault is None)
    assert not last or events[-1] is last[0]


# ---------------------------------------------------------------------------------------------- to a client

ANSWERING = Answering(id="ab12", created=9, model="asked")


def told(events, answering=ANSWERING):
    """The chunks of a stream, without its end mark."""
    out = StreamEncoder(answering).feed(events)
    return [json.loads(sse.data_of(event)) for event in sse.split_events(out) if b"[DONE]" not in event]


def deltas(events):
    return [row["choices"][0]["delta"] for row in told(events) if row["choices"]]


def test_a_stream_begins_with_the_role_and_ends_with_the_end_mark():
    out = StreamEncoder(ANSWERING).feed([STARTED, TextDelta("Hi"), COUNTED])
    first, second, third, fourth, done = sse.split_events(out)
    assert done == DONE
    assert json.loads(sse.data_of(first)) == {
        "id": "chatcmpl-ab12",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
    }
    assert json.loads(sse.data_of(second))["choices"][0]["delta"] == {"content": "Hi"}
    assert json.loads(sse.data_of(third))["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert json.loads(sse.data_of(fourth))["choices"] == []
    assert json.loads(sse.data_of(fourth))["usage"]["total_tokens"] == 7


def test_what_the_provider_does_not_name_is_what_was_asked_for():
    row = told([Started(), TextDelta("Hi"), PLAIN])[1]
    assert (row["created"], row["model"]) == (9, "asked")


def test_an_answer_that_begins_without_saying_so_begins_all_the_same():
    assert deltas([TextDelta("Hi"), PLAIN])[:2] == [{"role": "assistant", "content": ""}, {"content": "Hi"}]


def test_usage_is_told_to_those_who_asked_for_it():
    quiet = Answering(id="ab12", created=9, model="asked", wants_usage=False)
    assert not any("usage" in row for row in told([STARTED, COUNTED], quiet))
    assert told([STARTED, COUNTED])[-1]["usage"]["prompt_tokens"] == 3
    assert not any("usage" in row for row in told([STARTED, PLAIN]))


@pytest.mark.parametrize(
    ("finished", "word"),
    [
        (Finished("stop"), "stop"),
        (Finished("stop_sequence", stop_sequence="END"), "stop"),
        (Finished("pause"), "stop"),
        (Finished("length"), "length"),
        (Finished("tool_calls"), "tool_calls"),
        (Finished("refusal"), "content_filter"),
    ],
)
def test_why_it_ended_is_told_in_openais_words(finished, word):
    assert told([STARTED, finished])[-1]["choices"][0]["finish_reason"] == word


def test_calls_are_numbered_and_one_without_arguments_has_an_empty_object():
    events = [
        STARTED,
        ToolCallStarted("a", "f"),
        ToolCallStarted("b", "g"),
        ToolCallDelta('{"x"'),
        ToolCallDelta(":1}"),
        ToolCallStarted("c", "h"),
        Finished("stop"),
    ]
    assert deltas(events)[1:-1] == [
        {"tool_calls": [call]}
        for call in (
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 0, "function": {"arguments": "{}"}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
            {"index": 1, "function": {"arguments": '{"x"'}},
            {"index": 1, "function": {"arguments": ":1}"}},
            {"index": 2, "id": "c", "type": "function", "function": {"name": "h", "arguments": ""}},
            {"index": 2, "function": {"arguments": "{}"}},
        )
    ]
    assert told(events)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_text_after_a_call_without_arguments_leaves_it_an_empty_object():
    events = deltas([STARTED, ToolCallStarted("a", "f"), TextDelta("so"), PLAIN])
    assert events[2:4] == [{"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, {"content": "so"}]


def test_a_custom_call_is_told_as_one():
    events = [STARTED, ToolCallStarted("a", "patch", custom=True), ToolCallDelta("***"), PLAIN]
    assert deltas(events)[1:3] == [
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "***"}}]},
    ]
    bare = deltas([STARTED, ToolCallStarted("a", "patch", custom=True), PLAIN])
    assert len(bare) == 3


def test_a_calls_signature_travels_in_its_id():
    signature = Signature("google-genai", "c2ln")
    call = deltas([STARTED, ToolCallStarted("a", "f", signature=signature), PLAIN])[1]["tool_calls"][0]
    assert open_call_id(call["id"]) == ("a", signature)


CLAUDE, GEMINI = Signature("anthropic-messages", "c2ln"), Signature("google-genai", "Z2Vt")
TWICE = [
    ThinkingDelta("o"), ThinkingDelta("ne"), ThinkingSigned(CLAUDE), ThinkingDelta("two"),
    ThinkingSigned(Signature("anthropic-messages", "c2ln2")), TextDelta("so"),
]  # fmt: skip
#: Gemini signs its text, and that signature is of no words that were thought.
TEXT_SIGNED = [ThinkingDelta("short", summary=True), TextDelta("so"), ThinkingSigned(GEMINI)]


def said(text, index):
    return {"reasoning_content": text, "reasoning_details": [{"type": "reasoning.text", "text": text, "index": index}]}


def test_thinking_is_told_in_words_and_in_items_that_its_proof_ends():
    events = [
        STARTED, ThinkingDelta("h"), ThinkingDelta("m"), ThinkingSigned(CLAUDE),
        ThinkingSigned(CLAUDE, redacted=True), ThinkingDelta("in short", summary=True),
        ThinkingSigned(CLAUDE), TextDelta("so"), PLAIN,
    ]  # fmt: skip
    _, h, m, signed, withheld, short, proved, so, _ = deltas(events)
    assert (h, m, so) == (said("h", 0), said("m", 0), {"content": "so"})
    assert short == {
        "reasoning_content": "in short",
        "reasoning_details": [{"type": "reasoning.summary", "summary": "in short", "index": 2}],
    }
    (item,) = signed["reasoning_details"]
    assert (item["type"], item["index"], "text" in item) == ("reasoning.text", 0, False)
    assert unseal(item["signature"], "openai-chat") == CLAUDE
    assert [(item["type"], item["index"]) for item in withheld["reasoning_details"]] == [("reasoning.encrypted", 1)]
    assert [(item["type"], item["index"]) for item in proved["reasoning_details"]] == [("reasoning.encrypted", 2)]


def test_two_proved_blocks_of_thinking_have_their_own_words():
    _, o, ne, first, two, second, so, _ = deltas([STARTED, *TWICE, PLAIN])
    assert (o, ne, two, so) == (said("o", 0), said("ne", 0), said("two", 1), {"content": "so"})
    assert [proof["reasoning_details"][0]["index"] for proof in (first, second)] == [0, 1]


@pytest.mark.parametrize("parting", [TextDelta("so"), BlockEnded(), Citation("u"), ToolCallStarted("a", "f")])
def test_thinking_that_nobody_proved_is_a_block_of_its_own(parting):
    details = [item for delta in deltas([STARTED, ThinkingDelta("a"), parting, ThinkingDelta("b"), PLAIN])
               for item in delta.get("reasoning_details", ())]  # fmt: skip
    assert [(item["text"], item["index"]) for item in details] == [("a", 0), ("b", 1)]


def test_withheld_thinking_is_no_proof_of_words_before_it():
    events = [STARTED, ThinkingDelta("a"), ThinkingSigned(CLAUDE, redacted=True), PLAIN]
    assert deltas(events)[2]["reasoning_details"][0]["index"] == 1


def test_no_words_are_no_thinking():
    assert deltas([STARTED, ThinkingDelta(""), PLAIN]) == [{"role": "assistant", "content": ""}, {}]


def test_a_summary_that_nobody_proved_says_nothing_of_the_next_proof():
    _, _, _, proof, _ = deltas([STARTED, *TEXT_SIGNED, PLAIN])
    (item,) = proof["reasoning_details"]
    assert (item["type"], item["index"], "text" in item) == ("reasoning.text", 1, False)


def test_openais_sdk_joins_the_pieces():
    state = ChatCompletionStreamState()
    for row in told([STARTED, *TWICE, Citation("u"), Citation("v"), COUNTED]):
        state.handle_chunk(ChatCompletionChunk.model_validate(row))
    message = state.get_final_completion().choices[0].message
    assert message.reasoning_content == "onetwo"
    assert [(item["text"], item["index"]) for item in message.reasoning_details] == [("one", 0), ("two", 1)]
    assert [cited["url_citation"]["url"] for cited in message.model_dump()["annotations"]] == ["u", "v"]


def gathered(events):
    """The thinking that a client gets out of a stream who joins items of one kind and index."""
    items = {}
    for delta in deltas(events):
        for piece in delta.get("reasoning_details", ()):
            item = items.setdefault((piece["index"], piece["type"]), {})
            for name, value in piece.items():
                item[name] = item[name] + value if name in ("text", "summary") and name in item else value
    words = "".join(delta.get("reasoning_content", "") for delta in deltas(events))
    return {"reasoning_content": words, "reasoning_details": list(items.values())}


def whole(events):
    message = json.loads(write_reply(events, ANSWERING))["choices"][0]["message"]
    return {"reasoning_content": "", "reasoning_details": []} | {
        name: value for name, value in message.items() if name.startswith("reasoning")
    }


THOUGHTS = st.lists(
    st.builds(ThinkingDelta, st.sampled_from(["", "h", "m"]), st.booleans())
    | st.builds(ThinkingSigned, st.sampled_from([CLAUDE, GEMINI]), st.booleans())
    | st.sampled_from([TextDelta("so"), BlockEnded(), Citation("u"), RefusalDelta("no"), ToolCallStarted("a", "f"),
                       Logprobs((TokenLogprob("so", -1.0),)), Opaque("openai-chat", {"images": [1]})]),
    max_size=8,
)  # fmt: skip


@given(THOUGHTS)
@example(TWICE)
@example(TEXT_SIGNED)
def test_what_a_client_gathers_of_thinking_is_what_the_plain_answer_says(events):
    events = [STARTED, *events, PLAIN]
    assert gathered(events) == whole(events)


@pytest.mark.parametrize(
    ("events", "thinking"),
    [
        (TWICE, [Thinking("one", CLAUDE), Thinking("two", Signature("anthropic-messages", "c2ln2"))]),
        (TEXT_SIGNED, [Thinking("short", summary=True), Thinking("", GEMINI)]),
        ([ThinkingDelta("short", summary=True), ThinkingSigned(GEMINI)], [Thinking("short", GEMINI, summary=True)]),
    ],
)
@pytest.mark.parametrize("told_by", [gathered, whole])
@pytest.mark.parametrize("words", [True, False])
def test_what_a_client_keeps_of_thinking_is_read_again(events, thinking, told_by, words):
    kept = told_by([STARTED, *events, PLAIN])
    assert list(read_thinking(kept if words else kept | {"reasoning_content": None}, "messages.0")) == thinking


def test_thinking_that_was_not_counted_is_not_counted_as_none():
    uncounted = [STARTED, ThinkingDelta("hm"), TextDelta("so"), COUNTED]
    assert "completion_tokens_details" not in told(uncounted)[-1]["usage"]
    counted = [*uncounted[:-1], Finished("stop", Usage(3, 4, reasoning=2))]
    assert told(counted)[-1]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert told([STARTED, TextDelta("so"), COUNTED])[-1]["usage"]["completion_tokens_details"] == {
        "reasoning_tokens": 0
    }


def test_a_refusal_is_told_as_one():
    assert deltas([STARTED, RefusalDelta("no"), PLAIN])[1] == {"refusal": "no"}


def test_an_answer_that_declines_is_a_refusal_whatever_its_end_says(chop):
    stream = chunk({"refusal": "n"}) + chunk({"refusal": "o"}) + STOP + DONE
    assert decoded(chop(stream))[1:] == [RefusalDelta("n"), RefusalDelta("o"), Finished("refusal")]


def test_a_model_that_declines_in_words_has_not_been_cut_off():
    """SDKs raise on `content_filter`, and then nobody reads the words."""
    assert told([STARTED, RefusalDelta("no"), Finished("refusal")])[-1]["choices"][0]["finish_reason"] == "stop"


def test_citations_count_characters_of_all_the_text():
    events = [
        STARTED, TextDelta("See "), BlockEnded(), TextDelta("the "), TextDelta("page."), Citation("u", "t"),
        Citation("v", start=4, end=8), TextDelta("!"), Citation("w"), Citation(title="a book"), PLAIN,
    ]  # fmt: skip
    cited = [delta["annotations"][0]["url_citation"] for delta in deltas(events) if "annotations" in delta]
    assert [(one["url"], one["start_index"], one["end_index"]) for one in cited] == [
        ("u", 4, 13), ("v", 8, 12), ("w", 4, 14)
    ]  # fmt: skip


def test_logprobs_are_told_with_their_bytes():
    events = [STARTED, TextDelta("ü"), Logprobs((TokenLogprob("ü", -0.5, (TokenLogprob("u", -1.0),)),)), PLAIN]
    assert told(events)[2]["choices"][0]["logprobs"] == {
        "content": [
            {
                "token": "ü",
                "logprob": -0.5,
                "bytes": [195, 188],
                "top_logprobs": [{"token": "u", "logprob": -1.0, "bytes": [117]}],
            }
        ],
        "refusal": None,
    }


def test_what_only_another_dialect_understands_is_not_told():
    events = [STARTED, Opaque("anthropic-messages", {"x": 1}), Opaque("openai-chat", {"images": [1]}), PLAIN]
    assert deltas(events) == [{"role": "assistant", "content": ""}, {"images": [1]}, {}]


def test_a_tier_is_told():
    assert told([STARTED, Finished("stop", service_tier="flex")])[-1]["service_tier"] == "flex"


def test_a_failure_is_an_event_without_an_end_mark_and_nothing_follows():
    encoder = StreamEncoder(ANSWERING)
    encoder.feed([STARTED, ToolCallStarted("a", "f")])
    out = encoder.fail(UpstreamInvalidResponse("it broke"))
    assert json.loads(sse.data_of(out))["error"]["message"] == "it broke"
    assert b"[DONE]" not in out
    assert encoder.feed([TextDelta("x"), PLAIN]) == b""


def test_nothing_follows_the_end():
    encoder = StreamEncoder(ANSWERING)
    assert encoder.feed([STARTED, PLAIN, TextDelta("x"), PLAIN]).count(b"[DONE]") == 1
    assert encoder.feed([TextDelta("x")]) == b""


# ---------------------------------------------------------------------------------------------- there and back

TEXTS = st.text(min_size=1, max_size=6)
SIGNED = st.builds(ThinkingSigned, st.builds(Signature, st.just("openai-chat"), st.text("abc", min_size=1, max_size=4)))
CALLS = st.tuples(st.text("abc", min_size=1, max_size=4), st.integers(0, 99)).map(
    lambda call: [ToolCallStarted("", call[0]), ToolCallDelta('{"n"'), ToolCallDelta(f":{call[1]}}}")]
)
BLOCKS = st.one_of(
    TEXTS.map(lambda text: [TextDelta(text)]),
    TEXTS.map(lambda text: [RefusalDelta(text)]),
    TEXTS.map(lambda text: [ThinkingDelta(text)]),
    st.tuples(TEXTS, SIGNED).map(lambda pair: [ThinkingDelta(pair[0]), pair[1]]),
    CALLS,
)
REASONS = st.sampled_from(["stop", "length", "refusal"])


@st.composite
def answers(draw):
    """An answer, and how it is cut on its way."""
    blocks = draw(st.lists(BLOCKS, max_size=6))
    events, calls = [STARTED], 0
    for event in itertools.chain.from_iterable(blocks):
        if isinstance(event, ToolCallStarted):
            event = ToolCallStarted(f"call_{calls}", event.name)
            calls += 1
        events.append(event)
    refused = any(isinstance(event, RefusalDelta) for event in events)
    reason = "tool_calls" if calls else draw(st.sampled_from(["length", "refusal"]) if refused else REASONS)
    events.append(Finished(reason, draw(st.none() | st.builds(Usage, st.integers(0, 99), st.integers(0, 99)))))
    return events


@given(answers(), st.lists(st.integers(0, 3000), max_size=5))
def test_what_is_told_is_understood_again(events, cuts):
    stream = StreamEncoder(ANSWERING).feed(events)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    again = decoded([stream[a:b] for a, b in itertools.pairwise(edges)])
    assert again == [Started("chatcmpl-ab12", "m", None, 5), *events[1:]]


@given(answers())
def test_what_is_told_is_a_stream_that_a_relay_finds_whole(events):
    stream = StreamEncoder(ANSWERING).feed(events)
    relay = StreamRelay(hide_usage=False)
    assert relay.feed(stream) + relay.end() == stream
    assert (relay.done, relay.usage) == (True, events[-1].usage)
