"""A whole request of Anthropic's Messages API, read into a conversation without a dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..conversation import (
    CacheControl,
    Conversation,
    Document,
    Image,
    OpaqueTool,
    OutputFormat,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from ..envelope import Envelope, is_null
from .blocks import BlockReader, expect_list, expect_object, expect_text, read_cache, read_texts
from .rules import NAME

__all__ = ["read_conversation"]

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: Fields that mean nothing beyond the way to the provider, and those that are read below.
_KNOWN: Final = frozenset(
    {
        "model", "stream", "betas", "anthropic_beta", "anthropic_version",
        "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences",
        "thinking", "output_config", "output_format", "metadata", "service_tier", "cache_control",
    }
)  # fmt: skip
#: What Claude Code puts before its instructions. It changes with each session, so it would spoil the prompt caches of
#: other providers, and says nothing to a model.
_BILLING: Final = "x-anthropic-billing-header:"
_ROLES: Final[Mapping[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_CHOICES: Final[Mapping[str, ToolChoice]] = {
    "auto": ToolChoice("auto"),
    "any": ToolChoice("required"),
    "none": ToolChoice("none"),
}
_READ_TIERS: Final = {"auto": "auto", "standard_only": "default"}


def read_conversation(envelope: Envelope) -> Conversation:
    """The whole request, without its dialect.

    Raises:
        InvalidRequest: a part of it is not what it must be; `param` is its path.
    """
    fields = {name: _decoded(name, raw) for name, raw in envelope.items() if name in _KNOWN and not is_null(raw)}
    system = read_texts(fields.get("system") or [], "system")
    tools = enumerate(expect_list(fields.get("tools", []), "tools"))
    choice, parallel = _read_choice(fields.get("tool_choice"))
    reasoning, unknown = _read_reasoning(fields)
    metadata = expect_object(fields.get("metadata", {}), "metadata")
    conversation = Conversation(
        turns=_read_turns(expect_list(fields.get("messages"), "messages")),
        system=tuple(text for text in system if not text.text.startswith(_BILLING)),
        tools=tuple(_read_tool(tool, f"tools.{at}") for at, tool in tools),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_tokens=_read_integer(fields, "max_tokens"),
        must_limit=True,
        temperature=_read_number(fields, "temperature"),
        top_p=_read_number(fields, "top_p"),
        top_k=_read_integer(fields, "top_k"),
        stop=_read_stop(fields.get("stop_sequences", [])),
        output=_read_output(fields),
        reasoning=reasoning,
        service_tier=_READ_TIERS.get(str(fields.get("service_tier"))),
        user=metadata["user_id"] if isinstance(metadata.get("user_id"), str) else None,
        metadata={name: value for name, value in metadata.items() if name != "user_id"},
        stream=fields.get("stream") is True,
        extras=tuple(name for name, raw in envelope.items() if name not in _KNOWN and not is_null(raw)) + unknown,
    )
    control = read_cache(fields, "cache_control")
    return conversation if control is None else _cached_whole(conversation, control)


def _decoded(name: str, raw: msgspec.Raw) -> Any:
    try:
        return _ANY.decode(raw)
    except _NOT_JSON as error:
        raise InvalidRequest(f"{name!r} is not readable JSON: {error}.", param=name) from error


def _read_turns(messages: Sequence[Any]) -> tuple[Turn, ...]:
    reader = BlockReader()
    turns = []
    for at, given in enumerate(messages):
        path = f"messages.{at}"
        message = expect_object(given, path)
        role = _ROLES.get(expect_text(message.get("role"), f"{path}.role"))
        if role is None:
            raise InvalidRequest(f"'{path}.role' must be user, assistant or system.", param=f"{path}.role")
        turns.append(Turn(role, reader.read(message.get("content"), f"{path}.content")))
    return tuple(turns)


def _read_tool(given: object, path: str) -> Tool | OpaqueTool:
    tool = expect_object(given, path)
    kind = tool.get("type")
    if kind not in (None, "custom"):
        return OpaqueTool(NAME, expect_text(kind, f"{path}.type"), tool)
    name = expect_text(tool.get("name"), f"{path}.name")
    if not name:
        raise InvalidRequest(f"'{path}.name' is empty; every tool needs a name.", param=f"{path}.name")
    description = tool.get("description")
    schema = tool.get("input_schema")
    return Tool(
        name,
        "" if description is None else expect_text(description, f"{path}.description"),
        None if schema is None else expect_object(schema, f"{path}.input_schema"),
        strict=tool["strict"] if isinstance(tool.get("strict"), bool) else None,
        cache=read_cache(tool, path),
    )


def _read_choice(given: object) -> tuple[ToolChoice | None, bool | None]:
    if given is None:
        return None, None
    choice = expect_object(given, "tool_choice")
    disabled = choice.get("disable_parallel_tool_use")
    parallel = not disabled if isinstance(disabled, bool) else None
    kind = choice.get("type")
    if kind == "tool":
        return ToolChoice("tool", expect_text(choice.get("name"), "tool_choice.name")), parallel
    found = _CHOICES.get(str(kind))
    if found is None:
        raise InvalidRequest("'tool_choice.type' must be auto, any, tool or none.", param="tool_choice.type")
    return found, parallel


def _read_reasoning(fields: Mapping[str, Any]) -> tuple[Reasoning | None, tuple[str, ...]]:
    """What is asked of thinking, and the names of fields that ask it in a way nobody else knows."""
    config = expect_object(fields.get("output_config", {}), "output_config")
    effort = None if config.get("effort") is None else expect_text(config["effort"], "output_config.effort")
    if "thinking" not in fields:
        return (Reasoning(effort=effort), ()) if effort else (None, ())
    thinking = expect_object(fields["thinking"], "thinking")
    shown = {"summarized": True, "omitted": False}.get(str(thinking.get("display")))
    match thinking.get("type"):
        case "enabled":
            budget = _read_integer(thinking, "budget_tokens", "thinking.")
            return Reasoning(True, effort, budget, shown=shown), ()
        case "adaptive":
            return Reasoning(True, effort, adaptive=True, shown=shown), ()
        case "disabled" | "between_tools":
            # Effort speaks of the whole answer here. Elsewhere it would ask for the reasoning that is not wanted.
            return Reasoning(False), ()
    return (Reasoning(effort=effort) if effort else None), ("thinking",)


def _read_stop(given: object) -> tuple[str, ...]:
    words = expect_list(given, "stop_sequences")
    return tuple(expect_text(word, f"stop_sequences.{at}") for at, word in enumerate(words))


def _read_output(fields: Mapping[str, Any]) -> OutputFormat | None:
    config = expect_object(fields.get("output_config", {}), "output_config")
    given, path = config.get("format"), "output_config.format"
    if given is None:
        given, path = fields.get("output_format"), "output_format"
    if given is None:
        return None
    wanted = expect_object(given, path)
    if wanted.get("type") != "json_schema":
        raise InvalidRequest(f"'{path}.type' must be json_schema.", param=f"{path}.type")
    return OutputFormat(expect_object(wanted.get("schema"), f"{path}.schema"))


def _read_integer(fields: Mapping[str, Any], name: str, prefix: str = "") -> int | None:
    value = fields.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InvalidRequest(f"'{prefix}{name}' must be a whole number.", param=f"{prefix}{name}")


def _read_number(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise InvalidRequest(f"{name!r} must be a number.", param=name)


def _cached_whole(conversation: Conversation, control: CacheControl) -> Conversation:
    """`cache_control` of the request itself stands for a breakpoint at the last part that can have one."""
    *before, last = conversation.turns
    part = last.parts[-1] if last.parts else None
    if not isinstance(part, Text | Image | Document | ToolCall | ToolResult):
        return conversation
    marked = replace(part, cache=part.cache or control)
    return replace(conversation, turns=(*before, replace(last, parts=(*last.parts[:-1], marked))))
