"""What Bedrock's Converse refuses: by botocore's model of the service, and by what only the service knows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from .answers import JSON, Refused, Seal

__all__ = ["check_call"]

_CALLING: Final = ("toolUse", "toolResult")


def check_call(document: Mapping[str, Any], model: str, seal: Seal) -> None:
    """Raises:
    Refused: the service would not take the request.
    """
    _check_form(document, model)
    messages = document.get("messages") or []
    _check_order(messages)
    blocks = [block for message in messages for block in message["content"]]
    if any(kind in block for block in blocks for kind in _CALLING) and "toolConfig" not in document:
        raise _invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    for place, message in enumerate(messages):
        _check_message(message, place)
    names = [block["document"]["name"] for block in blocks if "document" in block]
    if len(names) != len(set(names)):
        raise _invalid("Duplicate document names are not allowed.")
    _check_results(messages)
    if "claude" in model:
        _check_claude(document, messages, seal)


def _check_form(document: Mapping[str, Any], model: str) -> None:
    from botocore.validate import ParamValidator  # late: only who fakes Bedrock needs it

    report = ParamValidator().validate({**document, "modelId": model}, _input_shape())
    if report.has_errors():
        raise _invalid(report.generate_report())
    for name, shape in (("outputConfig", "effort"), ("serviceTier", "type")):
        value = (document.get(name) or {}).get(shape)
        known = ("low", "medium", "high", "xhigh", "max", "default", "priority", "flex", "reserved")
        if value is not None and value not in known:
            raise _invalid(f"{name}.{shape} {value!r} is not known.")
    temperature = (document.get("inferenceConfig") or {}).get("temperature", 0)
    if not 0 <= temperature <= 1:
        raise _invalid("temperature must be between 0 and 1.")


@cache
def _input_shape() -> Any:
    import botocore.session

    service = botocore.session.Session().get_service_model("bedrock-runtime")
    return service.operation_model("ConverseStream").input_shape


def _check_order(messages: Sequence[JSON]) -> None:
    if not messages or messages[0]["role"] != "user":
        raise _invalid("A conversation must start with a user message. Try again with a conversation that does so.")
    for before, after in itertools.pairwise(messages):
        if before["role"] == after["role"]:
            raise _invalid("A conversation must alternate between user and assistant roles.")


def _check_message(message: JSON, place: int) -> None:
    content = message["content"]
    if not content:
        raise _invalid(f"The content field in the Message object at messages.{place} is empty.")
    for at, block in enumerate(content):
        if "text" in block and not block["text"].strip():
            raise _invalid(f"The text field in the ContentBlock object at messages.{place}.content.{at} is blank.")
    if any("document" in block for block in content) and not any("text" in block for block in content):
        raise _invalid("A message with a document must also have a text.")


def _check_results(messages: Sequence[JSON]) -> None:
    """Every call is answered in the message after it, and nothing else is."""
    for before, after in itertools.pairwise(messages):
        called = {block["toolUse"]["toolUseId"] for block in before["content"] if "toolUse" in block}
        answered = {block["toolResult"]["toolUseId"] for block in after["content"] if "toolResult" in block}
        if called != answered:
            raise _invalid("Expected toolResult blocks for exactly the toolUse blocks of the message before.")


def _check_claude(document: Mapping[str, Any], messages: Sequence[JSON], seal: Seal) -> None:
    own = document.get("additionalModelRequestFields") or {}
    choice = (document.get("toolConfig") or {}).get("toolChoice") or {}
    if "tool_choice" in own and choice:
        raise _invalid("The additional field tool_choice conflicts with an existing field.")
    thinking = own.get("thinking") or {}
    for words in _signed(messages):
        if not seal.has_signed(words.get("signature", ""), words["text"]):
            raise _invalid("Invalid `signature` in `thinking` block")
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    if {"any", "tool"} & (set(choice) | {(own.get("tool_choice") or {}).get("type")}):
        raise _invalid("Thinking may not be enabled when tool_choice forces tool use.")
    config = document.get("inferenceConfig") or {}
    if {"temperature", "topP"} & set(config) or "top_k" in own:
        raise _invalid("`temperature`, `top_p` and `top_k` may not be set when thinking is enabled.")
    if config.get("maxTokens", 1 << 30) <= thinking.get("budget_tokens", 0):
        raise _invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if thinking["type"] == "enabled" and _lacks_reasoning(messages):
        raise _invalid("Expected `thinking` or `redacted_thinking`, but found `tool_use`.")


def _signed(messages: Sequence[JSON]) -> Iterator[JSON]:
    for message in messages:
        for block in message["content"]:
            words = block.get("reasoningContent", {}).get("reasoningText")
            if words is not None:
                yield words


def _lacks_reasoning(messages: Sequence[JSON]) -> bool:
    """Whether the results at the end answer calls that no reasoning led to."""
    if len(messages) < 2 or not any("toolResult" in block for block in messages[-1]["content"]):
        return False
    return "reasoningContent" not in messages[-2]["content"][0]


def _invalid(message: str) -> Refused:
    return Refused(400, message, kind="ValidationException")
