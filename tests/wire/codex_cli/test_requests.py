"""Conversations as a prompt for Codex."""

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.carrying import FEATURES, check_carried
from open_llm_auth.wire.codex_cli import DIALECT, Prompt
from open_llm_auth.wire.codex_cli.requests import LIMITS, write_request
from open_llm_auth.wire.conversation import Conversation, Image, OutputFormat, Reasoning, Text, Tool, Turn

HI = Turn("user", (Text("hi"),))
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


def written(conversation):
    """The body as the kind reads it."""
    return msgspec.json.decode(msgspec.json.encode(write_request(conversation, "gpt-5.5")), type=Prompt)


def test_a_plain_call_is_its_text():
    assert written(Conversation((HI,), system=(Text("You are terse."),))) == Prompt(
        "gpt-5.5", "hi", system="You are terse."
    )


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (None, None),
        (Reasoning(enabled=True), None),
        (Reasoning(enabled=False), "low"),
        (Reasoning(effort="none"), "low"),
        (Reasoning(effort="medium"), "medium"),
        (Reasoning(effort="max"), "xhigh"),
        (Reasoning(effort="novel"), None),
        (Reasoning(budget=1024), "low"),
        (Reasoning(budget=1025), "medium"),
        (Reasoning(budget=32_000), "high"),
    ],
)
def test_reasoning_is_an_effort(reasoning, effort):
    assert written(Conversation((HI,), reasoning=reasoning)).effort == effort


def test_a_strict_schema_is_given_as_one_and_any_is_asked_for_in_words():
    strict = written(Conversation((HI,), output=OutputFormat(SCHEMA, strict=True)))
    loose = written(Conversation((HI,), output=OutputFormat(SCHEMA)))
    assert strict.schema == SCHEMA
    assert loose.schema is None
    assert '"additionalProperties":false' in strict.system
    assert '"additionalProperties":false' in loose.system


@pytest.mark.parametrize(
    ("feature", "conversation"),
    [
        ("tools", Conversation((HI,), tools=(Tool("f"),))),
        ("image", Conversation((Turn("user", (Image("image/png", "AAAA"),)),))),
    ],
)
def test_what_the_program_can_not_take_is_refused_by_name(feature, conversation):
    with pytest.raises(InvalidRequest) as caught:
        check_carried(conversation, LIMITS, target="codex-cli", strict=False)
    assert caught.value.param == feature


def test_nothing_to_answer_is_refused():
    with pytest.raises(InvalidRequest, match="no text to answer"):
        written(Conversation((Turn("user", (Text(" "),)),)))


def test_what_is_said_to_be_carried_is(marked, is_marked):
    assert DIALECT.provider.limits is LIMITS
    assert set(LIMITS) <= set(FEATURES)
    for feature, conversation in marked.items():
        handling = LIMITS.get(feature)
        if handling == "refused":
            continue  # it never gets here
        assert is_marked(write_request(conversation, "gpt-5.5")) == (handling != "dropped"), feature
