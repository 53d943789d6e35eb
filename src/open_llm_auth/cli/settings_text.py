"""The text of a client's settings, read and changed in four formats; what is not changed stays as its owner wrote it.

JSON is changed in place (`json_text`), TOML by tomlkit, YAML by ruamel.yaml with every untouched line kept, and a
dotenv file line by line. Each result is read again before it is given: it differs in what was asked for, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from io import StringIO
from itertools import pairwise
from typing import Any, Final, Literal

from . import json_text

__all__ = ["ABSENT", "Entry", "FormatName", "SettingPath", "SettingsFault", "change", "get", "read"]

FormatName = Literal["json", "toml", "yaml", "dotenv"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A step into a list: the object whose `name` is `value`."""

    name: str
    value: str


#: Names of objects, and entries of lists, from the outside to the inside.
SettingPath = tuple[str | Entry, ...]

#: What stands at a path where nothing stands, and what removes what does.
ABSENT: Final = object()

_UNCHANGEABLE: Final = "it is written in a way that can't be changed without touching the rest of it"


class SettingsFault(ValueError):
    """The text does not parse, or can't be changed as asked; the message says why and quotes no value."""


def read(name: FormatName, text: str) -> Any:
    """The document, as plain objects, lists and scalars; an empty file is an empty object.

    Raises:
        SettingsFault: it does not parse.
    """
    return _FORMATS[name].read(text)


def change(name: FormatName, text: str, changes: Mapping[SettingPath, object]) -> str:
    """The text with each value at its path; `ABSENT` removes what stands there.

    Raises:
        SettingsFault: it does not parse, or can't be changed without touching the rest.
    """
    form = _FORMATS[name]
    wanted = form.read(text)
    crlf = "\r\n" in text
    changed = text.replace("\r\n", "\n") if crlf else text
    for path, value in changes.items():
        changed = form.remove(changed, path) if value is ABSENT else form.put(changed, path, value)
        wanted = _remove(wanted, path) if value is ABSENT else _put(wanted, path, value)
    changed = changed.replace("\n", "\r\n") if crlf else changed
    if form.read(changed) != wanted:
        raise SettingsFault(_UNCHANGEABLE)
    return changed


def get(document: Any, path: SettingPath) -> Any:
    """What stands at a path of a document that was read; `ABSENT` where nothing does."""
    for step in path:
        if isinstance(step, Entry):
            entries = document if isinstance(document, list) else []
            document = next((entry for entry in entries if _is(entry, step)), ABSENT)
        else:
            document = document.get(step, ABSENT) if isinstance(document, dict) else ABSENT
    return document


# the same changes on plain data, and on the documents of the libraries, which are dicts and lists


def _put(document: Any, path: SettingPath, value: object, empty: Callable[[], Any] = dict) -> Any:
    """The document, changed; made where there is none.

    Raises:
        SettingsFault: something on the way is neither an object nor a list, as the path would have it.
    """
    if document in (None, {}, []) and isinstance(path[0], Entry):
        document = [] if not isinstance(document, list) else document
    elif document is None:
        document = empty()
    here = document
    for step, after in pairwise((*path, None)):
        _check_fits(here, step)
        found = get(here, (step,)) if step is not None else ABSENT
        if after is None:
            found = value
        elif found is ABSENT or found is None:
            found = [] if isinstance(after, Entry) else empty()
        here = _set(here, step, found)
    return document


def _check_fits(here: Any, step: str | Entry | None) -> None:
    if isinstance(step, Entry) != isinstance(here, list) or not isinstance(here, (dict, list)):
        name = step.name if isinstance(step, Entry) else step
        raise SettingsFault(f"what should hold {name!r} is no {'list' if isinstance(step, Entry) else 'object'}")


def _set(here: Any, step: str | Entry | None, value: Any) -> Any:
    """Put it there, and give what stands there then."""
    if isinstance(step, Entry):
        if not any(_is(entry, step) for entry in here):
            value[step.name] = step.value
            here.append(value)
        return get(here, (step,))
    if here.get(step, ABSENT) is not value:
        here[step] = value
    return here[step]


def _remove(document: Any, path: SettingPath) -> Any:
    here = get(document, path[:-1])
    step = path[-1]
    if isinstance(step, Entry):
        if isinstance(here, list):
            here[:] = [entry for entry in here if not _is(entry, step)]
    elif isinstance(here, dict):
        here.pop(step, None)
    return document


def _is(entry: Any, step: Entry) -> bool:
    return isinstance(entry, dict) and entry.get(step.name) == step.value


# JSON


def _read_json(text: str) -> Any:
    try:
        return json_text.parse(text)
    except json_text.JsonFault as fault:
        raise SettingsFault(f"it is no JSON: {fault}") from None


def _put_json(text: str, path: SettingPath, value: object) -> str:
    try:
        return json_text.put(text, _names(path), value)
    except json_text.JsonFault as fault:
        raise SettingsFault(str(fault)) from None


def _remove_json(text: str, path: SettingPath) -> str:
    return json_text.remove(text, _names(path))


def _names(path: SettingPath) -> Sequence[str]:
    return [step for step in path if isinstance(step, str)]


# TOML


def _read_toml(text: str) -> Any:
    import tomllib  # late, as tomlkit is: most commands need neither

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise SettingsFault(f"it is no TOML: {error}") from None


