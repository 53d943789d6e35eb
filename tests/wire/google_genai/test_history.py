"""Contents as turns: parts of every kind, calls and results that find each other, streams put together again."""

from __future__ import annotations

import base64

import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.conversation import (
    Audio,
    Document,
    Image,
    OpaquePart,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.google_genai.fields import Node
from open_llm_auth.wire.google_genai.history import read_turns
from open_llm_auth.wire.signatures import Recalled, seal, seal_call_id, seal_thinking

PNG = base64.b64encode(b"\x89PNG\xff\xfe").decode()
OWN = Signature("google-genai", "c2lnbmF0dXJl")
FOREIGN = Signature("anthropic-messages", "proof+/==", "id1")


def turns(*contents):
    return read_turns(Node({"contents": list(contents)}, "").nodes("contents"))


def user(*parts):
    return {"role": "user", "parts": list(parts)}


def model(*parts):
    return {"role": "model", "parts": list(parts)}


def call(name="look", args=None, **more):
    return {"functionCall": {"name": name, **({} if args is None else {"args": args})}, **more}


def result(response, name="look", **more):
    return {"functionResponse": {"name": name, "response": response, **more}}


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({"text": "hi"}, Text("hi")),
        ({"inlineData": {"mimeType": "image/png", "data": PNG}}, Image("image/png", PNG)),
        ({"inline_data": {"mime_type": "image/png", "data": PNG}}, Image("image/png", PNG)),
        ({"inlineData": {"mimeType": "audio/mpeg", "data": PNG}}, Audio(PNG, "mp3")),
        ({"inlineData": {"mimeType": "audio/x-wav;rate=1", "data": PNG}}, Audio(PNG, "wav")),
        ({"inlineData": {"mimeType": "application/pdf", "data": PNG}}, Document("application/pdf", PNG)),
        ({"inlineData": {"mimeType": "video/mp4", "data": PNG}}, Document("video/mp4", PNG)),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/x"}},
            Image("image/png", url="https://a.example/x"),
        ),
        (
            {"fileData": {"fileUri": "https://a.example/x.JPG?y=1"}},
            Image("image/jpeg", url="https://a.example/x.JPG?y=1"),
        ),
        (
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/x", "displayName": "n"}},
            Document("application/pdf", url="gs://b/x", name="n"),
        ),
        (
            {
                "fileData": {
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a",
                    "mimeType": "image/png",
                }
            },
            Image("image/png", file_id="https://generativelanguage.googleapis.com/v1beta/files/a"),
        ),
        (
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
            Document(url="https://www.youtube.com/watch?v=1"),
        ),
        (
            {"executableCode": {"code": "1"}},
            OpaquePart("google-genai", "executableCode", {"executableCode": {"code": "1"}}),
        ),
        (
            {"thoughtSignature": "a", "codeExecutionResult": {}},
            OpaquePart("google-genai", "codeExecutionResult", {"thoughtSignature": "a", "codeExecutionResult": {}}),
        ),
    ],
)
def test_a_part_of_each_kind_is_read(part, read):
    assert turns(user(part)) == (Turn("user", (read,)),)


def test_base64_in_the_other_alphabet_is_read_as_the_same_bytes():
    data = base64.urlsafe_b64encode(b"\xfb\xff\xfe?>").decode().rstrip("=")
    ((image,),) = (turn.parts for turn in turns(user({"inlineData": {"mimeType": "image/png", "data": data}})))
    assert base64.b64decode(image.data, validate=True) == b"\xfb\xff\xfe?>"


@pytest.mark.parametrize("role", [None, "user", "function"])
def test_who_is_no_model_is_the_user(role):
    content = {"parts": [{"text": "hi"}]} | ({"role": role} if role else {})
    assert turns(content)[0].role == "user"


def test_what_says_nothing_is_left_out():
    assert turns(user({"text": ""}), user({"text": "hi"}), model()) == (Turn("user", (Text("hi"),)),)


def test_what_a_model_drew_is_for_its_own_kind_only():
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    assert turns(model(picture))[0].parts == (OpaquePart("google-genai", "inlineData", picture),)


# ---------------------------------------------------------------------------------------------- thoughts


def test_thoughts_are_read_with_their_signature():
    parts = turns(model({"text": "hm", "thought": True, "thoughtSignature": OWN.value}, {"text": "yes"}))[0].parts
    assert parts == (Thinking("hm", OWN, summary=True), Text("yes"))


def test_a_signature_beside_words_stands_for_thoughts_that_were_not_shown():
    assert turns(model({"text": "yes", "thoughtSignature": OWN.value}))[0].parts == (
        Text("yes"),
        Thinking(signature=OWN),
    )
    assert turns(model({"text": "", "thoughtSignature": OWN.value}))[0].parts == (Thinking(signature=OWN),)
    assert turns(model({"thoughtSignature": OWN.value}))[0].parts == (Thinking(signature=OWN),)


