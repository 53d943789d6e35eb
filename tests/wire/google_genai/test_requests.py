"""GenerateContent requests: taken apart at the top for a relay, read to the end for everybody else."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.conversation import OpaqueTool, OutputFormat, Reasoning, Text, Tool, ToolChoice
from open_llm_auth.wire.google_genai import read_conversation, read_request, rewrite

HELLO = [{"role": "user", "parts": [{"text": "hi"}]}]


def body(**fields):
    return json.dumps({"contents": HELLO, **fields}).encode()


def read(**fields):
    return read_conversation(read_request(body(**fields)).envelope)


# ---------------------------------------------------------------------------------------------- the top level


def test_the_address_says_the_model_and_whether_to_stream():
    request = read_request(body(model="models/ignored", stream=True))
    assert (request.model, request.stream, request.wants_usage, request.choices) == (None, False, True, 1)


@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_the_number_of_candidates_is_read(name):
    assert read_request(body(**{name: {"candidateCount": 3}})).choices == 3


def test_a_request_goes_on_as_it_is_without_its_model():
    fields = {"contents": HELLO, "model": "models/x", "safetySettings": [{"a": 1}], "x_new": [1, 2.5]}
    sent = msgspec.json.encode(rewrite(read_request(json.dumps(fields).encode()).envelope, "m", True))
    del fields["model"]
    assert json.loads(sent) == fields
    assert list(json.loads(sent)) == list(fields)


@pytest.mark.parametrize(
    ("given_body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b"{}", "contents"),
        (b'{"contents": null}', "contents"),
        (b'{"contents": "hi"}', "contents"),
        (b'{"contents": []}', "contents"),
        (b'{"contents": {}}', "contents"),
        (b'{"contents": [ ' + b" " * 100 + b"]}", "contents"),
        (b'{"contents": [{}], "generationConfig": 1}', "generationConfig"),
        (b'{"contents": [{}], "generationConfig": {"candidateCount": "x"}}', "generationConfig.candidateCount"),
        (b'{"contents": [{}], "generationConfig": {"seed": 1e999}}', "generationConfig"),
    ],
)
def test_what_is_no_request_is_refused_by_its_field(given_body, param):
    with pytest.raises(InvalidRequest) as caught:
        read_request(given_body)
    assert caught.value.param == param


def test_a_single_content_may_stand_without_its_list():
    """Google's own examples do so."""
    one = json.dumps({"contents": {"parts": {"text": "hi"}}, "system_instruction": {"parts": {"text": "be terse"}}})
    conversation = read_conversation(read_request(one.encode()).envelope)
    assert conversation.turns[0].parts == (Text("hi"),)
    assert conversation.system == (Text("be terse"),)


# ---------------------------------------------------------------------------------------------- settings


def test_every_setting_finds_its_place():
    call = read(
        systemInstruction={"parts": [{"text": "be"}, {"text": ""}, {"text": "terse"}]},
        generationConfig={
            "maxOutputTokens": 100,
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40.0,
            "frequencyPenalty": 0.1,
            "presencePenalty": -0.1,
            "seed": 7,
            "stopSequences": ["a", "b"],
            "responseLogprobs": True,
            "logprobs": 3,
            "candidateCount": 2,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 10},
        },
        serviceTier="flex",
    )
    assert call.system == (Text("be"), Text("terse"))
    assert (call.max_tokens, call.temperature, call.top_p, call.top_k) == (100, 0.5, 0.9, 40)
    assert (call.frequency_penalty, call.presence_penalty, call.seed) == (0.1, -0.1, 7)
    assert (call.stop, call.logprobs, call.choices) == (("a", "b"), 3, 2)
    assert call.reasoning == Reasoning(enabled=True, budget=10, shown=True)
    assert (call.service_tier, call.extras) == ("flex", ())


def test_what_was_not_said_is_not_there():
    call = read()
    assert (call.max_tokens, call.temperature, call.logprobs, call.output, call.reasoning) == (None,) * 5
    assert (call.stop, call.tools, call.tool_choice, call.choices, call.stream) == ((), (), None, 1, False)


@pytest.mark.parametrize(
    ("tier", "read_as"), [("standard", "default"), ("PRIORITY", "priority"), ("unspecified", None)]
)
def test_tiers_have_their_common_names(tier, read_as):
    assert read(serviceTier=tier).service_tier == read_as


