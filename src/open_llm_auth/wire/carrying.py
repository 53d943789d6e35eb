"""What one dialect can say and another can't, as a table: carried, adapted, dropped or refused, never by accident.

Each dialect's provider side lists its exceptions (`limits`); what it does not list, it carries. The same table makes
docs/dialects.md. A strict caller (`x-gateway-strict: 1`) is refused where others lose something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, get_args

from ..errors import InvalidRequest
from .conversation import (
    Audio,
    Conversation,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)

__all__ = ["FEATURES", "Feature", "Handling", "check_carried", "features_of"]

#: `adapted`: said in another form, nothing lost that the model should know. `dropped`: left out. `refused`: 400.
#: `fetched`: of images by their address, whose bytes are put in their place before the request is written.
Handling = Literal["adapted", "dropped", "refused", "fetched"]

Feature = Literal[
    "audio",
    "cache_control",
    "citations",
    "custom_tool",
    "custom_tool_grammar",
    "document",
    "document_file_id",
    "document_url",
    "frequency_penalty",
    "image",
    "image_file_id",
    "image_url",
    "json_object",
    "json_schema",
    "logprobs",
    "max_tokens",
    "metadata",
    "mid_conversation_system",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "provider_tool",
    "reasoning_budget",
    "reasoning_effort",
    "reasoning_replay",
    "refusal",
    "seed",
    "service_tier",
    "stop",
    "store",
    "strict_tool",
    "temperature",
    "tool_choice_allowed",
    "tool_choice_none",
    "tool_choice_required",
    "tool_choice_tool",
    "tool_result_document",
    "tool_result_error",
    "tool_result_image",
    "tools",
    "top_k",
    "top_p",
    "unknown_field",
    "unknown_item",
    "user",
    "verbosity",
]

FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)


def check_carried(
    conversation: Conversation, limits: Mapping[Feature, Handling], *, target: str, strict: bool
) -> tuple[str, ...]:
    """What will be dropped of this call on its way to the dialect `target`, by name.

    Raises:
        InvalidRequest: something of it is refused there, or dropped and the caller is strict; `param` names it.
    """
    dropped: list[str] = []
    for feature in features_of(conversation):
        handling = limits.get(feature)
        if handling == "refused" or (strict and handling == "dropped" and not _is_formal(conversation, feature)):
            raise InvalidRequest(
                _sentence(conversation, feature, target, strict=strict), param=_param(conversation, feature)
            )
        if handling == "dropped":
            dropped += conversation.extras if feature == "unknown_field" else (feature,)
    return tuple(dropped)


def _is_formal(conversation: Conversation, feature: Feature) -> bool:
    """Whether it is said because the caller's dialect has no call without it."""
    return feature == "max_tokens" and conversation.must_limit


def features_of(conversation: Conversation) -> Iterator[Feature]:
    """What this call makes use of, each once."""
    seen: set[Feature] = set()
    for feature in _said(conversation):
        if feature not in seen:
            seen.add(feature)
            yield feature


def _sentence(conversation: Conversation, feature: Feature, target: str, *, strict: bool) -> str:
    name = _param(conversation, feature)
    what = "can't be carried" if strict else "has no equivalent and can't be left out"
    repair = (
        " Leave it out, choose another model, or do not send x-gateway-strict."
        if strict
        else (" Leave it out or choose a model whose provider speaks the same dialect.")
    )
    return f"{name!r} {what} in the dialect of this model's provider ({target}).{repair}"


def _param(conversation: Conversation, feature: Feature) -> str:
    return conversation.extras[0] if feature == "unknown_field" else feature


_SETTINGS: Final[tuple[tuple[Feature, Callable[[Conversation], bool]], ...]] = (
    ("n", lambda call: call.choices > 1),
    ("max_tokens", lambda call: call.max_tokens is not None),
    ("temperature", lambda call: call.temperature is not None),
    ("top_p", lambda call: call.top_p is not None),
    ("top_k", lambda call: call.top_k is not None),
    ("frequency_penalty", lambda call: bool(call.frequency_penalty)),
    ("presence_penalty", lambda call: bool(call.presence_penalty)),
    ("seed", lambda call: call.seed is not None),
    ("stop", lambda call: bool(call.stop)),
    ("logprobs", lambda call: call.logprobs is not None),
    ("json_object", lambda call: call.output is not None and call.output.schema is None),
    ("json_schema", lambda call: call.output is not None and call.output.schema is not None),
    ("reasoning_effort", lambda call: call.reasoning is not None and call.reasoning.effort is not None),
    ("reasoning_budget", lambda call: call.reasoning is not None and call.reasoning.budget is not None),
    ("verbosity", lambda call: call.verbosity is not None),
    ("service_tier", lambda call: call.service_tier is not None),
    ("user", lambda call: call.user is not None),
    ("metadata", lambda call: bool(call.metadata)),
    ("prompt_cache_key", lambda call: call.prompt_cache_key is not None),
    ("store", lambda call: call.store is True),
    ("parallel_tool_calls", lambda call: call.parallel_tool_calls is False and bool(call.tools)),
    ("unknown_field", lambda call: bool(call.extras)),
)

_CHOICES: Final[Mapping[str, Feature]] = {
    "none": "tool_choice_none",
    "required": "tool_choice_required",
    "tool": "tool_choice_tool",
    "allowed": "tool_choice_allowed",
}


def _said(call: Conversation) -> Iterator[Feature]:
    for feature, is_used in _SETTINGS:
        if is_used(call):
            yield feature
    if call.tool_choice is not None and call.tool_choice.mode in _CHOICES:
        yield _CHOICES[call.tool_choice.mode]
    for tool in call.tools:
        yield from _of_tool(tool)
    for text in call.system:
        yield from _of_part(text)
    for turn in call.turns:
        if turn.role == "system":
            yield "mid_conversation_system"
        for part in turn.parts:
            yield from _of_part(part)


def _of_tool(tool: Tool | OpaqueTool) -> Iterator[Feature]:
    if isinstance(tool, OpaqueTool):
        yield "provider_tool"
        return
    yield "tools"
    if tool.custom:
        yield "custom_tool"
    if tool.grammar is not None:
        yield "custom_tool_grammar"
    if tool.strict:
        yield "strict_tool"
    if tool.cache is not None:
        yield "cache_control"


def _of_part(part: Part) -> Iterator[Feature]:
    match part:
        case Image():
            yield "image_url" if part.url else "image_file_id" if part.file_id else "image"
        case Document():
            yield "document_url" if part.url else "document_file_id" if part.file_id else "document"
            if part.citations:
                yield "citations"
        case Audio():
            yield "audio"
        case ToolResult():
            yield from _of_result(part)
        case Thinking():
            yield "reasoning_replay"
        case Refusal():
            yield "refusal"
        case OpaquePart():
            yield "unknown_item"
    if isinstance(part, Text | Image | Document | ToolCall | ToolResult) and part.cache is not None:
        yield "cache_control"


def _of_result(result: ToolResult) -> Iterator[Feature]:
    if result.is_error:
        yield "tool_result_error"
    for part in result.parts:
        if isinstance(part, Image):
            yield "tool_result_image"
        elif isinstance(part, Document):
            yield "tool_result_document"
