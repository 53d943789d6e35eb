"""What each family of models takes (https://platform.claude.com/docs/en/about-claude/models).

Anthropic refuses what a model does not take, so a request that is written here has to know. Facts as of 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["OTHERS", "Family", "family_of"]

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_NO_XHIGH: Final = ("low", "medium", "high", "max")


@dataclass(frozen=True, slots=True)
class Family:
    """`thinking` says how it is asked for: not at all, with a budget of tokens, adaptively, or in both ways.

    `unasked`: it thinks where nothing is said of thinking. `off` is how it is told not to: by the word `disabled`, by
    leaving thinking out, or by nothing, because it can't be told. `efforts` are the levels it knows. `samples`: it
    takes temperature, top_p and top_k; `one_sampler`: not the first two at once. `structured`: it takes JSON schemas
    for its answers and strict tools. `max_tokens` is what an answer may have where the caller did not say.
    """

    thinking: Literal["none", "budget", "both", "adaptive"]
    unasked: bool = False
    off: Literal["omitted", "disabled", "never"] = "omitted"
    efforts: tuple[str, ...] = ()
    samples: bool = True
    one_sampler: bool = False
    structured: bool = False
    max_tokens: int = 8192


#: Models of other makers behind the same dialect: MiniMax, Kimi, GLM, MiMo and the rest document thinking with
#: `enabled` and `disabled`, and nothing of schemas or effort.
OTHERS: Final = Family("budget", off="disabled")

_OLD: Final = Family("none", max_tokens=4096)
_BEFORE_THINKING: Final = Family("none")
_BUDGET: Final = Family("budget")
_ONE_SAMPLER: Final = Family("budget", one_sampler=True, structured=True)
_BOTH: Final = Family("both", efforts=_NO_XHIGH, one_sampler=True, structured=True)
_ADAPTIVE: Final = Family("adaptive", efforts=_EFFORTS, samples=False, structured=True)
_UNASKED: Final = Family("adaptive", unasked=True, off="disabled", efforts=_EFFORTS, samples=False, structured=True)
_ALWAYS: Final = Family("adaptive", unasked=True, off="never", efforts=_EFFORTS, samples=False, structured=True)

#: The first version, as (major, minor), that each is true of; newest first.
_BY_VERSION: Final = (
    ((5, 0), _UNASKED),
    ((4, 7), _ADAPTIVE),
    ((4, 6), _BOTH),
    ((4, 1), _ONE_SAMPLER),
    ((3, 7), _BUDGET),
    ((3, 5), _BEFORE_THINKING),
    ((0, 0), _OLD),
)
_NEWEST: Final = (99, 0)
#: `claude-3-7-sonnet-20250219`, `claude-opus-4-8`, `anthropic/claude-sonnet-4.5`; a date is no version.
_NAMED: Final = re.compile(
    r"claude-(?:(?P<old>\d{1,2}(?:[-.]\d{1,2})?)-)?(?P<line>[a-z]+)(?:-(?P<new>\d{1,2}(?:[-.]\d{1,2})?)(?!\d))?"
)


def family_of(model: str) -> Family:
    """The family of a model, by the name its provider gives it."""
    found = _NAMED.search(model.lower())
    if found is None:
        return OTHERS
    version = _version(found["old"] or found["new"])
    if found["line"] in ("fable", "mythos"):
        return _ALWAYS
    return next(family for since, family in _BY_VERSION if version >= since)


def _version(text: str | None) -> tuple[int, int]:
    """An alias without a version means the newest."""
    if text is None:
        return _NEWEST
    major, _, minor = text.replace(".", "-").partition("-")
    return int(major), int(minor or 0)
