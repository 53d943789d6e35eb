"""A call as a prompt for Claude Code, with what its options take."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..carrying import Feature, Handling
from ..conversation import Conversation, Image, Reasoning
from ..dialect import Fields
from ..transcript import Transcript, render, system_text

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
        "image_file_id": "refused",
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
        "tool_result_image": "adapted",
        "tools": "refused",
        "top_k": "dropped",
        "top_p": "dropped",
        "unknown_field": "dropped",
        "unknown_item": "dropped",
        "user": "dropped",
        "verbosity": "dropped",
    }
)

#: What `--effort` takes, by ours. `none` is said by a budget of nothing.
_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}


class Prompt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a call: what the kind makes a command of. `content` is that of one message of a user, as Anthropic's
    Messages API has it. `thinking` is tokens, 0 for none."""

    model: str
    content: tuple[dict[str, Any], ...]
    system: str = ""
    effort: str | None = None
    thinking: int | None = None


def write_request(conversation: Conversation, model: str) -> Fields:
    """The fields of a `Prompt`.

    Raises:
        InvalidRequest: there is nothing to answer, or a document is not text.
    """
    transcript = render(conversation)
    if not transcript.text.strip():
        raise InvalidRequest("The messages hold no text to answer.", param="messages")
    fields: Fields = {"model": model, "content": _content(transcript)}
    for name, value in (
        ("system", system_text(conversation) or None),
        ("effort", _effort(conversation.reasoning)),
        ("thinking", _thinking(conversation.reasoning)),
    ):
        if value is not None:
            fields[name] = value
    return fields


def _content(transcript: Transcript) -> list[Fields]:
    """The pictures, and then the text that refers to them: what comes last is read as the prompt."""
    pictures: list[Fields] = []
    for number, image in enumerate(transcript.images, 1):
        pictures += [_text(f"Image {number}:"), {"type": "image", "source": _source(image)}]
    return [*pictures, _text(transcript.text)]


def _text(text: str) -> Fields:
    return {"type": "text", "text": text}


def _source(image: Image) -> Fields:
    if image.url:
        return {"type": "url", "url": image.url}
    return {"type": "base64", "media_type": image.media_type or "image/png", "data": image.data}


def _effort(reasoning: Reasoning | None) -> str | None:
    return _EFFORTS.get(reasoning.effort) if reasoning is not None and reasoning.effort else None


def _thinking(reasoning: Reasoning | None) -> int | None:
    if reasoning is None:
        return None
    return 0 if reasoning.enabled is False or reasoning.effort == "none" else reasoning.budget
