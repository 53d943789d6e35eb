"""Requests of the Responses dialect: what passes untouched, what is understood, what is refused and how it is said."""

from __future__ import annotations

import json

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.carrying import FEATURES
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
from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.openai_responses import (
    DIALECT,
    LIMITS,
    read_conversation,
    read_request,
    rewrite,
    write_request,
)

HELLO = [{"role": "user", "content": "hi"}]
BROKEN_IMAGE = {"type": "input_image", "image_url": "data:image/png,not-base64"}


def encoded(**fields):
    return json.dumps({"model": "m", "input": HELLO, **fields}).encode()


def understood(**fields):
    return read_conversation(read_envelope(encoded(**fields)))


def written(conversation=None, **settings):
    conversation = conversation or Conversation((Turn("user", (Text("hi"),)),), **settings)
    return json.loads(msgspec.json.encode(write_request(conversation, "m")))


# ---------------------------------------------------------------------------------------------- the same dialect


def test_a_request_goes_on_in_its_order_with_only_its_model_replaced():
    fields = {"input": "hi", "model": "theirs", "store": True, "previous_response_id": "resp_1", "x-unknown": [1]}
    request = read_request(json.dumps(fields).encode())
    sent = json.loads(msgspec.json.encode(rewrite(request.envelope, "own", False)))
    assert sent == {**fields, "model": "own"}
    assert list(sent) == list(fields)


@pytest.mark.parametrize(("asked", "stream", "sent"), [(True, True, True), (None, True, True), (True, False, False)])
def test_a_stream_is_asked_for_where_the_gateway_wants_one(asked, stream, sent):
    request = read_request(encoded(stream=asked))
    assert json.loads(msgspec.json.encode(rewrite(request.envelope, "m", stream)))["stream"] is sent


@pytest.mark.parametrize("stream", [False, None])
def test_stream_is_left_as_it_was_said_where_that_is_what_is_wanted(stream):
    request = read_request(encoded(stream=stream))
    assert rewrite(request.envelope, "m", False)["stream"] == msgspec.Raw(json.dumps(stream).encode())


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "input"),
        (b'{"input": null}', "input"),
        (b'{"input": 3}', "input"),
        (b'{"input": {"role": "user"}}', "input"),
        (b'{"input": []}', "input"),
        (b'{"input": [' + b" " * 500 + b"]}", "input"),
        (encoded(model=7), "model"),
        (encoded(stream="yes"), "stream"),
    ],
)
def test_a_wrong_field_is_named_with_its_repair(body, param):
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_input_may_be_missing_where_the_provider_keeps_the_rest(name):
    read_request(json.dumps({"model": "m", name: "kept_1"}).encode())


# ---------------------------------------------------------------------------------------------- understanding


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_what_needs_a_memory_is_refused_for_other_dialects_and_says_what_to_send(name):
    with pytest.raises(InvalidRequest, match="'input'") as caught:
        understood(**{name: "resp_1"})
    assert caught.value.param == name


def test_an_answer_in_the_background_is_refused_for_other_dialects():
    with pytest.raises(InvalidRequest) as caught:
        understood(background=True)
    assert caught.value.param == "background"
    assert understood(background=False).turns


def test_every_setting_is_understood():
    call = understood(
        instructions="Be terse.",
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_logprobs=3,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        parallel_tool_calls=False,
        metadata={"k": "v"},
        user="u1",
        service_tier="flex",
        prompt_cache_key="key",
        store=True,
        stream=True,
        text={"verbosity": "low", "format": {"type": "json_object"}},
        reasoning={"effort": "high", "summary": "concise"},
        include=["reasoning.encrypted_content"],
    )
    assert call == Conversation(
        caches=True,
        turns=(Turn("user", (Text("hi"),)),),
        system=(Text("Be terse."),),
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        logprobs=3,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        parallel_tool_calls=False,
        metadata={"k": "v"},
        user="u1",
        service_tier="flex",
        prompt_cache_key="key",
        store=True,
        stream=True,
        verbosity="low",
        output=OutputFormat(),
        reasoning=Reasoning(enabled=True, effort="high", summary="concise", sealed=True, shown=True),
    )


def test_nulls_are_as_good_as_nothing():
    names = ["instructions", "max_output_tokens", "temperature", "text", "reasoning", "tools", "tool_choice", "include"]
    more = ["metadata", "user", "store", "previous_response_id", "conversation", "prompt", "truncation", "unheard_of"]
    assert understood(**dict.fromkeys([*names, *more])) == understood()


def test_labels_that_are_too_long_become_short_ones_that_are_the_same_each_time():
    """Claude Code names its user by a JSON text; OpenAI takes 64 characters."""
    long = write_request(_with(user='{"device_id":"' + "d" * 200, prompt_cache_key="k" * 65), "m")
    other = write_request(_with(user='{"device_id":"' + "d" * 201, prompt_cache_key="k" * 64), "m")
    assert (len(long["user"]), len(long["prompt_cache_key"])) == (64, 64)
    assert long["user"] != other["user"]
    assert other["prompt_cache_key"] == "k" * 64


