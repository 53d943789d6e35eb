"""A conversation of any dialect as a body that Anthropic, and the model it goes to, does not refuse."""

import json
from dataclasses import replace

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.anthropic_messages import read_conversation, read_count_request, write_request
from open_llm_auth.wire.anthropic_messages.writing import LIMITS, limits_of
from open_llm_auth.wire.carrying import FEATURES, check_carried, features_of
from open_llm_auth.wire.conversation import (
    Audio,
    CacheControl,
    Conversation,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    OutputFormat,
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

NAME = "anthropic-messages"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = Tool("look", "Looks.", SCHEMA)
ASK = Turn("user", (Text("hi"),))
SIGNED = Thinking("hm", Signature(NAME, "sig"))
CALL = ToolCall("c", "look", '{"city":"Paris"}')
RESULT = Turn("user", (ToolResult("c", "look", (Text("sunny"),)),))


def written(conversation, model="claude-sonnet-4-5"):
    return json.loads(msgspec.json.encode(write_request(conversation, model)))


def messages(*turns, **fields):
    return written(Conversation(turns, **fields))["messages"]


def say(**fields):
    body = written(Conversation((ASK,), **fields))
    return {name: value for name, value in body.items() if name not in ("model", "messages", "max_tokens")}


def text(words, **more):
    return {"type": "text", "text": words, **more}


# ---------------------------------------------------------------------------------------------- messages


def test_the_least_body():
    assert written(Conversation((ASK,))) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": [text("hi")]}],
    }


def test_turns_of_one_role_are_joined():
    assert messages(
        ASK, Turn("user", (Text("there"),)), Turn("assistant", (Text("a"),)), Turn("assistant", (Text("b"),)), ASK
    ) == [
        {"role": "user", "content": [text("hi"), text("there")]},
        {"role": "assistant", "content": [text("a"), text("b")]},
        {"role": "user", "content": [text("hi")]},
    ]


def test_results_come_first_in_their_message():
    told = messages(ASK, Turn("assistant", (CALL,)), Turn("user", (Text("by the way"),)), RESULT)
    assert [block["type"] for block in told[-1]["content"]] == ["tool_result", "text"]


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_texts_are_left_out(blank):
    assert messages(Turn("user", (Text(blank), Text("a"))), Turn("assistant", (Text(blank),)), ASK) == [
        {"role": "user", "content": [text("a"), text("hi")]}
    ]
    assert "system" not in say(system=(Text(blank),))


def test_an_answer_to_go_on_with_does_not_end_in_blanks():
    assert messages(ASK, Turn("assistant", (Text("It is \n"),)))[-1]["content"] == [text("It is")]
    assert messages(ASK, Turn("assistant", (Text("It is "),)), ASK)[1]["content"] == [text("It is ")]


def test_a_user_begins():
    first, second = messages(Turn("assistant", (Text("Hello!"),)))
    assert (first["role"], second) == ("user", {"role": "assistant", "content": [text("Hello!")]})


def test_an_instruction_in_the_middle_is_a_text_of_the_user():
    told = messages(ASK, Turn("assistant", (Text("a"),)), Turn("system", (Text("Be brief."),)))
    assert told[-1] == {"role": "user", "content": [text("<system>\nBe brief.\n</system>")]}


def test_instructions_alone_are_the_question():
    body = written(Conversation((), system=(Text("Say hi."),)))
    assert body["messages"] == [{"role": "user", "content": [text("Say hi.")]}]
    assert "system" not in body


