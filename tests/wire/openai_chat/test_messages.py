"""Messages as turns: every role, every form of content, calls and their results, and bad ones named with their path."""

from __future__ import annotations

import base64

import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.conversation import (
    Audio,
    CacheControl,
    Document,
    Image,
    OpaquePart,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.openai_chat.messages import read_messages
from open_llm_auth.wire.signatures import seal, seal_call_id

HI = {"role": "user", "content": "hi"}
HI_TURN = Turn("user", (Text("hi"),))
VIDEO = {"type": "video_url", "video_url": {"url": "x"}}
CACHE = {"cache_control": {"type": "ephemeral"}}


def turns(*messages):
    return read_messages(list(messages))[1]


def system(*messages):
    return read_messages(list(messages))[0]


def part(value, role="user"):
    (turn,) = turns({"role": role, "content": [value]})
    (found,) = turn.parts
    return found


def call(call_id="a", name="f", arguments="{}"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant(**fields):
    return {"role": "assistant", "content": None, **fields}


def calls_of(**fields):
    return turns(assistant(**fields))[0].parts


# ---------------------------------------------------------------------------------------------- roles


def test_instructions_before_the_conversation_are_system_text_and_later_ones_are_turns():
    messages = [
        {"role": "developer", "content": "a"},
        {"role": "system", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        HI,
        {"role": "system", "content": "d"},
        {"role": "developer", "content": "e"},
    ]
    assert system(*messages) == (Text("a"), Text("b"), Text("c"))
    assert turns(*messages) == (HI_TURN, Turn("system", (Text("d"),)), Turn("system", (Text("e"),)))


def test_turns_of_one_role_may_follow_each_other():
    assert turns(HI, HI, {"role": "assistant", "content": "x"}) == (
        HI_TURN, HI_TURN, Turn("assistant", (Text("x"),))
    )  # fmt: skip


def test_a_name_is_kept():
    assert turns({**HI, "name": "ann"})[0].name == "ann"


@pytest.mark.parametrize("content", [None, "", []])
def test_an_assistant_that_said_nothing_is_left_out(content):
    assert turns(HI, {"role": "assistant", "content": content}) == (HI_TURN,)


def test_empty_content_beside_calls_is_no_text():
    assert turns(assistant(content="", tool_calls=[call()]))[0].parts == (ToolCall("a", "f"),)


def test_a_refusal_is_one_however_it_is_told():
    assert calls_of(refusal="no") == (Refusal("no"),)
    assert part({"type": "refusal", "refusal": "no"}, "assistant") == Refusal("no")


# ---------------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "text", "text": "x"}, Text("x")),
        ({"type": "input_text", "text": "x"}, Text("x")),
        ("x", Text("x")),
        ({"type": "text", "text": "x", **CACHE}, Text("x", CacheControl())),
        (
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("x", CacheControl("1h")),
        ),
        ({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}, Image(url="https://x.example/a.png")),
        ({"type": "image_url", "image_url": "https://x.example/a.png"}, Image(url="https://x.example/a.png")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA", "detail": "low"}, **CACHE},
            Image("image/jpeg", "AAAA", detail="low", cache=CacheControl()),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg%3E"}},
            Image("image/svg+xml", base64.b64encode(b"<svg>").decode()),
        ),
        ({"type": "image_url", "image_url": {"url": "data:;base64,AAAA"}}, Image("image/png", "AAAA")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;charset=utf-8;base64,AAAA"}},
            Image("image/png", "AAAA"),
        ),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}, Audio("AAAA", "mp3")),
        ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, Audio("AAAA", "wav")),
        ({"type": "file", "file": {"file_id": "file-1"}}, Document(file_id="file-1")),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}, **CACHE},
            Document("application/pdf", "AAAA", name="a.pdf", cache=CacheControl()),
        ),
        (
            {"type": "file", "file": {"filename": "a.csv", "file_data": "AAAA"}},
            Document("text/csv", "AAAA", name="a.csv"),
        ),
        ({"type": "file", "file": {"file_data": "AAAA"}}, Document("application/pdf", "AAAA")),
        (
            {"type": "file", "file": {"file_data": "https://x.example/a.pdf"}},
            Document(url="https://x.example/a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_id": "https://x.example/a", "format": "application/pdf"}},
            Document("application/pdf", url="https://x.example/a"),
        ),
        (VIDEO, OpaquePart("openai-chat", "video_url", VIDEO)),
    ],
)
def test_a_part_is_read(given, expected):
    assert part(given) == expected


