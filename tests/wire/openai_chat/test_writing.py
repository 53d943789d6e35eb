"""A conversation as a request that most servers take: what is carried, in which form, and what the table says of it."""

from __future__ import annotations

import base64
import json

import pytest

from open_llm_auth.wire.carrying import FEATURES, features_of
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
from open_llm_auth.wire.openai_chat import DIALECT, write_request
from open_llm_auth.wire.openai_chat.writing import CALL_IDS, LIMITS, RESULT_MARK, TOOL_NAMES

HI = Turn("user", (Text("hi"),))
MARK = "MARKED"
FUNCTION = Tool("f")


def write(*turns, **fields):
    return json.loads(json.dumps(write_request(Conversation(turns or (HI,), **fields), "m")))


def messages(*turns, **fields):
    return write(*turns, **fields)["messages"]


# ---------------------------------------------------------------------------------------------- what is carried


def user(*parts):
    return Conversation((Turn("user", parts),))


def calling(part):
    return Conversation((HI, Turn("assistant", (ToolCall("a", "f"),)), Turn("user", (part,))))


def asking(**fields):
    return Conversation((HI,), **fields)


#: A conversation for each feature, with a mark where the feature is.
CARRIED = {
    "audio": (user(Audio(MARK)), MARK),
    "cache_control": (user(Text("x", CacheControl(MARK))), MARK),
    "citations": (user(Document(text="x", citations=True)), "citations"),
    "custom_tool": (asking(tools=(Tool(MARK, custom=True),)), MARK),
    "custom_tool_grammar": (
        asking(tools=(Tool("c", custom=True, grammar={"syntax": "lark", "definition": MARK}),)),
        MARK,
    ),
    "document": (user(Document("application/pdf", MARK)), MARK),
    "document_file_id": (user(Document(file_id=MARK)), MARK),
    "document_url": (user(Document(url=f"https://{MARK}.example")), MARK),
    "frequency_penalty": (asking(frequency_penalty=0.125), "0.125"),
    "image": (user(Image("image/png", MARK)), MARK),
    "image_file_id": (user(Image(file_id=MARK)), MARK),
    "image_url": (user(Image(url=f"https://{MARK}.example")), MARK),
    "json_object": (asking(output=OutputFormat()), "json_object"),
    "json_schema": (asking(output=OutputFormat({"title": MARK})), MARK),
    "logprobs": (asking(logprobs=3), '"top_logprobs": 3'),
    "max_tokens": (asking(max_tokens=31_337), '"max_tokens": 31337'),
    "metadata": (asking(metadata={"key": MARK}), MARK),
    "mid_conversation_system": (Conversation((HI, Turn("system", (Text(MARK),)), HI)), MARK),
    "n": (asking(choices=7), "7"),
    "parallel_tool_calls": (asking(parallel_tool_calls=False, tools=(FUNCTION,)), "parallel_tool_calls"),
    "presence_penalty": (asking(presence_penalty=0.125), "0.125"),
    "prompt_cache_key": (asking(prompt_cache_key=MARK), MARK),
    "provider_tool": (asking(tools=(OpaqueTool("openai-responses", "web_search", {"type": MARK}),)), MARK),
    "reasoning_budget": (asking(reasoning=Reasoning(budget=2048)), '"reasoning_effort": "medium"'),
    "reasoning_effort": (asking(reasoning=Reasoning(effort="xhigh")), "xhigh"),
    "reasoning_replay": (Conversation((HI, Turn("assistant", (Thinking(MARK), Text("x"))))), MARK),
    "refusal": (Conversation((HI, Turn("assistant", (Refusal(MARK),)))), MARK),
    "seed": (asking(seed=8125), "8125"),
    "service_tier": (asking(service_tier=MARK), MARK),
    "stop": (asking(stop=(MARK,)), MARK),
    "store": (asking(store=True), "store"),
    "strict_tool": (asking(tools=(Tool("f", strict=True),)), '"strict": true'),
    "temperature": (asking(temperature=0.125), "0.125"),
    "tool_choice_allowed": (
        asking(tools=(Tool(MARK), Tool("g")), tool_choice=ToolChoice("allowed", names=(MARK,))),
        MARK,
    ),
    "tool_choice_none": (asking(tools=(FUNCTION,), tool_choice=ToolChoice("none")), '"none"'),
    "tool_choice_required": (asking(tools=(FUNCTION,), tool_choice=ToolChoice("required")), '"required"'),
    "tool_choice_tool": (asking(tools=(FUNCTION,), tool_choice=ToolChoice("tool", MARK)), MARK),
    "tool_result_document": (calling(ToolResult("a", "f", (Document("application/pdf", MARK),))), MARK),
    "tool_result_error": (calling(ToolResult("a", "f", (Text("no"),), is_error=True)), "Error: no"),
    "tool_result_image": (calling(ToolResult("a", "f", (Image("image/png", MARK),))), MARK),
    "tools": (asking(tools=(Tool(MARK),)), MARK),
    "top_k": (asking(top_k=8125), "8125"),
    "top_p": (asking(top_p=0.125), "0.125"),
    "unknown_field": (asking(extras=(MARK,)), MARK),
    "unknown_item": (user(OpaquePart("anthropic-messages", "x", {"type": MARK})), MARK),
    "user": (asking(user=MARK), MARK),
    "verbosity": (asking(verbosity=MARK), MARK),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_what_the_table_says_is_carried_is_carried_and_nothing_else(feature):
    conversation, mark = CARRIED[feature]
    assert feature in set(features_of(conversation))
    if LIMITS.get(feature) == "refused":
        # Whoever asks for it is refused before anything is written.
        return
    assert (mark in json.dumps(write_request(conversation, "m"))) is (LIMITS.get(feature) != "dropped")


def test_more_than_one_answer_is_refused():
    assert DIALECT.provider.limits["n"] == "refused"


# ---------------------------------------------------------------------------------------------- settings


def test_what_was_not_said_is_left_out():
    assert write() == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_settings_are_written_under_their_names():
    sent = write(max_tokens=5, temperature=0, stop=("a", "b"), stream=True, logprobs=0)
    assert {name: sent[name] for name in ("max_tokens", "temperature", "stop", "stream", "logprobs")} == {
        "max_tokens": 5, "temperature": 0, "stop": ["a", "b"], "stream": True, "logprobs": True
    }  # fmt: skip
    assert "top_logprobs" not in sent


def test_whether_tools_run_in_parallel_is_said_only_where_there_are_tools():
    """OpenAI refuses both fields without tools."""
    assert (
        not {"parallel_tool_calls", "tool_choice"}
        & write(parallel_tool_calls=False, tool_choice=ToolChoice("auto"), tools=(OpaqueTool("x", "y", {}),)).keys()
    )


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning(effort="low"), "low"),
        (Reasoning(enabled=False), "none"),
        (Reasoning(enabled=False, effort="high"), "none"),
        (Reasoning(enabled=True), None),
        (Reasoning(adaptive=True), None),
        (Reasoning(budget=1024), "low"),
        (Reasoning(budget=2048), "medium"),
        (Reasoning(budget=31999), "high"),
        (Reasoning(budget=31999, effort="low"), "low"),
    ],
)
def test_reasoning_is_asked_for_by_effort(reasoning, effort):
    assert write(reasoning=reasoning).get("reasoning_effort") == effort


