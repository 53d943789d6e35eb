"""Providers that speak OpenAI's chat completions and embeddings (``api: openai-completions``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import InvalidRequest
from ..values import Credential, Headers, Operation, Outbound, Provider
from ..wire import openai_chat
from ..wire.dialect import Fields
from ..wire.instructions import told_by_user
from .faults import read_error
from .outbound import JSON_IN, STREAM_IN, bearer, endpoint_of, headers_of, listing
from .spec import Adjusting, Sending, UpstreamKind

__all__ = ["OPENAI", "adjust", "prepare", "prepare_models"]

_PATHS: Final[Mapping[Operation, str]] = {"chat": "/chat/completions", "embeddings": "/embeddings"}


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
        InvalidRequest: these providers have no such operation.
    """
    path = _PATHS.get(sending.operation)
    if path is None:
        raise InvalidRequest(f"Provider {provider.id!r} does not count tokens; its answers state how many they took.")
    endpoint = endpoint_of(provider, credential)
    own = STREAM_IN if sending.stream else JSON_IN
    return Outbound(
        provider.id,
        "POST",
        endpoint,
        endpoint.path + path,
        headers_of(own, bearer(provider, credential), sending.headers),
        sending.body,
        sending.timeouts,
    )


def prepare_models(provider: Provider, credential: Credential, headers: Headers) -> Outbound | None:
    """The request for the provider's list of models; None when it has none. Raises as `prepare`."""
    return listing(provider, credential, "/models", headers_of(bearer(provider, credential), headers))


# ---------------------------------------------------------------------------------------------- the last word on a body

#: OpenAI's own, its regions, and Azure's
_OPENAI_HOSTS: Final = (".openai.com", ".openai.azure.com")
#: Hints that OpenAI alone has; others answer 400 or 422 to what they don't know.
_OPENAI_ONLY: Final = frozenset({"metadata", "prompt_cache_key", "store", "verbosity"})
#: What OpenAI's models that reason refuse, unless they are told not to (its guide to parameter compatibility).
_SAMPLING: Final = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"}
)
#: OpenAI's models that reason
_OPENAI_REASONERS: Final = re.compile(r"o\d|codex|gpt-5(?!.*-chat)|gpt-[6-9]|gpt-\d\d")
#: Models elsewhere that take a `reasoning_effort`, where the catalog and the config don't say.
_REASONERS: Final = re.compile(r"(?:.*/)?(?:gpt-oss|o\d|gpt-5|gemini-(?:2\.5|[3-9])|grok-3-mini)")
#: the words for an effort that a model does not know, and the nearest that it does; the first pattern counts
_EFFORTS: Final[tuple[tuple[re.Pattern[str], Mapping[str, str]], ...]] = (
    (re.compile(r"o\d"), {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}),
    (re.compile(r"gpt-5(?:-|$)"), {"none": "minimal", "xhigh": "high", "max": "high"}),
    (re.compile(r"gpt-5\.1"), {"minimal": "low", "xhigh": "high", "max": "high"}),
)
_OTHERS_EFFORTS: Final = {"none": "", "minimal": "low", "xhigh": "high", "max": "high"}
#: These know every effort, and what to do with it where a model doesn't reason.
_KNOWS_EFFORTS: Final = frozenset({"openrouter"})
#: What of an earlier answer is sent back to whom: the rest refuse a message that holds it.
_SENT_BACK: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(
        ("deepseek", "moonshot", "zai", "zai-air", "zai-coding", "zhipuai", "vllm", "sglang", "llama.cpp", "litellm"),
        frozenset({"reasoning_content"}),
    ),
    "openrouter": frozenset({"reasoning_content", "reasoning_details"}),
    "google": frozenset({"extra_content"}),
}
_PROOFS: Final = frozenset({"reasoning_content", "reasoning_details", "extra_content"})