def test_what_codex_says_about_itself_and_what_is_transport_is_no_loss():
    call = understood(client_metadata={"a": "b"}, truncation="auto", stream_options={}, prompt_cache_retention="24h")
    assert call.extras == ()


def test_unknown_fields_are_told_by_name():
    call = understood(max_tool_calls=3, moderation={}, include=["web_search_call.results"], tool_choice={"type": "mcp"})
    assert call.extras == ("tool_choice", "max_tool_calls", "moderation", "include")


@pytest.mark.parametrize(("effort", "enabled"), [("none", False), ("low", True), (None, None)])
def test_an_effort_of_none_turns_reasoning_off(effort, enabled):
    assert understood(reasoning={"effort": effort}).reasoning == Reasoning(enabled=enabled, effort=effort)


def test_a_schema_is_understood():
    form = {"type": "json_schema", "name": "weather", "schema": {"type": "object"}, "strict": True, "description": "d"}
    assert understood(text={"format": form}).output == OutputFormat({"type": "object"}, "weather", "d", True)


def test_logarithms_are_wanted_by_either_name():
    assert understood(include=["message.output_text.logprobs"]).logprobs == 0
    assert understood(top_logprobs=0).logprobs is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"instructions": 3}, "instructions"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"metadata": []}, "metadata"),
        ({"text": "x"}, "text"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"include": [1]}, "include.0"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tools": [{"type": "namespace", "name": "n"}]}, "tools.0.tools"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"input": [3]}, "input.0"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input.0.role"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
        ({"input": [{"role": "user", "content": [BROKEN_IMAGE]}]}, "input.0.content.0.image_url"),
        ({"input": [{"type": "function_call", "name": "f", "call_id": "c"}]}, "input.0.arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 3}]}, "input.0.output"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0"),
        ({"input": [{"id": "msg_1"}]}, "input.0"),
        ({"input": [{"role": "system", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input.0.content"),
    ],
    ids=str,
)  # fmt: skip
def test_a_fault_is_told_by_its_path(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        understood(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize("text", ['"\\ud800"', "[" * 5000 + "]" * 5000])
def test_json_that_only_shows_its_faults_inside_is_refused(text):
    envelope = {"input": msgspec.Raw(text.encode())}
    with pytest.raises(InvalidRequest) as caught:
        read_conversation(envelope)
    assert caught.value.param == "input"


# ---------------------------------------------------------------------------------------------- writing


def test_a_provider_keeps_nothing_and_gets_the_system_text_as_instructions():
    sent = written(system=(Text("One."), Text("Two.")), store=True, stream=True)
    assert sent == {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "stream": True,
        "store": False,
        "instructions": "One.\n\nTwo.",
    }


@pytest.mark.parametrize(("asked", "sent"), [(1, 16), (16, 16), (4096, 4096)])
def test_a_limit_below_the_least_that_is_taken_is_raised_to_it(asked, sent):
    assert written(max_tokens=asked)["max_output_tokens"] == sent


@pytest.mark.parametrize(
    ("reasoning", "sent", "sealed"),
    [
        (Reasoning(effort="low", enabled=True), {"effort": "low"}, True),
        (Reasoning(effort="low", summary="auto"), {"effort": "low", "summary": "auto"}, True),
        (Reasoning(budget=1024, enabled=True), {"effort": "low", "summary": "auto"}, True),
        (Reasoning(budget=8192, enabled=True), {"effort": "medium", "summary": "auto"}, True),
        (Reasoning(budget=40_000, enabled=True, shown=False), {"effort": "high"}, True),
        (Reasoning(adaptive=True), {"summary": "auto"}, True),
        (Reasoning(effort="none", enabled=False), {"effort": "none"}, False),
        (Reasoning(enabled=False), None, False),
        (Reasoning(sealed=True), None, True),
        (Reasoning(), None, False),
    ],
)
def test_reasoning_is_asked_for_as_near_as_can_be(reasoning, sent, sealed):
    body = written(reasoning=reasoning)
    assert body.get("reasoning") == sent
    assert ("reasoning.encrypted_content" in body.get("include", [])) is sealed


def test_a_schema_that_did_not_ask_for_strictness_does_not_get_it():
    assert written(tools=(Tool("f"),))["tools"][0]["strict"] is False
    assert written(output=OutputFormat({"type": "object"}))["text"]["format"]["strict"] is False


def test_a_choice_without_tools_is_left_out():
    tools = (OpaqueTool("anthropic-messages", "web_search", {"type": "web_search_20250305"}),)
    assert not {"tools", "tool_choice"} & set(written(tools=tools, tool_choice=ToolChoice("auto")))


MARK = "the-marker"


def _with(**settings):
    return Conversation((Turn("user", (Text("hi"),)),), **settings)


def _part(part, role="user"):
    return Conversation((Turn(role, (part, Text("then"))),))


def _tool(**settings):
    return _with(tools=(Tool(**{"name": MARK, **settings}),))


def _result(part):
    call = Turn("assistant", (ToolCall("c", "f"),))
    return Conversation((call, Turn("user", (ToolResult("c", "f", (part,)),))))


#: One call for each feature, with something in it that can be found again.
USES = {
    "audio": (_part(Audio(MARK)), MARK),
    "cache_control": (_part(Text("x", CacheControl("the-marker"))), MARK),
    "citations": (_part(Document(text="x", citations=True)), "citations"),
    "custom_tool": (_tool(custom=True), "custom"),
    "custom_tool_grammar": (_tool(name="t", custom=True, grammar={"type": "grammar", "definition": MARK}), MARK),
    "document": (_part(Document("application/pdf", data=MARK)), MARK),
    "document_file_id": (_part(Document(file_id=MARK)), MARK),
    "document_url": (_part(Document(url=MARK)), MARK),
    "frequency_penalty": (_with(frequency_penalty=0.123), "0.123"),
    "image": (_part(Image("image/png", data=MARK)), MARK),
    "image_file_id": (_part(Image(file_id=MARK)), MARK),
    "image_url": (_part(Image(url=MARK)), MARK),
    "json_object": (_with(output=OutputFormat()), "json_object"),
    "json_schema": (_with(output=OutputFormat({"title": MARK})), MARK),
    "logprobs": (_with(logprobs=13), "13"),
    "max_tokens": (_with(max_tokens=31_337), "31337"),
    "metadata": (_with(metadata={"k": MARK}), MARK),
    "mid_conversation_system": (Conversation((*_with().turns, Turn("system", (Text(MARK),)))), MARK),
    "n": (_with(choices=7), "7"),
    "parallel_tool_calls": (_with(tools=(Tool("t"),), parallel_tool_calls=False), "parallel_tool_calls"),
    "presence_penalty": (_with(presence_penalty=0.123), "0.123"),
    "prompt_cache_key": (_with(prompt_cache_key=MARK), MARK),
    "provider_tool": (_with(tools=(OpaqueTool("ollama", "x", {"type": MARK}),)), MARK),
    "reasoning_budget": (_with(reasoning=Reasoning(budget=30_000)), "high"),
    "reasoning_effort": (_with(reasoning=Reasoning(effort="xhigh")), "xhigh"),
    "reasoning_replay": (_part(Thinking("x", Signature("openai-responses", MARK)), "assistant"), MARK),
    "refusal": (_part(Refusal(MARK), "assistant"), MARK),
    "seed": (_with(seed=424_242), "424242"),
    "service_tier": (_with(service_tier=MARK), MARK),
    "stop": (_with(stop=(MARK,)), MARK),
    "store": (_with(store=True), '"store":true'),
    "strict_tool": (_tool(strict=True), '"strict":true'),
    "temperature": (_with(temperature=0.123), "0.123"),
    "tool_choice_allowed": (_with(tools=(Tool("t"),), tool_choice=ToolChoice("allowed", names=(MARK,))), MARK),
    "tool_choice_none": (_with(tools=(Tool("t"),), tool_choice=ToolChoice("none")), '"tool_choice":"none"'),
    "tool_choice_required": (_with(tools=(Tool("t"),), tool_choice=ToolChoice("required")), "required"),
    "tool_choice_tool": (_with(tools=(Tool("t"),), tool_choice=ToolChoice("tool", MARK)), MARK),
    "tool_result_document": (_result(Document("application/pdf", data=MARK)), MARK),
    "tool_result_error": (
        Conversation((Turn("user", (ToolResult("c", "f", (Text("x"),), is_error=True),)),)),
        "Error: x",
    ),
    "tool_result_image": (_result(Image("image/png", data=MARK)), MARK),
    "tools": (_tool(), MARK),
    "top_k": (_with(top_k=424_242), "424242"),
    "top_p": (_with(top_p=0.123), "0.123"),
    "unknown_field": (_with(extras=(MARK,)), MARK),
    "unknown_item": (_part(OpaquePart("ollama", "x", {"type": MARK})), MARK),
    "user": (_with(user=MARK), MARK),
    "verbosity": (_with(verbosity=MARK), MARK),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_what_is_not_listed_as_a_limit_is_really_carried(feature):
    conversation, mark = USES[feature]
    body = msgspec.json.encode(write_request(conversation, "m")).decode()
    # Breakpoints are left out because caches need none here.
    carried = LIMITS.get(feature) not in ("dropped", "refused") and feature != "cache_control"
    assert (mark in body) is carried


def test_a_provider_takes_names_of_64_plain_characters():
    assert DIALECT.provider.tool_names.fit("get_weather-2") == "get_weather-2"
    fitted = DIALECT.provider.tool_names.fit("a.b/c" * 30)
    assert len(fitted) == 64
    assert fitted.replace("_", "").isalnum()
