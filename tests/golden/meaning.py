"""What an answer or a call means, whichever dialect says it: the measure that no golden file can bend."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from open_llm_auth.wire.conversation import (
    Conversation,
    Document,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from open_llm_auth.wire.events import (
    Event,
    Failed,
    Finished,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.signatures import open_call_id

__all__ = ["Asked", "Said", "asked_in", "said_in"]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its words, its calls as (id, name, arguments decoded), why it ended and what it counted."""

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, str, Any], ...] = ()
    reason: StopReason | None = None
    usage: Usage | None = None
    failure: str = ""

    def but(self, **fields: Any) -> Said:
        return replace(self, **fields)


def said_in(events: Iterable[Event]) -> Said:
    """What the events come to."""
    text, thinking, refusal = "", "", ""
    calls: list[tuple[str, str, str]] = []
    said = Said()
    for event in events:
        match event:
            case TextDelta():
                text += event.text
            case ThinkingDelta():
                thinking += event.text
            case RefusalDelta():
                refusal += event.text
            case ToolCallStarted():
                calls.append((open_call_id(event.id)[0], event.name, ""))
            case ToolCallDelta():
                call_id, name, arguments = calls[-1]
                calls[-1] = (call_id, name, arguments + event.arguments)
            case Started():
                said = said.but(usage=event.usage or said.usage)
            case Finished():
                said = said.but(usage=event.usage or said.usage, reason=event.reason)
            case Failed():
                said = said.but(failure=event.error.message)
    made = tuple((call_id, name, json.loads(arguments or "{}")) for call_id, name, arguments in calls)
    return said.but(text=text, thinking=thinking, refusal=refusal, calls=made)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: the instructions, who said what, the tools and the settings that every dialect has in some form."""

    system: str = ""
    turns: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    tools: tuple[tuple[str, str, Any], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def but(self, **settings: Any) -> Asked:
        return replace(self, settings=self.settings | settings)

    def with_errors_in_words(self) -> Asked:
        """The same where a tool's error has no place of its own."""
        return replace(self, turns=tuple((role, tuple(map(_in_words, parts))) for role, parts in self.turns))


def asked_in(conversation: Conversation) -> Asked:
    """What the call comes to. Turns of one role in a row are one, because dialects differ in how they part them."""
    turns: list[tuple[str, tuple[Any, ...]]] = []
    for turn in conversation.turns:
        parts = tuple(found for part in turn.parts if (found := _part(part)) is not None)
        if turns and turns[-1][0] == turn.role:
            turns[-1] = (turn.role, turns[-1][1] + parts)
        elif parts:
            turns.append((turn.role, parts))
    tools = tuple(
        (tool.name, tool.description, _decoded(tool.parameters))
        for tool in conversation.tools
        if isinstance(tool, Tool)
    )
    settings = {
        "max_tokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "stop": conversation.stop,
        "schema": _decoded(conversation.output.schema) if conversation.output else None,
        "choice": conversation.tool_choice.mode if conversation.tool_choice else "auto",
        "reasons": bool(conversation.reasoning and conversation.reasoning.enabled is not False),
    }
    return Asked("\n".join(text.text for text in conversation.system), tuple(turns), tools, settings)


def _part(part: Part) -> Any:
    match part:
        case Text() | Refusal():
            return part.text
        case ToolCall():
            return ("call", part.id, part.name, json.loads(part.arguments))
        case ToolResult():
            said = "".join(inner.text for inner in part.parts if isinstance(inner, Text))
            return ("result", part.id, part.name, said, part.is_error)
        case Image() | Document():
            return ("file", part.media_type, part.data)
        case Thinking():
            return None  # carried only to where it came from
    return ("other", type(part).__name__)


def _in_words(part: Any) -> Any:
    if isinstance(part, tuple) and part[0] == "result" and part[4]:
        return (*part[:3], f"Error: {part[3]}", False)
    return part


def _decoded(schema: Any) -> Any:
    """The schema as plain values, without what dialects add to it to close it."""
    if schema is None:
        return None
    return _opened(json.loads(msgspec.json.encode(schema)))


def _opened(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _opened(part) for name, part in schema.items() if name != "additionalProperties"}
    return [_opened(part) for part in schema] if isinstance(schema, list) else schema
