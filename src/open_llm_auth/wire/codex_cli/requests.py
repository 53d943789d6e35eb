"""A call as a prompt for Codex, with what its options take."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..carrying import Feature, Handling
from ..conversation import Conversation, Reasoning
from ..dialect import Fields
from ..efforts import effort_of
from ..transcript import render, system_text

__all__ = ["LIMITS", "Prompt", "write_request"]

#: The program runs its own tools or none: a caller's can't be offered to it.
LIMITS: Final[Mapping[Feature, Handling]] = MappingProxyType(
    {
        "audio": "refused",
        "cache_control": "dropped",
        "citations": "dropped",
        "custom_tool": "refused",
        "custom_tool_grammar": "refused",
        "document": "adapted",
        "document_file_id": "refused",
        "document_url": "refused",
        "frequency_penalty": "dropped",
        "image": "refused",
        "image_file_id": "refused",
        "image_url": "refused",
        "json_object": "adapted",
        "json_schema": "adapted",
        "logprobs": "dropped",
        "max_tokens": "dropped",
        "metadata": "dropped",
        "mid_conversation_system": "adapted",
        "n": "refused",
        "parallel_tool_calls": "dropped",
        "presence_penalty": "dropped",
        "prompt_cache_key": "dropped",
        "provider_tool": "refused",
        "reasoning_budget": "adapted",
        "reasoning_effort": "adapted",
        "reasoning_replay": "dropped",
        "refusal": "adapted",
        "seed": "dropped",
        "service_tier": "dropped",
        "stop": "dropped",
        "store": "dropped",
        "strict_tool": "refused",
        "temperature": "dropped",
        "tool_choice_allowed": "refused",
        "tool_choice_none": "dropped",
        "tool_choice_required": "refused",
        "tool_choice_tool": "refused",
        "tool_result_document": "adapted",
        "tool_result_error": "adapted",
        "tool_result_image": "refused",
        "tools": "refused",
        "top_k": "dropped",
        "top_p": "dropped",
        "unknown_field": "dropped",
        "unknown_item": "dropped",
        "user": "dropped",
        "verbosity": "dropped",
    }
)

#: What `model_reasoning_effort` takes, by ours. Not every model takes `none` and `minimal`; all take `low`.
_EFFORTS: Final = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "xhigh",
}


class Prompt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a call: what the kind makes a command of. `schema` is one that the answer must keep to the letter."""

    model: str
    prompt: str
    system: str = ""
    effort: str | None = None
    schema: Any = None


def write_request(conversation: Conversation, model: str) -> Fields:
    """The fields of a `Prompt`.

    Raises:
        InvalidRequest: there is nothing to answer, or a document is not text.
    """
    prompt = render(conversation).text
    if not prompt.strip():
        raise InvalidRequest("The messages hold no text to answer.", param="messages")
    fields: Fields = {"model": model, "prompt": prompt}
    output = conversation.output
    for name, value in (
        ("system", system_text(conversation) or None),
        ("effort", _effort(conversation.reasoning)),
        # The API behind it takes only strict schemas; others are asked for in words.
        ("schema", output.schema if output is not None and output.strict else None),
    ):
        if value is not None:
            fields[name] = value
    return fields


def _effort(reasoning: Reasoning | None) -> str | None:
    if reasoning is None:
        return None
    if reasoning.enabled is False:
        return _EFFORTS["none"]
    if reasoning.effort is not None:
        return _EFFORTS.get(reasoning.effort)
    # It takes no number of tokens.
    return effort_of(reasoning.budget)
