"""`input`, read into turns and written from them: messages, calls and results of tools, reasoning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..conversation import (
    CUSTOM_INPUT,
    Document,
    Image,
    OpaquePart,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from ..events import Signature
from ..signatures import open_call_id, unseal
from .content import NAME, read_content, read_output, write_input, write_output_text, write_refusal
from .fields import as_list, as_object, as_text, opt_text
from .tools import ToolNames

__all__ = ["REDACTED", "read_items", "tools_in", "write_items"]

#: The id within an envelope that tells Anthropic's `redacted_thinking` from the signature of words that are not shown.
REDACTED: Final = "redacted"
_REDACTS: Final = "anthropic-messages"
_ADDED_TOOLS: Final = "additional_tools"


# ---------------------------------------------------------------------------------------------- reading


@dataclass(slots=True)
class _Reading:
    """Turns as they grow. What an assistant says and calls in a row is one turn, and so are results in a row."""

    names: ToolNames
    system: list[Text] = field(default_factory=list)
    turns: list[tuple[Role, list[Part]]] = field(default_factory=list)
    #: flat names of tools by the id of their calls
    called: dict[str, str] = field(default_factory=dict)

    def say(self, role: Role, parts: Iterable[Part]) -> None:
        self.turns.append((role, list(parts)))

    def assistant(self, *parts: Part) -> None:
        if not self.turns or self.turns[-1][0] != "assistant":
            self.say("assistant", ())
        self.turns[-1][1].extend(parts)

    def result(self, part: Part) -> None:
        if not self._last_is_result():
            self.say("user", ())
        self.turns[-1][1].append(part)

    def _last_is_result(self) -> bool:
        return bool(self.turns) and isinstance(next(reversed(self.turns[-1][1]), None), ToolResult)


def read_items(items: object, names: ToolNames) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """What stands before the conversation, and the conversation.

    Raises:
        InvalidRequest: an item is not what its type says, or one that this gateway would have to have kept.
    """
    if isinstance(items, str):
        return (), (Turn("user", (Text(items),)),)
    reading = _Reading(names)
    for number, value in enumerate(as_list(items, "input")):
        path = f"input.{number}"
        item = as_object(value, path)
        kind = opt_text(item.get("type"), f"{path}.type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference"
        _READERS.get(kind, _read_unknown)(item, path, reading)
    return tuple(reading.system), tuple(Turn(role, tuple(parts)) for role, parts in reading.turns)


def tools_in(items: object) -> list[tuple[object, str]]:
    """The tools that stand within the conversation, each with its path."""
    found: list[tuple[object, str]] = []
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and item.get("type") == _ADDED_TOOLS:
            path = f"input.{number}.tools"
            found += [(tool, f"{path}.{place}") for place, tool in enumerate(as_list(item.get("tools"), path))]
    return found


def _read_message(item: dict[str, Any], path: str, reading: _Reading) -> None:
    role = as_text(item.get("role"), f"{path}.role")
    content = read_content(item.get("content"), f"{path}.content")
    if role == "user":
        reading.say("user", content)
    elif role == "assistant":
        reading.assistant(*content)
    elif role in ("system", "developer"):
        texts = [_only_text(part, f"{path}.content") for part in content]
        if reading.turns:
            reading.say("system", texts)
        else:
            reading.system += texts
    else:
        raise InvalidRequest(
            f'\'{path}.role\' is {role!r:.40}; it must be "user", "assistant", "system" or "developer".',
            param=f"{path}.role",
        )


def _only_text(part: Part, path: str) -> Text:
    if isinstance(part, Text):
        return part
    raise InvalidRequest(f"{path!r} of a system or developer message may hold text only.", param=path)


def _read_call(item: dict[str, Any], path: str, reading: _Reading) -> None:
    arguments = as_text(item.get("arguments"), f"{path}.arguments")
    reading.assistant(_call(item, path, reading, _as_arguments(arguments), custom=False))


def _read_custom_call(item: dict[str, Any], path: str, reading: _Reading) -> None:
    text = as_text(item.get("input"), f"{path}.input")
    reading.assistant(_call(item, path, reading, text, custom=True))


def _call(item: dict[str, Any], path: str, reading: _Reading, arguments: str, *, custom: bool) -> ToolCall:
    call_id, signature = open_call_id(as_text(item.get("call_id"), f"{path}.call_id"))
    namespace = opt_text(item.get("namespace"), f"{path}.namespace") or ""
    name = reading.names.flat(namespace, as_text(item.get("name"), f"{path}.name"))
    reading.called[call_id] = name
    return ToolCall(call_id, name, arguments, custom, signature)


def _as_arguments(text: str) -> str:
    """The JSON text of an object. A model that wrote anything else is quoted, so that the conversation can go on."""
    if not text.strip():
        return "{}"
    try:
        if isinstance(msgspec.json.decode(text), dict):
            return text
    except (msgspec.DecodeError, RecursionError):
        pass  # quoted below, as whatever else is no object
    return msgspec.json.encode({CUSTOM_INPUT: text}).decode()


def _read_result(item: dict[str, Any], path: str, reading: _Reading) -> None:
    call_id, _ = open_call_id(as_text(item.get("call_id"), f"{path}.call_id"))
    parts = read_output(item.get("output"), f"{path}.output")
    reading.result(ToolResult(call_id, reading.called.get(call_id, ""), parts))


def _read_reasoning(item: dict[str, Any], path: str, reading: _Reading) -> None:
    content = _texts(item.get("content"), f"{path}.content")
    summary = _texts(item.get("summary"), f"{path}.summary")
    signature = _read_signature(item, path)
    text = "\n\n".join(content or summary)
    if text or signature is not None:
        redacted = signature is not None and signature.origin == _REDACTS and signature.id == REDACTED
        reading.assistant(Thinking(text, signature, summary=not content, redacted=redacted))


def _texts(value: object, path: str) -> list[str]:
    rows = [] if value is None else as_list(value, path)
    parts = [as_object(row, f"{path}.{number}") for number, row in enumerate(rows)]
    return [as_text(part.get("text"), f"{path}.{number}.text") for number, part in enumerate(parts)]


def _read_signature(item: dict[str, Any], path: str) -> Signature | None:
    sealed = opt_text(item.get("encrypted_content"), f"{path}.encrypted_content")
    if not sealed:
        return None
    signature = unseal(sealed, NAME)
    if signature.origin != NAME or signature.id:
        return signature
    return Signature(NAME, signature.value, opt_text(item.get("id"), f"{path}.id") or "")


def _read_added_tools(item: dict[str, Any], path: str, reading: _Reading) -> None:
    """Read with the other tools, by `tools_in`."""


def _refuse_reference(_item: dict[str, Any], path: str, _reading: _Reading) -> None:
    raise InvalidRequest(
        f"{path!r} refers to an item by its id, and this gateway keeps none; send the item itself.", param=path
    )


def _read_unknown(item: dict[str, Any], _path: str, reading: _Reading) -> None:
    kind = str(item["type"])
    part = OpaquePart(NAME, kind, item)
    if kind.endswith("_output"):
        reading.say("user", (part,))
    else:
        reading.assistant(part)


_READERS: Final[Mapping[str, Callable[[dict[str, Any], str, _Reading], None]]] = {
    "message": _read_message,
    "function_call": _read_call,
    "function_call_output": _read_result,
    "custom_tool_call": _read_custom_call,
    "custom_tool_call_output": _read_result,
    "reasoning": _read_reasoning,
    "item_reference": _refuse_reference,
    _ADDED_TOOLS: _read_added_tools,
}


# ---------------------------------------------------------------------------------------------- writing

_ERROR_PREFIX: Final = "Error: "


def write_items(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """The turns as items of `input`."""
    customs: set[str] = set()
    return [item for turn in turns for item in _write_turn(turn, customs)]


def _write_turn(turn: Turn, customs: set[str]) -> Iterator[dict[str, Any]]:
    if turn.role == "assistant":
        yield from _write_assistant(turn.parts, customs)
        return
    # "developer" is what reasoning models and sign-ins take, and what Codex sends to every server of this dialect.
    role = "developer" if turn.role == "system" else "user"
    content: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, Text | Image | Document):
            content.append(write_input(part))
            continue
        yield from _flush(role, content)
        if isinstance(part, ToolResult):
            yield _write_result(part, custom=part.id in customs)
        elif isinstance(part, OpaquePart) and part.dialect == NAME:
            yield part.value
    yield from _flush(role, content)


def _write_assistant(parts: tuple[Part, ...], customs: set[str]) -> Iterator[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for number, part in enumerate(parts):
        if isinstance(part, Text):
            content.append(write_output_text(part.text))
            continue
        if isinstance(part, Refusal):
            content.append(write_refusal(part))
            continue
        yield from _flush("assistant", content)
        if isinstance(part, ToolCall):
            if part.custom:
                customs.add(part.id)
            yield _write_call(part)
        elif isinstance(part, Thinking):
            # Reasoning that nothing follows is refused.
            if part.signature is not None and part.signature.origin == NAME and number + 1 < len(parts):
                yield _write_reasoning(part.signature)
        elif isinstance(part, Image | Document):
            # An assistant's message holds no pictures here; its words about it stay beside it.
            yield from _flush("user", [write_input(part)])
        elif isinstance(part, OpaquePart) and part.dialect == NAME:
            yield part.value
    yield from _flush("assistant", content)


def _flush(role: str, content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if content:
        yield {"type": "message", "role": role, "content": list(content)}
        content.clear()


def _write_call(call: ToolCall) -> dict[str, Any]:
    if call.custom:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}


def _write_result(result: ToolResult, *, custom: bool) -> dict[str, Any]:
    kind = "custom_tool_call_output" if custom else "function_call_output"
    return {"type": kind, "call_id": result.id, "output": _write_output(result)}


def _write_output(result: ToolResult) -> str | list[dict[str, Any]]:
    """Text alone is a string. That a result is an error has no place of its own here, so the text says it."""
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    if len(texts) == len(result.parts):
        text = "\n".join(texts)
        return f"{_ERROR_PREFIX}{text}" if result.is_error else text
    parts = [write_input(part) for part in result.parts]
    return [{"type": "input_text", "text": _ERROR_PREFIX.strip()}, *parts] if result.is_error else parts


def _write_reasoning(signature: Signature) -> dict[str, Any]:
    item = {"type": "reasoning", "summary": [], "encrypted_content": signature.value}
    return {**item, "id": signature.id} if signature.id else item