@pytest.mark.parametrize("urlsafe", [False, True], ids=["standard base64", "as Python's SDK sends it back"])
def test_a_signature_that_travelled_is_taken_out_of_its_envelope(urlsafe):
    sealed = seal(FOREIGN)
    if urlsafe:
        sealed = base64.urlsafe_b64encode(base64.b64decode(sealed)).decode()
    (part,) = turns(model({"text": "hm", "thought": True, "thoughtSignature": sealed}))[0].parts
    assert part == Thinking("hm", FOREIGN, summary=True)


def test_what_a_stream_parted_is_put_together_again():
    """Clients keep every chunk as a content of its own."""
    chunks = (
        model({"text": "I sho", "thought": True}),
        model({"text": "uld look.", "thought": True}),
        model({"text": "", "thought": True, "thoughtSignature": OWN.value}),
        model({"text": "Let me"}),
        model({"text": " look."}, call(args={"a": 1})),
        model({"text": ""}),
    )
    (turn,) = turns(*chunks)
    assert turn.role == "assistant"
    assert turn.parts[:2] == (Thinking("I should look.", OWN, summary=True), Text("Let me look."))
    assert [part.name for part in turn.parts[2:]] == ["look"]


def test_signed_thoughts_stay_apart():
    first = {"text": "a", "thought": True, "thoughtSignature": OWN.value}
    assert len(turns(model(first, {"text": "b", "thought": True}))[0].parts) == 2


# ---------------------------------------------------------------------------------------------- calls


def test_calls_without_ids_get_them_from_where_they_stand():
    contents = (
        user({"text": "go"}),
        model({"text": "ok"}, call("a", {"x": 1}), call("b")),
        user(result({"output": "B"}, "b"), result({"output": "A"}, "a")),
    )
    _, said, answered = turns(*contents)
    assert said.parts[1:] == (ToolCall("call_1_1", "a", '{"x":1}'), ToolCall("call_1_2", "b", "{}"))
    assert answered.parts == (
        ToolResult("call_1_2", "b", (Text("B"),)),
        ToolResult("call_1_1", "a", (Text("A"),)),
    )
    assert turns(*contents) == turns(*contents)


def test_two_calls_of_one_function_are_answered_in_order():
    contents = (model(call(), call()), user(result({"output": "1"}), result({"output": "2"})))
    called, answered = turns(*contents)
    assert [part.id for part in answered.parts] == [part.id for part in called.parts]


def test_an_answer_finds_its_call_by_id():
    contents = (
        model({"functionCall": {"id": "x", "name": "look"}}, {"functionCall": {"id": "y", "name": "look"}}),
        user(result({"output": "Y"}, id="y"), result({"output": "X"}, id="x")),
    )
    assert [part.id for part in turns(*contents)[1].parts] == ["y", "x"]


def test_an_id_that_only_the_client_knows_still_finds_its_call():
    """gemini-cli makes up ids for calls that came without."""
    called, answered = turns(model(call()), user(result({"output": "1"}, id="look-17")))
    assert answered.parts[0].id == called.parts[0].id


def test_a_call_answered_again_later_is_another_call():
    contents = (model(call()), user(result({"output": "1"})), model(call()), user(result({"output": "2"})))
    ids = [part.id for turn in turns(*contents) for part in turn.parts]
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_an_answer_without_a_call_keeps_what_it_knows():
    assert turns(user(result({"output": "1"}, id="z")))[0].parts == (ToolResult("z", "look", (Text("1"),)),)
    assert turns(user(result({"output": "1"})))[0].parts == (ToolResult("call_0_0", "look", (Text("1"),)),)


def test_signatures_of_calls_are_read_from_both_places():
    signed = turns(model(call(thoughtSignature=OWN.value)))[0].parts[0]
    assert signed.signature == OWN
    travelled = turns(model({"functionCall": {"id": seal_call_id("c1", FOREIGN), "name": "look"}}))[0].parts[0]
    assert (travelled.id, travelled.signature) == ("c1", FOREIGN)


HELD = Thinking("hm", FOREIGN)
AFTER = Thinking("then", Signature("anthropic-messages", "second"))


@pytest.mark.parametrize("urlsafe", [False, True])
def test_thinking_that_travelled_in_a_call_stands_before_it_again(urlsafe):
    sealed = seal_thinking(Recalled((HELD,), (AFTER,)))
    if urlsafe:
        sealed = base64.urlsafe_b64encode(base64.b64decode(sealed)).decode().rstrip("=")
    ((_, turn),) = (turns(user({"text": "hi"}), model({"text": "Let me look."}, call(thoughtSignature=sealed))),)
    assert turn.parts == (HELD, Text("Let me look."), AFTER, ToolCall("call_1_1", "look"))