def _put_toml(text: str, path: SettingPath, value: object) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    here: Any = document
    for step in path[:-1]:
        if step not in here:
            # A table that only holds tables has no line of its own.
            here[step] = tomlkit.table(is_super_table=len(path) > 2 and step == path[0])
        here = here[step]
        if not isinstance(here, dict):
            raise SettingsFault(f"{step!r} is no table")
    here[path[-1]] = value
    return tomlkit.dumps(document)


def _remove_toml(text: str, path: SettingPath) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    return tomlkit.dumps(_remove(document, path))


# YAML


def _yaml(text: str) -> Any:
    """A reader and writer that keeps quotes, and indents as the text does."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    dashes = re.search(r"^( *)[^\s#-][^\n]*:[ ]*\n(?:[ ]*(?:#[^\n]*)?\n)*( *)- ", text, re.MULTILINE)
    offset = len(dashes[2]) - len(dashes[1]) if dashes else 0
    yaml.indent(mapping=2, sequence=offset + 2, offset=max(offset, 0))
    return yaml


def _load_yaml(text: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml(text).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise SettingsFault(f"it is no YAML that can be read{where}") from None


def _read_yaml(text: str) -> Any:
    found = _plain(_load_yaml(text))
    return {} if found is None else found


def _put_yaml(text: str, path: SettingPath, value: object) -> str:
    document = _load_yaml(text)
    if document is None:
        # Nothing but comments: what is new goes below them.
        return _ended(text) + _dump_yaml(text, _put(None, path, value))
    return _grafted(text, document, lambda: _put(document, path, value))


def _remove_yaml(text: str, path: SettingPath) -> str:
    document = _load_yaml(text)
    return text if document is None else _grafted(text, document, lambda: _remove(document, path))


def _dump_yaml(text: str, document: Any) -> str:
    stream = StringIO()
    _yaml(text).dump(document, stream)
    return stream.getvalue()


def _grafted(text: str, document: Any, apply: Callable[[], Any]) -> str:
    """The text with the lines that `apply` changes in the document as the library writes it, and no others."""
    before = _dump_yaml(text, document).splitlines(keepends=True)
    after = _dump_yaml(text, apply()).splitlines(keepends=True)
    return _graft(_ended(text).splitlines(keepends=True), before, after)


def _graft(own: Sequence[str], before: Sequence[str], after: Sequence[str]) -> str:
    """`own` with the difference of `before` and `after`, both of which say what `own` says in other words.

    Raises:
        SettingsFault: there is no telling where in `own` that difference belongs.
    """
    places = _same_lines(own, before)
    lines = list(own)
    for kind, start, end, new_start, new_end in reversed(_opcodes(before, after)):
        if kind != "equal":
            first = _place(places, start, end, len(before), len(own))
            last = first + end - start
            # The library counts the comments below a value as its own; to people they belong to what comes next.
            if kind == "insert":
                first = last = first - _remarks(own[:first])
            elif kind == "delete":
                last -= _remarks(own[first:last])
            lines[first:last] = after[new_start:new_end]
    return "".join(lines)


def _remarks(lines: Sequence[str]) -> int:
    """How many lines at the end are blank or comments."""
    return len(lines) - max(
        (place for place, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"), default=0
    )


def _same_lines(own: Sequence[str], before: Sequence[str]) -> Mapping[int, int]:
    """Which line of `own` each line of `before` is; as many lines in other words are the same ones."""
    places: dict[int, int] = {}
    for _, start, end, other_start, other_end in _opcodes(own, before):
        if end - start == other_end - other_start:
            places.update(zip(range(other_start, other_end), range(start, end), strict=True))
    return places


def _place(places: Mapping[int, int], start: int, end: int, all_before: int, all_own: int) -> int:
    known = [places.get(index, -1) for index in range(start, end)]
    if known:
        if known == list(range(known[0], known[0] + len(known))) and known[0] >= 0:
            return known[0]
    elif start - 1 in places:
        return places[start - 1] + 1
    elif start in places or start == all_before:
        return places.get(start, all_own)
    raise SettingsFault(_UNCHANGEABLE)


def _opcodes(one: Sequence[str], other: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    return list(SequenceMatcher(None, one, other, autojunk=False).get_opcodes())


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _plain(value: Any) -> Any:
    """Without what the library keeps beside the values."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return str(value)
    return value


# dotenv

_VARIABLE: Final = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[^\n]*\n?", re.MULTILINE)


def _read_dotenv(text: str) -> Any:
    from ..config.dotenv import parse_dotenv

    found = parse_dotenv(text)
    if found.faults:
        raise SettingsFault(found.faults[0])
    return found.values


def _put_dotenv(text: str, path: SettingPath, value: object) -> str:
    (name,) = _names(path)
    line = f"{name}={value}\n"
    places = [found for found in _VARIABLE.finditer(text) if found[1] == name]
    if not places:
        return _ended(text) + line
    # The last one of a name counts.
    return text[: places[-1].start()] + line + text[places[-1].end() :]


def _remove_dotenv(text: str, path: SettingPath) -> str:
    (name,) = _names(path)
    return _VARIABLE.sub(lambda found: "" if found[1] == name else found[0], text)


@dataclass(frozen=True, slots=True)
class _Format:
    read: Callable[[str], Any]
    put: Callable[[str, SettingPath, object], str]
    remove: Callable[[str, SettingPath], str]


_FORMATS: Final[Mapping[FormatName, _Format]] = {
    "json": _Format(_read_json, _put_json, _remove_json),
    "toml": _Format(_read_toml, _put_toml, _remove_toml),
    "yaml": _Format(_read_yaml, _put_yaml, _remove_yaml),
    "dotenv": _Format(_read_dotenv, _put_dotenv, _remove_dotenv),
}
