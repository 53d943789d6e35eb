"""Thinking: how it is asked of each family, and when it has to be off."""

import pytest

from open_llm_auth.wire.anthropic_messages.families import family_of
from open_llm_auth.wire.anthropic_messages.thinking import ask, lacks_thinking, turn_off
from open_llm_auth.wire.conversation import Reasoning

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


def said(reasoning, family, max_tokens=None, *, possible=True):
    thought = ask(reasoning, family, max_tokens, possible=possible)
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
        (OPUS_48, ({"type": "adaptive", "display": "summarized"}, "low")),
    ],
)
def test_a_budget_is_said_as_the_family_takes_it(family, expected):
    assert said(Reasoning(budget=2048), family)[:2] == expected


@pytest.mark.parametrize(("budget", "effort"), [(1, "low"), (4096, "low"), (8000, "medium"), (31_999, "high")])
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
    thought = ask(MEDIUM, family, None, possible=False)
    assert (thought.field, thought.on, thought.off) == (None, False, True)


@pytest.mark.parametrize("reasoning", [MEDIUM, None])
def test_impossible_thinking_is_told_to_models_that_think_unasked(reasoning):
    assert ask(reasoning, OPUS_5, None, possible=False).field == {"type": "disabled"}
    assert ask(reasoning, FABLE, None, possible=False).field is None


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
