"""How thinking is asked of a model, and when it has to be off (platform.claude.com, "Extended thinking")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..conversation import Reasoning
from .families import Family

__all__ = ["Thought", "ask", "lacks_thinking", "turn_off"]

#: Tokens by effort for models that take a budget. All of them, and the answer beside them, fit into the smallest
#: ceiling of those models, 32,000.
_BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 4096,
    "high": 12_288,
    "xhigh": 20_480,
    "max": 23_552,
}
_USUAL_EFFORT: Final = "medium"
_LEAST_BUDGET: Final = 1024
_LEAST_ANSWER: Final = 1024
#: The effort that a budget stands for on models that take none: the first that is large enough.
_EFFORT_LIMITS: Final = ((4096, "low"), (12_288, "medium"))
_RANKS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
#: Thinking counts towards `max_tokens`, so a model that decides for itself gets room. All that do can answer more.
_ADAPTIVE_ROOM: Final = 32_000
#: With thinking off, some models refuse more than this.
_UNTHINKING_EFFORT: Final = "high"


@dataclass(frozen=True, slots=True)
class Thought:
    """What is said of thinking: the `thinking` field, the effort, and the `max_tokens` that leave room for it. `on` is
    what the caller asked for, `off` that thinking is told, or known, not to happen."""

    max_tokens: int
    on: bool = False
    off: bool = False
    field: Mapping[str, Any] | None = None
    effort: str | None = None


def ask(reasoning: Reasoning | None, family: Family, max_tokens: int | None, *, possible: bool) -> Thought:
    """What to say to a model of this family. `possible` False turns thinking off whatever was asked."""
    wanted = _wanted(reasoning)
    if family.thinking == "none":
        return Thought(max_tokens or family.max_tokens, off=True)
    if wanted is False or (not possible and (wanted or family.unasked)):
        return _off(family, max_tokens)
    if reasoning is None or wanted is None:
        return Thought(max_tokens or (_ADAPTIVE_ROOM if family.unasked else family.max_tokens))
    if family.thinking == "adaptive" or (family.thinking == "both" and not reasoning.budget):
        effort = reasoning.effort or _effort_of(reasoning.budget)
        adaptive = {"type": "adaptive", **_display(reasoning, family)}
        return Thought(max_tokens or _ADAPTIVE_ROOM, on=True, field=adaptive, effort=_known(effort, family.efforts))
    budget = max(_LEAST_BUDGET, reasoning.budget or _BUDGETS.get(reasoning.effort or "", _BUDGETS[_USUAL_EFFORT]))
    field: dict[str, Any] = {"type": "enabled", "budget_tokens": budget, **_display(reasoning, family)}
    return Thought(_room(max_tokens, budget, family), on=True, field=field)


def _wanted(reasoning: Reasoning | None) -> bool | None:
    if reasoning is None:
        return None
    if reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return False
    return True if reasoning.enabled or reasoning.adaptive or reasoning.budget or reasoning.effort else None


def _off(family: Family, max_tokens: int | None) -> Thought:
    if family.off == "never":
        return Thought(max_tokens or _ADAPTIVE_ROOM)
    field = {"type": "disabled"} if family.off == "disabled" else None
    return Thought(max_tokens or family.max_tokens, off=True, field=field)


def _room(max_tokens: int | None, budget: int, family: Family) -> int:
    """More than the budget, as the API demands. Where the caller's limit leaves next to nothing, it is the answer's."""
    if max_tokens is None:
        return budget + family.max_tokens
    return max_tokens if max_tokens >= budget + _LEAST_ANSWER else budget + max_tokens


def _display(reasoning: Reasoning, family: Family) -> dict[str, str]:
    """The newer models leave the words of their thinking out unless they are asked for."""
    if family.thinking == "budget":
        return {}
    if reasoning.shown is False:
        return {"display": "omitted"}
    return {"display": "summarized"} if family.thinking == "adaptive" else {}


def _effort_of(budget: int | None) -> str | None:
    if not budget:
        return None
    return next((effort for limit, effort in _EFFORT_LIMITS if budget <= limit), "high")


def _known(effort: str | None, known: Sequence[str]) -> str | None:
    """The effort itself, else the next lower one that the model knows, else its lowest."""
    if effort not in _RANKS:
        return None
    lower = [name for name in known if _RANKS.index(name) <= _RANKS.index(effort)]
    return lower[-1] if lower else known[0]


# ---------------------------------------------------------------------------------------------- when it must be off


def lacks_thinking(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the messages end within a turn of tool calls whose thinking is not at hand.

    With thinking on, such a turn has to begin with a thinking block and its signature; what follows the first result
    may do without, as the models themselves do.
    """
    said = [message for message in messages if message.get("role") != "system"]
    at = len(said) - 1
    if at < 1 or not _answers_calls(said, at):
        return False
    last = said[at - 1]
    while at >= 3 and _answers_calls(said, at - 2):
        at -= 2
    return not (_begins_thinking(last) or _begins_thinking(said[at - 1]))


def _answers_calls(messages: Sequence[Mapping[str, Any]], at: int) -> bool:
    blocks = messages[at].get("content")
    if messages[at].get("role") != "user" or messages[at - 1].get("role") != "assistant":
        return False
    return isinstance(blocks, list) and any(_type(block) == "tool_result" for block in blocks)


def _begins_thinking(message: Mapping[str, Any]) -> bool:
    blocks = message.get("content")
    return isinstance(blocks, list) and bool(blocks) and _type(blocks[0]) in ("thinking", "redacted_thinking")


def _type(block: object) -> object:
    return block.get("type") if isinstance(block, dict) else None


def turn_off(fields: dict[str, Any], family: Family) -> dict[str, Any]:
    """The body (decoded where it matters) with thinking off, and without what is refused then."""
    out = {name: value for name, value in fields.items() if name != "thinking"}
    if family.off == "never":
        return fields
    if family.off == "disabled":
        out["thinking"] = {"type": "disabled"}
    config = out.get("output_config")
    if isinstance(config, dict) and config.get("effort") in ("xhigh", "max"):
        out["output_config"] = {**config, "effort": _UNTHINKING_EFFORT}
    managed = out.get("context_management")
    if isinstance(managed, dict) and isinstance(managed.get("edits"), list):
        edits = [edit for edit in managed["edits"] if not str(_type(edit)).startswith("clear_thinking")]
        out["context_management"] = {**managed, "edits": edits}
    return out