@pytest.mark.parametrize("turns", [(), (Turn("user", (Text(" "),)),), (Turn("assistant", (Thinking("hm"),)),)])
def test_nothing_to_say_is_refused(turns):
    with pytest.raises(InvalidRequest) as refused:
        written(Conversation(turns))
    assert refused.value.param == "messages"


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Text("a", CacheControl("1h")), text("a", cache_control={"type": "ephemeral", "ttl": "1h"})),
        (Text("a", CacheControl("7d")), text("a", cache_control={"type": "ephemeral"})),
        (
            Image("image/png", "AA=="),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        ),
        (Image(url="https://a", detail="low"), {"type": "image", "source": {"type": "url", "url": "https://a"}}),
        (Image(file_id="f"), {"type": "image", "source": {"type": "file", "file_id": "f"}}),
        (
            Document("application/pdf", "AA==", name="T", citations=True),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "T",
                "citations": {"enabled": True},
            },
        ),
        (
            Document("text/csv", "YSxi"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        ),
        (
            Document("application/zip", "/w=="),
            {"type": "document", "source": {"type": "base64", "media_type": "application/zip", "data": "/w=="}},
        ),
        (
            Document("text/plain", text="words"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (Document(url="https://a"), {"type": "document", "source": {"type": "url", "url": "https://a"}}),
        (Document(file_id="f"), {"type": "document", "source": {"type": "file", "file_id": "f"}}),
        (Refusal("No."), text("No.")),
        (OpaquePart(NAME, "x", {"type": "x", "a": 1}), {"type": "x", "a": 1}),
        (CALL, {"type": "tool_use", "id": "c", "name": "look", "input": {"city": "Paris"}}),
        (ToolCall("c", "t", ""), {"type": "tool_use", "id": "c", "name": "t", "input": {}}),
        (ToolCall("c", "t", '{"a'), {"type": "tool_use", "id": "c", "name": "t", "input": {"arguments": '{"a'}}),
        (ToolCall("c", "t", "[1]"), {"type": "tool_use", "id": "c", "name": "t", "input": {"arguments": "[1]"}}),
        (ToolCall("c", "t", "ls", custom=True), {"type": "tool_use", "id": "c", "name": "t", "input": {"input": "ls"}}),
        (ToolResult("c", "t"), {"type": "tool_result", "tool_use_id": "c"}),
        (
            ToolResult("c", "t", (Text("a"),), is_error=True, cache=CacheControl()),
            {
                "type": "tool_result",
                "tool_use_id": "c",
                "content": "a",
                "is_error": True,
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            ToolResult("c", "t", (Text("a"), Image(url="https://a"))),
            {
                "type": "tool_result",
                "tool_use_id": "c",
                "content": [text("a"), {"type": "image", "source": {"type": "url", "url": "https://a"}}],
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_part_is_a_block(part, block):
    assert messages(Turn("user", (part,)))[-1]["content"] == [block]


@pytest.mark.parametrize(
    "part",
    [
        Thinking("hm"),
        Thinking("hm", Signature("google-genai", "s")),
        Thinking("hm", Signature(NAME, "")),
        OpaquePart("openai-responses", "item_reference", {"type": "item_reference"}),
        Audio("AA=="),
    ],
)
def test_what_is_nobodys_business_here_stays_behind(part):
    assert messages(ASK, Turn("assistant", (part, Text("a"))), ASK)[1]["content"] == [text("a")]


# ---------------------------------------------------------------------------------------------- thinking

TURN = (ASK, Turn("assistant", (SIGNED, CALL)), RESULT)
LOST = (ASK, Turn("assistant", (Thinking("hm", Signature("openai-responses", "s")), CALL)), RESULT)
THINK = {"reasoning": Reasoning(effort="medium"), "tools": (TOOL,)}


def test_its_own_thinking_goes_back_before_the_call():
    body = written(Conversation(TURN, **THINK))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 4096}
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}


def test_redacted_thinking_goes_back_as_it_came():
    redacted = Thinking(signature=Signature(NAME, "data"), redacted=True)
    body = written(Conversation((ASK, Turn("assistant", (redacted, CALL)), RESULT), **THINK))
    assert body["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "data"}
    assert "thinking" in body


@pytest.mark.parametrize(("model", "field"), [("claude-sonnet-4-5", None), ("glm-5.1", {"type": "disabled"})])
def test_a_turn_of_calls_whose_thinking_is_lost_is_not_thought_about(model, field):
    body = written(Conversation(LOST, **THINK), model)
    assert body.get("thinking") == field
    assert "output_config" not in body


def test_a_turn_of_calls_whose_thinking_is_lost_is_thought_about_adaptively_where_that_can_be():
    body = written(Conversation(LOST, **THINK), "claude-opus-4-6")
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use"]


@pytest.mark.parametrize("reasoning", [Reasoning(budget=2048), Reasoning(effort="low")])
def test_thinking_that_was_asked_for_and_has_to_be_off_is_dropped_and_said_so(reasoning):
    def left_out(turns, model, **fields):
        call = Conversation(turns, tools=(TOOL,), reasoning=reasoning, **fields)
        return check_carried(call, limits_of(call, model), target=NAME, strict=False)

    (name,) = (feature for feature in features_of(using(reasoning=reasoning)))
    assert left_out(LOST, "claude-sonnet-4-5") == (name,)
    assert left_out(LOST, "claude-opus-4-6") == ()
    assert left_out(TURN, "claude-sonnet-4-5") == ()
    assert left_out((ASK,), "claude-opus-4-6", tool_choice=ToolChoice("required")) == (name,)
    assert left_out((ASK,), "claude-3-5-haiku-latest") == (name,)
    call = Conversation(LOST, reasoning=reasoning)
    with pytest.raises(InvalidRequest, match="reasoning_"):
        check_carried(call, limits_of(call, "claude-sonnet-4-5"), target=NAME, strict=True)


def test_what_claude_signed_on_bedrock_goes_to_claude_alone():
    elsewhere = Thinking("hm", Signature("bedrock-converse", "sig"))
    call = Conversation((ASK, Turn("assistant", (elsewhere, CALL)), RESULT), **THINK)
    block = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert written(call)["messages"][1]["content"][0] == block
    assert written(call)["thinking"]["type"] == "enabled"
    assert written(call, "glm-5.1")["messages"][1]["content"][0]["type"] == "tool_use"


def test_lost_thinking_of_a_turn_that_is_over_does_not_matter():
    body = written(Conversation((*LOST, Turn("assistant", (Text("Sunny."),)), ASK), **THINK))
    assert body["thinking"]["type"] == "enabled"


@pytest.mark.parametrize(
    "choice",
    [ToolChoice("required"), ToolChoice("tool", "look"), ToolChoice("allowed", names=("look",), must_call=True)],
)
def test_a_forced_call_is_not_thought_about(choice):
    body = written(Conversation(TURN, tool_choice=choice, **THINK))
    assert "thinking" not in body
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use"]


def test_words_put_into_its_mouth_are_not_thought_about():
    assert "thinking" not in written(Conversation((ASK, Turn("assistant", (Text("It"),))), reasoning=Reasoning(True)))


def test_samplers_stand_aside_for_thinking():
    fields = {"temperature": 0.2, "top_k": 5, "max_tokens": 9000}
    body = written(Conversation((ASK,), reasoning=Reasoning(budget=2048), top_p=0.5, **fields))
    assert not {"temperature", "top_k", "top_p"} & set(body)
    assert written(Conversation((ASK,), reasoning=Reasoning(budget=2048), top_p=0.97))["top_p"] == 0.97


def test_models_without_samplers_get_none():
    conversation = Conversation((ASK,), temperature=0.2, top_p=0.5, top_k=5)
    assert not {"temperature", "top_k", "top_p"} & set(written(conversation, "claude-opus-4-8"))
    assert written(conversation, "kimi-for-coding").items() >= {"temperature": 0.2, "top_p": 0.5, "top_k": 5}.items()


def test_two_samplers_at_once_are_one_where_a_model_takes_one():
    assert say(temperature=0.2, top_p=0.5) == {"temperature": 0.2}


@pytest.mark.parametrize(("given", "sent"), [(0, 0), (0.7, 0.7), (1, 1), (1.7, 1), (-1, 0)])
def test_a_temperature_is_at_most_one(given, sent):
    assert say(temperature=given) == {"temperature": sent}


def test_a_limit_is_kept():
    assert written(Conversation((ASK,), max_tokens=7))["max_tokens"] == 7
    assert written(Conversation((ASK,)), "claude-3-haiku-20240307")["max_tokens"] == 4096


# ---------------------------------------------------------------------------------------------- tools

OFFERED = {"name": "look", "description": "Looks.", "input_schema": SCHEMA}


def test_tools_are_offered():
    assert say(tools=(TOOL,)) == {"tools": [OFFERED]}
    assert say(tools=(Tool("a", parameters=msgspec.Raw(b'{"type":"object"}')),)) == {
        "tools": [{"name": "a", "input_schema": {"type": "object"}}]
    }
    assert say(tools=(Tool("a"),))["tools"][0]["input_schema"] == {"type": "object", "properties": {}}
    assert say(tools=(replace(TOOL, cache=CacheControl()),))["tools"][0]["cache_control"] == {"type": "ephemeral"}


def test_a_strict_tool_is_strict_where_the_model_knows_that():
    strict = Conversation((ASK,), tools=(replace(TOOL, strict=True),))
    tool = written(strict)["tools"][0]
    assert (tool["strict"], tool["input_schema"]["additionalProperties"]) == (True, False)
    assert written(strict, "claude-sonnet-4-0")["tools"] == written(strict, "glm-5.1")["tools"] == [OFFERED]
    assert "strict" not in say(tools=(Tool("a", strict=True),))["tools"][0]


def test_a_custom_tool_is_a_function_of_one_string():
    tool = say(tools=(Tool("sh", "Runs.", custom=True, grammar={"syntax": "lark", "definition": "start: X"}),))[
        "tools"
    ][0]
    assert tool["input_schema"] == {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
    }
    assert tool["description"].startswith("Runs.")
    assert "start: X" in tool["description"]


def test_a_tool_of_anthropic_goes_back_and_one_of_others_does_not():
    search = {"type": "web_search_20250305", "name": "web_search"}
    tools = (
        OpaqueTool(NAME, "web_search_20250305", search),
        OpaqueTool("openai-responses", "web_search", {"type": "web_search"}),
    )
    assert say(tools=tools) == {"tools": [search]}


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("tool", "look"), None, {"type": "tool", "name": "look"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("allowed", names=("look",)), None, {"type": "auto"}),
        (ToolChoice("allowed", names=("look",), must_call=True), None, {"type": "any"}),
    ],
)
def test_a_tool_choice_is_said(choice, parallel, expected):
    assert say(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel).get("tool_choice") == expected


def test_only_allowed_tools_are_offered():
    tools = (TOOL, Tool("other"))
    assert say(tools=tools, tool_choice=ToolChoice("allowed", names=("look",)))["tools"] == [OFFERED]


def test_a_choice_without_tools_is_not_said():
    assert say(tool_choice=ToolChoice("required")) == {}


def test_calls_of_the_past_are_declared_where_no_tools_are_offered():
    body = written(Conversation((ASK, Turn("assistant", (CALL,)), RESULT)))
    assert body["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


# ---------------------------------------------------------------------------------------------- output and settings


def test_a_schema_is_the_form_of_the_answer():
    output = OutputFormat(SCHEMA, "weather")
    assert say(output=output) == {
        "output_config": {"format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}}
    }


@pytest.mark.parametrize(
    ("model", "schema"), [("glm-5.1", SCHEMA), ("claude-sonnet-4-0", SCHEMA), ("claude-opus-5", {"type": "object"})]
)
def test_a_schema_is_told_in_words_where_it_can_not_be_said(model, schema):
    body = written(Conversation((ASK,), system=(Text("Be brief."),), output=OutputFormat(schema)), model)
    assert "output_config" not in body
    assert body["system"][0] == text("Be brief.")
    assert json.dumps(schema, separators=(",", ":")) in body["system"][1]["text"]


def test_any_object_is_told_in_words():
    assert "JSON object" in say(output=OutputFormat())["system"][0]["text"]


def test_effort_and_schema_share_their_place():
    body = written(
        Conversation((ASK,), output=OutputFormat(SCHEMA), reasoning=Reasoning(effort="low")), "claude-opus-4-8"
    )
    assert set(body["output_config"]) == {"effort", "format"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop": ("STOP", " ", "\n")}, {"stop_sequences": ["STOP"]}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"service_tier": "priority"}, {"service_tier": "auto"}),
        ({"service_tier": "flex"}, {}),
        ({"stream": True}, {"stream": True}),
        (
            {"system": (Text("a"), Text("b", CacheControl()))},
            {"system": [text("a"), text("b", cache_control={"type": "ephemeral"})]},
        ),
    ],
    ids=str,
)
def test_a_setting_is_said(fields, expected):
    assert say(**fields) == expected


def test_what_was_written_reads_as_what_was_meant():
    conversation = Conversation(
        (*TURN, Turn("assistant", (Text("Sunny."),)), Turn("user", (Text("And?"), Image("image/png", "AA==")))),
        system=(Text("Be brief.", CacheControl("5m")),),
        tools=(TOOL,),
        tool_choice=ToolChoice("auto"),
        parallel_tool_calls=False,
        max_tokens=9000,
        must_limit=True,
        stop=("STOP",),
        reasoning=Reasoning(True, budget=2048),
        user="u",
        stream=True,
    )
    body = msgspec.json.encode(write_request(conversation, "claude-sonnet-4-5"))
    assert read_conversation(read_count_request(body).envelope) == conversation


# ---------------------------------------------------------------------------------------------- limits

MARK = "marker-7f3a"
MARKED = {"type": "object", "properties": {MARK: {"type": "string"}}}
IMAGE, DOCUMENT = Image("image/png", MARK), Document("application/pdf", MARK)


def using(*parts, role="user", **fields):
    return Conversation((ASK, Turn(role, parts or (Text("a"),)), ASK), **fields)


def result(*parts, **fields):
    return Conversation(
        (ASK, Turn("assistant", (CALL,)), Turn("user", (ToolResult("c", "look", parts, **fields),))), tools=(TOOL,)
    )


#: A call that uses the feature, and what of it is seen in the body if the feature is carried.
USES = {
    "audio": (using(Audio(MARK)), MARK),
    "cache_control": (using(Text("a", CacheControl("1h"))), '"ttl":"1h"'),
    "citations": (using(replace(DOCUMENT, citations=True)), '"citations":{"enabled":true}'),
    "custom_tool": (using(tools=(Tool(MARK, custom=True),)), MARK),
    "custom_tool_grammar": (using(tools=(Tool("t", custom=True, grammar=MARK),)), MARK),
    "document": (using(DOCUMENT), MARK),
    "document_file_id": (using(Document(file_id=MARK)), MARK),
    "document_url": (using(Document(url=MARK)), MARK),
    "frequency_penalty": (using(frequency_penalty=0.137), "0.137"),
    "image": (using(IMAGE), MARK),
    "image_file_id": (using(Image(file_id=MARK)), MARK),
    "image_url": (using(Image(url=MARK)), MARK),
    "json_object": (using(output=OutputFormat()), "JSON object"),
    "json_schema": (using(output=OutputFormat(MARKED)), MARK),
    "logprobs": (using(logprobs=17), "17"),
    "max_tokens": (using(max_tokens=31_337), "31337"),
    "metadata": (using(metadata={"k": MARK}), MARK),
    "mid_conversation_system": (using(Text(MARK), role="system"), MARK),
    "n": (using(choices=137), "137"),
    "parallel_tool_calls": (using(parallel_tool_calls=False, tools=(TOOL,)), '"disable_parallel_tool_use":true'),
    "presence_penalty": (using(presence_penalty=0.137), "0.137"),
    "prompt_cache_key": (using(prompt_cache_key=MARK), '"cache_control"'),
    "provider_tool": (using(tools=(OpaqueTool("openai-responses", MARK, {"type": MARK}),)), MARK),
    "reasoning_budget": (using(reasoning=Reasoning(budget=1337)), "1337"),
    "reasoning_effort": (using(reasoning=Reasoning(effort="high")), '"budget_tokens":12288'),
    "reasoning_replay": (using(Thinking(MARK, Signature(NAME, "s")), Text("a"), role="assistant"), MARK),
    "refusal": (using(Refusal(MARK), role="assistant"), MARK),
    "seed": (using(seed=1337), "1337"),
    "service_tier": (using(service_tier="default"), "standard_only"),
    "stop": (using(stop=(MARK,)), MARK),
    "store": (using(store=True), "store"),
    "strict_tool": (using(tools=(replace(TOOL, strict=True),)), '"strict":true'),
    "temperature": (using(temperature=0.137), "0.137"),
    "tool_choice_allowed": (using(tools=(TOOL, Tool(MARK)), tool_choice=ToolChoice("allowed", names=(MARK,))), MARK),
    "tool_choice_none": (using(tools=(TOOL,), tool_choice=ToolChoice("none")), '"tool_choice":{"type":"none"}'),
    "tool_choice_required": (using(tools=(TOOL,), tool_choice=ToolChoice("required")), '"type":"any"'),
    "tool_choice_tool": (using(tools=(TOOL,), tool_choice=ToolChoice("tool", "look")), '"type":"tool","name":"look"'),
    "tool_result_document": (result(DOCUMENT), MARK),
    "tool_result_error": (result(Text("a"), is_error=True), '"is_error":true'),
    "tool_result_image": (result(IMAGE), MARK),
    "tools": (using(tools=(Tool(MARK),)), MARK),
    "top_k": (using(top_k=137), "137"),
    "top_p": (using(top_p=0.137), "0.137"),
    "unknown_field": (using(extras=(MARK,)), MARK),
    "unknown_item": (using(OpaquePart("openai-responses", MARK, {"type": MARK}), Text("a")), MARK),
    "user": (using(user=MARK), MARK),
    "verbosity": (using(verbosity=MARK), MARK),
}


def test_every_feature_is_tried():
    assert set(USES) == set(FEATURES)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_is_carried_unless_the_table_says_otherwise(feature):
    conversation, seen = USES[feature]
    assert feature in features_of(conversation)
    body = msgspec.json.encode(write_request(conversation, "claude-sonnet-4-5")).decode()
    assert (seen in body) is (LIMITS.get(feature) not in ("dropped", "refused"))


def test_several_answers_are_refused():
    assert LIMITS["n"] == "refused"
