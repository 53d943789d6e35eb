"""Thinking: how it is asked of each family, and when it has to be off."""

import pytest

from open_llm_auth.wire.anthropic_messages.families import family_of
from open_llm_auth.wire.anthropic_messages.thinking import (
    Standing,
    ask,
    lacks_thinking,
    replayable,
    standing_of,
    thinks,
    turn_adaptive,
    turn_off,
)
from open_llm_auth.wire.conversation import (
    Conversation,
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

OLD, SONNET_45, SONNET_46, OPUS_48, OPUS_5, FABLE, GLM = (
    family_of(name)
    for name in (
        "claude-3-5-haiku-latest",
        "claude-sonnet-4-5",
        "claude-sonnet-4-6",
        "claude-opus-4-8",
        "claude-opus-5",
        "claude-fable-5",
        "glm-5.1",
    )
)
MEDIUM = Reasoning(effort="medium")
OFF = Reasoning(enabled=False)


FREE, FORCED, UNPROVEN = Standing(), Standing(possible=False), Standing(proven=False)


def said(reasoning, family, max_tokens=None, standing=FREE):
    thought = ask(reasoning, family, max_tokens, standing)
    return thought.field, thought.effort, thought.max_tokens


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (OLD, (None, None, 8192)),
        (SONNET_45, ({"type": "enabled", "budget_tokens": 4096}, None, 4096 + 8192)),
        (GLM, ({"type": "enabled", "budget_tokens": 4096}, None, 4096 + 8192)),
        (SONNET_46, ({"type": "adaptive"}, "medium", 32_000)),
        (OPUS_48, ({"type": "adaptive", "display": "summarized"}, "medium", 32_000)),
        (OPUS_5, ({"type": "adaptive", "display": "summarized"}, "medium", 32_000)),
        (FABLE, ({"type": "adaptive", "display": "summarized"}, "medium", 32_000)),
    ],
)
def test_an_effort_is_said_as_the_family_takes_it(family, expected):
    assert said(MEDIUM, family) == expected


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (SONNET_45, ({"type": "enabled", "budget_tokens": 2048}, None)),
        (SONNET_46, ({"type": "enabled", "budget_tokens": 2048}, None)),
        (OPUS_48, ({"type": "adaptive", "display": "summarized"}, "medium")),
    ],
)
def test_a_budget_is_said_as_the_family_takes_it(family, expected):
    assert said(Reasoning(budget=2048), family)[:2] == expected


@pytest.mark.parametrize(("budget", "effort"), [(1, "low"), (1024, "low"), (8192, "medium"), (31_999, "high")])
def test_larger_budgets_are_greater_efforts(budget, effort):
    assert said(Reasoning(budget=budget), OPUS_5)[1] == effort


@pytest.mark.parametrize(
    ("effort", "family", "known"),
    [
        ("minimal", OPUS_5, "low"),
        ("xhigh", OPUS_5, "xhigh"),
        ("xhigh", SONNET_46, "high"),
        ("max", SONNET_46, "max"),
        ("whatever", OPUS_5, None),
    ],
)
def test_an_effort_that_a_model_lacks_is_the_next_lower(effort, family, known):
    assert said(Reasoning(effort=effort), family)[1] == known


def test_efforts_are_budgets_that_grow_and_fit_below_the_smallest_ceiling():
    budgets = [
        said(Reasoning(effort=effort), SONNET_45)[0]["budget_tokens"] for effort in ("low", "medium", "high", "max")
    ]
    assert budgets == sorted(set(budgets))
    assert min(budgets) >= 1024
    assert max(said(Reasoning(effort="max"), SONNET_45)[2:]) <= 32_000


@pytest.mark.parametrize(("limit", "expected"), [(None, 12_192), (100, 4100), (4096, 8096), (5024, 5024), (9000, 9000)])
def test_the_limit_leaves_room_for_an_answer_beside_the_budget(limit, expected):
    assert said(Reasoning(budget=4000), SONNET_45, limit)[2] == expected


def test_a_budget_below_the_least_is_the_least():
    assert said(Reasoning(budget=10), SONNET_45)[0]["budget_tokens"] == 1024


@pytest.mark.parametrize("reasoning", [OFF, Reasoning(effort="none"), Reasoning(budget=0)])
@pytest.mark.parametrize(
    ("family", "field"),
    [
        (OLD, None),
        (SONNET_45, None),
        (OPUS_48, None),
        (OPUS_5, {"type": "disabled"}),
        (GLM, {"type": "disabled"}),
        (FABLE, None),
    ],
)
def test_off_is_said_where_silence_would_not_do(reasoning, family, field):
    assert said(reasoning, family)[:2] == (field, None)


