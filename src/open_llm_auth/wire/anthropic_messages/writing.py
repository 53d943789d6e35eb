"""A conversation written as a request of Anthropic's Messages API, in the form that the model it goes to takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..caching import wants_breakpoints
from ..carrying import Feature, Handling
from ..conversation import (
    CUSTOM_INPUT,
    CacheControl,
    Conversation,
    OpaqueTool,
    OutputFormat,
    Tool,
    ToolChoice,
    Turn,
)
from ..dialect import Fields
from ..instructions import user_parts
from .blocks import write_blocks, write_cache, write_text
from .families import Family, family_of
from .rules import NAME
from .schemas import decoded, strict_schema
from .thinking import Thought, ask, replayable, standing_of, thinks

__all__ = ["LIMITS", "limits_of", "write_request"]

#: What the API can't carry as it is; see `carrying.py`.
LIMITS: Final[Mapping[Feature, Handling]] = {
    "audio": "refused",
    #: a function with one string
    "custom_tool": "adapted",
    #: told in the tool's description
    "custom_tool_grammar": "adapted",
    "frequency_penalty": "dropped",
    #: told in the system text, and so are schemas on models that take none
    "json_object": "adapted",
    "json_schema": "adapted",
    "logprobs": "dropped",
    "metadata": "dropped",
    #: a text of the user; as a role of its own it is not known to every model
    "mid_conversation_system": "adapted",
    "n": "refused",
    "presence_penalty": "dropped",
    #: prompts of callers who have one are cached
    "prompt_cache_key": "adapted",
    "provider_tool": "dropped",
    #: effort and budget stand for each other on models that take only one
    "reasoning_budget": "adapted",
    "reasoning_effort": "adapted",
    #: thinking that others signed stays behind
    "reasoning_replay": "adapted",
    "refusal": "adapted",
    "seed": "dropped",
    "service_tier": "adapted",
    #: blank ones are refused
    "stop": "adapted",
    "store": "dropped",
    "strict_tool": "adapted",
    #: at most 1, and not beside thinking or on models without samplers
    "temperature": "adapted",
    "tool_choice_allowed": "adapted",
    "top_k": "adapted",
    "top_p": "adapted",
    "unknown_field": "dropped",
    "unknown_item": "dropped",
    "verbosity": "dropped",
}

#: The same of a call whose thinking has to be off, though it was asked for.
_UNTHINKING: Final[Mapping[Feature, Handling]] = {
    **LIMITS,
    "reasoning_budget": "dropped",
    "reasoning_effort": "dropped",
}

#: The API wants a user to begin.
_BEGINNING: Final = {"role": "user", "content": [{"type": "text", "text": "(The assistant speaks first.)"}]}
_TIERS: Final = {"auto": "auto", "default": "standard_only", "priority": "auto"}
_CUSTOM: Final = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}
#: Blocks that no breakpoint can stand on.
_UNCACHED: Final = ("thinking", "redacted_thinking")
#: The API takes 1 or nothing beside thinking, and of top_p no less than this.
_LEAST_TOP_P: Final = 0.95


def limits_of(conversation: Conversation, model: str) -> Mapping[Feature, Handling]:
    """What the API can't carry of this call to this model."""
    return LIMITS if thinks(conversation, NAME, family_of(model)) else _UNTHINKING


def write_request(conversation: Conversation, model: str) -> Fields:
    """The body for this model.

    Raises:
        InvalidRequest: nothing is left that could be sent.
    """
    family = family_of(model)
    messages = _write_messages(conversation.turns, family)
    standing = standing_of(conversation, NAME, family)
    thought = ask(conversation.reasoning, family, conversation.max_tokens, standing)
    if thought.off:
        messages = _without_thinking(messages)
    system = _write_system(conversation, family)
    if not messages and system:
        # Instructions alone are a question where they come from.
        messages, system = [{"role": "user", "content": system}], []
    if not messages:
        raise InvalidRequest("'messages' holds no text that could be sent.", param="messages")
    fields: Fields = {"model": model, "max_tokens": thought.max_tokens}
    if system:
        fields["system"] = system
    fields["messages"] = messages if messages[0]["role"] == "user" else [_BEGINNING, *messages]
    fields |= _write_tools(conversation, messages, family)
    if thought.field is not None:
        fields["thinking"] = thought.field
    fields |= _write_output(conversation.output, thought, family)
    fields |= _write_settings(conversation, thought, family)
    if conversation.stream:
        fields["stream"] = True
    _set_breakpoints(conversation, fields)
    return fields


def _set_breakpoints(conversation: Conversation, fields: Fields) -> None:
    """Breakpoints for a caller who has none; the one behind the instructions takes in the tools before them."""
    if not wants_breakpoints(conversation):
        return
    if beginning := fields.get("system") or fields.get("tools"):
        _cache_up_to(beginning)
    _cache_up_to(fields["messages"][-1]["content"])


def _cache_up_to(blocks: list[dict[str, Any]]) -> None:
    if blocks[-1].get("type") not in _UNCACHED:
        blocks[-1] = {**blocks[-1], "cache_control": write_cache(CacheControl())}


# ---------------------------------------------------------------------------------------------- messages


def _write_messages(turns: Sequence[Turn], family: Family) -> list[dict[str, Any]]:
    """Messages whose roles alternate, each with something in it."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        role = "assistant" if turn.role == "assistant" else "user"
        blocks = write_blocks(replayable(user_parts(turn), NAME, family))
        if not blocks:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    for message in messages:
        if message["role"] == "user":
            # Results must come first, or the API does not find them.
            message["content"].sort(key=lambda block: block["type"] != "tool_result")
    return _trimmed(messages)


def _trimmed(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An answer that the model is to go on with may not end in blanks."""
    if not messages or messages[-1]["role"] != "assistant":
        return messages
    last = messages[-1]["content"][-1]
    if last["type"] != "text":
        return messages
    content = [*messages[-1]["content"][:-1], {**last, "text": last["text"].rstrip()}]
    return [*messages[:-1], {"role": "assistant", "content": content}]


