"""The names models go by: suffix, families, and what a misspelling may have meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.references import closest, family, plain, shown

REFS = ["openai/gpt-5.5", "openai/gpt-5.4-mini", "groq/llama-3.3-70b", "together/zai-org/GLM-4.7"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("m[1m]", "m"), (" m [1M] ", "m"), ("m", "m"), ("[1m]", ""), ("m[1m]x", "m[1m]x"), ("m[2m]", "m[2m]")],
)
def test_the_context_suffix_is_stripped_at_the_end_only(name: str, expected: str) -> None:
    assert plain(name) == expected


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("gpt-5.5", "openai"),
        ("GPT-4o", "openai"),
        ("o3", "openai"),
        ("o4-mini", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-opus", "anthropic"),
        ("gemini-2.5-pro", "google"),
        ("abab-minimax-1", "minimax"),
        ("kimi-k2", "moonshot"),
        ("omni", None),
        ("moonshotai/kimi-k2", None),
        ("llama", None),
        ("", None),
    ],
)
def test_a_family_is_told_by_its_name(name: str, owner: str | None) -> None:
    assert family(name) == owner


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gtp-5.5", "openai/gpt-5.5"),
        ("GLM", None),
        ("openai/gpt5.5", "openai/gpt-5.5"),
        ("GROQ/LLAMA-3.3", "groq/llama-3.3-70b"),
        ("zai-org/glm-4.6", "together/zai-org/GLM-4.7"),
    ],
)
def test_the_closest_reference_is_suggested(name: str, expected: str | None) -> None:
    assert closest(name, REFS)[:1] == ([expected] if expected else [])


def test_a_very_long_name_is_compared_with_nothing_and_shown_in_part() -> None:
    name = "openai/gpt-5.5" * 1000
    assert closest(name, REFS) == []
    assert len(shown(name)) < 150


@given(st.text(), st.lists(st.text()))
def test_no_text_makes_them_raise(name: str, refs: list[str]) -> None:
    plain(name)
    family(name)
    assert len(closest(name, refs)) <= 3
    shown(name).encode("utf-8")
