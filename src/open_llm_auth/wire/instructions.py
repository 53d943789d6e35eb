"""Instructions amid the messages, for models that take them only at the beginning: the user tells them, in a form that
says whose words they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from .conversation import Part, Text, Turn

__all__ = ["is_instruction", "told_by_user", "user_parts", "user_turns"]

_BEGIN: Final = "<system>\n"
_END: Final = "\n</system>"


def told_by_user(text: str) -> str:
    """The text of an instruction as the user tells it."""
    return f"{_BEGIN}{text}{_END}"


def is_instruction(text: str) -> bool:
    """Whether a text of the user's is one of these, and no person's."""
    return text.startswith(_BEGIN) and text.endswith(_END)


def user_parts(turn: Turn) -> tuple[Part, ...]:
    """The parts of a turn where none is the system's."""
    return turn.parts if turn.role != "system" else tuple(map(_told, turn.parts))


def user_turns(turns: Iterable[Turn]) -> list[Turn]:
    """The turns where none is the system's; an instruction joins the user's turn beside it, so that roles alternate as
    they did before."""
    told: list[Turn] = []
    joins = False
    for turn in turns:
        amid = turn.role == "system"
        if (amid or joins) and turn.role != "assistant" and told and told[-1].role == "user":
            told[-1] = replace(told[-1], parts=(*told[-1].parts, *user_parts(turn)))
        else:
            told.append(Turn("user", user_parts(turn)) if amid else turn)
        joins = amid
    return told


def _told(part: Part) -> Part:
    return replace(part, text=told_by_user(part.text)) if isinstance(part, Text) and part.text.strip() else part