@pytest.mark.parametrize(
    "beside",
    [
        [{"text": "hm", "thought": True, "thoughtSignature": seal(FOREIGN)}],
        [{"text": "h", "thought": True}, {"text": "m", "thought": True}],
        [{"text": "hm", "thought": True}, {"text": "", "thought": True, "thoughtSignature": seal(FOREIGN)}],
    ],
)
def test_thinking_that_came_back_in_two_ways_is_there_once(beside):
    sealed = seal_thinking(Recalled((HELD,)))
    (turn,) = turns(model(*beside, {"text": "So."}, call(thoughtSignature=sealed), call("wait")))
    looked, waited = ToolCall(f"call_0_{len(beside) + 1}", "look"), ToolCall(f"call_0_{len(beside) + 2}", "wait")
    assert turn.parts == (HELD, Text("So."), looked, waited)


def test_thinking_before_an_earlier_call_is_left_to_that():
    first, second = (seal_thinking(Recalled((thinking,))) for thinking in (HELD, AFTER))
    (turn,) = turns(model(call(thoughtSignature=first), call("wait", thoughtSignature=second)))
    assert turn.parts == (HELD, ToolCall("call_0_0", "look"), AFTER, ToolCall("call_0_1", "wait"))


def test_an_envelope_that_was_spoiled_is_a_signature_like_any_other():
    spoiled = seal_thinking(Recalled((HELD,)))[:-8]
    (turn,) = turns(model(call(thoughtSignature=spoiled)))
    assert turn.parts == (ToolCall("call_0_0", "look", signature=Signature("google-genai", spoiled)),)


def test_the_answer_to_a_call_whose_id_carries_a_signature_finds_it():
    sealed = seal_call_id("c1", FOREIGN)
    contents = (model({"functionCall": {"id": sealed, "name": "look"}}), user(result({"output": "1"}, id=sealed)))
    assert turns(*contents)[1].parts[0].id == "c1"


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "21 C"}, "21 C", False),
        ({"result": "21 C"}, "21 C", False),
        ({"output": {"t": 21}}, '{"t":21}', False),
        ({"t": 21, "u": [1]}, '{"t":21,"u":[1]}', False),
        ({"content": "x"}, '{"content":"x"}', False),
        ({"error": "no such city"}, "no such city", True),
        ({"error": {"code": 1}}, '{"code":1}', True),
        ({"error": "x", "output": "y"}, '{"error":"x","output":"y"}', True),
        ({"error": None, "output": "y"}, '{"error":null,"output":"y"}', False),
        ({}, "", False),
        (None, "", False),
    ],
)
def test_an_answer_is_read_as_text(response, text, is_error):
    (answer,) = turns(user(result(response)))[0].parts
    assert answer == ToolResult("call_0_0", "look", (Text(text),) if text else (), is_error)


def test_media_within_an_answer_are_read():
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    paper = {"inlineData": {"mimeType": "application/pdf", "data": PNG}}
    sound = {"inlineData": {"mimeType": "audio/wav", "data": PNG}}
    (answer,) = turns(user(result({"output": "see"}, parts=[picture, paper, sound])))[0].parts
    assert answer.parts == (
        Text("see"),
        Image("image/png", PNG),
        Document("application/pdf", PNG),
        Document("audio/wav", PNG),
    )


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ({"role": "assistant", "parts": []}, "contents.0.role"),
        ({"parts": "hi"}, "contents.0.parts"),
        ({"parts": [1]}, "contents.0.parts.0"),
        ({"parts": [{}]}, "contents.0.parts.0.text"),
        ({"parts": [{"text": 1}]}, "contents.0.parts.0.text"),
        ({"parts": [{"text": "a", "thought": 1}]}, "contents.0.parts.0.thought"),
        ({"parts": [{"inlineData": {"mimeType": "image/png"}}]}, "contents.0.parts.0.inlineData.data"),
        ({"parts": [{"inlineData": {"data": PNG}}]}, "contents.0.parts.0.inlineData.mimeType"),
        ({"parts": [{"inlineData": "x"}]}, "contents.0.parts.0.inlineData"),
        ({"parts": [{"fileData": {}}]}, "contents.0.parts.0.fileData.fileUri"),
        ({"parts": [{"functionCall": {}}]}, "contents.0.parts.0.functionCall.name"),
        ({"parts": [{"functionCall": {"name": "a", "args": "{}"}}]}, "contents.0.parts.0.functionCall.args"),
        ({"parts": [{"functionResponse": {"response": "x"}}]}, "contents.0.parts.0.functionResponse.response"),
        (
            {"parts": [{"functionResponse": {"parts": [{"text": "x"}]}}]},
            "contents.0.parts.0.functionResponse.parts.0.inlineData",
        ),
    ],
)
def test_what_is_no_content_is_refused_by_its_path(content, param):
    with pytest.raises(InvalidRequest) as caught:
        turns(content)
    assert caught.value.param == param
