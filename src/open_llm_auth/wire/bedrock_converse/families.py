"""What the models behind Converse take beyond what Converse says for all of them, told by the name of the model.

Converse has one form for every model and refuses a field that the model does not know. So what is not certain to be
taken is left out, and the table here says for which models it is certain. A name that tells no family, such as the ARN
of an application's own inference profile, gets what all of them take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

from ..anthropic_messages import families as anthropic
from ..anthropic_messages.thinking import thinks
from ..carrying import Feature, Handling
from ..conversation import Conversation
from .replies import NAME

__all__ = ["LIMITS", "Family", "family_of", "limits_of"]


@dataclass(frozen=True, slots=True)
class Family:
    """`caching`: where cache points may stand. `top_k`: its place among the model's own fields. `reasoning`: how it is
    asked for. `sampling`: `one` of temperature and top_p, or `none`. `schemas`: answers and tools can be held to one.
    `claude`: what is known of Claude itself, whose own `tool_choice` says what Converse's can't."""

    caching: Literal["everywhere", "prompt", "none"] = "none"
    top_k: tuple[str, ...] = ()
    reasoning: Literal["claude", "nova", "effort", "none"] = "none"
    sampling: Literal["both", "one", "none"] = "both"
    schemas: bool = True
    claude: anthropic.Family | None = None

    @property
    def caches_unasked(self) -> bool:
        """Whether it is certain to take cache points that nobody asked for: older models of Claude's refuse them."""
        return self.caching != "none" and (self.claude is None or self.claude.thinking != "none")


_UNKNOWN: Final = Family()
_NOVA: Final = Family("prompt", ("inferenceConfig", "topK"), schemas=False)
_NOVA_2: Final = Family("prompt", ("inferenceConfig", "topK"), "nova", schemas=False)

#: Families beside Claude: the first whose pattern is found in the model's name.
_FAMILIES: Final[tuple[tuple[re.Pattern[str], Family], ...]] = (
    (re.compile(r"nova-2"), _NOVA_2),
    (re.compile(r"nova-(?:micro|lite|pro|premier)"), _NOVA),
    (re.compile(r"gpt-oss"), Family(reasoning="effort")),
    (re.compile(r"mistral\.(?:mistral-7b|mistral-large-24|mixtral)"), Family(top_k=("top_k",), schemas=False)),
    (re.compile(r"cohere\.command-r"), Family(top_k=("k",), schemas=False)),
    (re.compile(r"ai21\.|meta\.llama|titan-text"), Family(schemas=False)),
)
#: takes schemas from Anthropic, and not yet here
_WITHOUT_SCHEMAS: Final = "claude-opus-4-1"


@lru_cache(maxsize=256)
def family_of(model: str) -> Family:
    """What is known of a model by its id, its inference profile or its ARN."""
    name = model.lower()
    if "claude" not in name:
        return next((family for pattern, family in _FAMILIES if pattern.search(name)), _UNKNOWN)
    claude = anthropic.family_of(name)
    return Family(
        "everywhere",
        ("top_k",) if claude.samples else (),
        "none" if claude.thinking == "none" else "claude",
        "none" if not claude.samples else "one" if claude.one_sampler else "both",
        claude.structured and _WITHOUT_SCHEMAS not in name,
        claude,
    )


#: What Converse does not carry to every model. `limits_of` says what it does not carry to one.
LIMITS: Final[Mapping[Feature, Handling]] = MappingProxyType(
    {
        "cache_control": "dropped",
        "custom_tool": "adapted",
        "custom_tool_grammar": "dropped",
        "document_file_id": "refused",
        "document_url": "refused",
        "frequency_penalty": "dropped",
        "image_file_id": "refused",
        "image_url": "fetched",
        "json_object": "adapted",
        "json_schema": "adapted",
        "logprobs": "dropped",
        "metadata": "adapted",
        "mid_conversation_system": "adapted",
        "n": "refused",
        "parallel_tool_calls": "dropped",
        "presence_penalty": "dropped",
        "prompt_cache_key": "dropped",
        "provider_tool": "dropped",
        "reasoning_budget": "dropped",
        "reasoning_effort": "dropped",
        "reasoning_replay": "adapted",
        "refusal": "adapted",
        "seed": "dropped",
        "service_tier": "adapted",
        "store": "dropped",
        "strict_tool": "dropped",
        "temperature": "adapted",
        "tool_choice_allowed": "adapted",
        "tool_choice_none": "adapted",
        "top_k": "dropped",
        "unknown_field": "dropped",
        "unknown_item": "dropped",
        "user": "dropped",
        "verbosity": "dropped",
    }
)


def limits_of(conversation: Conversation, model: str) -> Mapping[Feature, Handling]:
    """What Converse does not carry of this call to this model."""
    limits, family = _limits_of(model), family_of(model)
    if family.claude is None or thinks(conversation, NAME, family.claude):
        return limits
    return {**limits, "reasoning_budget": "dropped", "reasoning_effort": "dropped"}


@lru_cache(maxsize=256)
def _limits_of(model: str) -> Mapping[Feature, Handling]:
    family = family_of(model)
    limits = dict(LIMITS)
    if family.caching != "none":
        limits["cache_control"] = "adapted"
    if family.caches_unasked:
        limits["prompt_cache_key"] = "adapted"
    if family.top_k:
        limits["top_k"] = "adapted"
    if family.reasoning != "none":
        limits["reasoning_budget"] = limits["reasoning_effort"] = "adapted"
    if family.claude is not None:
        limits["parallel_tool_calls"] = "adapted"
        if family.schemas:
            limits["strict_tool"] = "adapted"
    if family.sampling == "none":
        limits["temperature"] = limits["top_p"] = "dropped"
    return MappingProxyType(limits)
