"""Events as the stream that Codex and the SDKs expect, and as the plain answer it comes to."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
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
from open_llm_auth.wire.openai_responses import StreamDecoder, StreamEncoder, write_reply
from open_llm_auth.wire.openai_responses.items import REDACTED
from open_llm_auth.wire.signatures import seal, unseal

TOOLS = [
    {"type": "function", "name": "f"},
    {
        "type": "namespace",
        "name": "mcp__x__",
        "tools": [{"type": "function", "name": "go"}, {"type": "custom", "name": "c"}],
    },
    {"type": "custom", "name": "patch"},
]
STARTED = Started("theirs", "up-model")
DONE = Finished("stop", Usage(20, 7))


def answering(**asked):
    envelope = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in asked.items()}
    return Answering("ab12", 1700, "asked-model", envelope)


def told(*events, **asked):
    """The events of a stream, each as its name and its data."""
    stream = StreamEncoder(answering(tools=TOOLS, **asked)).feed(events).decode()
    pairs = [block.split("\n") for block in stream.strip().split("\n\n")]
    assert all(len(pair) == 2 for pair in pairs)
    data = [json.loads(line.removeprefix("data: ")) for _, line in pairs]
    assert [name.removeprefix("event: ") for name, _ in pairs] == [event["type"] for event in data]
    assert [event["sequence_number"] for event in data] == list(range(len(data)))
    return data


def kinds(events):
    return [event["type"].removeprefix("response.") for event in events]


def plain(*events, **asked):
    return json.loads(write_reply(events, answering(tools=TOOLS, **asked)))


def test_a_text_is_told_in_the_documented_order():
    events = told(STARTED, TextDelta("Hel"), TextDelta("lo"), DONE)
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    place = {"item_id": "msg_ab1200", "output_index": 0, "content_index": 0}
    assert events[4] == {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        **place,
        "delta": "Hel",
        "logprobs": [],
    }
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"}
    item = {"id": "msg_ab1200", "type": "message", "status": "completed", "content": [part], "role": "assistant"}
    assert events[7]["part"] == part
    assert events[8]["item"] == item
    assert events[9]["response"]["output"] == [item]
    assert events[9]["response"]["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 27,
    }


def test_the_response_says_what_was_asked_and_whose_model_answered():
    asked = {
        "instructions": "Be\nterse.",
        "temperature": 0.5,
        "metadata": {"k": "v"},
        "store": True,
        "text": {"verbosity": "low"},
    }
    first = told(STARTED, DONE, **asked, reasoning={"effort": "low"}, tool_choice="required", top_p=None)[0]["response"]
    assert first["model"] == "up-model"
    assert (first["id"], first["created_at"], first["status"]) == ("resp_ab12", 1700, "in_progress")
    assert (first["instructions"], first["temperature"], first["metadata"]) == ("Be\nterse.", 0.5, {"k": "v"})
    assert first["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert first["reasoning"] == {"effort": "low", "summary": None}
    assert (first["tool_choice"], first["top_p"], first["store"]) == ("required", 1.0, False)
    assert first["tools"][0] == {
        "description": None,
        "parameters": None,
        "strict": None,
        "type": "function",
        "name": "f",
    }
    assert first["tools"][1:] == TOOLS[1:]
    assert told(Started(), DONE)[0]["response"]["model"] == "asked-model"


def test_a_request_laid_out_over_lines_is_told_on_one():
    envelope = {
        "tools": msgspec.Raw(b'[\n {\r\n"type": "function", "name": "f"}\n]'),
        "metadata": msgspec.Raw(b'{\n"a": "b"\n}'),
    }
    stream = StreamEncoder(Answering("a", 1, "m", envelope)).feed([STARTED, DONE])
    assert all(line.startswith((b"event: ", b"data: ")) or not line for line in stream.split(b"\n"))
    assert b"\r" not in stream


@pytest.mark.parametrize("asked", [{"tools": 3}, {"tools": [3]}, {"text": "x"}, {"reasoning": []}])
def test_a_request_that_nobody_read_does_not_stop_the_answer(asked):
    assert StreamEncoder(answering(**asked)).feed([STARTED, TextDelta("a"), DONE])


def test_thinking_is_a_summary_and_its_proof_travels_sealed():
    signature = Signature("anthropic-messages", "c2ln")
    events = told(STARTED, ThinkingDelta("hm"), ThinkingDelta("m"), ThinkingSigned(signature), TextDelta("a"), DONE)
    assert kinds(events)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert events[4]["summary_index"] == 0
    item = events[8]["item"]
    assert item["summary"] == [{"type": "summary_text", "text": "hmm"}]
    assert unseal(item["encrypted_content"], "openai-responses") == signature


def test_withheld_thinking_says_in_its_envelope_that_it_is():
    hidden = ThinkingSigned(Signature("anthropic-messages", "c2ln"), redacted=True)
    item = plain(STARTED, hidden, DONE)["output"][0]
    assert (item["summary"], unseal(item["encrypted_content"], "x").id) == ([], REDACTED)


PROOF = ThinkingSigned(Signature("google-genai", "c2ln"))


def test_a_proof_alone_behind_the_message_is_no_item():
    """Gemini signs its text, and clients take the last item for the message."""
    assert [item["type"] for item in plain(STARTED, TextDelta("a"), PROOF, DONE)["output"]] == ["message"]
    assert told(STARTED, TextDelta("a"), PROOF, DONE) == told(STARTED, TextDelta("a"), DONE)


def test_a_proof_alone_is_told_before_a_call_and_before_words():
    before, after = [TextDelta("a"), PROOF, ToolCallStarted("c", "f")], [PROOF, TextDelta("a")]
    items = plain(STARTED, *before, DONE)["output"]
    assert [item["type"] for item in items] == ["message", "reasoning", "function_call"]
    assert unseal(items[1]["encrypted_content"], "x") == PROOF.signature
    assert [item["type"] for item in plain(STARTED, *after, DONE)["output"]] == ["reasoning", "message"]


def test_text_goes_on_over_a_proof_of_it():
    (item,) = plain(STARTED, TextDelta("a"), PROOF, TextDelta("b"), DONE)["output"]
    assert [part["text"] for part in item["content"]] == ["ab"]


def test_its_own_reasoning_may_come_last():
    own = ThinkingSigned(Signature("openai-responses", "c2ln", "rs_theirs"))
    assert [item["type"] for item in plain(STARTED, TextDelta("a"), own, DONE)["output"]] == ["message", "reasoning"]


def test_its_own_reasoning_is_handed_on_as_it_is():
    signature = Signature("openai-responses", "c2ln", "rs_theirs")
    item = plain(STARTED, ThinkingSigned(signature), DONE)["output"][0]
    assert (item["id"], item["encrypted_content"]) == ("rs_theirs", "c2ln")
    assert "encrypted_content" not in plain(STARTED, ThinkingDelta("x"), DONE)["output"][0]


def test_calls_are_told_with_the_names_that_codex_knows():
    events = told(
        STARTED,
        ToolCallStarted("c1", "f"),
        ToolCallDelta('{"a":'),
        ToolCallDelta("1}"),
        ToolCallStarted("c2", "mcp__x__go"),
        Finished("tool_calls", Usage()),
    )
    assert kinds(events)[2:7] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    first, second = (event["item"] for event in events if event["type"] == "response.output_item.done")
    assert first == {
        "id": "fc_ab1200",
        "type": "function_call",
        "status": "completed",
        "arguments": '{"a":1}',
        "call_id": "c1",
        "name": "f",
    }
    assert (second["name"], second["namespace"], second["arguments"]) == ("go", "mcp__x__", "{}")


def test_calls_of_custom_tools_are_free_text_again_while_they_arrive():
    pieces = [ToolCallDelta(piece) for piece in ('{"inp', 'ut": "*** a', "\\nb", '"}')]
    events = told(STARTED, ToolCallStarted("c1", "patch"), *pieces, Finished("tool_calls"))
    deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert deltas == ["*** a", "\nb"]
    item = events[-1]["response"]["output"][0]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "patch", "*** a\nb")
    assert (
        next(event for event in events if event["type"] == "response.custom_tool_call_input.done")["input"]
        == "*** a\nb"
    )


def test_a_custom_tool_of_a_namespace_has_both():
    output = plain(STARTED, ToolCallStarted("c", "mcp__x__c"), ToolCallDelta('{"input":"x"}'), DONE)["output"]
    assert (output[0]["type"], output[0]["name"], output[0]["namespace"], output[0]["input"]) == (
        "custom_tool_call",
        "c",
        "mcp__x__",
        "x",
    )


def test_free_text_that_comes_as_such_is_not_unwrapped():
    text = ToolCallDelta('{"input":"x"}')
    assert (
        plain(STARTED, ToolCallStarted("c", "patch", custom=True), text, DONE)["output"][0]["input"] == '{"input":"x"}'
    )


def test_a_signature_of_a_call_travels_in_its_id():
    call = ToolCallStarted("c", "f", signature=Signature("google-genai", "c2ln"))
    assert plain(STARTED, call, DONE)["output"][0]["call_id"].startswith("c-olla1-")


def test_text_refusals_and_sources_share_a_message():
    source = Citation("https://x", "X", "", 1, 3)
    tokens = Logprobs((TokenLogprob("é", -0.5, (TokenLogprob("e", -1.0),)),))
    response = plain(
        STARTED,
        TextDelta("Héllo"),
        tokens,
        source,
        Citation(title="T"),
        BlockEnded(),
        TextDelta("b"),
        RefusalDelta("no"),
        DONE,
    )
    (message,) = response["output"]
    first, second, third = message["content"]
    assert [first["text"], second["text"], third["refusal"]] == ["Héllo", "b", "no"]
    assert first["annotations"] == [
        {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 1, "end_index": 3},
        {"type": "url_citation", "url": "", "title": "T", "start_index": 0, "end_index": 5},
    ]
    rival = {"token": "e", "bytes": [101], "logprob": -1.0}
    assert first["logprobs"] == [{"token": "é", "bytes": [195, 169], "logprob": -0.5, "top_logprobs": [rival]}]


@pytest.mark.parametrize(
    ("events", "status", "details"),
    [
        ([TextDelta("It is"), Finished("length")], "incomplete", {"reason": "max_output_tokens"}),
        ([TextDelta("It is"), Finished("refusal")], "incomplete", {"reason": "content_filter"}),
        ([RefusalDelta("no"), Finished("refusal")], "completed", None),
        ([TextDelta("a"), Finished("stop_sequence")], "completed", None),
        ([TextDelta("a"), Finished("pause")], "completed", None),
    ],
)
def test_an_answer_that_was_cut_says_so(events, status, details):
    last = told(STARTED, *events)[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"]["incomplete_details"] == details
    assert last["response"]["output"][0]["status"] == status


@pytest.mark.parametrize(("finished", "moment"), [(DONE, 1702), (Finished("length"), None)])
def test_a_whole_answer_says_when_it_was(finished, moment):
    asked = msgspec.structs.replace(answering(), now=lambda: 1702)
    said = [STARTED, TextDelta("a"), finished]
    stream = StreamEncoder(asked).feed(said).decode().strip().split("\n\n")
    responses = [json.loads(event.split("data: ")[1]).get("response") for event in stream]
    assert [response["completed_at"] for response in responses if response] == [None, None, moment]
    assert json.loads(write_reply(said, asked)) == responses[-1]
    assert plain(*said)["completed_at"] is None


def test_no_usage_is_told_where_there_is_none_and_the_tier_where_there_is_one():
    response = plain(STARTED, TextDelta("a"), Finished("stop", service_tier="flex"), service_tier="auto")
    assert (response["usage"], response["service_tier"]) == (None, "flex")


def test_items_of_this_dialect_are_written_and_others_left_out():
    item = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    events = [
        STARTED,
        TextDelta("a"),
        Opaque("openai-responses", item),
        Opaque("ollama", {"x": 1}),
        TextDelta("b"),
        DONE,
    ]
    assert [one["type"] for one in plain(*events)["output"]] == ["message", "web_search_call", "message"]


def test_an_answer_of_nothing_is_whole():
    assert kinds(told(STARTED, TextDelta(""), ThinkingDelta(""), DONE)) == ["created", "in_progress", "completed"]


def test_an_error_ends_the_stream_without_pretending_a_whole_item():
    encoder = StreamEncoder(answering())
    encoder.feed([STARTED, ToolCallStarted("c", "f"), TextDelta("It is")])
    ending = encoder.fail(UpstreamInvalidResponse("went wrong midway")).decode()
    assert "output_item.done" not in ending
    assert "completed" not in json.loads(ending.split("data: ")[-1])["response"]["status"]
    assert [block.split("\n")[0] for block in ending.strip().split("\n\n")] == [
        "event: error",
        "event: response.failed",
    ]
    failed = json.loads(ending.split("data: ")[-1])
    assert (failed["response"]["id"], failed["response"]["status"]) == ("resp_ab12", "failed")
    assert [item["type"] for item in failed["response"]["output"]] == ["function_call"]


def test_an_error_may_be_the_first_thing():
    assert b"event: response.failed" in StreamEncoder(answering()).fail(UpstreamInvalidResponse("m"))


SIGNATURES = st.builds(
    Signature, st.sampled_from(["anthropic-messages", "google-genai", "openai-responses"]), st.just("c2ln")
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
BLOCKS = st.one_of(
    st.lists(st.builds(TextDelta, TEXTS), min_size=1, max_size=3),
    st.lists(st.builds(RefusalDelta, TEXTS), min_size=1, max_size=2),
    st.tuples(st.builds(ThinkingDelta, TEXTS, st.just(True)), st.builds(ThinkingSigned, SIGNATURES)).map(list),
    st.tuples(st.builds(ToolCallStarted, st.just("c"), st.just("f")), st.builds(ToolCallDelta, TEXTS)).map(list),
)


def joined(events):
    """Events without how they were cut: each block in one delta."""
    out = []
    for event in events:
        if isinstance(event, BlockEnded):
            continue
        last = out[-1] if out else None
        if type(event) is type(last) and isinstance(event, TextDelta | RefusalDelta | ThinkingDelta | ToolCallDelta):
            field = event.__struct_fields__[0]
            out[-1] = msgspec.structs.replace(last, **{field: getattr(last, field) + getattr(event, field)})
        else:
            out.append(event)
    return out


@given(st.lists(BLOCKS, max_size=6), st.integers(1, 400))
def test_what_is_encoded_is_decoded_again(blocks, size):
    events = [event for block in blocks for event in [*block, BlockEnded()]]
    stream = StreamEncoder(answering()).feed([STARTED, *events, Finished("stop", Usage(3, 4, 1, 1, 2))])
    decoder = StreamDecoder()
    found = [event for at in range(0, len(stream), size) for event in decoder.feed(stream[at : at + size])]
    sealed = [
        msgspec.structs.replace(event, signature=_as_seen(event.signature))
        if isinstance(event, ThinkingSigned)
        else event
        for event in joined(events)
    ]
    seen = [
        msgspec.structs.replace(event, signature=msgspec.structs.replace(event.signature, id=""))
        if isinstance(event, ThinkingSigned)
        else event
        for event in joined(found)[1:-1]
    ]
    assert seen == sealed
    assert found[-1].usage == Usage(3, 4, 1, 1, 2)


def _as_seen(signature):
    return signature if signature.origin == "openai-responses" else Signature("openai-responses", seal(signature))
