"""How reasoning is asked of the models behind Converse, each family in its own fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..anthropic_messages.thinking import ask, lacks_thinking
from ..conversation import Reasoning
from .blocks import Block
from .families import Family

__all__ = ["Asked", "ask_reasoning"]

_USUAL_EFFORT: Final = "medium"
#: Efforts of models that know three; above medium all is high.
_OF_THREE: Final[Mapping[str, str]] = {"minimal": "low", "low": "low", "medium": "medium"}
#: The effort that a budget of tokens stands for: the first that is large enough.
_EFFORT_LIMITS: Final = ((4096, "low"), (12_288, "medium"))

_TYPES: Final = {"toolUse": "tool_use", "toolResult": "tool_result", "reasoningContent": "thinking"}


@dataclass(frozen=True, slots=True)
class Asked:
    """`fields` are the model's own, `effort` is Converse's. `alone`: temperature, top_p and top_k may not be set beside
    it. `max_tokens` is what they have to be now, where the caller limited them."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    effort: str | None = None
    alone: bool = False
    max_tokens: int | None = None


def ask_reasoning(
    family: Family,
    reasoning: Reasoning | None,
    max_tokens: int | None,
    messages: Sequence[Block],
    *,
    must_call: bool,
) -> Asked:
    """What to say of reasoning. `must_call`: a tool has to be called, which Claude can't be made to while it thinks."""
    if family.claude is not None:
        possible = not must_call and not lacks_thinking(_as_anthropic_says(messages))
        thought = ask(reasoning, family.claude, max_tokens, possible=possible)
        limit = None if max_tokens is None else thought.max_tokens
        return Asked({"thinking": thought.field} if thought.field else {}, thought.effort, thought.on, limit)
    effort = _effort(reasoning)
    if effort is None or family.reasoning == "none":
        return Asked(max_tokens=max_tokens)
    if family.reasoning == "effort":
        return Asked({"reasoning_effort": effort}, max_tokens=max_tokens)
    if effort == "high" and max_tokens is not None:
        effort = "medium"  # high takes no limit of tokens, and the limit is the caller's
    own = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
    return Asked(own, alone=True, max_tokens=max_tokens)


def _as_anthropic_says(messages: Sequence[Block]) -> list[Block]:
    """The kinds of blocks alone, by the names that the rule of Claude's thinking knows."""
    return [
        {"role": message["role"], "content": [{"type": _TYPES.get(next(iter(block)))} for block in message["content"]]}
        for message in messages
    ]


def _effort(reasoning: Reasoning | None) -> str | None:
    """Low, medium or high; None where no reasoning is wanted, or nothing was said of it."""
    if reasoning is None or reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return None
    if reasoning.effort is not None:
        return _OF_THREE.get(reasoning.effort, "high")
    if reasoning.budget is not None:
        budget = reasoning.budget
        return next((effort for limit, effort in _EFFORT_LIMITS if budget <= limit), "high")
    return _USUAL_EFFORT if reasoning.enabled or reasoning.adaptive else None
