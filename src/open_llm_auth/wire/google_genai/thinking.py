"""How much a model thinks, by its family: since Gemini 3 in levels, before that in tokens
(https://ai.google.dev/gemini-api/docs/generate-content/thinking)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..conversation import Reasoning
from ..efforts import effort_of
from .fields import Node

__all__ = ["read_thinking", "signs_calls", "write_thinking"]


@dataclass(frozen=True, slots=True)
class _Family:
    """`levels` from the least thinking to the most, or `least` and `most` tokens with `off` for as little as can be;
    neither where the family does not think. `signs`: a call of the turn in progress must show its signature."""

    levels: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    off: int = 0
    signs: bool = False


#: By the beginning of a model's name, first match. A name that tells nothing is taken for a current model.
_FAMILIES: Final = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"gemini-(1|2\.0)|gemini-2\.5-[a-z-]*(image|tts|audio)|gemma|learnlm", _Family()),
        (r"gemini-2\.5-pro", _Family(least=128, most=32_768, off=128)),
        (r"gemini-2\.5-flash-lite", _Family(least=512, most=24_576)),
        (r"gemini-2", _Family(least=1, most=24_576)),
        (r"gemini-3-pro", _Family(("LOW", "HIGH"), signs=True)),
        (r"gemini-3(\.[15])?-flash", _Family(("MINIMAL", "LOW", "MEDIUM", "HIGH"), signs=True)),
        (r"", _Family(("LOW", "MEDIUM", "HIGH"), signs=True)),
    )
)

_ORDER: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
#: What Google's own OpenAI-compatible API makes of an effort.
_BUDGETS: Final[Mapping[str, int]] = {"minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_DYNAMIC: Final = -1


def signs_calls(model: str) -> bool:
    """Whether the model refuses a call of its turn in progress that comes without a signature (Gemini 3 and later); it
    is also what knows media within a tool's result."""
    return _family(model).signs


def read_thinking(config: Node | None) -> Reasoning | None:
    """What `thinkingConfig` asks for. Thoughts are shown only where it says so."""
    if config is None:
        return None
    budget = config.integer("thinkingBudget")
    level = config.word("thinkingLevel")
    effort = None if level in (None, "THINKING_LEVEL_UNSPECIFIED") else str(level).lower()
    return Reasoning(
        enabled=False if budget == 0 else True if budget is not None or effort is not None else None,
        effort=effort,
        budget=budget if budget is not None and budget > 0 else None,
        adaptive=budget == _DYNAMIC,
        shown=bool(config.flag("includeThoughts")),
    )


def write_thinking(reasoning: Reasoning | None, model: str) -> dict[str, Any] | None:
    """`thinkingConfig` for a model; None where nothing is asked, or nothing can be."""
    family = _family(model)
    if reasoning is None or not (family.levels or family.most):
        return None
    if reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return {"thinkingLevel": family.levels[0]} if family.levels else {"thinkingBudget": family.off}
    amount = _level(reasoning, family) if family.levels else _budget(reasoning, family)
    shown = {} if reasoning.shown is False else {"includeThoughts": True}
    return {**amount, **shown} or None


def _level(reasoning: Reasoning, family: _Family) -> dict[str, Any]:
    effort = reasoning.effort or effort_of(reasoning.budget)
    if effort not in _ORDER:
        return {}
    wanted = _ORDER.index(effort)
    level = next((level for level in family.levels if _ORDER.index(level.lower()) >= wanted), family.levels[-1])
    return {"thinkingLevel": level}


def _budget(reasoning: Reasoning, family: _Family) -> dict[str, Any]:
    budget = reasoning.budget
    if budget is None and reasoning.effort in _ORDER:
        budget = _BUDGETS.get(reasoning.effort, family.most)
    if budget is None:
        return {"thinkingBudget": _DYNAMIC} if reasoning.enabled or reasoning.adaptive else {}
    return {"thinkingBudget": min(max(budget, family.least), family.most)}


def _family(model: str) -> _Family:
    name = model.removeprefix("models/").lower()
    return next(family for pattern, family in _FAMILIES if pattern.match(name))
