"""Conversations as Ollama's /api/chat takes them."""

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.carrying import FEATURES
from open_llm_auth.wire.conversation import (
    Conversation,
    Document,
    Image,
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
from open_llm_auth.wire.ollama import DIALECT
from open_llm_auth.wire.ollama.requests import LIMITS, write_request

HI = Turn("user", (Text("hi"),))
WEATHER = Tool("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
HISTORY = (
    Turn("user", (Text("Weather in Paris and Berlin?"),)),
    Turn(
        "assistant",
        (
            Text("Let me look."),
            ToolCall("call_paris", "get_weather", '{"city":"Paris"}'),
            ToolCall("call_berlin", "get_weather", '{"city":"Berlin"}'),
        ),
    ),
    Turn(
        "user",
        (
            ToolResult("call_paris", "get_weather", (Text("21 C, sunny"),)),
            ToolResult("call_berlin", "get_weather", (Text("17 C, rain"),)),
            Text("And tomorrow?"),
        ),
    ),
)


def written(conversation):
    """The body as the server reads it."""
    return msgspec.json.decode(msgspec.json.encode(write_request(conversation, "llama")))


def asked(**fields):
    return written(Conversation((HI,), **fields))


def test_a_plain_call_is_its_messages_and_says_whether_it_streams():
    assert written(Conversation((HI,), system=(Text("You are terse."), Text("Be kind.")))) == {
        "model": "llama",
        "messages": [
            {"role": "system", "content": "You are terse.\n\nBe kind."},
            {"role": "user", "content": "hi"},
        ],
        "stream": False,
    }
    assert asked(stream=True)["stream"] is True


def test_settings_are_options():
    body = asked(
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        stop=("STOP",),
        frequency_penalty=0.1,
        presence_penalty=0.2,
    )
    assert body["options"] == {
        "num_predict": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop": ["STOP"],
    }


def test_what_was_not_said_is_left_to_the_model():
    assert set(asked()) == {"model", "messages", "stream"}


def test_calls_have_objects_for_arguments_and_results_a_role_of_their_own():
    assert written(Conversation(HISTORY))["messages"] == [
        {"role": "user", "content": "Weather in Paris and Berlin?"},
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {"id": "call_paris", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}},
                {"id": "call_berlin", "function": {"name": "get_weather", "arguments": {"city": "Berlin"}}},
            ],
        },
        {"role": "tool", "content": "21 C, sunny", "tool_name": "get_weather", "tool_call_id": "call_paris"},
        {"role": "tool", "content": "17 C, rain", "tool_name": "get_weather", "tool_call_id": "call_berlin"},
        {"role": "user", "content": "And tomorrow?"},
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", {}), ("{}", {}), ('{"a": [1, null]}', {"a": [1, None]}), ("[1]", {"input": "[1]"}), ("{", {"input": "{"})],
)
def test_arguments_that_are_no_object_still_are_one_there(arguments, expected):
    call = Turn("assistant", (ToolCall("1", "f", arguments),))
    [message] = written(Conversation((call,)))["messages"]
    assert message["tool_calls"][0]["function"]["arguments"] == expected


def test_the_free_text_of_a_custom_tool_is_its_input():
    tool = Tool("patch", "Patches.", custom=True)
    call = Turn("assistant", (ToolCall("1", "patch", "*** Begin", custom=True),))
    body = written(Conversation((HI, call), tools=(tool,)))
    assert body["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"input": "*** Begin"}


def test_a_failed_result_says_so():
    turn = Turn("user", (ToolResult("1", "f", (Text("no such city"),), is_error=True),))
    assert written(Conversation((turn,)))["messages"][0]["content"] == "Error: no such city"


def test_images_stand_beside_the_text():
    turn = Turn(
        "user", (Text("What is this?"), Image("image/png", "AAAA"), Text("And this?"), Image("image/png", "BB"))
    )
    assert written(Conversation((turn,)))["messages"] == [
        {"role": "user", "content": "What is this?\n\nAnd this?", "images": ["AAAA", "BB"]}
    ]


def test_a_text_document_is_text_and_another_is_refused():
    turn = Turn("user", (Document(text="line", name="a.txt"),))
    assert written(Conversation((turn,)))["messages"][0]["content"] == "a.txt:\nline"
    with pytest.raises(InvalidRequest, match=r"'b.pdf' is not text"):
        written(Conversation((Turn("user", (Document(data="AAAA", name="b.pdf"),)),)))


def test_tools_are_functions():
    assert asked(tools=(WEATHER,))["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "The weather.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ]


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        (ToolChoice("auto"), ["get_weather", "other"]),
        (ToolChoice("required"), ["get_weather", "other"]),
        (ToolChoice("none"), []),
        (ToolChoice("tool", "other"), ["other"]),
        (ToolChoice("allowed", names=("get_weather",)), ["get_weather"]),
    ],
)
def test_a_choice_narrows_what_is_offered(choice, offered):
    body = asked(tools=(WEATHER, Tool("other")), tool_choice=choice)
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == offered


def test_json_is_a_word_and_a_schema_itself():
    assert asked(output=OutputFormat())["format"] == "json"
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert asked(output=OutputFormat(schema))["format"] == schema


@pytest.mark.parametrize(
    ("reasoning", "think"),
    [
        (Reasoning(), None),
        (Reasoning(adaptive=True), None),
        (Reasoning(enabled=True), True),
        (Reasoning(enabled=False, effort="high"), False),
        (Reasoning(effort="none"), False),
        (Reasoning(effort="minimal"), "low"),
        (Reasoning(effort="medium"), "medium"),
        (Reasoning(effort="max"), "high"),
        (Reasoning(effort="novel"), True),
        (Reasoning(enabled=True, budget=1024), "low"),
        (Reasoning(budget=8000), "medium"),
        (Reasoning(budget=30_000), "high"),
    ],
)
def test_thinking_is_off_on_or_a_level(reasoning, think):
    assert asked(reasoning=reasoning).get("think") == think


def test_reasoning_comes_back_in_words_whoever_has_signed_it():
    def replayed(thinking):
        turn = Turn("assistant", (thinking, Text("Yes.")))
        return written(Conversation((turn,)))["messages"][0].get("thinking")

    assert replayed(Thinking("I should look.")) == "I should look."
    assert replayed(Thinking("I should look.", Signature("ollama", "x"))) == "I should look."
    assert replayed(Thinking("I should look.", Signature("anthropic-messages", "x"))) == "I should look."
    assert replayed(Thinking("", Signature("anthropic-messages", "x"))) is None


def test_logprobs_are_asked_for_with_their_rivals():
    body = asked(logprobs=3)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)


def test_a_turn_of_which_nothing_is_left_is_left_out_but_not_the_users_own():
    turns = (Turn("user", (Text(""),)), Turn("assistant", (Thinking("", Signature("openai-responses", "y")),)))
    assert written(Conversation(turns))["messages"] == [{"role": "user", "content": ""}]


def test_what_is_said_to_be_carried_is(marked, is_marked):
    assert DIALECT.provider.limits is LIMITS
    assert set(LIMITS) <= set(FEATURES)
    for feature, conversation in marked.items():
        handling = LIMITS.get(feature)
        if handling in ("refused", "fetched"):
            continue  # it never gets here
        assert is_marked(write_request(conversation, "llama")) == (handling != "dropped"), feature
