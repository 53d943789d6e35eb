"""A call as Ollama's ``POST /api/chat`` takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..carrying import Feature, Handling
from ..conversation import (
    CUSTOM_INPUT,
    Conversation,
    Document,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from ..dialect import Fields
from ..efforts import effort_of
from ..instructions import user_turns

__all__ = ["LIMITS", "write_request"]

#: Ollama has no place for a choice of tool: what is chosen among is narrowed, a must is lost.
LIMITS: Final[Mapping[Feature, Handling]] = MappingProxyType(
    {
        "audio": "refused",
        "cache_control": "dropped",
        "citations": "dropped",
        "custom_tool": "adapted",
        "custom_tool_grammar": "dropped",
        "document": "adapted",
        "document_file_id": "refused",
        "document_url": "refused",
        "image_file_id": "refused",
        "image_url": "fetched",
        "metadata": "dropped",
        #: templates of some models refuse a system message that is not the first
        "mid_conversation_system": "adapted",
        "n": "refused",
        "parallel_tool_calls": "dropped",
        "prompt_cache_key": "dropped",
        "provider_tool": "dropped",
        "reasoning_budget": "adapted",
        "reasoning_effort": "adapted",
        "reasoning_replay": "adapted",
        "refusal": "adapted",
        "service_tier": "dropped",
        "store": "dropped",
        "strict_tool": "dropped",
        "tool_choice_allowed": "adapted",
        "tool_choice_none": "adapted",
        "tool_choice_required": "dropped",
        "tool_choice_tool": "dropped",
        "tool_result_document": "adapted",
        "tool_result_error": "adapted",
        "unknown_field": "dropped",
        "unknown_item": "dropped",
        "user": "dropped",
        "verbosity": "dropped",
    }
)

_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_EMPTY: Final = msgspec.Raw(b"{}")
_CUSTOM_PARAMETERS: Final = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}

#: Ollama's options by the fields they come from; None is not said.
_OPTIONS: Final = (
    ("num_predict", "max_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("seed", "seed"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
)
#: The levels it knows, by ours.
_LEVELS: Final[Mapping[str, bool | str]] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def write_request(conversation: Conversation, model: str) -> Fields:
    """The body of ``POST /api/chat``.

    Raises:
        InvalidRequest: a document is not text.
    """
    fields: Fields = {"model": model, "messages": list(_messages(conversation)), "stream": conversation.stream}
    for name, value in (
        ("tools", _tools(conversation)),
        ("format", _format(conversation.output)),
        ("options", _options(conversation)),
        ("think", _think(conversation.reasoning)),
    ):
        if value is not None:
            fields[name] = value
    if conversation.logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": conversation.logprobs}
    return fields


# ---------------------------------------------------------------------------------------------- messages


def _messages(conversation: Conversation) -> Iterator[Fields]:
    system = "\n\n".join(text.text for text in conversation.system if text.text)
    if system:
        yield {"role": "system", "content": system}
    for turn in user_turns(conversation.turns):
        yield from _turn(turn)


def _turn(turn: Turn) -> Iterator[Fields]:
    """One message, and before it one for each result of a tool: a result has a role of its own."""
    results = [part for part in turn.parts if isinstance(part, ToolResult)]
    yield from map(_result, results)
    message = _message(turn.role, [part for part in turn.parts if not isinstance(part, ToolResult)])
    if message["content"] or len(message) > 2 or (turn.role == "user" and not results):
        yield message


def _message(role: str, parts: list[Part]) -> Fields:
    message: Fields = {"role": role, "content": _text(parts)}
    if role == "assistant":
        # In words it goes to every model, as the caller sees it; whoever signed it has the signature alone.
        thinking = "\n\n".join(part.text for part in parts if isinstance(part, Thinking) and part.text)
        message |= {"thinking": thinking} if thinking else {}
        calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
        message |= {"tool_calls": calls} if calls else {}
    images = [part.data for part in parts if isinstance(part, Image)]
    return message | ({"images": images} if images else {})


def _text(parts: list[Part]) -> str:
    said = []
    for part in parts:
        match part:
            case Text() | Refusal():
                said.append(part.text)
            case Document():
                said.append(_document(part))
    return "\n\n".join(text for text in said if text)


def _document(document: Document) -> str:
    if not document.text:
        raise InvalidRequest(
            f"The document {document.name!r} is not text, and this model's provider takes only text and images."
            " Send its text, or choose another model.",
            param="messages",
        )
    return f"{document.name}:\n{document.text}" if document.name else document.text


def _call(call: ToolCall) -> Fields:
    return {"id": call.id, "function": {"name": call.name, "arguments": _arguments(call)}}


def _arguments(call: ToolCall) -> Any:
    """An object, which is what Ollama wants where others take its text."""
    if call.custom:
        return {CUSTOM_INPUT: call.arguments}
    if not call.arguments.strip():
        return _EMPTY
    try:
        return _ARGUMENTS.decode(call.arguments)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return {CUSTOM_INPUT: call.arguments}


def _result(result: ToolResult) -> Fields:
    said = _text(list(result.parts))
    message: Fields = {"role": "tool", "content": f"Error: {said}" if result.is_error else said}
    images = [part.data for part in result.parts if isinstance(part, Image)]
    message |= {"images": images} if images else {}
    # Older servers match a result by name alone.
    return message | ({"tool_name": result.name} if result.name else {}) | {"tool_call_id": result.id}


# ---------------------------------------------------------------------------------------------- settings


def _tools(conversation: Conversation) -> list[Fields] | None:
    choice = conversation.tool_choice
    tools = [tool for tool in conversation.tools if isinstance(tool, Tool)]
    if choice is not None and choice.mode == "none":
        return None
    if choice is not None and choice.mode in ("tool", "allowed"):
        names = {choice.name} if choice.mode == "tool" else set(choice.names)
        tools = [tool for tool in tools if tool.name in names]
    return [_tool(tool) for tool in tools] or None


def _tool(tool: Tool) -> Fields:
    parameters = _CUSTOM_PARAMETERS if tool.custom else tool.parameters
    function: Fields = {"name": tool.name, "description": tool.description}
    function["parameters"] = {"type": "object", "properties": {}} if parameters is None else parameters
    return {"type": "function", "function": function}


def _format(output: OutputFormat | None) -> Any:
    if output is None:
        return None
    return "json" if output.schema is None else output.schema


def _options(conversation: Conversation) -> Fields | None:
    options = {name: value for name, field in _OPTIONS if (value := getattr(conversation, field)) is not None}
    if conversation.stop:
        options["stop"] = list(conversation.stop)
    return options or None


def _think(reasoning: Reasoning | None) -> bool | str | None:
    """What `think` has to be; None leaves it to the model."""
    if reasoning is None:
        return None
    if reasoning.enabled is False:
        return False
    if reasoning.effort is not None:
        return _LEVELS.get(reasoning.effort, True)
    # It takes no number of tokens.
    return effort_of(reasoning.budget) or (True if reasoning.enabled else None)
