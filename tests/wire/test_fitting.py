"""Names of tools and ids of calls that the other side would refuse are replaced, and found again."""

import re

from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire.conversation import Conversation, Text, Tool, ToolCall, ToolChoice, ToolResult, Turn
from open_llm_auth.wire.fitting import ANY_NAME, NameRule, fit

NARROW = NameRule(re.compile(r"[^a-zA-Z0-9_-]"), 64)
GOOGLE = NameRule(re.compile(r"[^a-zA-Z0-9_.:-]"), 64, first=re.compile(r"[a-zA-Z_]"))


def call_of(name: str, call_id: str) -> Conversation:
    return Conversation(
        turns=(
            Turn("user", (Text("hi"),)),
            Turn("assistant", (ToolCall(call_id, name),)),
            Turn("user", (ToolResult(call_id, name, (Text("done"),)),)),
        ),
        tools=(Tool(name),),
        tool_choice=ToolChoice("tool", name),
    )


def test_what_fits_is_not_even_copied():
    conversation = call_of("get_weather", "call_1")
    fitted, names = fit(conversation, NARROW, NARROW)
    assert fitted is conversation
    assert names == {}


def test_a_name_is_replaced_everywhere_alike_and_leads_back():
    fitted, names = fit(call_of("files.read/all", "call_1"), NARROW, NARROW)
    (new,) = names
    assert names[new] == "files.read/all"
    assert [tool.name for tool in fitted.tools] == [new]
    assert fitted.turns[1].parts[0].name == fitted.turns[2].parts[0].name == fitted.tool_choice.name == new


def test_an_id_is_replaced_in_the_call_and_its_result_alike():
    fitted, names = fit(call_of("f", "a" * 200), NARROW, NARROW)
    assert names == {}
    call, result = fitted.turns[1].parts[0], fitted.turns[2].parts[0]
    assert call.id == result.id
    assert len(call.id) == 64


@given(st.text(max_size=200))
def test_a_fitted_name_obeys_its_rule_and_is_always_the_same(name):
    for rule in (NARROW, GOOGLE):
        fitted = rule.fit(name)
        assert 0 < len(fitted) <= rule.limit
        assert not rule.forbidden.search(fitted)
        assert rule.first is None or rule.first.match(fitted)
        assert rule.fit(name) == fitted == rule.fit(fitted)


@given(st.lists(st.text(min_size=1, max_size=100), unique=True, max_size=20))
def test_two_names_never_become_one(names):
    assert len({NARROW.fit(name) for name in names}) == len(names)


def test_a_dialect_without_a_rule_takes_every_name():
    assert ANY_NAME.fit("überall / geht's") == "überall / geht's"