def test_a_breakpoint_at_a_message_is_one_at_its_last_part():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert turns({"role": "user", "content": parts, **CACHE})[0].parts == (Text("a"), Text("b", CacheControl()))
    assert system({"role": "system", "content": "s", **CACHE}) == (Text("s", CacheControl()),)


# ---------------------------------------------------------------------------------------------- calls and results


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("", "{}"),
        (None, "{}"),
        (" ", "{}"),
        ({"a": 1}, '{"a":1}'),
        ('{"a": ', '{"input":"{\\"a\\": "}'),
        ("[1]", '{"input":"[1]"}'),
        ("words", '{"input":"words"}'),
    ],
)
def test_arguments_are_the_text_of_an_object_whatever_a_model_made_of_them(arguments, read):
    assert calls_of(tool_calls=[call(arguments=arguments)]) == (ToolCall("a", "f", read),)


def test_parallel_calls_and_their_results_know_their_tool():
    messages = [
        HI,
        assistant(content="look", tool_calls=[call("a", "f"), call("b", "g")]),
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}]},
    ]
    assert turns(*messages)[1:] == (
        Turn("assistant", (Text("look"), ToolCall("a", "f"), ToolCall("b", "g"))),
        Turn("user", (ToolResult("b", "g", (Text("2"),)),)),
        Turn("user", (ToolResult("a", "f", (Text("1"),)),)),
    )


def test_a_result_may_hold_images_and_a_breakpoint():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    message = {"role": "tool", "tool_call_id": "a", "content": [image], **CACHE}
    assert turns(message)[0].parts == (ToolResult("a", "", (Image("image/png", "AAAA"),), cache=CacheControl()),)


def test_a_result_without_its_call_has_the_name_it_says():
    assert turns({"role": "tool", "tool_call_id": "z", "name": "f", "content": "x"})[0].parts[0].name == "f"


