"""Tools as this dialect declares, chooses and calls them: functions, custom tools of free text, and namespaces of both.

Other dialects know functions in one flat list. So a namespace is flattened into the names of its tools, and a custom
tool is one function of one string there; `ToolNames` finds the way back for an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..conversation import CUSTOM_INPUT, OpaqueTool, Tool, ToolChoice
from .content import NAME
from .fields import as_list, as_object, as_text, opt_flag, opt_text

__all__ = [
    "CustomInput",
    "ToolNames",
    "WireName",
    "names_in",
    "read_choice",
    "read_tools",
    "write_choice",
    "write_tools",
]


@dataclass(frozen=True, slots=True)
class WireName:
    """What the client calls a tool: its own name, the namespace it stands in, and whether it takes free text."""

    name: str
    namespace: str = ""
    custom: bool = False


class ToolNames:
    """The flat names of one request's tools, and what each stands for. The same tools always give the same names."""

    __slots__ = ("_flat", "_wire")

    def __init__(self, wire_names: Iterable[WireName]) -> None:
        self._flat: dict[tuple[str, str], str] = {}
        self._wire: dict[str, WireName] = {}
        # Tools outside of namespaces keep their names, so they come first.
        for wire in sorted(wire_names, key=lambda wire: bool(wire.namespace)):
            if (wire.namespace, wire.name) not in self._flat:
                flat = self._unused(_joined(wire.namespace, wire.name))
                self._flat[wire.namespace, wire.name] = flat
                self._wire[flat] = wire

    def flat(self, namespace: str, name: str) -> str:
        """The name that stands for a tool elsewhere; a tool that is no longer declared gets one by the same rule."""
        return self._flat.get((namespace, name)) or _joined(namespace, name)

    def wire(self, flat: str) -> WireName:
        """What the client knows as `flat`."""
        return self._wire.get(flat) or WireName(flat)

    def _unused(self, name: str) -> str:
        candidate, number = name, 2
        while candidate in self._wire:
            candidate, number = f"{name}_{number}", number + 1
        return candidate


def _joined(namespace: str, name: str) -> str:
    return f"{namespace.rstrip('_/.:')}__{name}" if namespace else name


class _Declared(msgspec.Struct):
    """The part of a declaration that names a tool."""

    type: Any = None
    name: Any = None
    tools: Any = None


_DECLARED: Final = msgspec.json.Decoder(list[_Declared])


class _Item(msgspec.Struct):
    type: Any = None
    tools: msgspec.Raw = msgspec.Raw(b"[]")


_ITEMS: Final = msgspec.json.Decoder(list[_Item])
_ADDED: Final = "additional_tools"


def names_in(envelope: Mapping[str, msgspec.Raw]) -> ToolNames:
    """The names of the tools that a request declares; none where they don't make sense."""
    found: list[WireName] = []
    try:
        for raw in _declarations(envelope):
            for tool in _DECLARED.decode(raw):
                found += _wire_names(tool.type, tool.name, tool.tools)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A request that was answered has been read before; what is left is a relayed one that nobody read.
        return ToolNames(())
    return ToolNames(found)


def _declarations(envelope: Mapping[str, msgspec.Raw]) -> Iterator[msgspec.Raw]:
    tools = envelope.get("tools")
    if tools is not None and bytes(memoryview(tools)[:1]) == b"[":
        yield tools
    items = envelope.get("input")
    if items is not None and b"additional_tools" in bytes(items) and bytes(memoryview(items)[:1]) == b"[":
        yield from (item.tools for item in _ITEMS.decode(items) if item.type == _ADDED)


def _wire_names(kind: object, name: object, inner: object) -> Iterator[WireName]:
    if not isinstance(name, str):
        return
    if kind in ("function", "custom"):
        yield WireName(name, custom=kind == "custom")
    elif kind == "namespace" and isinstance(inner, list):
        for tool in inner:
            if isinstance(tool, dict) and isinstance(tool.get("name"), str):
                yield WireName(tool["name"], name, tool.get("type") == "custom")