def _without_thinking(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = []
    for message in messages:
        blocks = [block for block in message["content"] if block["type"] not in ("thinking", "redacted_thinking")]
        if blocks:
            kept.append({**message, "content": blocks})
    return kept


# ---------------------------------------------------------------------------------------------- system and output


def _write_system(conversation: Conversation, family: Family) -> list[dict[str, Any]]:
    blocks = [block for text in conversation.system if (block := write_text(text)) is not None]
    told = _told_output(conversation.output, family)
    return blocks if told is None else [*blocks, {"type": "text", "text": told}]


def _told_output(output: OutputFormat | None, family: Family) -> str | None:
    """The form of the answer in words, where the model does not take it as a schema."""
    if output is None or _strict_output(output, family) is not None:
        return None
    if output.schema is None:
        return "Answer with one JSON object and with nothing else."
    schema = msgspec.json.encode(output.schema).decode()
    return f"Answer with JSON that matches this JSON Schema, and with nothing else:\n{schema}"


def _strict_output(output: OutputFormat, family: Family) -> dict[str, Any] | None:
    if output.schema is None or not family.structured:
        return None
    return strict_schema(decoded(output.schema))


def _write_output(output: OutputFormat | None, thought: Thought, family: Family) -> Fields:
    config: dict[str, Any] = {}
    if thought.effort is not None:
        config["effort"] = thought.effort
    schema = None if output is None else _strict_output(output, family)
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    return {"output_config": config} if config else {}


# ---------------------------------------------------------------------------------------------- tools


def _write_tools(conversation: Conversation, messages: list[dict[str, Any]], family: Family) -> Fields:
    choice = conversation.tool_choice
    tools = [tool for offered in conversation.tools if (tool := _write_tool(offered, choice, family)) is not None]
    if not tools:
        return _remembered(messages)
    written = _write_choice(choice, conversation.parallel_tool_calls)
    return {"tools": tools} if written is None else {"tools": tools, "tool_choice": written}


def _remembered(messages: list[dict[str, Any]]) -> Fields:
    """Calls in the history of a request that offers no tools: the API wants them declared all the same."""
    called = {block["name"] for message in messages for block in message["content"] if block["type"] == "tool_use"}
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(called)]
    return {"tools": tools, "tool_choice": {"type": "none"}} if tools else {}


def _write_tool(tool: Tool | OpaqueTool, choice: ToolChoice | None, family: Family) -> dict[str, Any] | None:
    if isinstance(tool, OpaqueTool):
        return tool.value if tool.dialect == NAME else None
    if choice is not None and choice.mode == "allowed" and tool.name not in choice.names:
        return None
    written: dict[str, Any] = {"name": tool.name}
    description = _description(tool)
    if description:
        written["description"] = description
    written |= _parameters(tool, family)
    if tool.cache is not None:
        written["cache_control"] = write_cache(tool.cache)
    return written


def _description(tool: Tool) -> str:
    if tool.grammar is None:
        return tool.description
    grammar = msgspec.json.encode(tool.grammar).decode()
    return f"{tool.description}\n\n{CUSTOM_INPUT!r} must match this grammar: {grammar}".strip()


def _parameters(tool: Tool, family: Family) -> dict[str, Any]:
    if tool.custom:
        return {"input_schema": _CUSTOM}
    given = decoded(tool.parameters)
    schema = {"type": "object", **given} if isinstance(given, dict) else {"type": "object", "properties": {}}
    strict = strict_schema(schema) if tool.strict and family.structured else None
    return {"input_schema": schema} if strict is None else {"input_schema": strict, "strict": True}


def _write_choice(choice: ToolChoice | None, parallel: bool | None) -> dict[str, Any] | None:
    written = _choice(choice)
    if parallel is False and (written is None or written["type"] != "none"):
        return {**(written or {"type": "auto"}), "disable_parallel_tool_use": True}
    return written


def _choice(choice: ToolChoice | None) -> dict[str, Any] | None:
    if choice is None:
        return None
    match choice.mode:
        case "auto" | "none":
            return {"type": choice.mode}
        case "required":
            return {"type": "any"}
        case "tool":
            return {"type": "tool", "name": choice.name}
        case "allowed":
            return {"type": "any" if choice.must_call else "auto"}


# ---------------------------------------------------------------------------------------------- settings


def _write_settings(conversation: Conversation, thought: Thought, family: Family) -> Fields:
    fields = _samplers(conversation, thought, family)
    stop = [word for word in conversation.stop if word.strip()]
    if stop:
        fields["stop_sequences"] = stop
    if conversation.user is not None:
        fields["metadata"] = {"user_id": conversation.user}
    tier = _TIERS.get(conversation.service_tier or "")
    if tier is not None:
        fields["service_tier"] = tier
    return fields


def _samplers(conversation: Conversation, thought: Thought, family: Family) -> Fields:
    if not family.samples:
        return {}
    temperature, top_p, top_k = conversation.temperature, conversation.top_p, conversation.top_k
    if temperature is not None:
        temperature = min(max(temperature, 0), 1)
    if thought.on:
        temperature = top_k = None
        top_p = top_p if top_p is not None and top_p >= _LEAST_TOP_P else None
    if family.one_sampler and temperature is not None:
        top_p = None
    chosen = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    return {name: value for name, value in chosen.items() if value is not None}
