"""A conversation as a request of Converse
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).

The model and whether the answer is streamed stand in the address, not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..anthropic_messages.schemas import decoded, strict_schema
from ..anthropic_messages.thinking import replayable
from ..caching import wants_breakpoints
from ..conversation import CUSTOM_INPUT, CacheControl, Conversation, Tool, ToolCall, ToolChoice, ToolResult, Turn
from ..dialect import Fields
from ..instructions import user_parts
from .blocks import Block, BlockWriter, cache_point
from .families import Family, family_of
from .reasoning import Asked, ask_reasoning
from .replies import NAME

__all__ = ["write_request"]

_NO_PARAMETERS: Final = {"type": "object", "properties": {}}
_ONE_TEXT: Final = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}
_CALLING: Final = ("toolUse", "toolResult")
#: The first message must be the user's, and some conversations begin with a greeting of the assistant's.
_OPENING: Final[Block] = {"role": "user", "content": [{"text": "(The conversation begins.)"}]}
_NO_TOOLS: Final = "Answer in words. Do not call a tool."
_JSON_ALONE: Final = "Answer with one JSON object and with nothing around it."
_BY_SCHEMA: Final = "Answer with JSON that satisfies this JSON schema, and with nothing around it:\n"

_TIERS: Final = {
    "default": "default",
    "standard_only": "default",
    "flex": "flex",
    "priority": "priority",
    "reserved": "reserved",
}
_NOT_IN_METADATA: Final = re.compile(r"[^a-zA-Z0-9\s:_@$#=/+,.-]")
_METADATA_LIMIT: Final = 16
_METADATA_LENGTH: Final = 256
#: Where the choice of tools stands among the model's own fields: the names of each mode.
_OWN_MODES: Final = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}


@dataclass(frozen=True, slots=True)
class _Calling:
    """What is said of tools: in Converse's form, in the model's `tool_choice`, in words where neither can."""

    config: Block | None = None
    own: Block | None = None
    sentence: str = ""


def write_request(conversation: Conversation, model: str) -> Fields:
    """The body of Converse and of ConverseStream.

    Raises:
        InvalidRequest: nothing is left to send, or a part of it is of a kind that Converse does not take.
    """
    family = family_of(model)
    messages = _messages(conversation.turns, family)
    calling = _calling(conversation, family, messages)
    asked = ask_reasoning(family, conversation)
    fields: Fields = {
        "messages": messages,
        "system": _system(conversation, family, calling),
        "inferenceConfig": _inference(conversation, family, asked),
        "toolConfig": calling.config,
        "outputConfig": _output(conversation, family, asked),
        "additionalModelRequestFields": _own_fields(conversation, family, calling, asked),
        "serviceTier": _tier(conversation.service_tier),
        "requestMetadata": _metadata(conversation.metadata),
    }
    if family.claude is not None and conversation.stop:
        fields["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if family.caches_unasked and wants_breakpoints(conversation):
        _set_cache_points(fields)
    return {name: value for name, value in fields.items() if value}


def _set_cache_points(fields: Fields) -> None:
    """Cache points for a caller who has none; the one behind the instructions takes in the tools before them."""
    point = cache_point(CacheControl())
    if fields["system"]:
        fields["system"] = [*fields["system"], *point]
    fields["messages"][-1]["content"] += point


# ---------------------------------------------------------------------------------------------- messages


def _messages(turns: Sequence[Turn], family: Family) -> list[Block]:
    """Messages that alternate, the user's first: turns of one role that follow each other are one message."""
    writer = BlockWriter(caches=family.caching != "none")
    joined: list[tuple[str, list[list[Block]]]] = []
    for turn in turns:
        role = "assistant" if turn.role == "assistant" else "user"
        parts = replayable(user_parts(turn), NAME, family.claude)
        groups = [blocks for part in parts if (blocks := writer.write(part))]
        if not groups:
            continue
        if joined and joined[-1][0] == role:
            joined[-1][1].extend(groups)
        else:
            joined.append((role, groups))
    messages = [{"role": role, "content": _content(role, groups)} for role, groups in joined]
    if not messages:
        raise InvalidRequest("'messages' holds nothing to send to the model; give it some text.", param="messages")
    return messages if messages[0]["role"] == "user" else [_OPENING, *messages]


def _content(role: str, groups: list[list[Block]]) -> list[Block]:
    if role == "user":
        # Results answer the calls just before them, whatever else was said meanwhile.
        groups = sorted(groups, key=lambda blocks: "toolResult" not in blocks[0])
    blocks = [block for group in groups for block in group]
    names = [block["document"]["name"] for block in blocks if "document" in block]
    if names and not any("text" in block for block in blocks):
        blocks.append({"text": ", ".join(names)})  # a document without words beside it is refused
    return blocks


def _system(conversation: Conversation, family: Family, calling: _Calling) -> list[Block]:
    blocks: list[Block] = []
    for text in conversation.system:
        if text.text.strip():
            blocks.append({"text": text.text})
            blocks += cache_point(text.cache) if family.caching != "none" else []
    # What we add comes behind the cache points, which it leaves as they are.
    return [*blocks, *({"text": sentence} for sentence in (calling.sentence, _form(conversation, family)) if sentence)]


# ---------------------------------------------------------------------------------------------- tools


