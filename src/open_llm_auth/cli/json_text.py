"""JSON that people edit by hand, changed in place: comments, order and spacing beside the change stay as they are.

RFC 8259, with the comments and trailing commas that the editors of settings allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

__all__ = ["JsonFault", "parse", "put", "remove"]

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)|(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<word>[-+.\w]+)|(?P<mark>[][{}:,])""",
    re.DOTALL,
)
_DEEPEST: Final = 64


class JsonFault(ValueError):
    """The text is not JSON, or what is asked of it does not fit; the message says where and quotes no value."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class _Node:
    """A value and where it stands; `members` of an object, in order."""

    value: Any
    start: int
    end: int
    members: tuple[_Member, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    """A name and its value; `comma` is where the comma after it stands, if one does."""

    name: str
    start: int
    node: _Node
    comma: int | None


def parse(text: str) -> Any:
    """The value of the document. An empty one is an empty object.

    Raises:
        JsonFault: it is no JSON, says a name twice in one object, or is nested too deeply.
    """
    return _root(text).value if text.strip() else {}


def put(text: str, path: Sequence[str], value: object) -> str:
    """The text with `value` at `path`; objects on the way are made where they are missing.

    Raises:
        JsonFault: it is no JSON, or something on the way is no object.
    """
    if not text.strip():
        text = "{}\n"
    node = _root(text)
    for depth, name in enumerate(path):
        if node.members is None:
            raise JsonFault(f"{'.'.join(path[:depth]) or 'the document'} is no object")
        member = next((each for each in node.members if each.name == name), None)
        if member is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _insert(text, node, name, value)
        node = member.node
    return text[: node.start] + _written(value, text, _indent_at(text, node.start)) + text[node.end :]


def remove(text: str, path: Sequence[str]) -> str:
    """The text without what stands at `path`; as it is where nothing does."""
    node = _root(text)
    place: tuple[_Node, int] | None = None
    for name in path:
        members = node.members or ()
        index = next((index for index, each in enumerate(members) if each.name == name), None)
        if index is None:
            return text
        place = (node, index)
        node = members[index].node
    return text if place is None else _without(text, *place)


# reading


def _root(text: str) -> _Node:
    tokens = _Tokens(text)
    try:
        node = tokens.value(0)
    except RecursionError:
        raise JsonFault("it is nested too deeply") from None
    if tokens.next is not None:
        tokens.fail("more than one value")
    return node


class _Tokens:
    """Reads one value after the other; `next` is the token that comes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.next: _Token | None = None
        self._advance()

    def _advance(self) -> None:
        self.next = None
        while self.next is None and self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                self.fail("an unexpected character", self._at)
            self._at = found.end()
            if found.lastgroup != "blank":
                self.next = _Token(str(found.lastgroup), found.group(), found.start())

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        if at is None:
            at = len(self._text) if self.next is None else self.next.start
        line = self._text.count("\n", 0, at) + 1
        raise JsonFault(f"{what} (line {line}, column {at - self._text.rfind(chr(10), 0, at)})")

    def take(self, mark: str = "") -> _Token:
        token = self.next
        if token is None:
            self.fail("it ends too early")
        if mark and token.text != mark:
            self.fail(f"{mark!r} is missing")
        self._advance()
        return token

    def met(self, mark: str) -> bool:
        return self.next is not None and self.next.text == mark

    def value(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            self.fail(f"it is nested deeper than {_DEEPEST} levels")
        if self.met("{"):
            return self._object(depth)
        if self.met("["):
            return self._array(depth)
        if self.next is not None and self.next.kind == "mark":
            self.fail("a value is missing")
        token = self.take()
        return _Node(self._scalar(token), token.start, token.end)

    def _object(self, depth: int) -> _Node:
        start = self.take("{").start
        members: list[_Member] = []
        while not self.met("}"):
            if self.next is not None and self.next.kind != "string":
                self.fail("a name in quotes is missing")
            name = self.take()
            self.take(":")
            node = self.value(depth + 1)
            comma = self.take(",").start if self.met(",") else None
            members.append(_Member(str(self._scalar(name)), name.start, node, comma))
            if comma is None and not self.met("}"):
                self.fail("',' or '}' is missing")
        value = {member.name: member.node.value for member in members}
        if len(value) < len(members):
            self.fail("an object says a name twice")
        return _Node(value, start, self.take("}").end, tuple(members))

    def _array(self, depth: int) -> _Node:
        start = self.take("[").start
        values: list[Any] = []
        while not self.met("]"):
            values.append(self.value(depth + 1).value)
            if not self.met("]"):
                self.take(",")
        return _Node(values, start, self.take("]").end)

    def _scalar(self, token: _Token) -> Any:
        try:
            return json.loads(token.text, parse_constant=_refuse_constant)
        except ValueError:
            self.fail("that is no value of JSON", token.start)


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


# writing


def _insert(text: str, node: _Node, name: str, value: object) -> str:
    """The text with one more member at the end of an object."""
    line = _line_end(text)
    close = node.end - 1
    members = node.members or ()
    outer = _indent_at(text, node.start)
    spread = "\n" in text[node.start : members[0].start] if members else True
    indent = _indent_at(text, members[0].start) if members and spread else outer + _unit(text)
    at = _end_of_content(text, node, members)
    lead = f"{line}{indent}" if spread or _ends_in_line_comment(text, at) else " "
    made = f"{lead}{json.dumps(name, ensure_ascii=False)}: {_written(value, text, indent if spread else outer)}"
    tail = text[at:close]
    if not members and "\n" not in tail:
        tail = f"{line}{outer}"
    if members and members[-1].comma is None:
        comma = members[-1].node.end
        return text[:comma] + "," + text[comma:at] + made + tail + text[close:]
    return text[:at] + made + tail + text[close:]


def _end_of_content(text: str, node: _Node, members: Sequence[_Member]) -> int:
    """Where the last thing within an object ends, a comment counted."""
    last = members[-1] if members else None
    at = node.start + 1 if last is None else last.node.end if last.comma is None else last.comma + 1
    while (found := _TOKEN.match(text, at)) and found.lastgroup == "blank":
        at = found.end()
    return len(text[:at].rstrip())


def _ends_in_line_comment(text: str, at: int) -> bool:
    start = text.rfind("\n", 0, at) + 1
    while start < at and (found := _TOKEN.match(text, start)):
        if found.end() >= at:
            return found.group().startswith("//")
        start = found.end()
    return False


def _without(text: str, node: _Node, index: int) -> str:
    """The text without one member of an object: its lines where it has them to itself, and one comma."""
    members = node.members or ()
    member = members[index]
    start = member.start
    end = member.node.end if member.comma is None else member.comma + 1
    before = text[:start].rstrip(" \t")
    rest = re.compile(r"[ \t]*(\r?\n|\Z)").match(text, end)
    if before.endswith("\n") and rest is not None:
        start, end = len(before), rest.end()
    elif member.comma is None:
        start = len(before)
    else:
        end += len(text[end:]) - len(text[end:].lstrip(" \t"))
    text = text[:start] + text[end:]
    if member.comma is None and index and (comma := members[index - 1].comma) is not None:
        text = text[:comma] + text[comma + 1 :]
    if len(members) > 1:
        return text
    inside, _, after = text[node.start + 1 :].partition("}")
    return text[: node.start] + "{}" + after if not inside.strip() else text


def _written(value: object, text: str, indent: str) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=_unit(text)).split("\n")
    return (_line_end(text) + indent).join(lines)


def _indent_at(text: str, at: int) -> str:
    """The blanks that the line of `at` begins with."""
    start = text.rfind("\n", 0, at) + 1
    line = text[start:at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """One step of indentation, as the document has it."""
    found = re.search(r"[{\[]\r?\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