@pytest.mark.parametrize("reasoning", [None, Reasoning(), Reasoning(summary="auto")])
@pytest.mark.parametrize("family", [SONNET_45, OPUS_48, OPUS_5, FABLE, GLM])
def test_nothing_is_said_where_nothing_was_asked(reasoning, family):
    assert said(reasoning, family)[:2] == (None, None)


def test_a_model_that_thinks_unasked_gets_room_for_it():
    assert said(None, OPUS_5)[2] == 32_000
    assert said(None, OPUS_48)[2] == 8192
    assert said(None, OPUS_5, 50)[2] == 50


@pytest.mark.parametrize("family", [SONNET_45, SONNET_46, OPUS_48])
def test_impossible_thinking_is_left_out(family):
    thought = ask(MEDIUM, family, None, FORCED)
    assert (thought.field, thought.on, thought.off) == (None, False, True)


@pytest.mark.parametrize("reasoning", [MEDIUM, None])
def test_impossible_thinking_is_told_to_models_that_think_unasked(reasoning):
    assert ask(reasoning, OPUS_5, None, FORCED).field == {"type": "disabled"}
    assert ask(reasoning, FABLE, None, FORCED).field is None


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (SONNET_45, (None, None)),
        (GLM, ({"type": "disabled"}, None)),
        (SONNET_46, ({"type": "adaptive"}, "medium")),
        (OPUS_48, ({"type": "adaptive", "display": "summarized"}, "medium")),
        (OPUS_5, ({"type": "adaptive", "display": "summarized"}, "medium")),
    ],
)
@pytest.mark.parametrize("reasoning", [MEDIUM, Reasoning(budget=4096)])
def test_a_turn_that_lost_its_thinking_goes_on_adaptively_where_the_model_can(reasoning, family, expected):
    """With a budget the API wants the turn to begin with thinking; adaptively it does not."""
    assert said(reasoning, family, standing=UNPROVEN)[:2] == expected


def test_a_model_that_thinks_unasked_is_left_alone_where_a_turn_lost_its_thinking():
    assert said(None, OPUS_5, standing=UNPROVEN) == (None, None, 32_000)


def test_words_that_nobody_wants_are_left_out_where_a_model_can():
    hidden = Reasoning(effort="low", shown=False)
    assert said(hidden, OPUS_48)[0]["display"] == "omitted"
    assert said(hidden, SONNET_46)[0]["display"] == "omitted"
    assert "display" not in said(hidden, SONNET_45)[0]


# ---------------------------------------------------------------------------------------------- the trap

ASKED = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
CALL = {"type": "tool_use", "id": "c", "name": "t", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]}


def answered(*blocks):
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    ("messages", "lacks"),
    [
        ([ASKED], False),
        ([ASKED, answered({"type": "text", "text": "a"}), ASKED], False),
        ([ASKED, answered(CALL), RESULT], True),
        ([ASKED, answered(THOUGHT, CALL), RESULT], False),
        ([ASKED, answered({"type": "redacted_thinking", "data": "d"}, CALL), RESULT], False),
        ([ASKED, answered({"type": "text", "text": "a"}, CALL), RESULT], True),
        # A turn thinks at its beginning; later calls in it may do without.
        ([ASKED, answered(THOUGHT, CALL), RESULT, answered(CALL), RESULT], False),
        ([ASKED, answered(CALL), RESULT, answered(CALL), RESULT], True),
        ([ASKED, answered(CALL), RESULT, answered(THOUGHT, CALL), RESULT], False),
        # Turns that are over are nobody's concern.
        ([ASKED, answered(CALL), RESULT, answered({"type": "text", "text": "a"}), ASKED], False),
        ([ASKED, answered(CALL), RESULT, answered({"type": "text", "text": "a"})], False),
        ([ASKED, answered(CALL), RESULT, {"role": "system", "content": "be brief"}], True),
        ([ASKED, {"role": "assistant", "content": "plain"}, ASKED], False),
        ([RESULT], False),
        ([], False),
    ],
)
def test_a_turn_of_calls_without_its_thinking_is_found(messages, lacks):
    assert lacks_thinking(messages) is lacks


# ---------------------------------------------------------------------------------------------- where a call stands

CLAUDE, BEDROCK = "anthropic-messages", "bedrock-converse"
ASK = Turn("user", (Text("hi"),))
LOOK = ToolCall("c", "look")
LOOKED = Turn("user", (ToolResult("c", "look", (Text("r"),)),))
OFFERED = (Tool("look"),)


def signed_by(origin, text="hm", *, redacted=False):
    return Thinking(text, Signature(origin, "sig"), redacted=redacted)


