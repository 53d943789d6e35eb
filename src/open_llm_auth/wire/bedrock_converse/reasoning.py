"""How reasoning is asked of the models behind Converse, each family in its own fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..anthropic_messages.thinking import ask, standing_of
from ..conversation import Conversation, Reasoning
from ..efforts import effort_of
from .families import Family
from .replies import NAME

__all__ = ["Asked", "ask_reasoning"]

_USUAL_EFFORT: Final = "medium"
#: Efforts of models that know three; above medium all is high.
_OF_THREE: Final[Mapping[str, str]] = {"minimal": "low", "low": "low", "medium": "medium"}


@dataclass(frozen=True, slots=True)
class Asked:
    """`fields` are the model's own, `effort` is Converse's. `alone`: temperature, top_p and top_k may not be set beside
    it. `max_tokens` is what they have to be now, where the caller limited them."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    effort: str | None = None
    alone: bool = False
    max_tokens: int | None = None


def ask_reasoning(family: Family, conversation: Conversation) -> Asked:
    """What to say of reasoning."""
    reasoning, max_tokens = conversation.reasoning, conversation.max_tokens
    if family.claude is not None:
        thought = ask(reasoning, family.claude, max_tokens, standing_of(conversation, NAME, family.claude))
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


def _effort(reasoning: Reasoning | None) -> str | None:
    """Low, medium or high; None where no reasoning is wanted, or nothing was said of it."""
    if reasoning is None or reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return None
    if reasoning.effort is not None:
        return _OF_THREE.get(reasoning.effort, "high")
    if reasoning.budget is not None:
        return effort_of(reasoning.budget)
    return _USUAL_EFFORT if reasoning.enabled or reasoning.adaptive else None
