"""A chat completion request as a conversation: every field in every form, and bad ones named with their path."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.conversation import (
    CacheControl,
    Conversation,
    OpaqueTool,
    OutputFormat,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
    Turn,
)
from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.openai_chat import read_conversation, write_request

HELLO = [{"role": "user", "content": "hi"}]
HI = Conversation((Turn("user", (Text("hi"),)),), caches=True)


def read(**fields):
    return read_conversation(read_envelope(json.dumps({"model": "m", "messages": HELLO, **fields}).encode()))


@pytest.mark.parametrize(
    ("fields", "attributes"),
    [
        ({}, {}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
        ({"max_tokens": 5.0}, {"max_tokens": 5}),
        ({"temperature": 0, "top_p": 0.5, "top_k": 3}, {"temperature": 0, "top_p": 0.5, "top_k": 3}),
        (
            {"frequency_penalty": -1, "presence_penalty": 0.5, "seed": 7},
            {"frequency_penalty": -1, "presence_penalty": 0.5, "seed": 7},
        ),
        ({"stop": "END"}, {"stop": ("END",)}),
        ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
        ({"stop": ""}, {}),
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": 3}),
        ({"logprobs": False, "top_logprobs": 3}, {}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"n": 3}, {"choices": 3}),
        ({"user": "u"}, {"user": "u"}),
        ({"safety_identifier": "s"}, {"user": "s"}),
        ({"user": "u", "safety_identifier": "s"}, {"user": "u"}),
        ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
        ({"service_tier": "flex", "verbosity": "low"}, {"service_tier": "flex", "verbosity": "low"}),
        ({"prompt_cache_key": "k", "store": False}, {"prompt_cache_key": "k", "store": False}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"output": OutputFormat()}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True, "description": "d"},
                }
            },
            {"output": OutputFormat({"type": "object"}, "a", "d", strict=True)},
        ),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"output": OutputFormat(None, "answer")}),
    ],
)
def test_a_field_is_read(fields, attributes):
    assert read(**fields) == replace(HI, **attributes)


def test_null_is_as_good_as_absent():
    names = ["max_tokens", "temperature", "stop", "n", "logprobs", "tools", "tool_choice", "response_format",
             "reasoning", "thinking", "reasoning_effort", "functions", "metadata", "stream", "anything"]  # fmt: skip
    assert read(**dict.fromkeys(names)) == HI


@pytest.mark.parametrize(
    ("fields", "extras"),
    [
        ({"logit_bias": {"1": 2}, "model": "x", "stream_options": {"a": 1}}, ("logit_bias",)),
        ({"logit_bias": {}, "tags": [], "note": "", "modalities": ["text"]}, ()),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a"}}, ("modalities", "audio")),
        ({"response_format": {"type": "grammar", "value": "x"}}, ("response_format",)),
        ({"prediction": {"type": "content"}, "web_search_options": {"a": 1}}, ("prediction", "web_search_options")),
    ],
)
def test_what_has_no_place_in_a_conversation_is_named(fields, extras):
    assert read(**fields) == replace(HI, extras=extras)


# ---------------------------------------------------------------------------------------------- reasoning


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_effort": "high"}, Reasoning(effort="high")),
        ({"reasoning_effort": "none"}, Reasoning(enabled=False, effort="none")),
        ({"reasoning_effort": "default"}, None),
        ({"reasoning": {}}, None),
        ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning(effort="low", shown=False)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000)),
        ({"reasoning": {"enabled": True, "summary": "auto"}}, Reasoning(enabled=True, summary="auto")),
        ({"reasoning": {"enabled": False}}, Reasoning(enabled=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(enabled=True, budget=2048)),
        ({"thinking": {"type": "enabled"}}, Reasoning(enabled=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(adaptive=True)),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, Reasoning(effort="low")),
    ],
)
def test_reasoning_is_asked_for_in_three_dialects_of_the_dialect(fields, reasoning):
    assert read(**fields).reasoning == reasoning


# ---------------------------------------------------------------------------------------------- tools

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "function": {"name": "f"}}, Tool("f")),
        (
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}},
            Tool("f", "d", SCHEMA, strict=True),
        ),
        (
            {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Tool("f", cache=CacheControl("1h")),
        ),
        ({"type": "custom", "custom": {"name": "c", "description": "d"}}, Tool("c", "d", custom=True)),
        ({"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}, Tool("c", custom=True)),
        (
            {
                "type": "custom",
                "custom": {
                    "name": "c",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}},
                },
            },
            Tool("c", custom=True, grammar={"type": "grammar", "syntax": "lark", "definition": "start: A"}),
        ),
        ({"type": "web_search", "x": 1}, OpaqueTool("openai-chat", "web_search", {"type": "web_search", "x": 1})),
    ],
)
def test_a_tool_is_read(tool, expected):
    assert read(tools=[tool]).tools == (expected,)


def test_functions_of_the_old_form_are_tools():
    conversation = read(functions=[{"name": "f", "parameters": SCHEMA}], function_call={"name": "f"})
    assert conversation.tools == (Tool("f", parameters=SCHEMA),)
    assert conversation.tool_choice == ToolChoice("tool", "f")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", ToolChoice("none")),
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", "f")),
        ({"function": {"name": "f"}}, ToolChoice("tool", "f")),
        ({"type": "custom", "custom": {"name": "c"}}, ToolChoice("tool", "c")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "c"}},
                    ],
                },
            },
            ToolChoice("allowed", names=("f", "c"), must_call=True),
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            ToolChoice("allowed", names=("f",)),
        ),
    ],
)
def test_a_choice_of_tools_is_read(choice, expected):
    assert read(tool_choice=choice).tool_choice == expected


def test_a_choice_of_the_old_form_is_read():
    assert read(function_call="auto").tool_choice == ToolChoice("auto")


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": {}}, "messages"),
        ({"messages": None}, "messages"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": True}, "max_completion_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": False}, "temperature"),
        ({"seed": []}, "seed"),
        ({"stop": 3}, "stop"),
        ({"stop": ["a", 3]}, "stop.1"),
        ({"n": 0}, "n"),
        ({"n": "2"}, "n"),
        ({"logprobs": 3}, "logprobs"),
        ({"logprobs": True, "top_logprobs": "x"}, "top_logprobs"),
        ({"metadata": []}, "metadata"),
        ({"user": 7}, "user"),
        ({"store": "yes"}, "store"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": 3}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": "x"}}},
            "response_format.json_schema.schema",
        ),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "x"}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": "x"}}, "reasoning.max_tokens"),
        ({"reasoning": {"enabled": 1}}, "reasoning.enabled"),
        ({"reasoning": {"exclude": 1}}, "reasoning.exclude"),
        ({"thinking": []}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"tools": {}}, "tools"),
        ({"tools": [3]}, "tools.0"),
        ({"tools": [{"name": "f"}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "name": "f"}]}, "tools.0.function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": "x"}}]},
            "tools.0.function.parameters",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": "x"}}]}, "tools.0.function.strict"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools.0.custom.name"),
        ({"functions": ["f"]}, "functions.0"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.allowed_tools.tools"),
        ({"function_call": {}}, "function_call.name"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


def test_what_is_no_json_below_the_top_level_is_named():
    with pytest.raises(InvalidRequest) as caught:
        read_conversation({"messages": msgspec.Raw(b'[{"role": "user", "content": "half a pair: \\ud800"}]')})
    assert caught.value.param == "messages"


def test_a_message_nested_without_end_is_refused():
    body = b'{"messages": [{"role": "user", "content": ' + b"[" * 5000 + b"]" * 5000 + b"}]}"
    with pytest.raises(InvalidRequest):
        read_conversation(read_envelope(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "text", "function", "name", "arguments", "id", "tool_calls", "tool_call_id",
             "image_url", "url", "file", "file_data", "input_audio", "reasoning_details", "custom", "cache_control",
             "json_schema", "schema", "allowed_tools", "tools", "format", "grammar", "effort", "signature", "index"]
        ),
        inner | st.sampled_from(["user", "assistant", "tool", "function", "text", "image_url", "file", "custom"]),
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
NAMES = st.sampled_from(
    ["messages", "tools", "functions", "tool_choice", "function_call", "stop", "n", "logprobs", "response_format",
     "reasoning", "thinking", "reasoning_effort", "max_tokens", "metadata", "user", "anything"]
)  # fmt: skip


@given(st.dictionaries(NAMES, JSON), st.lists(JSON, max_size=4))
def test_any_request_is_read_or_refused_and_what_is_read_can_be_written(fields, messages):
    body = json.dumps({"messages": [*HELLO, *messages], **fields}).encode()
    try:
        conversation = read_conversation(read_envelope(body))
    except InvalidRequest as error:
        assert error.message
        return
    json.dumps(write_request(conversation, "m"))
