"""A conversation without the reasoning that only its maker can read again."""

from __future__ import annotations

from dataclasses import replace

from .conversation import Conversation, Part, Thinking, ToolCall, Turn

__all__ = ["forget_reasoning"]


def forget_reasoning(conversation: Conversation) -> Conversation:
    """The same without its signed thinking and the signatures of its calls; the very same where it holds none."""
    turns = [kept for turn in conversation.turns if (kept := _forgetful(turn)).parts or not turn.parts]
    if len(turns) == len(conversation.turns) and all(map(_is_same, turns, conversation.turns)):
        return conversation
    return replace(conversation, turns=tuple(turns))


def _is_same(one: Turn, other: Turn) -> bool:
    return one is other


def _forgetful(turn: Turn) -> Turn:
    if not any(_is_signed(part) for part in turn.parts):
        return turn
    return replace(
        turn,
        parts=tuple(
            replace(part, signature=None) if isinstance(part, ToolCall) else part
            for part in turn.parts
            if not (isinstance(part, Thinking) and _is_signed(part))
        ),
    )


def _is_signed(part: Part) -> bool:
    return isinstance(part, Thinking | ToolCall) and part.signature is not None