def test_a_schema_has_a_name_that_fits():
    form = write(output=OutputFormat({}, "my answer!", "d", strict=True))["response_format"]
    assert form["json_schema"]["name"].startswith("my_answer_")
    assert (form["json_schema"]["description"], form["json_schema"]["strict"]) == ("d", True)


def test_labels_that_are_too_long_become_short_ones_that_are_the_same_each_time():
    sent = write(user="u" * 200, prompt_cache_key="k" * 64)
    assert len(sent["user"]) == 64
    assert sent["user"] == write(user="u" * 200)["user"] != write(user="u" * 201)["user"]
    assert sent["prompt_cache_key"] == "k" * 64


def test_another_dialects_word_for_a_tier_becomes_openais():
    assert write(service_tier="standard_only")["service_tier"] == "default"
    assert write(service_tier="flex")["service_tier"] == "flex"


# ---------------------------------------------------------------------------------------------- tools


def test_a_tool_has_parameters_even_where_it_has_none():
    assert write(tools=(Tool("f", "d"),))["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
        }
    ]


def test_a_custom_tool_is_a_function_of_one_text():
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    (tool,) = write(tools=(Tool("patch", "Edits files.", custom=True, grammar=grammar),))["tools"]
    assert tool["function"]["parameters"]["required"] == ["input"]
    assert tool["function"]["description"].startswith(
        "Edits files.\n\n'input' must follow this lark grammar:\nstart: A"
    )
    call = messages(HI, Turn("assistant", (ToolCall("a", "patch", '*** "x"', custom=True),)))[1]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"input": '*** "x"'}