# ---------------------------------------------------------------------------------------------- reading


def read_tools(declared: list[tuple[object, str]]) -> tuple[tuple[Tool | OpaqueTool, ...], ToolNames]:
    """The tools of a request, each given with its path, flattened.

    Raises:
        InvalidRequest: one of them is not a declaration.
    """
    rows = [(as_object(tool, path), path) for tool, path in declared]
    names = ToolNames(
        wire for tool, _ in rows for wire in _wire_names(tool.get("type"), tool.get("name"), tool.get("tools"))
    )
    return tuple(tool for row, path in rows for tool in _read_tool(row, path, names)), names


def _read_tool(tool: dict[str, Any], path: str, names: ToolNames) -> Iterator[Tool | OpaqueTool]:
    kind = as_text(tool.get("type"), f"{path}.type")
    if kind == "namespace":
        namespace = as_text(tool.get("name"), f"{path}.name")
        for number, inner in enumerate(as_list(tool.get("tools"), f"{path}.tools")):
            place = f"{path}.tools.{number}"
            yield _read_named(as_object(inner, place), place, namespace, names)
    elif kind in ("function", "custom"):
        yield _read_named(tool, path, "", names)
    else:
        yield OpaqueTool(NAME, kind, tool)


def _read_named(tool: dict[str, Any], path: str, namespace: str, names: ToolNames) -> Tool | OpaqueTool:
    kind = as_text(tool.get("type"), f"{path}.type")
    if kind not in ("function", "custom"):
        return OpaqueTool(NAME, kind, tool)
    name = as_text(tool.get("name"), f"{path}.name")
    if not name:
        raise InvalidRequest(f"'{path}.name' is empty; name the tool.", param=f"{path}.name")
    flat = names.flat(namespace, name)
    description = opt_text(tool.get("description"), f"{path}.description") or ""
    if kind == "custom":
        form = tool.get("format")
        plain = form is None or (isinstance(form, dict) and form.get("type") == "text")
        return Tool(flat, description, custom=True, grammar=None if plain else form)
    parameters = tool.get("parameters")
    if parameters is not None:
        as_object(parameters, f"{path}.parameters")
    return Tool(flat, description, parameters, opt_flag(tool.get("strict"), f"{path}.strict"))


def read_choice(value: object, names: ToolNames) -> ToolChoice | None:
    """`tool_choice`; None where there is none, or where it asks for a tool that only the provider itself can run.

    Raises:
        InvalidRequest: it is none of the forms there are.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _read_mode(value)
    choice = as_object(value, "tool_choice")
    kind = as_text(choice.get("type"), "tool_choice.type")
    if kind in ("function", "custom"):
        return ToolChoice("tool", _flat_of(choice, "tool_choice", names))
    if kind == "allowed_tools":
        rows = as_list(choice.get("tools"), "tool_choice.tools")
        allowed = [(as_object(row, f"tool_choice.tools.{n}"), f"tool_choice.tools.{n}") for n, row in enumerate(rows)]
        chosen = [_flat_of(row, path, names) for row, path in allowed if row.get("type") in ("function", "custom")]
        return ToolChoice("allowed", names=tuple(chosen), must_call=choice.get("mode") == "required")
    return None


def _read_mode(mode: str) -> ToolChoice:
    if mode == "auto":
        return ToolChoice("auto")
    if mode == "none":
        return ToolChoice("none")
    if mode == "required":
        return ToolChoice("required")
    raise InvalidRequest(
        f'\'tool_choice\' is {mode!r:.40}; send "auto", "none", "required" or a tool.', param="tool_choice"
    )


def _flat_of(row: Mapping[str, Any], path: str, names: ToolNames) -> str:
    namespace = opt_text(row.get("namespace"), f"{path}.namespace") or ""
    return names.flat(namespace, as_text(row.get("name"), f"{path}.name"))


# ---------------------------------------------------------------------------------------------- writing

_NO_PARAMETERS: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}


def write_tools(tools: Iterable[Tool | OpaqueTool]) -> list[dict[str, Any]]:
    """The tools a provider of this dialect can use; those that only another's provider runs are left out."""
    return [
        _write_tool(tool) if isinstance(tool, Tool) else tool.value
        for tool in tools
        if isinstance(tool, Tool) or tool.dialect == NAME
    ]