def test_fields_without_a_place_are_named():
    call = read(
        safetySettings=[],
        labels={"a": "b"},
        store=True,
        x_new=1,
        generationConfig={"responseModalities": ["TEXT"], "speech_config": {}, "responseMimeType": "text/x.enum"},
        toolConfig={"retrievalConfig": {}},
    )
    assert call.extras == (
        "safetySettings",
        "labels",
        "store",
        "xNew",
        "generationConfig.responseModalities",
        "generationConfig.speechConfig",
        "toolConfig.retrievalConfig",
        "generationConfig.responseMimeType",
    )


def test_what_google_keeps_of_a_conversation_is_not_left_out_unsaid():
    for name in ("cachedContent", "cached_content"):
        with pytest.raises(InvalidRequest, match="Send all of the conversation") as caught:
            read(**{name: "cachedContents/a"})
        assert caught.value.param == "cachedContent"


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "application/json"}, OutputFormat()),
        ({"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}, OutputFormat(SCHEMA)),
        (
            {
                "response_mime_type": "application/json",
                "response_schema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
            },
            OutputFormat(SCHEMA),
        ),
        ({"responseFormat": [{"text": {"mimeType": "application/json", "schema": SCHEMA}}]}, OutputFormat(SCHEMA)),
        ({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}, None),
    ],
)
def test_the_form_of_the_answer_is_read(config, output):
    assert read(generationConfig=config).output == output


# ---------------------------------------------------------------------------------------------- tools


def test_tools_are_functions_and_what_google_runs():
    call = read(
        tools=[
            {"functionDeclarations": [{"name": "a", "description": "A", "parameters": {"type": "OBJECT"}}]},
            {"function_declarations": [{"name": "b", "parametersJsonSchema": SCHEMA}, {"name": "c"}]},
            {"googleSearch": {}, "codeExecution": {}},
        ]
    )
    assert call.tools == (
        Tool("a", "A", {"type": "object"}),
        Tool("b", "", SCHEMA),
        Tool("c"),
        OpaqueTool("google-genai", "googleSearch", {"googleSearch": {}}),
        OpaqueTool("google-genai", "codeExecution", {"codeExecution": {}}),
    )


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({}, ToolChoice("auto")),
        ({"mode": "none"}, ToolChoice("none")),
        ({"mode": "ANY"}, ToolChoice("required")),
        ({"mode": "ANY", "allowedFunctionNames": ["a"]}, ToolChoice("tool", "a")),
        (
            {"mode": "ANY", "allowed_function_names": ["a", "b"]},
            ToolChoice("allowed", names=("a", "b"), must_call=True),
        ),
        ({"mode": "VALIDATED"}, ToolChoice("auto")),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, ToolChoice("allowed", names=("a",))),
    ],
)
def test_the_choice_of_tools_is_read(config, choice):
    assert read(toolConfig={"functionCallingConfig": config}).tool_choice == choice


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": "x"}, "tools"),
        ({"tools": [{"functionDeclarations": [{"description": "nameless"}]}]}, "tools.0.functionDeclarations.0.name"),
        (
            {"tools": [{"functionDeclarations": [{"name": "a", "parameters": "x"}]}]},
            "tools.0.functionDeclarations.0.parameters",
        ),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"systemInstruction": "be terse"}, "systemInstruction"),
        ({"systemInstruction": {"parts": [{"inlineData": {}}]}}, "systemInstruction.parts.0.text"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": "x"}}},
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.param == param


# ---------------------------------------------------------------------------------------------- nonsense

NAMES = st.sampled_from(
    ["contents", "role", "parts", "text", "thought", "thoughtSignature", "inlineData", "mimeType", "data", "fileData",
     "fileUri", "functionCall", "functionResponse", "name", "args", "id", "response", "tools", "functionDeclarations",
     "parameters", "generationConfig", "thinkingConfig", "toolConfig", "functionCallingConfig", "system_instruction"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just("user"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_no_request_breaks_the_reader(fields):
    try:
        read_conversation(read_request(json.dumps(fields).encode()).envelope)
    except InvalidRequest as error:
        assert error.message


def test_a_request_nested_out_of_all_reason_is_refused():
    deep = b'{"contents": [{"parts": [{"functionCall": {"name": "a", "args": {"a": ' + b"[" * 100_000 + b"}}}]}]}"
    with pytest.raises(InvalidRequest):
        read_conversation(read_request(deep).envelope)
