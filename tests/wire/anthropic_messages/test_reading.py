"""Whole requests, read into a conversation; every part that can be wrong is named by its path."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.anthropic_messages import read_conversation, read_count_request
from open_llm_auth.wire.conversation import (
    CacheControl,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.signatures import seal, seal_call_id

NAME = "anthropic-messages"
HELLO = [{"role": "user", "content": "hi"}]
CLIENTS = Path(__file__).parents[2] / "golden" / "requests" / "anthropic-messages"


def read(**fields):
    body = json.dumps({"model": "m", "max_tokens": 5, "messages": HELLO, **fields}).encode()
    return read_conversation(read_count_request(body).envelope)


def parts(*blocks, role="user"):
    return read(messages=[{"role": role, "content": list(blocks)}]).turns[0].parts


def part(block):
    return parts(block)[0]


# ---------------------------------------------------------------------------------------------- messages


def test_a_string_is_a_text():
    assert read().turns == (Turn("user", (Text("hi"),)),)


def test_system_is_a_string_or_blocks():
    assert read(system="be brief").system == (Text("be brief"),)
    blocks = [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "b"},
    ]
    assert read(system=blocks).system == (Text("a", CacheControl("1h")), Text("b"))
    assert read(system=None).system == read(system="").system == ()


def test_the_billing_text_of_claude_code_is_no_instruction():
    billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.fa0; cc_entrypoint=sdk-cli;"}
    assert read(system=[billing, {"type": "text", "text": "You help."}]).system == (Text("You help."),)


def test_a_system_message_in_the_middle_keeps_its_place():
    turns = read(messages=[*HELLO, {"role": "system", "content": "be brief"}]).turns
    assert turns[1] == Turn("system", (Text("be brief"),))


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": "a", "citations": None}, Text("a")),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text("a", CacheControl())),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            Image("image/png", "AA=="),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://a/b"}}, Image(url="https://a/b")),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, Image(file_id="file_1")),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "T",
            },
            Document("application/pdf", "AA==", name="T"),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                "citations": {"enabled": True},
            },
            Document("text/plain", text="words", citations=True),
        ),
        (
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
            },
            Document("text/plain", text="a\nb"),
        ),
        ({"type": "document", "source": {"type": "content", "content": "words"}}, Document("text/plain", text="words")),
        ({"type": "document", "source": {"type": "url", "url": "https://a/b"}}, Document(url="https://a/b")),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}, "context": None}, Document(file_id="f")),
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "https://a",
                "content": [{"type": "text", "text": "found"}],
            },
            Text("T\nhttps://a\n\nfound"),
        ),
        ({"type": "tool_use", "id": "c", "name": "t", "input": {"a": "ü"}}, ToolCall("c", "t", '{"a":"ü"}')),
        ({"type": "tool_use", "id": "c", "name": "t"}, ToolCall("c", "t", "{}")),
        ({"type": "tool_result", "tool_use_id": "c"}, ToolResult("c", "")),
        (
            {"type": "tool_result", "tool_use_id": "c", "content": "r", "is_error": True},
            ToolResult("c", "", (Text("r"),), is_error=True),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thinking("hm", Signature(NAME, "s"))),
        ({"type": "thinking", "thinking": "", "signature": "s"}, Thinking("", Signature(NAME, "s"))),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, Thinking("hm")),
        ({"type": "thinking", "thinking": "hm"}, Thinking("hm")),
        ({"type": "redacted_thinking", "data": "d"}, Thinking(signature=Signature(NAME, "d"), redacted=True)),
    ],
    ids=str,
)
def test_a_block_is_a_part(block, expected):
    assert part(block) == expected


@pytest.mark.parametrize(
    "kind", ["server_tool_use", "web_search_tool_result", "mcp_tool_use", "container_upload", "compaction"]
)
def test_a_block_that_only_anthropic_knows_stays_whole(kind):
    block = {"type": kind, "id": "srv", "more": [1]}
    assert part(block) == OpaquePart(NAME, kind, block)


def test_a_result_may_hold_images_documents_and_more():
    image = {"type": "image", "source": {"type": "url", "url": "https://a"}}
    document = {"type": "document", "source": {"type": "text", "data": "d"}}
    found = {"type": "search_result", "title": "T", "source": "s", "content": []}
    odd = {"type": "tool_reference", "tool_name": "x"}
    result = part({"type": "tool_result", "tool_use_id": "c", "content": [image, document, found, odd]})
    assert result.parts == (
        Image(url="https://a"),
        Document("text/plain", text="d"),
        Text("T\ns\n\n"),
        Text('{"type":"tool_reference","tool_name":"x"}'),
    )


def test_a_result_knows_the_name_of_its_tool():
    turns = read(
        messages=[
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "look", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
        ]
    ).turns
    assert turns[1].parts[0].name == "look"


def test_signatures_of_others_come_back_out_of_their_envelopes():
    gemini, codex = Signature("google-genai", "sig"), Signature("openai-responses", "enc", "rs_1")
    sealed = seal_call_id("c", gemini)
    found = parts(
        {"type": "thinking", "thinking": "hm", "signature": seal(codex)},
        {"type": "redacted_thinking", "data": seal(codex)},
        {"type": "tool_use", "id": sealed, "name": "t", "input": {}},
        {"type": "tool_result", "tool_use_id": sealed},
    )
    assert found == (
        Thinking("hm", codex),
        Thinking(signature=codex, redacted=True),
        ToolCall("c", "t", signature=gemini),
        ToolResult("c", "t"),
    )


# ---------------------------------------------------------------------------------------------- settings


def test_settings_are_read():
    conversation = read(
        temperature=0.5,
        top_p=1,
        top_k=3,
        stop_sequences=["STOP"],
        metadata={"user_id": "u", "more": 1},
        service_tier="standard_only",
        stream=True,
    )
    assert (conversation.max_tokens, conversation.temperature, conversation.top_p, conversation.top_k) == (5, 0.5, 1, 3)
    assert (conversation.stop, conversation.user, conversation.metadata) == (("STOP",), "u", {"more": 1})
    assert (conversation.service_tier, conversation.stream, conversation.extras) == ("default", True, ())


def test_fields_of_the_way_are_no_extras_and_all_others_are():
    conversation = read(betas=["x"], context_management={}, container="c", mcp_servers=[], speed=None)
    assert conversation.extras == ("context_management", "container", "mcp_servers")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(True, budget=2048)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(True, adaptive=True, shown=False)),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
            Reasoning(True, "high", adaptive=True, shown=True),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Reasoning(False)),
        ({"thinking": {"type": "between_tools"}}, Reasoning(False)),
    ],
    ids=str,
)
def test_thinking_is_reasoning(fields, expected):
    assert read(**fields).reasoning == expected


def test_thinking_of_a_new_kind_is_an_extra():
    assert read(thinking={"type": "quantum"}, speed="fast").extras == ("speed", "thinking")


@pytest.mark.parametrize("field", ["output_format", "output_config"])
def test_a_schema_is_an_output_format(field):
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    given = {"output_format": wanted} if field == "output_format" else {"output_config": {"format": wanted}}
    assert read(**given).output == OutputFormat({"type": "object"})


def test_tools_are_functions_or_opaque():
    schema = {"type": "object"}
    tools = [
        {"name": "a", "description": "d", "input_schema": schema, "strict": True, "eager_input_streaming": True},
        {"type": "custom", "name": "b", "input_schema": schema, "cache_control": {"type": "ephemeral"}},
        {"name": "c", "description": None},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
    ]
    assert read(tools=tools).tools == (
        Tool("a", "d", schema, strict=True),
        Tool("b", parameters=schema, cache=CacheControl()),
        Tool("c"),
        OpaqueTool(NAME, "web_search_20250305", tools[3]),
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, (ToolChoice("auto"), None)),
        ({"type": "any", "disable_parallel_tool_use": True}, (ToolChoice("required"), False)),
        ({"type": "tool", "name": "t", "disable_parallel_tool_use": False}, (ToolChoice("tool", "t"), True)),
        ({"type": "none"}, (ToolChoice("none"), None)),
        (None, (None, None)),
    ],
    ids=str,
)
def test_a_tool_choice_is_read(choice, expected):
    conversation = read(tool_choice=choice)
    assert (conversation.tool_choice, conversation.parallel_tool_calls) == expected


def test_a_cache_mark_on_the_request_stands_at_its_last_part():
    messages = [*HELLO, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    turns = read(messages=messages, cache_control={"type": "ephemeral", "ttl": "1h"}).turns
    assert [turn.parts[-1].cache for turn in turns] == [None, None, CacheControl("1h")]
    thought = [{"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": "s"}]}]
    assert read(messages=thought, cache_control={"type": "ephemeral"}).turns[0].parts == (
        Thinking("a", Signature(NAME, "s")),
    )


# ---------------------------------------------------------------------------------------------- faults

USE = {"type": "tool_use", "id": "c", "name": "t", "input": {}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [{"content": "a"}]}, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
        ({"messages": [*HELLO, {"role": "user", "content": 3}]}, "messages.1.content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "x"}}]}]},
            "messages.0.content.0.source.type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]},
            "messages.0.content.0.source.type",
        ),
        ({"messages": [{"role": "user", "content": [{**USE, "id": None}]}]}, "messages.0.content.0.id"),
        ({"messages": [{"role": "user", "content": [{**USE, "input": "{}"}]}]}, "messages.0.content.0.input"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages.0.content.0.tool_use_id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [1]}]}]},
            "messages.0.content.0.content.0",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": 1}]}]},
            "messages.0.content.0.thinking",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": 1}]}]},
            "messages.0.content.0.cache_control",
        ),
        ({"system": 3}, "system"),
        ({"system": ["a"]}, "system.0"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools.0"),
        ({"tools": [{}]}, "tools.0.name"),
        ({"tools": [{"name": ""}]}, "tools.0.name"),
        ({"tools": [{"name": "a", "input_schema": 1}]}, "tools.0.input_schema"),
        ({"tools": [{"type": 1}]}, "tools.0.type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "x"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": True}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"output_config": 1}, "output_config"),
        ({"output_config": {"effort": 1}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences.0"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_k": 1.5}, "top_k"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"metadata": []}, "metadata"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_wrong_is_named_by_its_path(fields, param):
    with pytest.raises(InvalidRequest) as refused:
        read(**fields)
    assert refused.value.param == param


def test_a_half_character_is_refused_and_not_a_traceback():
    body = b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"\\ud800"}]}'
    with pytest.raises(InvalidRequest):
        read_conversation(read_count_request(body).envelope)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "text",
                    "source",
                    "content",
                    "id",
                    "tool_use_id",
                    "name",
                    "input",
                    "role",
                    "data",
                    "signature",
                    "format",
                ]
            ),
            inner
            | st.sampled_from(["text", "image", "document", "tool_use", "tool_result", "thinking", "user", "base64"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = ["system", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "cache_control"]


@given(st.lists(JSON, min_size=1, max_size=3), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
def test_whatever_comes_is_read_or_refused(messages, fields):
    try:
        read(messages=messages, **fields)
    except InvalidRequest as error:
        assert error.param
