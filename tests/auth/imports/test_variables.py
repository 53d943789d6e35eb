"""Keys in variables: which count, whose they are, and that a variable of the environment is referred to by name."""

from __future__ import annotations

import pytest

from open_llm_auth.auth.imports.found import Known
from open_llm_auth.auth.imports.names import provider_of, variables_of
from open_llm_auth.auth.imports.variables import of_environment
from open_llm_auth.provider_catalog import load_catalog, load_sign_ins

CATALOG = load_catalog()
KNOWN = Known(CATALOG, load_sign_ins())


def test_a_key_of_the_environment_is_referred_to_by_its_name() -> None:
    (found,) = of_environment({"GROQ_API_KEY": " canary ", "PATH": "/bin", "OPENAI_API_KEY": ""}, KNOWN)
    assert (found.provider, found.type, found.reference) == ("groq", "api_key", "env:GROQ_API_KEY")
    assert found.profile(0, copied=True)["key"] == "canary"
    assert "canary" not in repr(found)


@pytest.mark.parametrize("name", ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_OAUTH_TOKEN", "ANTHROPIC_API_KEY"])
def test_claudes_token_is_restricted_under_any_name(name: str) -> None:
    (found,) = of_environment({name: "sk-ant-oat01-canary"}, KNOWN)
    assert (found.provider, found.type, found.offer) == ("anthropic", "token", "ask")
    assert found.profile(0, copied=True)["metadata"]["billing"] == "subscription"


@pytest.mark.parametrize(
    ("variable", "provider"),
    [
        ("ZAI_API_KEY", "zai"),
        ("MINIMAX_API_KEY", "minimax"),
        ("GITHUB_TOKEN", "github-models"),
        ("COPILOT_GITHUB_TOKEN", "github-copilot"),
        ("GEMINI_API_KEY", "google"),
        ("BYTEPLUS_API_KEY", "byteplus"),
        ("HF_TOKEN", "huggingface"),
    ],
)
def test_a_variable_of_several_providers_is_the_one_that_it_is_most_about(variable: str, provider: str) -> None:
    assert variables_of(CATALOG)[variable] == provider


@pytest.mark.parametrize(
    ("name", "signed_in", "provider"),
    [
        ("openai", False, "openai"),
        ("OpenAI", True, "openai-codex"),
        ("chatgpt", False, "openai-codex"),
        ("claude", True, "anthropic"),
        ("gemini", False, "google"),
        ("moonshotai", False, "moonshot"),
        ("minimax", True, "minimax-portal"),
        ("x-ai", False, "xai"),
        ("somebody", False, ""),
    ],
)
def test_other_programs_names_are_ours(name: str, signed_in: bool, provider: str) -> None:
    assert provider_of(name, CATALOG, signed_in=signed_in) == provider


def test_every_name_of_others_leads_to_a_provider_of_the_catalog() -> None:
    assert set(variables_of(CATALOG).values()) <= set(CATALOG.providers)