def _calling(conversation: Conversation, family: Family, messages: Sequence[Block]) -> _Calling:
    choice = conversation.tool_choice or ToolChoice("auto")
    in_history = any(kind in block for message in messages for block in message["content"] for kind in _CALLING)
    offered = [tool for tool in conversation.tools if isinstance(tool, Tool)]
    if choice.mode == "allowed":
        offered = [tool for tool in offered if tool.name in choice.names]
        choice = ToolChoice("required" if choice.must_call else "auto")
    if not offered or choice.mode == "none":
        if not in_history:
            return _Calling()
        # A history of calls is refused without tools, so that they are shown and barred.
        choice = ToolChoice("none")
        offered = offered or _tools_of_history(conversation)
    config = {"tools": [block for tool in offered for block in _tool(tool, family)]}
    if choice.mode == "none" and family.claude is None:
        return _Calling(config, sentence=_NO_TOOLS)
    one_at_a_time = conversation.parallel_tool_calls is False
    if family.claude is not None and (one_at_a_time or choice.mode == "none"):
        return _Calling(config, own=_own_choice(choice, one_at_a_time=one_at_a_time))
    return _Calling({**config, **_choice(choice)})


def _choice(choice: ToolChoice) -> Block:
    if choice.mode == "tool":
        return {"toolChoice": {"tool": {"name": choice.name}}}
    return {"toolChoice": {"any": {}}} if choice.mode == "required" else {}


def _own_choice(choice: ToolChoice, *, one_at_a_time: bool) -> Block:
    """Claude's `tool_choice`. Beside it Converse's own may not be said."""
    own: Block = {"type": _OWN_MODES[choice.mode]}
    if choice.mode == "tool":
        own["name"] = choice.name
    if one_at_a_time and choice.mode != "none":
        own["disable_parallel_tool_use"] = True
    return own


def _tool(tool: Tool, family: Family) -> list[Block]:
    schema = _ONE_TEXT if tool.custom else tool.parameters or _NO_PARAMETERS
    spec: Block = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description.strip():
        spec["description"] = tool.description
    if tool.strict and not tool.custom and family.claude is not None and family.schemas:
        strict = strict_schema(decoded(schema))
        if strict is not None:
            spec |= {"inputSchema": {"json": strict}, "strict": True}
    return [{"toolSpec": spec}, *(cache_point(tool.cache) if family.caching == "everywhere" else [])]


def _tools_of_history(conversation: Conversation) -> list[Tool]:
    parts = [part for turn in conversation.turns for part in turn.parts if isinstance(part, ToolCall | ToolResult)]
    return [Tool(name) for name in dict.fromkeys(part.name for part in parts) if name] or [Tool("unknown")]


# ---------------------------------------------------------------------------------------------- settings


def _inference(conversation: Conversation, family: Family, asked: Asked) -> Block:
    config: Block = {}
    if asked.max_tokens is not None:
        config["maxTokens"] = asked.max_tokens
    if family.sampling != "none" and not asked.alone:
        config |= _sampling(conversation, family)
    if conversation.stop:
        config["stopSequences"] = list(conversation.stop)
    return config


def _sampling(conversation: Conversation, family: Family) -> Block:
    said: Block = {}
    if conversation.temperature is not None:
        said["temperature"] = min(conversation.temperature, 1.0)  # the scale ends at 1 here, and at 2 for OpenAI
    if conversation.top_p is not None and not (said and family.sampling == "one"):
        said["topP"] = conversation.top_p
    return said


def _own_fields(conversation: Conversation, family: Family, calling: _Calling, asked: Asked) -> Block:
    fields: Block = dict(asked.fields)
    if calling.own is not None:
        fields["tool_choice"] = calling.own
    if conversation.top_k is not None and family.top_k and not asked.alone:
        value: Any = conversation.top_k
        for name in reversed(family.top_k):
            value = {name: value}
        fields |= value
    return fields


def _output(conversation: Conversation, family: Family, asked: Asked) -> Block:
    config: Block = {}
    schema = _schema(conversation, family)
    if schema is not None and conversation.output is not None:
        form: Block = {"schema": msgspec.json.encode(schema).decode(), "name": conversation.output.name}
        if conversation.output.description:
            form["description"] = conversation.output.description
        config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": form}}
    if asked.effort is not None:
        config["effort"] = asked.effort
    return config


def _schema(conversation: Conversation, family: Family) -> object | None:
    """The schema that the answer is held to; None where there is none, or none that the model can be held to."""
    output = conversation.output
    if output is None or output.schema is None or not family.schemas:
        return None
    return strict_schema(decoded(output.schema))


def _form(conversation: Conversation, family: Family) -> str:
    """What the model is told of the form of its answer where nothing can hold it to that."""
    output = conversation.output
    if output is None or _schema(conversation, family) is not None:
        return ""
    return _JSON_ALONE if output.schema is None else _BY_SCHEMA + msgspec.json.encode(output.schema).decode()


def _tier(tier: str | None) -> Block:
    known = _TIERS.get(tier or "")
    return {"type": known} if known else {}


def _metadata(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    """At most sixteen pairs of short plain texts."""
    pairs = [(_plain(key), _plain(value)) for key, value in metadata.items() if isinstance(value, str)]
    return dict([(key, value) for key, value in pairs if key][:_METADATA_LIMIT])


def _plain(text: str) -> str:
    return _NOT_IN_METADATA.sub("_", text)[:_METADATA_LENGTH]
