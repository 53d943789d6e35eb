"""A conversation as a request of Converse; a whole one must also satisfy botocore's model of the service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.testing.answers import Seal
from open_llm_auth.testing.bedrock_rules import check_call
from open_llm_auth.wire.bedrock_converse import write_request
from open_llm_auth.wire.conversation import (
    CacheControl,
    Conversation,
    Document,
    Image,
    OutputFormat,
    Part,
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

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
OLDER = "anthropic.claude-sonnet-4-20250514-v1:0"
NEWER = "anthropic.claude-opus-4-7"
NOVA = "amazon.nova-lite-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
SEAL = Seal("bedrock")
THOUGHT = Thinking("I should look.", Signature("bedrock-converse", SEAL.sign("I should look.")))
WEATHER = Tool(
    "get_weather",
    "Says the weather",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
)
CALL = ToolCall("call_paris", "get_weather", '{"city":"Paris"}')
RESULT = ToolResult("call_paris", "get_weather", (Text("21 C, sunny"),))


def user(*parts: Part | str) -> Turn:
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Turn:
    return replace(user(*parts), role="assistant")


def called(*parts: Part) -> Conversation:
    """A conversation that ends with the result of a call that `parts` led to."""
    return Conversation((user("Weather?"), assistant(*parts, CALL), user(RESULT)), tools=(WEATHER,))


def body(conversation: Conversation, model: str = CLAUDE) -> Any:
    document = msgspec.json.decode(msgspec.json.encode(write_request(conversation, model)))
    check_call(document, model, SEAL)
    return document


def messages(conversation: Conversation, model: str = CLAUDE) -> Any:
    return body(conversation, model)["messages"]


# ---------------------------------------------------------------------------------------------- messages


def test_a_plain_call_says_no_more_than_it_must() -> None:
    call = Conversation((user("What is the weather?"),), (Text("You are terse."),), max_tokens=100, temperature=0.5)
    assert body(call) == {
        "messages": [{"role": "user", "content": [{"text": "What is the weather?"}]}],
        "system": [{"text": "You are terse."}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5},
    }


def test_turns_of_one_role_are_one_message() -> None:
    call = Conversation((user("a"), user("b"), assistant("c"), assistant("d"), user("e")))
    assert [(m["role"], [b["text"] for b in m["content"]]) for m in messages(call)] == [
        ("user", ["a", "b"]),
        ("assistant", ["c", "d"]),
        ("user", ["e"]),
    ]


def test_turns_that_say_nothing_do_not_part_those_around_them() -> None:
    call = Conversation((user("a"), assistant(" ", Thinking("unsigned")), user("", "b")))
    assert messages(call) == [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]


def test_a_greeting_of_the_assistant_has_something_before_it() -> None:
    assert [message["role"] for message in messages(Conversation((assistant("Hello!"), user("hi"))))] == [
        "user",
        "assistant",
        "user",
    ]


@pytest.mark.parametrize("turns", [(), (user(),), (user(" "), assistant(""))])
def test_nothing_to_say_is_refused(turns: tuple[Turn, ...]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        write_request(Conversation(turns), CLAUDE)
    assert caught.value.param == "messages"


def test_results_come_first_whatever_was_said_meanwhile() -> None:
    call = called()
    said = Turn("system", (Text("Be quick."),))
    call = replace(call, turns=(*call.turns[:2], user("Well?"), said, *call.turns[2:]))
    assert [next(iter(block)) for block in messages(call)[-1]["content"]] == ["toolResult", "text", "text"]
    assert messages(call)[-1]["content"][2] == {"text": "<system>\nBe quick.\n</system>"}


def test_a_document_without_words_gets_its_name_for_words() -> None:
    document = Document("application/pdf", "AA==", name="report.pdf")
    assert messages(Conversation((user(document),)))[0]["content"][-1] == {"text": "report pdf"}
    assert len(messages(Conversation((user("read", document),)))[0]["content"]) == 2


def test_everything_at_once_is_what_the_service_takes() -> None:
    call = Conversation(
        (
            user("Look", Image("image/png", "AA=="), Document("text/plain", "AA==", name="a.txt")),
            assistant(THOUGHT, "Let me look.", CALL, ToolCall("call_berlin", "get_weather")),
            user(
                RESULT, ToolResult("call_berlin", "get_weather", (Image("image/png", "AA=="),), is_error=True), "And?"
            ),
        ),
        (Text("Be terse.", CacheControl()), Text(" ")),
        (replace(WEATHER, cache=CacheControl("1h"), strict=True),),
        ToolChoice("auto"),
        parallel_tool_calls=False,
        max_tokens=4000,
        temperature=1.7,
        top_p=0.9,
        top_k=40,
        stop=("STOP",),
        output=OutputFormat({"type": "object", "properties": {"a": {"type": "string"}}}, "weather", "The weather"),
        reasoning=Reasoning(budget=2048),
        service_tier="priority",
        metadata={"team": "a|b", "trace": "x" * 300, "number": 7},
    )
    assert body(call)["requestMetadata"] == {"team": "a_b", "trace": "x" * 256}
    for model in (OLDER, NEWER, NOVA, LLAMA, "amazon.nova-2-lite-v1:0", "openai.gpt-oss-20b-1:0"):
        body(call, model)


# ---------------------------------------------------------------------------------------------- settings


def test_temperature_ends_at_one() -> None:
    assert body(Conversation((user("hi"),), temperature=1.7))["inferenceConfig"] == {"temperature": 1.0}


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (OLDER, {"temperature": 0.5, "topP": 0.9}),
        (CLAUDE, {"temperature": 0.5}),
        (NOVA, {"temperature": 0.5, "topP": 0.9}),
    ],
)
def test_models_that_take_one_of_them_get_the_temperature(model: str, config: object) -> None:
    call = Conversation((user("hi"),), temperature=0.5, top_p=0.9)
    assert body(call, model)["inferenceConfig"] == config
    assert "inferenceConfig" not in body(call, NEWER)
    assert body(replace(call, temperature=None), CLAUDE)["inferenceConfig"] == {"topP": 0.9}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (CLAUDE, {"top_k": 40}),
        (NOVA, {"inferenceConfig": {"topK": 40}}),
        ("cohere.command-r-v1:0", {"k": 40}),
        (LLAMA, None),
        (NEWER, None),
    ],
)
def test_top_k_has_the_place_that_the_model_knows(model: str, fields: object) -> None:
    assert body(Conversation((user("hi"),), top_k=40), model).get("additionalModelRequestFields") == fields


def test_claude_is_asked_which_stop_sequence_it_met() -> None:
    call = Conversation((user("hi"),), stop=("STOP",))
    assert body(call)["inferenceConfig"] == {"stopSequences": ["STOP"]}
    assert body(call)["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert "additionalModelResponseFieldPaths" not in body(call, NOVA)


@pytest.mark.parametrize(
    ("tier", "written"),
    [
        ("flex", "flex"),
        ("priority", "priority"),
        ("default", "default"),
        ("standard_only", "default"),
        ("auto", None),
        ("scale", None),
    ],
)
def test_service_tiers_have_their_names(tier: str, written: str | None) -> None:
    told = body(Conversation((user("hi"),), service_tier=tier)).get("serviceTier")
    assert told == (None if written is None else {"type": written})


def test_metadata_is_at_most_sixteen_plain_pairs() -> None:
    call = Conversation((user("hi"),), metadata={f"k{number}": "v" for number in range(20)})
    assert len(body(call)["requestMetadata"]) == 16


def test_a_schema_is_told_in_the_form_that_the_model_knows() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    call = Conversation((user("hi"),), output=OutputFormat(schema, "weather"))
    form = body(call)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert form["name"] == "weather"
    assert msgspec.json.decode(form["schema"]) == {**schema, "additionalProperties": False}
    assert "system" not in body(call)
    for model in (OLDER, NOVA, LLAMA):
        assert "outputConfig" not in body(call, model)
        assert '"city"' in body(call, model)["system"][-1]["text"]
    free = replace(call, output=OutputFormat({"type": "object"}))
    assert "outputConfig" not in body(free)
    assert "JSON schema" in body(free)["system"][-1]["text"]


def test_any_json_object_is_asked_for_in_words_behind_the_cache() -> None:
    call = Conversation((user("hi"),), (Text("Be terse.", CacheControl()),), output=OutputFormat())
    assert [next(iter(block)) for block in body(call)["system"]] == ["text", "cachePoint", "text"]


# ---------------------------------------------------------------------------------------------- tools


def test_tools_are_told_with_their_schemas() -> None:
    call = Conversation((user("hi"),), tools=(WEATHER, Tool("bare"), Tool("free", custom=True)))
    specs = [tool["toolSpec"] for tool in body(call)["toolConfig"]["tools"]]
    assert specs[0] == {
        "name": "get_weather",
        "description": "Says the weather",
        "inputSchema": {"json": WEATHER.parameters},
    }
    assert specs[1] == {"name": "bare", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert specs[2]["inputSchema"]["json"]["required"] == ["input"]
    assert "toolChoice" not in body(call)["toolConfig"]


def test_raw_schemas_are_told_as_they_are() -> None:
    raw = Tool("f", parameters=msgspec.Raw(b'{"type":"object","properties":{"n":{"const":1.10}}}'))
    assert b'"const":1.10' in msgspec.json.encode(write_request(Conversation((user("hi"),), tools=(raw,)), CLAUDE))


@pytest.mark.parametrize(("model", "strict"), [(CLAUDE, True), (OLDER, False), (NOVA, False), ("sample-model", False)])
def test_a_tool_is_strict_where_the_model_knows_it(model: str, strict: bool) -> None:
    (tool,) = body(Conversation((user("hi"),), tools=(replace(WEATHER, strict=True),)), model)["toolConfig"]["tools"]
    assert tool["toolSpec"].get("strict", False) is strict


def test_a_cache_point_stands_behind_a_tool_where_the_model_knows_it() -> None:
    call = Conversation((user("hi"),), tools=(replace(WEATHER, cache=CacheControl()), Tool("g")))
    assert [next(iter(tool)) for tool in body(call)["toolConfig"]["tools"]] == ["toolSpec", "cachePoint", "toolSpec"]
    assert len(body(call, NOVA)["toolConfig"]["tools"]) == 2


@pytest.mark.parametrize(
    ("choice", "parallel", "said", "own"),
    [
        (ToolChoice("auto"), None, None, None),
        (ToolChoice("required"), None, {"any": {}}, None),
        (ToolChoice("tool", "get_weather"), None, {"tool": {"name": "get_weather"}}, None),
        (ToolChoice("allowed", names=("get_weather",), must_call=True), None, {"any": {}}, None),
        (None, False, None, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("required"), False, None, {"type": "any", "disable_parallel_tool_use": True}),
        (
            ToolChoice("tool", "get_weather"),
            False,
            None,
            {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
        ),
        (None, True, None, None),
    ],
)
def test_a_choice_is_told_in_one_place(
    choice: ToolChoice | None, parallel: bool | None, said: object, own: object
) -> None:
    call = Conversation((user("hi"),), tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=parallel)
    document = body(call)
    assert document["toolConfig"].get("toolChoice") == said
    assert document.get("additionalModelRequestFields", {}).get("tool_choice") == own
    assert "additionalModelRequestFields" not in body(call, NOVA)


def test_allowed_tools_are_the_ones_that_are_told() -> None:
    call = Conversation((user("hi"),), tools=(WEATHER, Tool("g")), tool_choice=ToolChoice("allowed", names=("g",)))
    assert [tool["toolSpec"]["name"] for tool in body(call)["toolConfig"]["tools"]] == ["g"]


def test_no_tool_may_be_called_where_none_is_told() -> None:
    call = Conversation((user("hi"),), tools=(WEATHER,), tool_choice=ToolChoice("none"))
    assert "toolConfig" not in body(call)


def test_a_history_of_calls_keeps_its_tools_though_none_may_be_called() -> None:
    call = replace(called(), tool_choice=ToolChoice("none"))
    assert body(call)["toolConfig"]["tools"][0]["toolSpec"]["name"] == "get_weather"
    assert body(call)["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}
    assert "system" not in body(call)
    assert body(call, NOVA)["system"] == [{"text": "Answer in words. Do not call a tool."}]


def test_a_history_of_calls_without_tools_gets_those_it_names() -> None:
    call = replace(called(), tools=())
    assert [tool["toolSpec"]["name"] for tool in body(call)["toolConfig"]["tools"]] == ["get_weather"]
    assert body(call)["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}


# ---------------------------------------------------------------------------------------------- reasoning


def thinking_of(call: Conversation, model: str = CLAUDE) -> Any:
    return body(call, model).get("additionalModelRequestFields", {}).get("thinking")


def test_a_budget_is_asked_of_claude_and_leaves_the_rest_out() -> None:
    call = Conversation(
        (user("hi"),),
        reasoning=Reasoning(enabled=True, budget=2048),
        temperature=0.2,
        top_p=0.9,
        top_k=9,
        max_tokens=9000,
    )
    document = body(call)
    assert document["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert document["inferenceConfig"] == {"maxTokens": 9000}


def test_a_budget_is_less_than_the_limit_of_tokens() -> None:
    call = Conversation((user("hi"),), reasoning=Reasoning(budget=2048), max_tokens=100)
    document = body(call)
    assert document["inferenceConfig"]["maxTokens"] > 2048
    assert "maxTokens" not in body(replace(call, max_tokens=None)).get("inferenceConfig", {})


def test_an_effort_is_asked_of_the_newer_models_in_converses_own_field() -> None:
    document = body(Conversation((user("hi"),), reasoning=Reasoning(effort="medium")), NEWER)
    assert document["outputConfig"] == {"effort": "medium"}
    assert document["additionalModelRequestFields"]["thinking"]["type"] == "adaptive"


@pytest.mark.parametrize(
    ("model", "reasoning", "fields"),
    [
        (
            "amazon.nova-2-lite-v1:0",
            Reasoning(effort="minimal"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
        ),
        (
            "amazon.nova-2-lite-v1:0",
            Reasoning(effort="xhigh"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
        ),
        ("openai.gpt-oss-120b-1:0", Reasoning(budget=1000), {"reasoning_effort": "low"}),
        ("openai.gpt-oss-120b-1:0", Reasoning(budget=8192), {"reasoning_effort": "medium"}),
        ("openai.gpt-oss-120b-1:0", Reasoning(budget=50_000), {"reasoning_effort": "high"}),
        ("openai.gpt-oss-120b-1:0", Reasoning(enabled=True), {"reasoning_effort": "medium"}),
        ("openai.gpt-oss-120b-1:0", Reasoning(enabled=False), None),
        ("openai.gpt-oss-120b-1:0", Reasoning(effort="none"), None),
        ("openai.gpt-oss-120b-1:0", Reasoning(budget=0), None),
        ("openai.gpt-oss-120b-1:0", Reasoning(summary="auto"), None),
        (LLAMA, Reasoning(effort="high"), None),
        ("anthropic.claude-3-haiku-20240307-v1:0", Reasoning(effort="high"), None),
    ],
)
def test_each_family_is_asked_in_its_own_fields(model: str, reasoning: Reasoning, fields: object) -> None:
    call = Conversation((user("hi"),), reasoning=reasoning)
    assert body(call, model).get("additionalModelRequestFields") == fields


def test_high_effort_of_nova_gives_way_to_a_limit_of_tokens() -> None:
    call = Conversation((user("hi"),), reasoning=Reasoning(effort="high"), max_tokens=50)
    document = body(call, "amazon.nova-2-lite-v1:0")
    assert document["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert document["inferenceConfig"] == {"maxTokens": 50}


@pytest.mark.parametrize("model", [CLAUDE, OLDER])
def test_a_call_without_its_reasoning_turns_thinking_off(model: str) -> None:
    asked = Reasoning(enabled=True, budget=2048)
    assert thinking_of(replace(called(THOUGHT), reasoning=asked), model) == {"type": "enabled", "budget_tokens": 2048}
    elsewhere = Thinking("I should look.", Signature("google-genai", "c2ln"))
    for parts in ((), (elsewhere,), (Text("Let me look."), THOUGHT)):
        assert thinking_of(replace(called(*parts), reasoning=asked), model) is None


def test_a_call_without_its_reasoning_is_thought_about_adaptively_where_that_can_be() -> None:
    asked = replace(called(), reasoning=Reasoning(enabled=True, budget=2048))
    assert thinking_of(asked, "anthropic.claude-opus-4-6-v1") == {"type": "adaptive"}


def test_what_claude_signed_at_anthropic_goes_back_to_claude_alone() -> None:
    signature = SEAL.sign("I should look.")
    elsewhere = Thinking("I should look.", Signature("anthropic-messages", signature))
    asked = replace(called(elsewhere), reasoning=Reasoning(enabled=True, budget=2048))
    words = {"text": "I should look.", "signature": signature}
    assert body(asked)["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": words}}
    assert thinking_of(asked) == {"type": "enabled", "budget_tokens": 2048}
    assert "reasoningContent" not in body(asked, "openai.gpt-oss-120b-1:0")["messages"][1]["content"][0]


def test_calls_of_an_earlier_turn_do_not_matter() -> None:
    call = called()
    call = replace(call, turns=(*call.turns, assistant("Sunny."), user("And now?")), reasoning=Reasoning(budget=2048))
    assert thinking_of(call) == {"type": "enabled", "budget_tokens": 2048}


def test_a_tool_that_must_be_called_turns_thinking_off() -> None:
    call = Conversation((user("hi"),), tools=(WEATHER,), reasoning=Reasoning(budget=2048), temperature=0.5)
    assert thinking_of(call) is not None
    for choice in (ToolChoice("required"), ToolChoice("tool", "get_weather")):
        forced = replace(call, tool_choice=choice)
        assert thinking_of(forced) is None
        assert body(forced)["inferenceConfig"] == {"temperature": 0.5}
        assert thinking_of(replace(forced, parallel_tool_calls=False)) is None
