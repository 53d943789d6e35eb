"""How models are named (SPEC §5): the context suffix, families of bare ids, and what a misspelt name may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["closest", "closest_ids", "family", "plain", "shown"]

#: Claude Code appends it to ask for the long context; no provider knows it as a model.
_CONTEXT_SUFFIX: Final = "[1m]"

#: Bare ids that no usable provider lists still tell whose they are. The first row that matches wins.
_FAMILIES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"gpt-.+"), "openai"),
    (re.compile(r"o\d.*"), "openai"),
    (re.compile(r"text-embedding-.+"), "openai"),
    (re.compile(r"claude-.+"), "anthropic"),
    (re.compile(r"gemini-.+"), "google"),
    (re.compile(r".*minimax.*"), "minimax"),
    (re.compile(r".*kimi.*"), "moonshot"),
)

#: Longer names are nobody's typing mistake, and comparing them takes time.
_LONGEST_COMPARED: Final = 100
_MOST_COMPARED: Final = 1000


def plain(name: str) -> str:
    """The name without white space around it and without the context suffix."""
    name = name.strip()
    return name[: -len(_CONTEXT_SUFFIX)].rstrip() if name.lower().endswith(_CONTEXT_SUFFIX) else name


def family(name: str) -> str | None:
    """The provider a bare id belongs to by its name alone. A name with a slash says itself whose it is."""
    if "/" in name:
        return None
    name = name.lower()
    return next((provider for pattern, provider in _FAMILIES if pattern.fullmatch(name)), None)


def closest(name: str, refs: Iterable[str]) -> list[str]:
    """At most three of `refs` (``provider/model``) that `name` may have meant, the likeliest first."""
    if len(name) > _LONGEST_COMPARED:
        return []
    name = name.lower()
    pool: dict[str, str] = {}
    for ref in refs:
        if len(pool) >= _MOST_COMPARED:
            break
        text = ref.lower() if "/" in name else ref.partition("/")[2].lower()
        pool.setdefault(text, ref)
    return [pool[text] for text in difflib.get_close_matches(name, pool, n=3, cutoff=0.6)]


def closest_ids(provider_id: str, ids: Iterable[str]) -> list[str]:
    """At most three provider ids that a misspelt one may have meant."""
    return difflib.get_close_matches(provider_id.lower()[:_LONGEST_COMPARED], ids, n=3, cutoff=0.6)


def shown(text: str) -> str:
    """`text` quoted for a message, cut where it is too long to read."""
    return repr(text if len(text) <= 120 else text[:119] + "…")
