"""Conversations as a prompt for Claude Code."""

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.carrying import FEATURES, check_carried
from open_llm_auth.wire.claude_cli import DIALECT, Prompt
from open_llm_auth.wire.claude_cli.requests import LIMITS, write_request
from open_llm_auth.wire.conversation import Conversation, Image, OutputFormat, Reasoning, Text, Tool, Turn

HI = Turn("user", (Text("hi"),))


def written(conversation):
    """The body as the kind reads it."""
    return msgspec.json.decode(msgspec.json.encode(write_request(conversation, "sonnet")), type=Prompt)


def test_a_plain_call_is_its_text():
    assert written(Conversation((HI,), system=(Text("You are terse."),))) == Prompt(
        "sonnet", ({"type": "text", "text": "hi"},), system="You are terse."
    )


def test_pictures_come_before_the_text_that_names_them():
    turn = Turn("user", (Text("What is this?"), Image("image/png", "AAAA"), Image(url="https://a.example/b.png")))
    assert written(Conversation((turn,))).content == (
        {"type": "text", "text": "Image 1:"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "text", "text": "Image 2:"},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {"type": "text", "text": "What is this?\n\n[image 1]\n\n[image 2]"},
    )


@pytest.mark.parametrize(
    "parts",
    [
        (Text("/context"),),
        (Text("  /login"),),
        (Text("/etc/hosts is what?"), Image("image/png", "AA")),
        (Image("image/png", "AA"), Text("/context")),
    ],
)
def test_no_prompt_can_be_taken_for_a_command_of_the_program(parts):
    last = written(Conversation((Turn("user", parts),))).content[-1]["text"]
    assert not last.lstrip().startswith("/")
    assert parts[0].text.strip() in last if isinstance(parts[0], Text) else "/context" in last


@pytest.mark.parametrize(
    ("reasoning", "effort", "thinking"),
    [
        (None, None, None),
        (Reasoning(), None, None),
        (Reasoning(enabled=True), None, None),
        (Reasoning(effort="minimal"), "low", None),
        (Reasoning(effort="xhigh"), "xhigh", None),
        (Reasoning(effort="novel"), None, None),
        (Reasoning(budget=2048), None, 2048),
        (Reasoning(effort="none"), None, 0),
        (Reasoning(enabled=False), None, 0),
    ],
)
def test_reasoning_is_an_effort_or_tokens(reasoning, effort, thinking):
    prompt = written(Conversation((HI,), reasoning=reasoning))
    assert (prompt.effort, prompt.thinking) == (effort, thinking)


def test_a_schema_is_asked_for_in_words():
    system = written(Conversation((HI,), output=OutputFormat({"type": "object", "title": "weather"}))).system
    assert '{"type":"object","title":"weather"}' in system


def test_a_callers_tools_are_refused_by_name():
    with pytest.raises(InvalidRequest, match="'tools'") as caught:
        check_carried(Conversation((HI,), tools=(Tool("f"),)), LIMITS, target="claude-cli", strict=False)
    assert caught.value.param == "tools"


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
        assert is_marked(write_request(conversation, "sonnet")) == (handling != "dropped"), feature