def test_a_grammar_in_chats_own_form_is_understood_too():
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
    (tool,) = write(tools=(Tool("c", custom=True, grammar=grammar),))["tools"]
    assert tool["function"]["description"] == "'input' must follow this regex grammar:\na+"


@pytest.mark.parametrize(("must_call", "choice"), [(True, "required"), (False, "auto")])
def test_a_choice_among_some_tools_offers_only_those(must_call, choice):
    allowed = ToolChoice("allowed", names=("g",), must_call=must_call)
    sent = write(tools=(Tool("f"), Tool("g"), Tool("h")), tool_choice=allowed)
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["g"]
    assert sent["tool_choice"] == choice


def test_a_tool_of_this_dialect_is_written_as_it_came():
    own = OpaqueTool("openai-chat", "web_search", {"type": "web_search", "x": 1})
    assert write(tools=(own,))["tools"] == [{"type": "web_search", "x": 1}]


@pytest.mark.parametrize("name", ["get_weather", "mcp__a-b__c", "x" * 64])
def test_names_that_openai_takes_stay(name):
    assert TOOL_NAMES.fit(name) == name


@pytest.mark.parametrize("name", ["a.b", "größe", "x" * 65, ""])
def test_names_that_it_does_not_take_are_replaced(name):
    fitted = TOOL_NAMES.fit(name)
    assert fitted != name
    assert TOOL_NAMES.fit(fitted) == fitted


@pytest.mark.parametrize("call_id", ["functions.get_weather:0", "call_abc", "9charsABC", "x" * 40])
def test_ids_that_servers_gave_go_back_as_they_were(call_id):
    assert CALL_IDS.fit(call_id) == call_id


def test_an_id_that_openai_finds_too_long_is_shortened():
    assert len(CALL_IDS.fit("toolu_" + "x" * 60)) <= 40


# ---------------------------------------------------------------------------------------------- messages


def test_system_text_is_one_message():
    assert messages(system=(Text("a"), Text("b")))[0] == {"role": "system", "content": "a\n\nb"}


def test_a_text_alone_is_a_string_and_several_are_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert messages(Turn("user", (Text("a"),)))[0]["content"] == "a"
    assert messages(Turn("user", (Text("a"), Text("b"))))[0]["content"] == parts


def test_an_assistants_text_is_one_string_and_null_beside_calls_alone():
    said, called = messages(
        Turn("assistant", (Text("a"), Text("b"))), Turn("assistant", (ToolCall("x", "f", '{"a":1}'),))
    )
    assert said == {"role": "assistant", "content": "ab"}
    assert called["content"] is None
    assert called["tool_calls"] == [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]  # fmt: skip


def test_a_name_goes_with_its_message():
    assert messages(Turn("user", (Text("a"),), "ann"))[0]["name"] == "ann"


SHOT = Image("image/png", "AAAA")
CALLS = Turn("assistant", (ToolCall("a", "f"), ToolCall("b", "f")))


def roles(sent):
    return [message["role"] for message in sent]


@pytest.mark.parametrize(
    "results",
    [
        (Turn("user", (ToolResult("a", "f", (Text("1"), SHOT)), ToolResult("b", "f", (SHOT,)))),),
        (Turn("user", (ToolResult("a", "f", (Text("1"), SHOT)),)), Turn("user", (ToolResult("b", "f", (SHOT,)),))),
    ],
    ids=["in one turn", "in two turns"],
)
def test_images_of_results_stand_behind_all_of_them(results):
    sent = messages(HI, CALLS, *results, Turn("assistant", (Text("ok"),)))
    assert roles(sent) == ["user", "assistant", "tool", "tool", "user", "assistant"]
    assert sent[2]["content"] == "1\n(1 attached: see the next message of the user.)"
    assert [part["type"] for part in sent[4]["content"]] == ["text", "image_url", "text", "image_url"]
    assert sent[4]["content"][0]["text"] == f"{RESULT_MARK}a:"
    assert sent[4]["content"][2]["text"] == f"{RESULT_MARK}b:"


def test_images_of_results_join_what_the_user_says_next():
    sent = messages(HI, CALLS, Turn("user", (ToolResult("a", "f", (SHOT,)), ToolResult("b", "f"), Text("see?"))))
    assert roles(sent) == ["user", "assistant", "tool", "tool", "user"]
    assert sent[4]["content"][-1] == {"type": "text", "text": "see?"}