def _write_tool(tool: Tool) -> dict[str, Any]:
    if tool.custom:
        row = {"type": "custom", "name": tool.name, "description": tool.description}
        return row if tool.grammar is None else {**row, "format": _write_grammar(tool.grammar)}
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": _NO_PARAMETERS if tool.parameters is None else tool.parameters,
        # Left out it would be true here, where elsewhere it is false, and most schemas are not made for it.
        "strict": tool.strict is True,
    }


def _write_grammar(grammar: Any) -> Any:
    """Chat completions wrap in `grammar` what stands beside `type` here."""
    inner = grammar.get("grammar") if isinstance(grammar, dict) else None
    return {"type": "grammar", **inner} if isinstance(inner, dict) else grammar


def write_choice(choice: ToolChoice, tools: Iterable[Tool | OpaqueTool]) -> Any:
    custom = {tool.name for tool in tools if isinstance(tool, Tool) and tool.custom}
    if choice.mode == "tool":
        return _named(choice.name, custom)
    if choice.mode == "allowed":
        mode = "required" if choice.must_call else "auto"
        return {"type": "allowed_tools", "mode": mode, "tools": [_named(name, custom) for name in choice.names]}
    return choice.mode


def _named(name: str, custom: set[str]) -> dict[str, str]:
    return {"type": "custom" if name in custom else "function", "name": name}


# ---------------------------------------------------------------------------------------------- free text

_OPENING: Final = re.compile(r'\s*\{\s*"' + CUSTOM_INPUT + r'"\s*:\s*"')
#: As much of a JSON string as is whole: no half of an escape, no half of a surrogate pair.
_WHOLE: Final = re.compile(
    r'(?:[^"\\]+|\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})*'
)


class CustomInput:
    """Takes the one string out of a custom tool's ``{"input": "…"}`` while it arrives."""

    __slots__ = ("_given", "_inside", "_rest", "_said")

    def __init__(self) -> None:
        self._given: list[str] = []
        self._said: list[str] = []
        self._rest = ""
        self._inside = False

    def feed(self, piece: str) -> str:
        """What of the text can be told now."""
        self._given.append(piece)
        self._rest += piece
        if not self._inside:
            opening = _OPENING.match(self._rest)
            if opening is None:
                return ""
            self._inside = True
            self._rest = self._rest[opening.end() :]
        match = _WHOLE.match(self._rest)
        end = match.end() if match is not None else 0
        text = _unescaped(self._rest[:end])
        self._rest = self._rest[end:]
        self._said.append(text)
        return text

    def end(self) -> tuple[str, str]:
        """What is left to tell, and the whole text."""
        said = "".join(self._said)
        # Half of a surrogate pair is no text that can be sent.
        whole = _input_of("".join(self._given), said).encode("utf-8", "replace").decode()
        return (whole[len(said) :], whole) if whole.startswith(said) else ("", said)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        # No such escape: what the model wrote is told as it stands.
        return text


def _input_of(arguments: str, said: str) -> str:
    """The text that arguments hold; models that were not told their form give it bare."""
    try:
        value = json.loads(arguments, strict=False) if arguments else {}
    except (ValueError, RecursionError):
        return said or arguments
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return arguments
    texts = [text for text in value.values() if isinstance(text, str)]
    given = value.get(CUSTOM_INPUT)
    if isinstance(given, str):
        return given
    return texts[0] if len(texts) == 1 else arguments if value else ""
