"""One normal spelling for every provider id and reference."""

from __future__ import annotations

import pytest

from open_llm_auth.config.ids import Ids
from open_llm_auth.provider_catalog import load_catalog


@pytest.fixture
def ids() -> Ids:
    return Ids(load_catalog(), {"My-LLM": 1})


REFERENCES = [
    ("openai/gpt-5", "openai/gpt-5"),
    ("Codex/GPT-5", "openai-codex/GPT-5"),
    ("codex:me/gpt-5", "openai-codex:me/gpt-5"),
    ("z.ai", "zai"),
    (" my-llm/Big ", "my-llm/Big"),
    ("agent/agent", "agent/agent"),
    ("gpt-5", "gpt-5"),
    ("meta-llama/Llama-4", "meta-llama/Llama-4"),
    ("openrouter/z-ai/glm", "openrouter/z-ai/glm"),
]


@pytest.mark.parametrize(("text", "normal"), REFERENCES)
def test_the_provider_of_a_reference_is_normal(ids: Ids, text: str, normal: str) -> None:
    assert ids.reference(text) == normal
    assert ids.fallback_key(f"chat:{text.strip()}") == f"chat:{normal}"
    assert ids.fallback_key(text) == normal


def test_the_normal_spelling_wins_over_an_alias(ids: Ids) -> None:
    warnings: list[str] = []
    found = ids.rekeyed({"z.ai": 1, "openai": 2, "zai": 3, "Z-AI": 4}, "providers", warnings)
    assert found == {"zai": 3, "openai": 2}
    assert warnings == [
        "providers.zai and providers.z.ai mean the same: the first is in force.",
        "providers.zai and providers.Z-AI mean the same: the first is in force.",
    ]


def test_the_first_of_two_aliases_wins(ids: Ids) -> None:
    warnings: list[str] = []
    assert ids.rekeyed({"z-ai": 1, "z.ai": 2}, "authOrder", warnings) == {"zai": 1}
    assert len(warnings) == 1
