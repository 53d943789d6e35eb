"""Items of `input` as turns and back: who said what, which call a result answers, and whose reasoning it is."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.wire.conversation import (
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
from open_llm_auth.wire.openai_responses.items import REDACTED, read_items, write_items
from open_llm_auth.wire.openai_responses.tools import ToolNames, WireName
from open_llm_auth.wire.signatures import seal, seal_call_id

NAMES = ToolNames([WireName("f"), WireName("go", "mcp__x__")])
OWN = "openai-responses"


def read(*items):
    return read_items(list(items), NAMES)


def message(role, *content):
    return {"type": "message", "role": role, "content": list(content)}


def test_a_string_is_what_the_user_said():
    assert read_items("hi", NAMES) == ((), (Turn("user", (Text("hi"),)),))


def test_instructions_before_the_conversation_are_its_system_text_and_later_ones_stay_in_place():
    system, turns = read(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "input_text", "text": "two"}]},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "three"},
    )
    assert system == (Text("one"), Text("two"))
    assert turns == (Turn("user", (Text("hi"),)), Turn("system", (Text("three"),)))


def test_all_that_an_assistant_does_in_a_row_is_one_turn_and_so_are_results():
    _, turns = read(
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"},
        message("assistant", {"type": "output_text", "text": "Let me look."}),
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call", "call_id": "c2", "namespace": "mcp__x__", "name": "go", "arguments": ""},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
        {"role": "user", "content": "and?"},
    )
    assert turns == (
        Turn("user", (Text("hi"),)),
        Turn(
            "assistant",
            (
                Thinking("", Signature(OWN, "c2ln", "rs_1"), summary=True),
                Text("Let me look."),
                ToolCall("c1", "f", '{"a":1}'),
                ToolCall("c2", "mcp__x__go", "{}"),
            ),
        ),
        Turn("user", (ToolResult("c1", "f", (Text("one"),)), ToolResult("c2", "mcp__x__go", (Text("two"),)))),
        Turn("user", (Text("and?"),)),
    )


def test_every_part_of_a_message_is_understood():
    _, turns = read(
        message(
            "user",
            {"type": "input_text", "text": "t"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            {"type": "input_image", "image_url": "https://x/y.png"},
            {"type": "input_image", "file_id": "file_1"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"},
            {"type": "input_file", "file_data": "CCCC"},
            {"type": "input_file", "file_url": "https://x/a.pdf"},
            {"type": "input_file", "file_id": "file_2"},
            {"type": "input_video", "video_url": "https://x"},
        ),
        message("assistant", {"type": "refusal", "refusal": "no"}),
    )
    assert turns[0].parts == (
        Text("t"),
        Image("image/png", "AAAA", detail="low"),
        Image(url="https://x/y.png"),
        Image(file_id="file_1"),
        Document("application/pdf", "BBBB", name="a.pdf"),
        Document("application/pdf", "CCCC"),
        Document(url="https://x/a.pdf"),
        Document(file_id="file_2"),
        OpaquePart(OWN, "input_video", {"type": "input_video", "video_url": "https://x"}),
    )
    assert turns[1].parts == (Refusal("no"),)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ("", "{}"),
        (" ", "{}"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": ', '{"input":"{\\"a\\": "}'),
        ("[1]", '{"input":"[1]"}'),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments, kept):
    _, turns = read({"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments})
    assert turns[0].parts == (ToolCall("c", "f", kept),)
    json.loads(kept)


def test_custom_calls_and_their_results_are_free_text():
    _, turns = read(
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
    )
    assert turns[0].parts == (ToolCall("c", "patch", "*** Begin", custom=True),)
    assert turns[1].parts == (ToolResult("c", "patch", (Text("done"),)),)


def test_a_signature_within_a_calls_id_is_taken_out_of_call_and_result():
    signature = Signature("google-genai", "c2ln")
    sealed = seal_call_id("c", signature)
    _, turns = read(
        {"type": "function_call", "call_id": sealed, "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": sealed, "output": "x"},
    )
    assert turns[0].parts == (ToolCall("c", "f", "{}", signature=signature),)
    assert turns[1].parts == (ToolResult("c", "f", (Text("x"),)),)


@pytest.mark.parametrize(
    ("signature", "redacted"),
    [
        (Signature("anthropic-messages", "c2ln"), False),
        (Signature("anthropic-messages", "c2ln", REDACTED), True),
        (Signature("google-genai", "c2ln"), False),
    ],
)
def test_reasoning_of_another_dialect_is_found_again_in_its_envelope(signature, redacted):
    summary = [{"type": "summary_text", "text": "thought"}]
    _, turns = read({"type": "reasoning", "summary": summary, "encrypted_content": seal(signature)})
    assert turns[0].parts == (Thinking("thought", signature, summary=True, redacted=redacted),)


def test_words_of_reasoning_come_before_their_summary():
    item = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "words"}], "summary": [{"text": "sum"}]}
    assert read(item)[1][0].parts == (Thinking("words"),)
    assert read({"type": "reasoning", "summary": []})[1] == ()


def test_what_no_other_dialect_knows_stays_as_it_is_on_its_side():
    shell = {"type": "local_shell_call", "call_id": "c", "action": {}}
    output = {"type": "local_shell_call_output", "id": "c", "output": "x"}
    _, turns = read(shell, output)
    assert turns == (
        Turn("assistant", (OpaquePart(OWN, "local_shell_call", shell),)),
        Turn("user", (OpaquePart(OWN, "local_shell_call_output", output),)),
    )


def test_a_result_of_an_unheard_of_kind_is_kept_as_its_json():
    _, turns = read({"type": "function_call_output", "call_id": "c", "output": [{"type": "odd", "x": 1}]})
    assert turns[0].parts == (ToolResult("c", "", (Text('{"type":"odd","x":1}'),)),)


# ---------------------------------------------------------------------------------------------- writing


def test_turns_are_written_as_items_in_their_order():
    turns = (
        Turn("user", (Text("hi"), Image("image/png", "AAAA"))),
        Turn("assistant", (Text("a"), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "patch", "free", custom=True))),
        Turn(
            "user", (ToolResult("c1", "f", (Text("x"), Text("y"))), ToolResult("c2", "patch", (Text("z"),)), Text("?"))
        ),
        Turn("system", (Text("now"),)),
    )
    assert write_items(turns) == [
        message(
            "user",
            {"type": "input_text", "text": "hi"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        ),
        message("assistant", {"type": "output_text", "text": "a"}),
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "free"},
        {"type": "function_call_output", "call_id": "c1", "output": "x\ny"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "z"},
        message("user", {"type": "input_text", "text": "?"}),
        message("developer", {"type": "input_text", "text": "now"}),
    ]


def test_only_its_own_reasoning_goes_back_to_a_provider_and_only_before_something():
    own = Thinking("words", Signature(OWN, "c2ln", "rs_1"))
    foreign = Thinking("words", Signature("anthropic-messages", "c2ln"))
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"}
    text = message("assistant", {"type": "output_text", "text": "a"})
    assert write_items([Turn("assistant", (own, foreign, Thinking("x"), Text("a")))]) == [reasoning, text]
    assert write_items([Turn("assistant", (Text("a"), own))]) == [text]


def test_a_result_that_is_an_error_says_so_in_its_text():
    image = Image(url="https://x")
    failed = [
        ToolResult("c", "f", (Text("no such city"),), is_error=True),
        ToolResult("d", "f", (image,), is_error=True),
    ]
    first, second = write_items([Turn("user", tuple(failed))])
    assert first["output"] == "Error: no such city"
    assert second["output"][0] == {"type": "input_text", "text": "Error:"}


def test_pictures_of_an_assistant_are_shown_by_the_user():
    items = write_items([Turn("assistant", (Text("see"), Image(url="https://x")))])
    assert [item["role"] for item in items] == ["assistant", "user"]