def after(*parts, **fields):
    """A call that answers a tool, which these parts led to."""
    return Conversation((ASK, Turn("assistant", (*parts, LOOK)), LOOKED), tools=OFFERED, **fields)


@pytest.mark.parametrize(
    ("conversation", "standing"),
    [
        (Conversation((ASK,)), FREE),
        (Conversation((ASK, Turn("assistant", (Text("I"),)))), FORCED),
        (Conversation((ASK, Turn("assistant", (Text(" "),)))), FREE),
        (Conversation((ASK,), tools=OFFERED, tool_choice=ToolChoice("required")), FORCED),
        (Conversation((ASK,), tool_choice=ToolChoice("required")), FREE),
        (
            Conversation((ASK,), tools=OFFERED, tool_choice=ToolChoice("allowed", names=("look",), must_call=True)),
            FORCED,
        ),
        (Conversation((ASK,), tools=OFFERED, tool_choice=ToolChoice("allowed", names=("look",))), FREE),
        (after(), UNPROVEN),
        (after(signed_by(CLAUDE)), FREE),
        (after(signed_by(BEDROCK)), FREE),
        (after(signed_by("google-genai")), UNPROVEN),
        (after(Thinking("hm")), UNPROVEN),
        (after(Text("Let me look."), signed_by(CLAUDE)), UNPROVEN),
    ],
)
def test_a_call_is_seen_for_what_there_is_against_thinking(conversation, standing):
    assert standing_of(conversation, CLAUDE, SONNET_45) == standing


@pytest.mark.parametrize("asked", [{"budget": 2048}, {"effort": "low"}, {"enabled": True}])
def test_a_call_that_asks_for_thinking_in_vain_is_told_from_one_that_gets_it(asked):
    reasoning = Reasoning(**asked)
    assert thinks(after(signed_by(CLAUDE), reasoning=reasoning), CLAUDE, SONNET_45)
    assert not thinks(after(reasoning=reasoning), CLAUDE, SONNET_45)
    assert thinks(after(reasoning=reasoning), CLAUDE, SONNET_46)
    assert not thinks(Conversation((ASK,), reasoning=reasoning), CLAUDE, OLD)
    assert thinks(after(reasoning=OFF), CLAUDE, SONNET_45)
    assert thinks(after(), CLAUDE, SONNET_45)


@pytest.mark.parametrize("dialect", [CLAUDE, BEDROCK])
def test_what_claude_signed_anywhere_is_taken_by_claude_everywhere(dialect):
    mine, others = [signed_by(CLAUDE), signed_by(BEDROCK)], [signed_by("google-genai"), Thinking("unsigned")]
    assert replayable([*mine, Text("a"), *others], dialect, SONNET_46) == [*mine, Text("a")]


@pytest.mark.parametrize("family", [GLM, None])
def test_other_makers_models_get_back_what_their_own_dialect_signed(family):
    assert replayable([signed_by(CLAUDE), signed_by(BEDROCK), LOOK], BEDROCK, family) == [signed_by(BEDROCK), LOOK]


def test_thinking_beside_what_another_platform_withheld_stays_behind_with_it():
    """Blocks that follow each other come back all or none."""
    hidden = signed_by(BEDROCK, "", redacted=True)
    parts = [signed_by(BEDROCK), hidden, Text("a"), signed_by(BEDROCK, "then"), LOOK]
    assert replayable(parts, CLAUDE, SONNET_46) == [Text("a"), signed_by(BEDROCK, "then"), LOOK]
    assert replayable(parts, BEDROCK, SONNET_46) == parts


def test_a_budget_becomes_an_effort_where_thinking_becomes_adaptive():
    budget = {"type": "enabled", "budget_tokens": 20_000, "display": "omitted"}
    assert turn_adaptive({"thinking": budget, "top_k": 3}, SONNET_46) == {
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "top_k": 3,
    }
    kept = turn_adaptive({"thinking": budget, "output_config": {"effort": "low", "format": 1}}, SONNET_46)
    assert kept["output_config"] == {"effort": "low", "format": 1}
    assert "output_config" not in turn_adaptive({"thinking": {"type": "enabled", "budget_tokens": "x"}}, SONNET_46)


def test_turning_off_takes_along_what_is_refused_then():
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]
    fields = {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "max", "format": 1},
        "context_management": {"edits": edits},
        "top_k": 3,
    }
    assert turn_off(fields, OPUS_5) == {
        "thinking": {"type": "disabled"},
        "output_config": {"effort": "high", "format": 1},
        "context_management": {"edits": edits[1:]},
        "top_k": 3,
    }
    assert "thinking" not in turn_off(fields, OPUS_48)
    assert turn_off(fields, FABLE) is fields
