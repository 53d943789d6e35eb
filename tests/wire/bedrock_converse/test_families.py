"""What is known of the models behind Converse by their names, and what is carried to each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.bedrock_converse import DIALECT, LIMITS, limits_of, write_request
from open_llm_auth.wire.bedrock_converse.families import family_of
from open_llm_auth.wire.carrying import FEATURES, Feature, check_carried, features_of
from open_llm_auth.wire.conversation import (
    Audio,
    CacheControl,
    Conversation,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.events import Signature

SONNET_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
SONNET_45 = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_46 = "global.anthropic.claude-opus-4-6-v1"
OPUS_47 = "us.anthropic.claude-opus-4-7"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"


@pytest.mark.parametrize(
    ("model", "caching", "top_k", "reasoning", "sampling", "schemas"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "everywhere", ("top_k",), "none", "both", False),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "everywhere", ("top_k",), "claude", "both", False),
        (SONNET_4, "everywhere", ("top_k",), "claude", "both", False),
        ("anthropic.claude-opus-4-1-20250805-v1:0", "everywhere", ("top_k",), "claude", "one", False),
        (SONNET_45, "everywhere", ("top_k",), "claude", "one", True),
        (OPUS_46, "everywhere", ("top_k",), "claude", "one", True),
        (OPUS_47, "everywhere", (), "claude", "none", True),
        (
            f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{OPUS_47}",
            "everywhere",
            (),
            "claude",
            "none",
            True,
        ),
        ("us.amazon.nova-pro-v1:0", "prompt", ("inferenceConfig", "topK"), "none", "both", False),
        ("us.amazon.nova-2-lite-v1:0", "prompt", ("inferenceConfig", "topK"), "nova", "both", False),
        ("openai.gpt-oss-120b-1:0", "none", (), "effort", "both", True),
        ("mistral.mistral-large-2402-v1:0", "none", ("top_k",), "none", "both", False),
        ("cohere.command-r-plus-v1:0", "none", ("k",), "none", "both", False),
        ("meta.llama3-3-70b-instruct-v1:0", "none", (), "none", "both", False),
        (PROFILE, "none", (), "none", "both", True),
        ("sample-model", "none", (), "none", "both", True),
    ],
)
def test_a_model_is_known_by_its_name(
    model: str, caching: str, top_k: tuple[str, ...], reasoning: str, sampling: str, schemas: bool
) -> None:
    family = family_of(model)
    assert (family.caching, family.top_k, family.reasoning) == (caching, top_k, reasoning)
    assert (family.sampling, family.schemas) == (sampling, schemas)


# ---------------------------------------------------------------------------------------------- what is carried

MARK = "marker7f3a"
ASK = Turn("user", (Text("hi"),))
CALLED = Turn("assistant", (ToolCall("c1", "f"),))
F = Tool("f", parameters={"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False})
SCHEMA = {"type": "object", "properties": {MARK: {"type": "string"}}, "additionalProperties": False}


def asks(*parts: Part, **settings: Any) -> Conversation:
    return Conversation((Turn("user", (Text("hi"), *parts)),), **settings)


def answered(result: ToolResult) -> Conversation:
    return Conversation((ASK, CALLED, Turn("user", (result,))), tools=(F,))


def with_tool(**fields: Any) -> Conversation:
    return Conversation((ASK,), tools=(Tool(**{"name": "f", "parameters": F.parameters} | fields),))


#: A call that makes use of each feature, and what is in the body when it is carried: a marker, or a piece of JSON.
CASES: dict[Feature, tuple[Conversation, str]] = {
    "audio": (asks(Audio(MARK, "mp3")), MARK),
    "cache_control": (Conversation((Turn("user", (Text("hi", CacheControl()),)),)), "cachePoint"),
    "citations": (asks(Document(text=MARK, citations=True)), '"citations":{"enabled":true}'),
    "custom_tool": (with_tool(name=MARK, custom=True, parameters=None), MARK),
    "custom_tool_grammar": (with_tool(custom=True, grammar={"syntax": MARK}), MARK),
    "document": (asks(Document("application/pdf", MARK)), MARK),
    "document_file_id": (asks(Document("application/pdf", file_id=MARK)), MARK),
    "document_url": (asks(Document("application/pdf", url=MARK)), MARK),
    "frequency_penalty": (asks(frequency_penalty=0.4375), "0.4375"),
    "image": (asks(Image("image/png", MARK)), MARK),
    "image_file_id": (asks(Image(file_id=MARK)), MARK),
    "image_url": (asks(Image(url=MARK)), MARK),
    "json_object": (asks(output=OutputFormat()), "one JSON object"),
    "json_schema": (asks(output=OutputFormat(SCHEMA)), MARK),
    "logprobs": (asks(logprobs=17), "17"),
    "max_tokens": (asks(max_tokens=31_337), "31337"),
    "metadata": (asks(metadata={"key": MARK}), MARK),
    "mid_conversation_system": (Conversation((ASK, Turn("system", (Text(MARK),)))), MARK),
    "n": (asks(choices=17), "17"),
    "parallel_tool_calls": (Conversation((ASK,), tools=(F,), parallel_tool_calls=False), "disable_parallel_tool_use"),
    "presence_penalty": (asks(presence_penalty=0.4375), "0.4375"),
    "prompt_cache_key": (asks(prompt_cache_key=MARK), "cachePoint"),
    "provider_tool": (Conversation((ASK,), tools=(OpaqueTool("x", "web", {"type": MARK}),)), MARK),
    "reasoning_budget": (asks(reasoning=Reasoning(budget=4321)), "4321"),
    "reasoning_effort": (asks(reasoning=Reasoning(effort="high")), "high|budget_tokens"),
    "reasoning_replay": (
        Conversation((ASK, Turn("assistant", (Thinking(MARK, Signature("bedrock-converse", "c2ln")), Text("x"))), ASK)),
        MARK,
    ),
    "refusal": (Conversation((ASK, Turn("assistant", (Refusal(MARK),)), ASK)), MARK),
    "seed": (asks(seed=1717), "1717"),
    "service_tier": (asks(service_tier="flex"), "flex"),
    "stop": (asks(stop=(MARK,)), MARK),
    "store": (asks(store=True), "store"),
    "strict_tool": (with_tool(strict=True), '"strict":true'),
    "temperature": (asks(temperature=0.4375), "0.4375"),
    "tool_choice_allowed": (
        Conversation((ASK,), tools=(F, Tool(MARK)), tool_choice=ToolChoice("allowed", names=(MARK,))),
        MARK,
    ),
    "tool_choice_none": (
        Conversation(
            (ASK, CALLED, Turn("user", (ToolResult("c1", "f", (Text("x"),)),))),
            tools=(F,),
            tool_choice=ToolChoice("none"),
        ),
        "none|Do not call a tool",
    ),
    "tool_choice_required": (Conversation((ASK,), tools=(F,), tool_choice=ToolChoice("required")), '{"any":{}}'),
    "tool_choice_tool": (
        Conversation((ASK,), tools=(F,), tool_choice=ToolChoice("tool", "f")),
        '{"tool":{"name":"f"}}',
    ),
    "tool_result_document": (answered(ToolResult("c1", "f", (Document("application/pdf", MARK),))), MARK),
    "tool_result_error": (answered(ToolResult("c1", "f", (Text("x"),), is_error=True)), '"status":"error"'),
    "tool_result_image": (answered(ToolResult("c1", "f", (Image("image/png", MARK),))), MARK),
    "tools": (with_tool(name=MARK), MARK),
    "top_k": (asks(top_k=1717), "1717"),
    "top_p": (asks(top_p=0.4375), "0.4375"),
    "unknown_field": (asks(extras=(MARK,)), MARK),
    "unknown_item": (asks(OpaquePart("x", "what", {"type": MARK})), MARK),
    "user": (asks(user=MARK), MARK),
    "verbosity": (asks(verbosity=MARK), MARK),
}


@pytest.mark.parametrize("model", ["sample-model", SONNET_4, SONNET_45, OPUS_46, "amazon.nova-lite-v1:0"])
@pytest.mark.parametrize("feature", FEATURES)
def test_what_the_table_says_is_what_is_written(feature: Feature, model: str) -> None:
    conversation, marker = CASES[feature]
    assert feature in set(features_of(conversation))
    handling = limits_of(conversation, model).get(feature)
    try:
        body = msgspec.json.encode(write_request(conversation, model)).decode()
    except InvalidRequest:
        assert handling in ("refused", "fetched")
        return
    found = any(each in body for each in marker.split("|"))
    assert found == (handling not in ("dropped", "refused", "fetched"))


@pytest.mark.parametrize("feature", ["temperature", "top_p", "top_k"])
def test_the_newest_models_choose_their_words_by_themselves(feature: Feature) -> None:
    conversation, marker = CASES[feature]
    assert limits_of(conversation, OPUS_47)[feature] == "dropped"
    assert marker not in msgspec.json.encode(write_request(conversation, OPUS_47)).decode()


def test_the_table_of_the_dialect_is_that_of_a_model_nobody_knows() -> None:
    side = DIALECT.provider
    assert side is not None
    assert side.limits == LIMITS == limits_of(asks(), "sample-model")
    assert side.limits_of is limits_of


@pytest.mark.parametrize("model", ["sample-model", SONNET_45])
def test_several_answers_at_once_are_refused(model: str) -> None:
    call = asks(choices=2)
    with pytest.raises(InvalidRequest) as caught:
        check_carried(call, limits_of(call, model), target="bedrock-converse", strict=False)
    assert caught.value.param == "n"


def test_thinking_that_has_to_be_off_is_dropped_and_said_so() -> None:
    lost = answered(ToolResult("c1", "f", (Text("x"),)))
    for model, handling in ((SONNET_45, "dropped"), (OPUS_46, "adapted")):
        call = replace(lost, reasoning=Reasoning(budget=2048))
        assert limits_of(call, model)["reasoning_budget"] == handling
        assert limits_of(lost, model)["reasoning_budget"] == "adapted"
