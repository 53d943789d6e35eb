"""What commands work on: names are found, and a first model to talk to is chosen with sense."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.cli.workbench import Workbench, truthy
from open_llm_auth.errors import ProfileNotFound, ProviderNotFound


@pytest.fixture
def bench(tmp_path):
    def make(config=None, **environ):
        if config is not None:
            (tmp_path / "config.json").write_text(json.dumps(config))
        return Workbench({"OPEN_LLM_AUTH_HOME": str(tmp_path), **environ})

    return make


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", True),
        ("true", True),
        (" YES ", True),
        ("on", True),
        ("0", False),
        ("", False),
        (None, False),
        ("no", False),
    ],
)
def test_anonymous_mode_is_asked_for_in_four_words(text, meant):
    assert truthy(text) is meant


def test_a_provider_is_found_by_any_spelling(bench):
    assert bench().provider(" X-AI ").id == "xai"
    assert bench().provider("ChatGPT").id == "openai-codex"


@pytest.mark.parametrize(("name", "close"), [("opnai", "openai"), ("gemni", "gemini"), ("mistrall", "mistral")])
def test_an_unknown_provider_names_the_closest(bench, name, close):
    with pytest.raises(ProviderNotFound, match=close):
        bench().provider(name)


def test_a_profile_is_found_by_an_alias_of_its_provider(bench):
    made = bench({"authProfiles": {"xai:work": {"provider": "xai", "type": "api_key", "key": "k"}}})
    assert made.profile("x-ai:work").id == "xai:work"
    with pytest.raises(ProfileNotFound, match="xai:work"):
        made.profile("xai:wrok")


def test_the_demo_is_chosen_only_when_nothing_else_is_there(bench):
    assert bench().default_ref() == "demo/echo"
    assert bench(GROQ_API_KEY="k").default_ref().startswith("groq/")


def test_a_configured_default_comes_first(bench):
    assert bench({"defaultModel": "groq/x"}, GROQ_API_KEY="k").default_ref() == "groq/x"


def test_a_model_for_embeddings_is_not_chosen_to_talk_to(bench):
    local = {"providers": {"ollama": {"baseUrl": "http://127.0.0.1:11434/v1"}}}
    assert bench(local).default_ref() == "demo/echo"
    assert bench(local).default_ref({"ollama": ("nomic-embed-text", "llama3")}) == "ollama/llama3"


def test_keys_of_the_environment_are_found_for_every_provider_that_takes_them(bench):
    found = bench(ZAI_API_KEY="k").environment_keys()
    assert {("zai", "ZAI_API_KEY"), ("zai-coding", "ZAI_API_KEY")} <= set(found)
    assert bench().environment_keys() == ()


def test_a_key_in_the_env_file_counts_too(bench, tmp_path):
    (tmp_path / ".env").write_text("GROQ_API_KEY=k\n")
    assert ("groq", "GROQ_API_KEY") in bench().environment_keys()


def test_after_a_change_the_file_is_read_again(bench):
    made = bench()
    assert made.tokenless
    made.file.update(lambda data: data.update(serverToken="a-token-of-some-length"))
    assert made.tokenless
    made.forget()
    assert not made.tokenless