def test_images_of_results_are_not_lost_at_the_end_or_before_an_instruction():
    results = Turn("user", (ToolResult("a", "f", (SHOT,)),))
    assert roles(messages(HI, CALLS, results)) == ["user", "assistant", "tool", "user"]
    later = messages(HI, CALLS, results, Turn("system", (Text("be brief"),)), HI)
    assert roles(later) == ["user", "assistant", "tool", "user", "system", "user"]


def test_results_come_before_what_the_user_says_with_them():
    turn = Turn("user", (Text("and?"), ToolResult("a", "f", (Text("1"),)), ToolResult("b", "f", (Text("2"),))))
    assert roles(messages(HI, CALLS, turn)) == ["user", "assistant", "tool", "tool", "user"]


def test_a_failed_call_says_so_in_its_text():
    failed = ToolResult("a", "f", (Text("no such city"),), is_error=True)
    assert messages(HI, CALLS, Turn("user", (failed,)))[2] == {
        "role": "tool", "content": "Error: no such city", "tool_call_id": "a"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "part"),
    [
        (
            Document("application/pdf", "AAAA"),
            {
                "type": "file",
                "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AAAA"},
            },
        ),
        (
            Document("application/x-y", "AAAA", name="a.xy"),
            {"type": "file", "file": {"filename": "a.xy", "file_data": "data:application/x-y;base64,AAAA"}},
        ),
        (Document(file_id="file-1"), {"type": "file", "file": {"file_id": "file-1"}}),
    ],
)
def test_a_document_is_a_file(document, part):
    assert messages(Turn("user", (document,)))[0]["content"] == [part]


@pytest.mark.parametrize(
    "document",
    [
        Document(text="grüß", name="a.txt"),
        Document("text/plain", base64.b64encode("grüß".encode()).decode(), name="a.txt"),
        Document("application/json", base64.b64encode("grüß".encode()).decode(), name="a.txt"),
    ],
)
def test_a_document_of_text_is_text(document):
    assert messages(Turn("user", (document,)))[0]["content"] == "a.txt\n\ngrüß"


def test_text_that_is_none_stays_a_file():
    document = Document("text/plain", base64.b64encode(b"\xff\xfe").decode(), name="a.txt")
    assert messages(Turn("user", (document,)))[0]["content"][0]["type"] == "file"


def test_the_detail_of_an_image_is_kept():
    image = messages(Turn("user", (Image(url="https://x.example", detail="low"),)))[0]["content"][0]["image_url"]
    assert image == {"url": "https://x.example", "detail": "low"}


def test_proofs_go_back_to_whom_they_came_from_and_words_to_everybody():
    """DeepSeek and Kimi refuse a call of a tool without the words that led to it, whoever thought them."""
    thinking = (
        Thinking("plain words"),
        Thinking("own words", Signature("openai-chat", "proof")),
        Thinking("other words", Signature("anthropic-messages", "theirs")),
    )
    (sent,) = messages(Turn("assistant", (*thinking, Text("so"))))
    assert sent == {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "plain wordsother words",
        "reasoning_details": [{"index": 0, "type": "reasoning.text", "signature": "proof", "text": "own words"}],
    }


def test_thinking_alone_is_no_message():
    assert roles(messages(HI, Turn("assistant", (Thinking("hm"),)))) == ["user"]


@pytest.mark.parametrize(("origin", "is_told"), [("google-genai", True), ("anthropic-messages", False)])
def test_a_signature_of_a_call_goes_back_where_google_wants_it(origin, is_told):
    call = ToolCall("a", "f", signature=Signature(origin, "c2ln"))
    (told,) = messages(HI, Turn("assistant", (call,)))[1]["tool_calls"]
    assert (told.get("extra_content") == {"google": {"thought_signature": "c2ln"}}) is is_told


def test_what_is_of_this_dialect_alone_is_written_again():
    video = {"type": "video_url", "video_url": {"url": "x"}}
    assert messages(Turn("user", (OpaquePart("openai-chat", "video_url", video),)))[0]["content"] == [video]
    audio = OpaquePart("openai-chat", "audio", {"audio": {"id": "audio_1"}})
    assert messages(Turn("assistant", (audio,)))[0] == {
        "role": "assistant", "content": None, "audio": {"id": "audio_1"}
    }  # fmt: skip
