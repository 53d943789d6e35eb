"""How thinking is asked of a model, and when it has to be off (platform.claude.com, "Extended thinking")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from ..conversation import (
    Conversation,
    OpaquePart,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from ..efforts import effort_of
from ..instructions import user_parts
from .families import OTHERS, Family
from .rules import NAME

__all__ = ["Standing", "Thought", "ask", "lacks_thinking", "origins_taken", "replayable", "standing_of", "thinks",
           "turn_adaptive", "turn_off"]  # fmt: skip

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


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a call stands. `possible`: nothing in it rules thinking out. `proven`: it does not end within a turn of
    tool calls that has lost its thinking, which a budget of tokens does not go with and adaptive thinking does."""

    possible: bool = True
    proven: bool = True


def ask(reasoning: Reasoning | None, family: Family, max_tokens: int | None, standing: Standing) -> Thought:
    """What to say to a model of this family."""
    wanted = _wanted(reasoning)
    possible = standing.possible and (standing.proven or family.thinking != "budget")
    if family.thinking == "none":
        return Thought(max_tokens or family.max_tokens, off=True)
    if wanted is False or (not possible and (wanted or family.unasked)):
        return _off(family, max_tokens)
    if reasoning is None or wanted is None:
        return Thought(max_tokens or (_ADAPTIVE_ROOM if family.unasked else family.max_tokens))
    if family.thinking == "adaptive" or (family.thinking == "both" and not (reasoning.budget and standing.proven)):
        effort = reasoning.effort or effort_of(reasoning.budget)
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


def _known(effort: str | None, known: Sequence[str]) -> str | None:
    """The effort itself, else the next lower one that the model knows, else its lowest."""
    if effort not in _RANKS:
        return None
    lower = [name for name in known if _RANKS.index(name) <= _RANKS.index(effort)]
    return lower[-1] if lower else known[0]


def thinks(conversation: Conversation, dialect: str, family: Family) -> bool:
    """Whether a call that asks for thinking gets it; True where it asks for none."""
    if not _wanted(conversation.reasoning):
        return True
    standing = standing_of(conversation, dialect, family)
    return ask(conversation.reasoning, family, conversation.max_tokens, standing).on


# ---------------------------------------------------------------------------------------------- what comes back

#: Where Claude is to be had; what it signs in one of these places it takes in the others.
_PLATFORMS: Final = frozenset({NAME, "bedrock-converse"})


def origins_taken(dialect: str, family: Family | None) -> frozenset[str]:
    """Whose signatures a provider of this dialect takes; `family` None is no Claude."""
    is_claude = family is not None and family is not OTHERS
    return _PLATFORMS if is_claude else frozenset({dialect})


def replayable(parts: Iterable[Part], dialect: str, family: Family | None) -> list[Part]:
    """The parts without the thinking that a provider of this dialect would not take; `family` None is no Claude.

    Blocks of thinking that follow each other come back all or none. How redacted ones of another platform are said is
    documented nowhere, so that they stay behind, and those beside them too.
    """
    origins = origins_taken(dialect, family)
    kept: list[Part] = []
    for _, run in groupby(parts, lambda part: isinstance(part, Thinking)):
        found = [part for part in run if not isinstance(part, Thinking) or _origin(part) in origins]
        if not any(isinstance(part, Thinking) and part.redacted and _origin(part) != dialect for part in found):
            kept += found
    return kept


def _origin(thinking: Thinking) -> str:
    """Who signed it, or nothing."""
    signature = thinking.signature
    return signature.origin if signature is not None and signature.value else ""


# ---------------------------------------------------------------------------------------------- when it must be off


def standing_of(conversation: Conversation, dialect: str, family: Family) -> Standing:
    """What there is in a call against thinking: a forced call, words put into the model's mouth, and a turn that has
    lost its own thinking."""
    outline = _outline(conversation, dialect, family)
    begun = bool(outline) and outline[-1]["role"] == "assistant"
    return Standing(possible=not (begun or _must_call(conversation)), proven=not lacks_thinking(outline))


def _must_call(conversation: Conversation) -> bool:
    choice = conversation.tool_choice
    if choice is None or not any(isinstance(tool, Tool) for tool in conversation.tools):
        return False
    return choice.mode in ("required", "tool") or (choice.mode == "allowed" and choice.must_call)


def _outline(conversation: Conversation, dialect: str, family: Family) -> list[dict[str, Any]]:
    """The messages as they will be, of which no more is told than the kinds of their blocks."""
    outline: list[dict[str, Any]] = []
    for turn in conversation.turns:
        role = "assistant" if turn.role == "assistant" else "user"
        kinds = [{"type": kind} for part in replayable(user_parts(turn), dialect, family) if (kind := _kind(part))]
        if kinds and outline and outline[-1]["role"] == role:
            outline[-1]["content"] += kinds
        elif kinds:
            outline.append({"role": role, "content": kinds})
    return outline


def _kind(part: Part) -> str:
    match part:
        case Text() | Refusal():
            return "text" if part.text.strip() else ""
        case ToolCall():
            return "tool_use"
        case ToolResult():
            return "tool_result"
        case Thinking():
            return "thinking"
        case OpaquePart():
            return ""
    return "file"


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


def turn_adaptive(fields: dict[str, Any], family: Family) -> dict[str, Any]:
    """The body (decoded where it matters) with adaptive thinking in the place of a budget, and with the effort that
    stands for it."""
    asked, config = fields["thinking"], fields.get("output_config")
    display = {"display": asked["display"]} if asked.get("display") is not None else {}
    budget = asked.get("budget_tokens")
    effort = _known(effort_of(budget if isinstance(budget, int) else None), family.efforts)
    meant = {} if effort is None else {"effort": effort}
    said = {"output_config": {**meant, **(config if isinstance(config, dict) else {})}} if meant or config else {}
    return {**fields, "thinking": {"type": "adaptive", **display}, **said}


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
