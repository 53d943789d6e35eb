"""Names and ids made to fit the dialect they go to, the same way every time, and names found again on the way back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .conversation import Conversation, Part, Tool, ToolCall, ToolChoice, ToolResult, Turn

__all__ = ["ANY_NAME", "LABEL", "NameRule", "fit"]

_MARK_LENGTH = 8


@dataclass(frozen=True, slots=True)
class NameRule:
    """`forbidden` matches each character that may not stand in a name; `limit` is its length. `first`, where it is
    given, matches the characters a name may begin with."""

    forbidden: re.Pattern[str]
    limit: int
    first: re.Pattern[str] | None = None

    def fit(self, name: str) -> str:
        """The name itself where it fits, else a readable one that ends in a digest of it."""
        if name and len(name) <= self.limit and not self.forbidden.search(name) and self._begins_well(name):
            return name
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_LENGTH]
        plain = self.forbidden.sub("_", name)
        if plain and not self._begins_well(plain):
            plain = f"t_{plain}"
        return f"{plain[: self.limit - _MARK_LENGTH - 1] or 't'}_{digest}"

    def _begins_well(self, name: str) -> bool:
        return self.first is None or self.first.match(name) is not None


ANY_NAME = NameRule(re.compile(r"[^\s\S]"), 4096)
#: What OpenAI takes as `user` and as `prompt_cache_key`.
LABEL = NameRule(re.compile(r"[^\x20-\x7e]"), 64)


def fit(conversation: Conversation, names: NameRule, ids: NameRule) -> tuple[Conversation, Mapping[str, str]]:
    """The conversation with fitting names of tools and ids of calls, and the original of each name that was replaced.

    It is the same object where everything fits, which is nearly always so.
    """
    renamed = {name: new for name in _tool_names(conversation) if (new := names.fit(name)) != name}
    misfits = any(ids.fit(part.id) != part.id for part in _calls(conversation))
    if not renamed and not misfits:
        return conversation, {}
    fitted = replace(
        conversation,
        turns=tuple(_fit_turn(turn, renamed, ids) for turn in conversation.turns),
        tools=tuple(
            replace(tool, name=renamed.get(tool.name, tool.name)) if isinstance(tool, Tool) else tool
            for tool in conversation.tools
        ),
        tool_choice=_fit_choice(conversation.tool_choice, renamed),
    )
    return fitted, {new: name for name, new in renamed.items()}


def _calls(conversation: Conversation) -> list[ToolCall | ToolResult]:
    return [part for turn in conversation.turns for part in turn.parts if isinstance(part, ToolCall | ToolResult)]


def _tool_names(conversation: Conversation) -> set[str]:
    offered = {tool.name for tool in conversation.tools if isinstance(tool, Tool)}
    return offered | {part.name for part in _calls(conversation) if part.name}


def _fit_turn(turn: Turn, renamed: Mapping[str, str], ids: NameRule) -> Turn:
    return replace(turn, parts=tuple(_fit_part(part, renamed, ids) for part in turn.parts))


def _fit_part(part: Part, renamed: Mapping[str, str], ids: NameRule) -> Part:
    if isinstance(part, ToolCall | ToolResult):
        return replace(part, id=ids.fit(part.id), name=renamed.get(part.name, part.name))
    return part


def _fit_choice(choice: ToolChoice | None, renamed: Mapping[str, str]) -> ToolChoice | None:
    if choice is None:
        return None
    return replace(
        choice,
        name=renamed.get(choice.name, choice.name),
        names=tuple(renamed.get(name, name) for name in choice.names),
    )