def test_a_custom_call_is_free_text():
    custom = {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    assert calls_of(tool_calls=[custom]) == (ToolCall("a", "patch", "*** Begin", custom=True),)


def test_a_call_of_the_old_form_finds_its_result():
    messages = [
        HI,
        assistant(function_call={"name": "f", "arguments": '{"a":1}'}),
        {"role": "function", "name": "f", "content": "1"},
        assistant(function_call={"name": "f", "arguments": "{}"}),
        {"role": "function", "name": "f", "content": "2"},
    ]
    _, first, one, second, two = turns(*messages)
    assert first.parts[0].name == one.parts[0].name == "f"
    assert first.parts[0].id == one.parts[0].id
    assert second.parts[0].id == two.parts[0].id != first.parts[0].id


def test_the_old_form_beside_the_new_one_is_the_same_call():
    both = assistant(tool_calls=[call()], function_call={"name": "f", "arguments": "{}"})
    assert turns(both)[0].parts == (ToolCall("a", "f"),)


def test_a_signature_that_travelled_in_an_id_is_taken_out_of_it():
    signature = Signature("google-genai", "c2ln")
    sealed = seal_call_id("a", signature)
    messages = [assistant(tool_calls=[call(sealed)]), {"role": "tool", "tool_call_id": sealed, "content": "1"}]
    asked, answered = turns(*messages)
    assert asked.parts == (ToolCall("a", "f", signature=signature),)
    assert answered.parts[0] == ToolResult("a", "f", (Text("1"),))


def test_a_signature_where_google_puts_it_is_googles():
    signed = {**call(), "extra_content": {"google": {"thought_signature": "c2ln"}}}
    assert calls_of(tool_calls=[signed])[0].signature == Signature("google-genai", "c2ln")


@pytest.mark.parametrize("extra", [None, 1, {}, {"google": 1}, {"google": {"thought_signature": 3}}])
def test_other_extras_of_a_call_are_no_signature(extra):
    assert calls_of(tool_calls=[{**call(), "extra_content": extra}])[0].signature is None


def test_thinking_comes_before_what_was_said():
    signature = Signature("anthropic-messages", "c2ln")
    message = assistant(
        content="so",
        reasoning_content="hm",
        reasoning_details=[{"type": "reasoning.text", "signature": seal(signature), "index": 0}],
        tool_calls=[call()],
    )
    assert turns(message)[0].parts == (Thinking("hm", signature), Text("so"), ToolCall("a", "f"))


def test_an_answer_in_sound_is_kept_for_its_own_dialect():
    message = assistant(audio={"id": "audio_1"})
    assert turns(message)[0].parts == (OpaquePart("openai-chat", "audio", {"audio": {"id": "audio_1"}}),)


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (3, ""),
        ({}, ".role"),
        ({"role": 3, "content": "x"}, ".role"),
        ({"role": "king", "content": "x"}, ".role"),
        ({"role": "user"}, ".content"),
        ({"role": "user", "content": 3}, ".content"),
        ({"role": "user", "content": {"type": "text"}}, ".content"),
        ({"role": "user", "content": [3]}, ".content.0"),
        ({"role": "user", "content": [{}]}, ".content.0.type"),
        ({"role": "user", "content": [{"type": "text"}]}, ".content.0.text"),
        ({"role": "user", "content": [{"type": "text", "text": 3}]}, ".content.0.text"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "cache_control": 1}]}, ".content.0.cache_control"),
        ({"role": "user", "content": [{"type": "image_url"}]}, ".content.0.image_url"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, ".content.0.image_url.url"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "AAAA"}]}, ".content.0.image_url.url"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "data:x"}]}, ".content.0.image_url.url"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, ".content.0.input_audio.data"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, ".content.0.file.file_data"),
        ({"role": "user", "content": "x", "name": 3}, ".name"),
        (assistant(tool_calls={}), ".tool_calls"),
        (assistant(tool_calls=[3]), ".tool_calls.0"),
        (assistant(tool_calls=[{"type": "function"}]), ".tool_calls.0.id"),
        (assistant(tool_calls=[{"id": "a", "type": "function"}]), ".tool_calls.0.function"),
        (assistant(tool_calls=[{"id": "a", "function": {}}]), ".tool_calls.0.function.name"),
        (assistant(tool_calls=[call(arguments=3)]), ".tool_calls.0.function.arguments"),
        (assistant(tool_calls=[{"id": "a", "type": "custom"}]), ".tool_calls.0.custom"),
        (assistant(function_call={}), ".function_call.name"),
        (assistant(refusal=3), ".refusal"),
        (assistant(reasoning_content=3), ".reasoning_content"),
        (assistant(reasoning_details={}), ".reasoning_details"),
        (assistant(reasoning_details=[3]), ".reasoning_details.0"),
        ({"role": "tool", "content": "x"}, ".tool_call_id"),
        ({"role": "tool", "tool_call_id": 3, "content": "x"}, ".tool_call_id"),
        ({"role": "function", "content": "x"}, ".name"),
    ],
)
def test_a_wrong_message_is_named_with_its_path(message, path):
    with pytest.raises(InvalidRequest) as caught:
        turns(HI, message)
    assert caught.value.param == f"messages.1{path}"
    assert f"messages.1{path}" in caught.value.message


def test_a_refusal_of_ours_never_quotes_what_was_said():
    with pytest.raises(InvalidRequest) as caught:
        turns({"role": "user", "content": [{"type": "image_url", "image_url": "secret-canary"}]})
    assert "canary" not in caught.value.message
