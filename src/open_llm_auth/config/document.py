"""The config document as it stands on disk: bytes to data and back, and the faults of either (SPEC §3)."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ConfigInvalid
from .volatile import without_renewals

__all__ = ["Document", "etag_of", "parse", "serialise"]

#: Levels of nesting; the schema needs eight. Beyond it, writers and readers of JSON run out of stack.
_DEEPEST: Final = 64

_HALF_A_PAIR: Final = re.compile("[\ud800-\udfff]")

#: The tokens of JSON that can hide a fault `json.loads` lets through; a string's group says whether it is a key.
_TOKEN: Final = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")\s*(?P<key>:)?|(?P<open>[\[{])|(?P<close>[\]}])"""
    r"""|(?P<number>-?(?:NaN|Infinity|\d[\d.eE+-]*))"""
)


@dataclass(frozen=True, slots=True)
class Document:
    """One reading of the config file. `data` has both sides of every mirror equal; treat it as read-only.

    `etag` changes with every byte of the file, save for what renewals change. `warnings` are sentences that name paths,
    never values.
    """

    data: dict[str, Any] = field(repr=False)
    etag: str
    exists: bool = True
    warnings: tuple[str, ...] = ()


def etag_of(raw: bytes, data: dict[str, Any] | None = None) -> str:
    """What names this state of the file. `data` is what it holds: the renewal of a sign-in is no change of it."""
    settled = None if data is None else without_renewals(data)
    return hashlib.sha256(raw if settled is None else json.dumps(settled).encode()).hexdigest()[:32]


def parse(raw: bytes, name: str = "The config") -> dict[str, Any]:
    """The object that `raw` holds. `name` begins the message of a fault.

    Raises:
        ConfigInvalid: with `details.line` and `details.column` of the fault.
    """
    text = _decoded(raw, name)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise _fault(name, f"is not valid JSON: {error.msg}", text, error.pos) from None
    except RecursionError:
        raise _fault(name, f"is nested deeper than {_DEEPEST} levels", text, _too_deep(text)) from None
    except ValueError:
        raise ConfigInvalid(f"{name} holds a whole number of too many digits.") from None
    _check_tokens(text, name)
    if not isinstance(data, dict):
        raise _fault(name, "must hold one JSON object, in braces", text, 0)
    return data


def serialise(data: dict[str, Any]) -> bytes:
    """The bytes that `parse` reads back as `data`.

    Raises:
        ConfigInvalid: it holds something JSON has no word for, such as a not-a-number or a key that is no text.
    """
    try:
        raw = (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError):
        raise ConfigInvalid("The config holds a value that JSON can't write.") from None
    if parse(raw) != data:
        raise ConfigInvalid("The config holds a key or value that would not be read back as it is.")
    return raw


def _decoded(raw: bytes, name: str) -> str:
    if not raw.strip():
        raise ConfigInvalid(f"{name} is empty. Remove it, or write {{}} into it.", details={"line": 1, "column": 1})
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _fault(name, "begins with a byte order mark; save it as UTF-8 without one", "", 0)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        raise _fault(name, "is not valid UTF-8", before, len(before)) from None


def _fault(name: str, what: str, text: str, position: int) -> ConfigInvalid:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return ConfigInvalid(f"{name} {what} (line {line}, column {column}).", details={"line": line, "column": column})


def _check_tokens(text: str, name: str) -> None:
    """Refuse what `json.loads` accepts and a second program would read otherwise, or not at all."""
    scopes: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token["open"]:
            scopes.append(set())
            if len(scopes) > _DEEPEST:
                raise _fault(name, f"is nested deeper than {_DEEPEST} levels", text, token.start())
        elif token["close"]:
            scopes.pop()
        elif token["string"]:
            _check_string(token, scopes[-1] if token["key"] else set(), text, name)
        elif not math.isfinite(float(token["number"])):
            raise _fault(name, "holds a number that is not finite, or far too large", text, token.start())


def _check_string(token: re.Match[str], seen: set[str], text: str, name: str) -> None:
    """`seen` holds the keys of the object so far, if the string is a key of one."""
    written = token["string"]
    string = json.loads(written) if "\\" in written else written[1:-1]
    if _HALF_A_PAIR.search(string):
        raise _fault(name, "holds half of a surrogate pair, which is no character", text, token.start())
    if string in seen:
        raise _fault(name, f"says {string!r} twice in one object; keep one of them", text, token.start())
    seen.add(string)


def _too_deep(text: str) -> int:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += bool(token["open"]) - bool(token["close"])
        if depth > _DEEPEST:
            return token.start()
    return 0
