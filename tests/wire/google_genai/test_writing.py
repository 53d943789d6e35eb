"""A conversation as a GenerateContent request: what is carried, how, and what is refused."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
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
from open_llm_auth.wire.fitting import fit
from open_llm_auth.wire.google_genai.writing import CALL_IDS, LIMITS, TOOL_NAMES, write_request

HI = Turn("user", (Text("hi"),))
OWN = Signature("google-genai", "c2lnbmF0dXJl")
FOREIGN = Signature("anthropic-messages", "proof")
DUMMY = "skip_thought_signature_validator"
OLD, NEW = "gemini-2.5-flash", "gemini-3.8-flash"


def written(*turns, model=OLD, **settings):
    return json.loads(msgspec.json.encode(write_request(Conversation(turns or (HI,), **settings), model)))


def parts_of(*parts, role="user", model=OLD):
    return written(Turn(role, parts), model=model)["contents"][0]["parts"]


# ---------------------------------------------------------------------------------------------- features

MARK = "mArK"
MARKED = base64.b64encode(MARK.encode()).decode()
LOOK = Tool("look", "", {"type": "object"})


def said(*parts, **settings):
    return Conversation((Turn("user", parts),), **settings)


def answered(**fields):
    return said(ToolResult("c", "look", **fields))


#: For each feature, a call that uses it and no other that is dropped, and what of it must stand in the body.
USES = {
    "audio": (said(Audio(MARK, "wav")), f'"data":"{MARK}"'),
    "cache_control": (said(Text("hi", cache=CacheControl(MARK))), MARK),
    "citations": (said(Document("text/plain", MARK, citations=True)), "citations"),
    "custom_tool": (Conversation((HI,), tools=(Tool(MARK, custom=True),)), f'"name":"{MARK}"'),
    "custom_tool_grammar": (Conversation((HI,), tools=(Tool("look", custom=True, grammar={"g": MARK}),)), MARK),
    "document": (said(Document("application/pdf", MARK)), f'"data":"{MARK}"'),
    "document_file_id": (said(Document(file_id=MARK)), MARK),
    "document_url": (said(Document(url=f"https://a.example/{MARK}")), MARK),
    "frequency_penalty": (Conversation((HI,), frequency_penalty=0.125), '"frequencyPenalty":0.125'),
    "image": (said(Image("image/png", MARK)), f'"data":"{MARK}"'),
    "image_file_id": (said(Image(file_id=MARK)), MARK),
    "image_url": (said(Image(url=f"https://a.example/{MARK}")), MARK),
    "json_object": (Conversation((HI,), output=OutputFormat()), '"responseMimeType":"application/json"'),
    "json_schema": (
        Conversation((HI,), output=OutputFormat({"title": MARK})),
        f'"responseJsonSchema":{{"title":"{MARK}"',
    ),
    "logprobs": (Conversation((HI,), logprobs=3), '"responseLogprobs":true,"logprobs":3'),
    "max_tokens": (Conversation((HI,), max_tokens=31_337), '"maxOutputTokens":31337'),
    "metadata": (Conversation((HI,), metadata={"a": MARK}), MARK),
    "mid_conversation_system": (Conversation((HI, Turn("system", (Text(MARK),)))), MARK),
    "n": (Conversation((HI,), choices=2), "candidateCount"),
    "parallel_tool_calls": (Conversation((HI,), tools=(LOOK,), parallel_tool_calls=False), "arallel"),
    "presence_penalty": (Conversation((HI,), presence_penalty=0.125), '"presencePenalty":0.125'),
    "prompt_cache_key": (Conversation((HI,), prompt_cache_key=MARK), MARK),
    "provider_tool": (Conversation((HI,), tools=(OpaqueTool("openai-responses", "w", {"a": MARK}),)), MARK),
    "reasoning_budget": (Conversation((HI,), reasoning=Reasoning(budget=2048)), '"thinkingBudget":2048'),
    "reasoning_effort": (Conversation((HI,), reasoning=Reasoning(effort="low")), '"thinkingBudget":1024'),
    "reasoning_replay": (Conversation((Turn("assistant", (Thinking(MARK, OWN),)),)), MARK),
    "refusal": (Conversation((Turn("assistant", (Refusal(MARK),)),)), MARK),
    "seed": (Conversation((HI,), seed=77), '"seed":77'),
    "service_tier": (Conversation((HI,), service_tier="flex"), '"serviceTier":"flex"'),
    "stop": (Conversation((HI,), stop=(MARK,)), f'"stopSequences":["{MARK}"]'),
    "store": (Conversation((HI,), store=True), "store"),
    "strict_tool": (Conversation((HI,), tools=(Tool("look", strict=True),)), "strict"),
    "temperature": (Conversation((HI,), temperature=0.125), '"temperature":0.125'),
    "tool_choice_allowed": (
        Conversation((HI,), tools=(LOOK,), tool_choice=ToolChoice("allowed", names=(MARK,))),
        f'"mode":"VALIDATED","allowedFunctionNames":["{MARK}"]',
    ),
    "tool_choice_none": (Conversation((HI,), tools=(LOOK,), tool_choice=ToolChoice("none")), '"mode":"NONE"'),
    "tool_choice_required": (Conversation((HI,), tools=(LOOK,), tool_choice=ToolChoice("required")), '"mode":"ANY"'),
    "tool_choice_tool": (
        Conversation((HI,), tools=(LOOK,), tool_choice=ToolChoice("tool", "look")),
        '"mode":"ANY","allowedFunctionNames":["look"]',
    ),
    "tool_result_document": (answered(parts=(Document("application/pdf", MARK),)), MARK),
    "tool_result_error": (answered(parts=(Text(MARK),), is_error=True), f'"error":"{MARK}"'),
    "tool_result_image": (answered(parts=(Image("image/png", MARK),)), MARK),
    "tools": (
        Conversation((HI,), tools=(Tool("look", MARK, {"a": MARK}),)),
        f'"parametersJsonSchema":{{"type":"object","a":"{MARK}"',
    ),
    "top_k": (Conversation((HI,), top_k=7), '"topK":7'),
    "top_p": (Conversation((HI,), top_p=0.125), '"topP":0.125'),
    "unknown_field": (Conversation((HI,), extras=(MARK,)), MARK),
    "unknown_item": (said(Text("hi"), OpaquePart("openai-responses", "x", {"a": MARK})), MARK),
    "user": (Conversation((HI,), user=MARK), MARK),
    "verbosity": (Conversation((HI,), verbosity=MARK), MARK),
}


def test_every_feature_is_tried():
    assert set(USES) == set(FEATURES)


@pytest.mark.parametrize("feature", FEATURES)
def test_what_is_listed_as_lost_is_lost_and_all_else_is_carried(feature):
    conversation, mark = USES[feature]
    assert feature in features_of(conversation)
    try:
        body = msgspec.json.encode(write_request(conversation, OLD)).decode()
    except InvalidRequest:
        assert LIMITS[feature] == "refused"
        return
    assert (mark in body) == (LIMITS.get(feature) not in ("dropped", "refused"))


# ---------------------------------------------------------------------------------------------- settings


def test_a_plain_call_is_short():
    assert written() == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_instructions_stand_beside_the_contents():
    body = written(HI, system=(Text("be"), Text("terse")))
    assert body["systemInstruction"] == {"parts": [{"text": "be"}, {"text": "terse"}]}


def test_instructions_alone_are_said_by_the_user_too():
    assert written(Turn("user", ()), system=(Text("go"),))["contents"] == [{"role": "user", "parts": [{"text": "go"}]}]


def test_more_stop_sequences_than_google_takes_are_refused():
    assert written(stop=tuple("abcde"))["generationConfig"] == {"stopSequences": list("abcde")}
    with pytest.raises(InvalidRequest, match="5 at most") as caught:
        written(stop=tuple("abcdef"))
    assert caught.value.param == "stop"


@pytest.mark.parametrize(
    ("seed", "sent"),
    [
        (0, 0),
        (2**31 - 1, 2**31 - 1),
        (-(2**31), -(2**31)),
        (2**31, -(2**31)),
        (2**63 - 1, -1),
        (-(2**31) - 1, 2**31 - 1),
    ],
)
def test_a_seed_too_large_stands_for_one_that_fits(seed, sent):
    assert written(seed=seed)["generationConfig"] == {"seed": sent}


def test_logprobs_without_rivals_ask_for_no_number():
    assert written(logprobs=0)["generationConfig"] == {"responseLogprobs": True}


@pytest.mark.parametrize(("tier", "sent"), [("default", "standard"), ("priority", "priority"), ("auto", None)])
def test_tiers_have_googles_names(tier, sent):
    assert written(service_tier=tier).get("serviceTier") == sent


def test_thinking_is_asked_for_by_the_model():
    reasoning = Reasoning(effort="high")
    new = written(reasoning=reasoning, model=NEW)["generationConfig"]["thinkingConfig"]
    old = written(reasoning=reasoning, model=OLD)["generationConfig"]["thinkingConfig"]
    assert new == {"thinkingLevel": "HIGH", "includeThoughts": True}
    assert old == {"thinkingBudget": 24_576, "includeThoughts": True}


def test_tools_are_declared_with_their_schema_as_it_is():
    schema = {"$schema": "x", "properties": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}}, "$defs": {"b": {}}}
    (tool,) = written(tools=(Tool("look", "Looks.", schema), Tool("wait")))["tools"]
    assert tool["functionDeclarations"] == [
        {
            "name": "look",
            "description": "Looks.",
            "parametersJsonSchema": {"type": "object", "properties": schema["properties"], "$defs": {"b": {}}},
        },
        {"name": "wait"},
    ]


def test_a_custom_tool_takes_one_string():
    (tool,) = written(tools=(Tool("patch", custom=True, parameters={"a": 1}),))["tools"]
    assert tool["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["input"]


def test_googles_own_tools_go_back_to_google():
    tools = (Tool("look"), OpaqueTool("google-genai", "googleSearch", {"googleSearch": {}}))
    assert written(tools=tools)["tools"] == [{"functionDeclarations": [{"name": "look"}]}, {"googleSearch": {}}]


def test_a_choice_without_tools_is_left_out():
    assert "toolConfig" not in written(tool_choice=ToolChoice("auto"))


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("allowed", names=("a", "b"), must_call=True), {"mode": "ANY", "allowedFunctionNames": ["a", "b"]}),
        (ToolChoice("allowed", names=("a",)), {"mode": "VALIDATED", "allowedFunctionNames": ["a"]}),
    ],
)
def test_the_choice_of_tools_is_said(choice, config):
    assert written(tools=(LOOK,), tool_choice=choice)["toolConfig"] == {"functionCallingConfig": config}


@pytest.mark.parametrize("name", ["1look", "look at", "a" * 65, "näh", ":look", "a/b"])
def test_names_that_google_refuses_are_made_to_fit(name):
    fitted, names = fit(Conversation((HI,), tools=(Tool(name),)), TOOL_NAMES, CALL_IDS)
    written_name = written(tools=fitted.tools)["tools"][0]["functionDeclarations"][0]["name"]
    assert written_name != name
    assert TOOL_NAMES.fit(written_name) == written_name
    assert names == {written_name: name}


@pytest.mark.parametrize("name", ["look", "_x", "a.b-c_D1", "a" * 64])
def test_names_that_google_takes_stay(name):
    assert TOOL_NAMES.fit(name) == name


# ---------------------------------------------------------------------------------------------- contents


def test_turns_alternate_and_those_of_one_role_are_joined():
    body = written(
        HI,
        Turn("system", (Text("be brief"),)),
        Turn("assistant", (Text("a"),)),
        Turn("assistant", (Text("b"),)),
        Turn("user", (Text(""),)),
        HI,
    )
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}, {"text": "<system>\nbe brief\n</system>"}]},
        {"role": "model", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "user", "parts": [{"text": "hi"}]},
    ]


@pytest.mark.parametrize(
    ("part", "data"),
    [
        (Image("image/webp", "QQ=="), {"mimeType": "image/webp", "data": "QQ=="}),
        (Image("", "QQ=="), {"mimeType": "image/png", "data": "QQ=="}),
        (Audio("QQ==", "mp3"), {"mimeType": "audio/mp3", "data": "QQ=="}),
        (Document("application/pdf", "QQ=="), {"mimeType": "application/pdf", "data": "QQ=="}),
        (Document("", "QQ==", name="a.csv"), {"mimeType": "text/csv", "data": "QQ=="}),
        (Document("", "QQ=="), {"mimeType": "application/pdf", "data": "QQ=="}),
        (Document(text="é"), {"mimeType": "text/plain", "data": "w6k="}),
        (Document(), {"mimeType": "text/plain", "data": ""}),
    ],
)
def test_data_goes_inline(part, data):
    assert parts_of(part) == [{"inlineData": data}]


@pytest.mark.parametrize(
    ("part", "file"),
    [
        (Image(url="https://a.example/x.png?y"), {"fileUri": "https://a.example/x.png?y", "mimeType": "image/png"}),
        (Image(url="https://a.example/x"), {"fileUri": "https://a.example/x"}),
        (Document("application/pdf", url="gs://b/x"), {"fileUri": "gs://b/x", "mimeType": "application/pdf"}),
        (Image("image/png", file_id="files/abc"), {"fileUri": "files/abc", "mimeType": "image/png"}),
    ],
)
def test_addresses_go_as_they_are(part, file):
    assert parts_of(part) == [{"fileData": file}]


@pytest.mark.parametrize(
    "part", [Image(url="ftp://a.example/x"), Document(url="/etc/passwd"), Image(file_id="file-abc")]
)
def test_addresses_that_google_can_not_follow_are_refused(part):
    with pytest.raises(InvalidRequest):
        parts_of(part)


def test_thoughts_go_back_only_to_where_they_came_from():
    assert parts_of(Text("a"), Thinking("hm", FOREIGN), Thinking("hm"), role="assistant") == [{"text": "a"}]
    assert parts_of(Thinking("hm", OWN), Thinking("", OWN), role="assistant") == [
        {"text": "hm", "thought": True, "thoughtSignature": OWN.value},
        {"text": "", "thoughtSignature": OWN.value},
    ]


def test_parts_that_only_google_understands_go_back_to_it():
    part = {"executableCode": {"code": "1"}}
    assert parts_of(OpaquePart("google-genai", "executableCode", part), role="assistant") == [part]


def called(*calls, model=NEW):
    return written(HI, Turn("assistant", calls), model=model)["contents"][1]["parts"]


def test_a_call_keeps_its_signature():
    (part,) = called(ToolCall("c1", "look", '{"a": 1}', signature=OWN))
    assert part == {"functionCall": {"id": "c1", "name": "look", "args": {"a": 1}}, "thoughtSignature": OWN.value}


@pytest.mark.parametrize("signature", [None, FOREIGN], ids=["none", "another's"])
def test_calls_made_elsewhere_are_let_pass_by_new_models(signature):
    first, second = called(ToolCall("c1", "look", signature=signature), ToolCall("c2", "look"))
    assert first["thoughtSignature"] == DUMMY
    assert "thoughtSignature" not in second
    assert "thoughtSignature" not in called(ToolCall("c1", "look", signature=signature), model=OLD)[0]


def test_numbers_in_arguments_are_sent_as_they_are():
    call = ToolCall("c", "look", '{"n": 1.0, "big": 12345678901234567890123}')
    body = msgspec.json.encode(write_request(Conversation((Turn("assistant", (call,)),)), OLD))
    assert b'{"n": 1.0, "big": 12345678901234567890123}' in body


def test_a_custom_call_is_a_call_with_one_string():
    (part,) = called(ToolCall("c", "patch", "*** Begin", custom=True), model=OLD)
    assert part["functionCall"]["args"] == {"input": "*** Begin"}


@pytest.mark.parametrize("arguments", ["[]", "{", "7", '"x"'])
def test_arguments_that_are_no_object_are_refused(arguments):
    with pytest.raises(InvalidRequest, match="not the JSON text of an object"):
        called(ToolCall("c", "look", arguments))


def result_of(*parts, model=OLD, **fields):
    return parts_of(ToolResult("c", "look", parts, **fields), model=model)


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("21 C", {"output": "21 C"}),
        ("", {"output": ""}),
        ('{"t": 21}', {"t": 21}),
        ('{"t": 21', {"output": '{"t": 21'}),
        ("[1]", {"output": "[1]"}),
        ('{"output": 1, "b": 2}', {"output": '{"output": 1, "b": 2}'}),
        ('{"error": "was none"}', {"output": '{"error": "was none"}'}),
    ],
)
def test_a_result_is_an_object(text, response):
    (part,) = result_of(Text(text))
    assert part == {"functionResponse": {"id": "c", "name": "look", "response": response}}


def test_an_error_is_one():
    (part,) = result_of(Text("no such"), Text("city"), is_error=True)
    assert part["functionResponse"]["response"] == {"error": "no such\ncity"}


def test_results_of_parallel_calls_are_one_content_in_order():
    turns = [Turn("user", (ToolResult(f"c{n}", "look", (Text(str(n)),)),)) for n in range(3)]
    (content,) = written(*turns)["contents"]
    assert [part["functionResponse"]["id"] for part in content["parts"]] == ["c0", "c1", "c2"]


PICTURE = {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}


def test_media_of_a_result_stand_within_it_where_the_model_knows_that():
    (part,) = result_of(Text("see"), Image("image/png", "QQ=="), model=NEW)
    assert part["functionResponse"]["parts"] == [PICTURE]
    older = result_of(Text("see"), Image("image/png", "QQ=="), model=OLD)
    assert older[1:] == [PICTURE]
    assert "parts" not in older[0]["functionResponse"]


def test_an_address_in_a_result_stands_beside_it():
    _, beside = result_of(Image(url="https://a.example/x.png"), model=NEW)
    assert beside == {"fileData": {"fileUri": "https://a.example/x.png", "mimeType": "image/png"}}


def test_a_result_whose_call_is_not_there_has_some_name():
    assert parts_of(ToolResult("c9", "", ()))[0]["functionResponse"]["name"] == "c9"
