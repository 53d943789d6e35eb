"""How much reasoning is meant, where one dialect counts tokens of it and another has words."""

from __future__ import annotations

from typing import Final

__all__ = ["effort_of"]

#: The most tokens that each effort stands for, as Google's OpenAI-compatible API documents it. Above them it is high.
_MOST: Final = ((1024, "low"), (8192, "medium"))
_HIGHEST: Final = "high"


def effort_of(budget: int | None) -> str | None:
    """The effort that a budget of tokens stands for, the same toward every dialect; None where none is stated."""
    if budget is None:
        return None
    return next((effort for most, effort in _MOST if budget <= most), _HIGHEST)
