"""Instructions amid the messages say whose words they are, and are known again."""

import pytest

from open_llm_auth.wire.conversation import CacheControl, Conversation, Image, Text, Turn
from open_llm_auth.wire.dialects import provider_side
from open_llm_auth.wire.instructions import is_instruction, told_by_user, user_parts, user_turns

TOLD = "<system>\nbe brief\n</system>"


def test_an_instruction_is_told_and_known_again():
    assert told_by_user("be brief") == TOLD
    assert is_instruction(TOLD)


@pytest.mark.parametrize("text", ["", "be brief", f"{TOLD}\n\nhi", f"hi\n\n{TOLD}", "<system>"])
def test_what_a_person_says_beside_one_is_a_persons(text):
    assert not is_instruction(text)


def test_the_texts_of_a_systems_turn_are_told_and_all_else_is_left():
    image, cache = Image("image/png", "AA=="), CacheControl()
    assert user_parts(Turn("system", (Text("be brief", cache), Text(" "), image))) == (
        Text(TOLD, cache),
        Text(" "),
        image,
    )
    assert user_parts(Turn("user", (Text("hi"),))) == (Text("hi"),)


ASKED, BRIEF, ANSWER = (
    Turn("user", (Text("hi"),), "ann"),
    Turn("system", (Text("be brief"),)),
    Turn("assistant", (Text("ho"),)),
)


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        ([ASKED, BRIEF], ["user: hi", f"user: {TOLD}"]),
        ([ASKED, BRIEF, BRIEF, ASKED], ["user: hi", f"user: {TOLD}", f"user: {TOLD}", "user: hi"]),
        ([ASKED, ANSWER, BRIEF, ASKED], ["user: hi", "assistant: ho", f"user: {TOLD}", "user: hi"]),
        ([BRIEF], [f"user: {TOLD}"]),
    ],
    ids=range(4),
)
def test_an_instruction_joins_the_users_turn_beside_it(turns, told):
    made = user_turns(turns)
    assert [f"{turn.role}: {part.text}" for turn in made for part in turn.parts] == told
    assert len(made) == 1 + 2 * turns.count(ANSWER)
    assert made[0].name in ("ann", "")


def test_turns_without_one_stay_as_they_are():
    assert user_turns([ASKED, ASKED, ANSWER]) == [ASKED, ASKED, ANSWER]


@pytest.mark.parametrize("dialect", ["anthropic-messages", "bedrock-converse", "google-genai", "ollama"])
def test_it_is_the_users_in_every_dialect_that_knows_no_other_place(dialect):
    call = Conversation((Turn("user", (Text("hi"),)), Turn("system", (Text("be brief"),))))
    body = str(provider_side(dialect).write_request(call, "m"))
    assert TOLD.replace("\n", "\\n") in body
    assert "'system'" not in body.replace("'system': []", "")