def adjust(fields: Fields, adjusting: Adjusting) -> Fields:
    """Usage is asked of a stream where the provider can tell it (SPEC §11); a body that we wrote is made to fit the
    provider, and a client's own is not."""
    if adjusting.translated:
        fields = _fitted(fields, adjusting)
    if adjusting.refuses_usage:
        return {name: value for name, value in fields.items() if name != "stream_options"}
    if not adjusting.stream or not adjusting.provider.stream_usage:
        return fields
    return {**fields, "stream_options": openai_chat.asking_usage(fields.get("stream_options"))}


def _fitted(fields: Fields, adjusting: Adjusting) -> Fields:
    provider = adjusting.provider
    listed = provider.models.get(adjusting.model)
    wanted = _SENT_BACK.get(provider.id, frozenset())
    fields = {**fields, "messages": [_without_proofs(message, _PROOFS - wanted) for message in fields["messages"]]}
    if listed is not None and listed.max_tokens and fields.get("max_tokens", 0) > listed.max_tokens:
        # Other dialects' clients ask for as much as their own models give, which these answer with 400.
        fields["max_tokens"] = listed.max_tokens
    if _is_openai(provider):
        return _for_openai(fields, adjusting.model)
    fields = {**_without(fields, _OPENAI_ONLY), "messages": _led_by_one_instruction(fields["messages"])}
    effort = fields.get("reasoning_effort")
    if effort is None or provider.id in _KNOWS_EFFORTS:
        return fields
    reasons = (listed is not None and listed.reasoning) or _REASONERS.match(adjusting.model)
    effort = _OTHERS_EFFORTS.get(effort, effort) if reasons else ""
    return {**fields, "reasoning_effort": effort} if effort else _without(fields, frozenset({"reasoning_effort"}))


def _is_openai(provider: Provider) -> bool:
    return provider.endpoint is not None and f".{provider.endpoint.host}".endswith(_OPENAI_HOSTS)


def _for_openai(fields: Fields, model: str) -> Fields:
    if "max_tokens" in fields:
        fields = {("max_completion_tokens" if name == "max_tokens" else name): fields[name] for name in fields}
    if not fields.get("store"):
        # It is refused where nothing is stored.
        fields = _without(fields, frozenset({"metadata"}))
    if not _OPENAI_REASONERS.match(model):
        return _without(fields, frozenset({"reasoning_effort"}))
    effort = fields.get("reasoning_effort")
    if effort is not None:
        words = next((words for pattern, words in _EFFORTS if pattern.match(model)), {})
        fields = {**fields, "reasoning_effort": words.get(effort, effort)}
    return fields if fields.get("reasoning_effort") == "none" else _without(fields, _SAMPLING)


def _led_by_one_instruction(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Instructions amid the messages are told by the user, in the message beside them where that is the user's too:
    templates of Qwen, Mistral and Gemma take a system message only at the beginning, and want the roles to alternate.
    """
    led: list[dict[str, Any]] = []
    joins = False
    for number, message in enumerate(messages):
        amid = number > 0 and message["role"] == "system"
        if amid and not message["content"].strip():
            continue
        told = {"role": "user", "content": told_by_user(message["content"])} if amid else message
        if (amid or joins) and told["role"] == "user" and led and led[-1]["role"] == "user":
            led[-1] = {**led[-1], "content": _joined(led[-1]["content"], told["content"])}
        else:
            led.append(told)
        joins = amid
    return led


def _joined(before: Any, after: Any) -> Any:
    if isinstance(before, str) and isinstance(after, str):
        return f"{before}\n\n{after}"
    return [*_parts(before), *_parts(after)]


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _without(fields: Fields, names: frozenset[str]) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}


def _without_proofs(message: dict[str, Any], unwanted: frozenset[str]) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if name not in unwanted}
    if "extra_content" in unwanted and "tool_calls" in kept:
        kept["tool_calls"] = [_without(call, unwanted) for call in kept["tool_calls"]]
    return kept


OPENAI: Final = UpstreamKind(
    api="openai-completions",
    dialect="openai-chat",
    prepare=prepare,
    prepare_models=prepare_models,
    read_error=read_error,
    adjust=adjust,
)
