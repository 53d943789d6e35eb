"""Conversations as one text."""

import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.conversation import (
    Conversation,
    Document,
    Image,
    OpaquePart,
    OutputFormat,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.transcript import render, system_text


def said(*parts, role="user"):
    return Conversation((Turn(role, parts),))


def test_one_turn_of_the_user_is_its_own_text():
    assert render(said(Text("Grüß Gott"), Text("世界"))).text == "Grüß Gott\n\n世界"


def test_more_turns_are_told_one_after_the_other():
    picture = Image("image/png", "AAAA")
    conversation = Conversation(
        (
            Turn("user", (Text("Weather in Paris?"), picture)),
            Turn("assistant", (Thinking("hm"), Text("Let me look."), ToolCall("c1", "weather", '{"city":"Paris"}'))),
            Turn("user", (ToolResult("c1", "weather", (Text("no such city"),), is_error=True),)),
            Turn("assistant", (Refusal("I won't say."),)),
            Turn("system", (Text("Be brief."),)),
            Turn("user", (ToolResult("c2", "", (Text("21 C"), picture)), Text("And now?"))),
        )
    )
    transcript = render(conversation)
    head, _, told = transcript.text.partition("\n\n")
    assert "what the assistant says next" in head
    assert told == (
        "<user>\nWeather in Paris?\n\n[image 1]\n</user>\n\n"
        '<assistant>\nLet me look.\n\n[called the tool weather (call c1) with: {"city":"Paris"}]\n</assistant>\n\n'
        "<user>\n[the tool weather (call c1) failed with: no such city]\n</user>\n\n"
        "<assistant>\nI won't say.\n</assistant>\n\n"
        "<system>\nBe brief.\n</system>\n\n"
        "<user>\n[the tool that was called (call c2) answered: 21 C\n\n[image 2]]\n\nAnd now?\n</user>"
    )
    assert transcript.images == (picture, picture)


@pytest.mark.parametrize("text", ["/compact", "\n /init", "!ls", "# note"])
def test_what_looks_like_a_command_is_told_as_something_said(text):
    assert render(said(Text(text))).text.endswith(f"<user>\n{text}\n</user>")


def test_a_last_turn_of_the_assistant_is_not_taken_for_the_users():
    assert "<assistant>\nIt is\n</assistant>" in render(said(Text("It is"), role="assistant")).text


def test_documents_of_text_are_in_it_and_others_are_refused():
    assert render(said(Document(text="line", name="a.txt"))).text == "[document a.txt]\nline\n[end of document]"
    with pytest.raises(InvalidRequest, match=r"'b.pdf' is not text"):
        render(said(Document(data="AAAA", name="b.pdf")))


def test_what_has_no_words_is_left_out():
    assert render(said(OpaquePart("x", "server_tool_use", {}), Text("hi"))).text == "hi"


def test_instructions_are_the_system_text_and_the_form_that_was_asked_for():
    system = (Text("You are terse."), Text(""), Text("Be kind."))
    hi = (Turn("user", (Text("hi"),)),)
    assert system_text(Conversation(hi)) == ""
    assert system_text(Conversation(hi, system=system)) == "You are terse.\n\nBe kind."
    assert "one JSON object" in system_text(Conversation(hi, output=OutputFormat()))
    asked = system_text(Conversation(hi, system=system, output=OutputFormat({"type": "string"}, description="a city")))
    assert asked.startswith("You are terse.")
    assert '(a city):\n{"type":"string"}' in asked
