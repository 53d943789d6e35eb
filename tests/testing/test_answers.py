"""What a fake decides to say can be foretold from the request and the script."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.testing.answers import TEXT, THINKING, Asked, Script, Seal, decide, pieces_of

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = {"weather": CITY, "time": CITY}


@pytest.mark.parametrize(
    ("asked", "script", "called"),
    [
        (Asked(text="the weather", tools=TOOLS), Script(), ["weather"]),
        (Asked(text="weather and time", tools=TOOLS), Script(), ["weather", "time"]),
        (Asked(text="weather and time", tools=TOOLS, parallel=False), Script(), ["weather"]),
        (Asked(text="hello", tools=TOOLS), Script(), []),
        (Asked(text="hello", tools=TOOLS, choice="required"), Script(), ["weather"]),
        (Asked(text="hello", tools=TOOLS, forced="time"), Script(), ["time"]),
        (Asked(text="weather", tools=TOOLS, choice="none"), Script(calls="first"), []),
        (Asked(text="weather", tools=TOOLS, answered=True), Script(calls="first"), []),
        (Asked(tools=TOOLS), Script(calls="first"), ["weather"]),
        (Asked(tools=TOOLS), Script(calls="two"), ["weather", "time"]),
        (Asked(tools={"weather": CITY}), Script(calls="two"), ["weather", "weather"]),
        (Asked(tools=TOOLS, parallel=False), Script(calls="two"), ["weather"]),
        (Asked(), Script(calls="first"), []),
    ],
)
def test_a_tool_is_called_where_it_is_named_forced_or_scripted(asked, script, called):
    assert [call.name for call in decide(asked, "1", script).calls] == called


@pytest.mark.parametrize(
    ("asked", "script", "text", "finish"),
    [
        (Asked(), Script(), TEXT, "stop"),
        (Asked(limit=2), Script(), TEXT[:2], "length"),
        (Asked(limit=9), Script(cut=2), TEXT[:2], "length"),
        (Asked(limit=len(TEXT)), Script(), TEXT, "stop"),
        (Asked(stop=("STOP",)), Script(text=("one ST", "OP two")), ("one ",), "stop_sequence"),
        (Asked(stop=("two", "one")), Script(text=("one", " two")), (), "stop_sequence"),
        (Asked(stop=("absent",)), Script(), TEXT, "stop"),
        (Asked(schema=CITY), Script(), ('{"city":"sample"}',), "stop"),
        (Asked(schema={}), Script(), ('{"ok":true}',), "stop"),
        (Asked(schema={"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}), Script(), ('{"n":1}',), "stop"),
    ],
)
def test_text_ends_where_the_request_and_the_script_say(asked, script, text, finish):
    said = decide(asked, "1", script)
    assert (said.text, said.finish) == (text, finish)


def test_thinking_is_said_where_it_is_asked_for_or_scripted():
    assert decide(Asked(), "1", Script()).thinking == ()
    assert decide(Asked(thinks=True), "1", Script()).thinking == THINKING
    assert decide(Asked(), "1", Script(reasoning=("hm",))).thinking == ("hm",)


def test_all_that_was_read_and_said_is_counted_once():
    said = decide(Asked(thinks=True, words=4), "1", Script(cached=(10, 5)))
    assert (said.input, said.output) == (4 + 10 + 5, len(TEXT) + len(THINKING))


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20)))
def test_the_pieces_of_arguments_are_the_arguments(value):
    text = json.dumps(value)
    assert "".join(pieces_of(text)) == text


def test_a_seal_knows_its_own_words_and_no_other_issuers():
    seal = Seal("one")
    signature = seal.sign("words")
    assert seal.has_signed(signature, "words")
    assert not seal.has_signed(signature, "other words")
    assert seal.issued(signature)
    for foreign in (Seal("two").sign("words"), "c2lnbmF0dXJl", "not base64!", ""):
        assert not seal.issued(foreign)
        assert not seal.has_signed(foreign, "words")
