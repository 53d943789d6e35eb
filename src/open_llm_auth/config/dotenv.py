"""The grammar of a `.env` file: `NAME=value` lines, quotes, comments, `export`; no interpolation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["DotEnv", "parse_dotenv"]

_ENTRY: Final = re.compile(
    r"""
    [ \t]* (?:export[ \t]+)? (?P<name>[A-Za-z_][A-Za-z0-9_]*) [ \t]* = [ \t]*
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>[^'"\s\#][^\r\n]*)? )
    [ \t]* (?:\#[^\r\n]*)? (?:\r?\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLANK: Final = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?:\r?\n|\Z)")
_LINE: Final = re.compile(r"[^\n]*(?:\n|\Z)")
_COMMENT: Final = re.compile(r"[ \t]#.*", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class DotEnv:
    """Variables in file order, the last of a name counting, and one sentence for each line that is none."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    faults: tuple[str, ...] = ()


def parse_dotenv(text: str) -> DotEnv:
    """Read `text`. A line that is no entry is passed over and told by its number alone: it may hold a secret."""
    values: dict[str, str] = {}
    faults: list[str] = []
    position = 0
    while position < len(text):
        if entry := _ENTRY.match(text, position):
            values[entry["name"]] = _value(entry)
        found = entry or _BLANK.match(text, position)
        if found is None:
            found = _LINE.match(text, position)
            faults.append(f"line {text.count(chr(10), 0, position) + 1} is not NAME=value")
        position = found.end() if found else len(text)
    return DotEnv(values, tuple(faults))


def _value(entry: re.Match[str]) -> str:
    if entry["single"] is not None:
        return entry["single"]
    if entry["double"] is not None:
        return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), entry["double"])
    return _COMMENT.sub("", entry["bare"] or "").rstrip()
