"""A conversation as a chat completion request that as many servers as possible take.

Servers that imitate OpenAI take less than it: text as a string, images in a user's message alone, no custom tools. What
only some of them want is written too, and taken out again by the kind of upstream that knows its provider.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from ..carrying import Feature, Handling
from ..conversation import (
    CUSTOM_INPUT,
    Audio,
    Conversation,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from ..dialect import Fields
from ..efforts import effort_of
from ..fitting import LABEL, NameRule
from .messages import GOOGLE
from .reasoning import NAME, write_thinking

__all__ = ["CALL_IDS", "LIMITS", "RESULT_MARK", "TOOL_NAMES", "write_request"]

Item = dict[str, Any]

LIMITS: Final[Mapping[Feature, Handling]] = {
    "cache_control": "dropped",
    "citations": "dropped",
    "custom_tool": "adapted",
    "custom_tool_grammar": "adapted",
    "document_url": "refused",
    "image_file_id": "refused",
    #: carried to OpenAI itself; elsewhere the kind of upstream has the user tell it
    "mid_conversation_system": "adapted",
    "n": "refused",
    "provider_tool": "dropped",
    "reasoning_budget": "adapted",
    "reasoning_replay": "adapted",
    "refusal": "adapted",
    "tool_choice_allowed": "adapted",
    "tool_result_document": "adapted",
    "tool_result_error": "adapted",
    "tool_result_image": "adapted",
    "top_k": "dropped",
    "unknown_field": "dropped",
    "unknown_item": "dropped",
}
TOOL_NAMES: Final = NameRule(re.compile(r"[^A-Za-z0-9_-]"), 64)
#: OpenAI takes 40 characters.
CALL_IDS: Final = NameRule(re.compile(r"[^\x21-\x7e]"), 40)
#: Begins the text before what a tool gave beside text: it stands in a user's message and is no user's.
RESULT_MARK: Final = "Attached to the result of the tool call "

_SCHEMA_NAMES: Final = NameRule(re.compile(r"[^A-Za-z0-9_-]"), 64)
_NO_PARAMETERS: Final = {"type": "object", "properties": {}}
_TEXT_TYPES: Final = ("application/json", "application/xml")
_SUFFIXES: Final = {"application/pdf": "pdf"}
#: other dialects' words for OpenAI's tiers
_TIERS: Final = {"standard": "default", "standard_only": "default"}


def write_request(conversation: Conversation, model: str) -> Fields:
    """The fields of the request; usage in streams is for the kind of upstream to ask for."""
    fields: Fields = {"model": model, "messages": _messages(conversation)}
    for name, value in _settings(conversation):
        if value is not None:
            fields[name] = value
    tools = _tools(conversation)
    if tools:
        fields["tools"] = tools
        if conversation.tool_choice is not None:
            fields["tool_choice"] = _choice(conversation.tool_choice)
        if conversation.parallel_tool_calls is not None:
            fields["parallel_tool_calls"] = conversation.parallel_tool_calls
    return fields


# ---------------------------------------------------------------------------------------------- settings


def _settings(call: Conversation) -> Iterable[tuple[str, Any]]:
    wants_logprobs = call.logprobs is not None
    return (
        ("stream", True if call.stream else None),
        ("max_tokens", call.max_tokens),
        ("temperature", call.temperature),
        ("top_p", call.top_p),
        ("frequency_penalty", call.frequency_penalty),
        ("presence_penalty", call.presence_penalty),
        ("seed", call.seed),
        ("stop", list(call.stop) or None),
        ("logprobs", True if wants_logprobs else None),
        ("top_logprobs", call.logprobs or None),
        ("response_format", None if call.output is None else _format(call.output)),
        ("reasoning_effort", None if call.reasoning is None else _effort(call.reasoning)),
        ("verbosity", call.verbosity),
        ("service_tier", _TIERS.get(call.service_tier, call.service_tier) if call.service_tier else None),
        ("user", LABEL.fit(call.user) if call.user else None),
        ("metadata", dict(call.metadata) or None),
        ("prompt_cache_key", LABEL.fit(call.prompt_cache_key) if call.prompt_cache_key else None),
        ("store", True if call.store else None),
    )


def _format(output: OutputFormat) -> Item:
    if output.schema is None:
        return {"type": "json_object"}
    schema: Item = {"name": _SCHEMA_NAMES.fit(output.name), "schema": output.schema}
    if output.description:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def _effort(reasoning: Reasoning) -> str | None:
    """An effort, also where the caller counts tokens; nothing where thinking is merely allowed, as it is anyway."""
    if reasoning.enabled is False:
        return "none"
    return reasoning.effort or effort_of(reasoning.budget)


# ---------------------------------------------------------------------------------------------- tools


def _tools(call: Conversation) -> list[Item]:
    """The tools that are offered: those that a choice leaves, because few servers know how to be told it."""
    choice = call.tool_choice
    names = set(choice.names) if choice is not None and choice.mode == "allowed" else None
    return [
        _tool(tool)
        for tool in call.tools
        if (isinstance(tool, Tool) and (names is None or tool.name in names))
        or (isinstance(tool, OpaqueTool) and tool.dialect == NAME)
    ]


def _tool(tool: Tool | OpaqueTool) -> Item:
    if isinstance(tool, OpaqueTool):
        return dict(tool.value)
    function: Item = {"name": tool.name}
    description = _custom_description(tool) if tool.custom else tool.description
    if description:
        function["description"] = description
    function["parameters"] = _custom_parameters() if tool.custom else tool.parameters or _NO_PARAMETERS
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _custom_description(tool: Tool) -> str:
    if tool.grammar is None:
        return tool.description
    grammar = tool.grammar.get("grammar", tool.grammar) if isinstance(tool.grammar, dict) else {}
    rules = f"{CUSTOM_INPUT!r} must follow this {grammar.get('syntax') or ''} grammar:\n{grammar.get('definition')}"
    return f"{tool.description}\n\n{rules}" if tool.description else rules


def _custom_parameters() -> Item:
    """A tool of free text as a function: custom tools are OpenAI's alone."""
    return {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string"}},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }


def _choice(choice: ToolChoice) -> Any:
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    if choice.mode == "allowed":
        return "required" if choice.must_call else "auto"
    return choice.mode


# ---------------------------------------------------------------------------------------------- messages


def _messages(conversation: Conversation) -> list[Item]:
    written = _Messages()
    if conversation.system:
        # Many templates take one system message and no second.
        written.add("system", "\n\n".join(part.text for part in conversation.system))
    for turn in conversation.turns:
        written.turn(turn)
    written.attach()
    return written.messages


class _Messages:
    """Messages as they grow. What tools gave beside text waits for the first user's message behind their results, for
    nothing may come between those."""

    def __init__(self) -> None:
        self.messages: list[Item] = []
        self._attached: list[Item] = []

    def add(self, role: str, content: Any, **more: Any) -> None:
        self.messages.append({"role": role, "content": content, **more})

    def turn(self, turn: Turn) -> None:
        if turn.role == "assistant":
            self.attach()
            self._assistant(turn)
        elif turn.role == "system":
            self.attach()
            self.add("system", "\n\n".join(part.text for part in turn.parts if isinstance(part, Text)))
        else:
            self._user(turn)

    def attach(self) -> None:
        if self._attached:
            self.add("user", self._attached)
            self._attached = []

    def _user(self, turn: Turn) -> None:
        for part in turn.parts:
            if isinstance(part, ToolResult):
                self._result(part)
        parts = [item for part in turn.parts for item in _user_part(part)]
        if not parts:
            return
        content: Any = self._attached + parts
        self._attached = []
        if len(content) == 1 and content[0]["type"] == "text":
            content = content[0]["text"]
        self.add("user", content, **_named(turn))

    def _result(self, result: ToolResult) -> None:
        texts = [part.text for part in result.parts if isinstance(part, Text)]
        others = [part for part in result.parts if not isinstance(part, Text)]
        if others:
            texts.append(f"({len(others)} attached: see the next message of the user.)")
            self._attached.append({"type": "text", "text": f"{RESULT_MARK}{result.id}:"})
            self._attached += [item for part in others for item in _user_part(part)]
        text = "\n".join(texts)
        self.add("tool", f"Error: {text}" if result.is_error else text, tool_call_id=result.id)

    def _assistant(self, turn: Turn) -> None:
        text = "".join(part.text for part in turn.parts if isinstance(part, Text | Refusal))
        more = {**_named(turn), **_thinking(turn)}
        for part in turn.parts:
            if isinstance(part, OpaquePart) and part.dialect == NAME and part.what == "audio":
                more |= part.value
        calls = [_call(part) for part in turn.parts if isinstance(part, ToolCall)]
        if calls:
            more["tool_calls"] = calls
        if text or calls or "audio" in more:
            self.add("assistant", text or None, **more)


def _named(turn: Turn) -> Item:
    return {"name": turn.name} if turn.name else {}


def _thinking(turn: Turn) -> Item:
    """What of earlier thinking this dialect may see again: its own proofs, and of all else the words, whoever signed
    them. Models that think in words (DeepSeek, Kimi) refuse a call of theirs that comes without."""
    blocks = [part for part in turn.parts if isinstance(part, Thinking)]
    own = [block for block in blocks if block.signature is not None and block.signature.origin == NAME]
    words = "".join(block.text for block in blocks if block not in own)
    told: Item = {"reasoning_content": words} if words else {}
    if own:
        items = [item for block in own for item in write_thinking(block)]
        told["reasoning_details"] = [{"index": number, **item} for number, item in enumerate(items)]
    return told


def _call(call: ToolCall) -> Item:
    arguments = msgspec.json.encode({CUSTOM_INPUT: call.arguments}).decode() if call.custom else call.arguments
    told: Item = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
    if call.signature is not None and call.signature.origin == GOOGLE:
        told["extra_content"] = {"google": {"thought_signature": call.signature.value}}
    return told


# ---------------------------------------------------------------------------------------------- parts


def _user_part(part: Part) -> list[Item]:
    write = _PARTS.get(type(part))
    return [] if write is None else write(part)


def _text(part: Text) -> list[Item]:
    return [{"type": "text", "text": part.text}]


def _image(part: Image) -> list[Item]:
    url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"
    detail = {"detail": part.detail} if part.detail else {}
    return [{"type": "image_url", "image_url": {"url": url, **detail}}]


def _document(part: Document) -> list[Item]:
    text = part.text or _text_in(part)
    if text:
        return [{"type": "text", "text": f"{part.name}\n\n{text}" if part.name else text}]
    if part.file_id:
        return [{"type": "file", "file": {"file_id": part.file_id}}]
    media_type = part.media_type or "application/pdf"
    name = part.name or f"document.{_SUFFIXES.get(media_type, 'bin')}"
    return [{"type": "file", "file": {"filename": name, "file_data": f"data:{media_type};base64,{part.data}"}}]


def _text_in(part: Document) -> str:
    """A file of text as what it is, which every model can read."""
    if not part.data or not (part.media_type.startswith("text/") or part.media_type in _TEXT_TYPES):
        return ""
    try:
        return base64.b64decode(part.data).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _audio(part: Audio) -> list[Item]:
    return [{"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}]


def _opaque(part: OpaquePart) -> list[Item]:
    return [part.value] if part.dialect == NAME else []


_PARTS: Final[Mapping[type, Callable[[Any], list[Item]]]] = {
    Text: _text,
    Image: _image,
    Document: _document,
    Audio: _audio,
    OpaquePart: _opaque,
}
