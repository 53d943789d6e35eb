"""The catalog is data, so its checks are checks of data."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from importlib.resources import files
from urllib.parse import urlsplit

import msgspec
import pytest

from open_llm_auth.provider_catalog import load_catalog, read_catalog

CATALOG = load_catalog()
ROWS = sorted(CATALOG.providers.items())
LOCAL = {"ollama", "vllm", "litellm", "lmstudio", "llama.cpp", "sglang", "jan"}
KINDS = {
    "openai-completions",
    "openai-responses",
    "openai-codex-responses",
    "anthropic-messages",
    "google-generative-ai",
    "github-copilot",
    "bedrock-converse-stream",
    "ollama",
    "claude-cli",
    "codex-cli",
    "demo",
}


def _raw() -> dict[str, object]:
    return json.loads(files("open_llm_auth.provider_catalog").joinpath("catalog.json").read_text("utf-8"))


@pytest.mark.parametrize(("provider_id", "row"), ROWS, ids=[provider_id for provider_id, _ in ROWS])
def test_a_row_is_well_formed(provider_id, row):
    assert re.fullmatch(r"[a-z0-9][a-z0-9.\-]*", provider_id)
    assert row.id == provider_id
    assert row.name
    assert row.api in KINDS
    assert not row.configured
    for name in row.env_names:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", name), name
    assert row.key_url is None or urlsplit(row.key_url).scheme == "https"
    for model_id, model in row.models.items():
        assert model_id == model.id == model.id.strip() != ""
        assert model.name
        assert set(model.input) <= {"text", "image"}


@pytest.mark.parametrize(("provider_id", "row"), ROWS, ids=[provider_id for provider_id, _ in ROWS])
def test_a_base_url_parses_and_only_local_rows_leave_out_tls(provider_id, row):
    if not row.base_url:
        assert row.endpoint is None
        assert row.api in {"claude-cli", "codex-cli", "demo"} or provider_id in CATALOG.derived_base_urls
        return
    assert row.base_url == row.base_url.strip().rstrip("/")
    assert str(row.endpoint) == row.base_url
    assert row.endpoint.host
    if provider_id in LOCAL:
        assert (row.endpoint.scheme, row.endpoint.host) == ("http", "127.0.0.1")
        assert row.billing == "local"
        assert not row.self_activating
    else:
        assert row.endpoint.scheme == "https"
        assert row.billing != "local"


def test_backends_without_an_address_of_their_own_do_not_activate_by_being_listed():
    quiet = {provider_id for provider_id, row in ROWS if not row.self_activating}
    assert quiet == LOCAL | {"amazon-bedrock", "claude-cli", "codex-cli"}


def test_no_object_in_the_file_names_a_key_twice():
    def unique(pairs):
        repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        assert not repeated
        return dict(pairs)

    text = files("open_llm_auth.provider_catalog").joinpath("catalog.json").read_text("utf-8")
    json.loads(text, object_pairs_hook=unique)


def test_no_provider_lists_a_model_twice():
    for provider_id, row in _raw()["providers"].items():
        ids = [model["id"].lower() for model in row.get("models", [])]
        assert len(ids) == len(set(ids)), provider_id


def test_every_alias_ends_at_a_provider_and_shadows_none():
    for alias, provider_id in CATALOG.aliases.items():
        assert alias == alias.strip().lower()
        assert provider_id in CATALOG.providers, alias
        assert alias not in CATALOG.providers, alias


@pytest.mark.parametrize(
    ("spelling", "provider_id"),
    [
        ("chatgpt", "openai-codex"),
        ("codex", "openai-codex"),
        ("bedrock", "amazon-bedrock"),
        ("aws-bedrock", "amazon-bedrock"),
        ("copilot", "github-copilot"),
        ("gh-copilot", "github-copilot"),
        ("z.ai", "zai"),
        ("z-ai", "zai"),
        ("qwen", "qwen-portal"),
        ("kimi-code", "kimi-coding"),
        ("kimi-for-coding", "kimi-coding"),
        ("bytedance", "volcengine"),
        ("doubao", "volcengine"),
        ("x-ai", "xai"),
        ("opencode-zen", "opencode"),
        ("  ChatGPT ", "openai-codex"),
        ("OpenAI", "openai"),
        (" My-LLM ", "my-llm"),
        ("", ""),
    ],
)
def test_a_spelling_is_normalised(spelling, provider_id):
    assert CATALOG.normalise(spelling) == provider_id


def test_where_providers_share_an_environment_name_exactly_one_is_preferred():
    sharers = defaultdict(set)
    for provider_id, row in ROWS:
        for name in row.env_names:
            sharers[name].add(provider_id)
    for name, provider_ids in sharers.items():
        if len(provider_ids) > 1:
            assert sum(CATALOG.providers[provider_id].preferred for provider_id in provider_ids) == 1, name


def test_the_known_providers_are_there():
    hosted = "openai anthropic google groq xai cerebras deepseek fireworks perplexity cohere openrouter"
    assert set(f"{hosted} lmstudio llama.cpp sglang".split()) <= set(CATALOG.providers)
    assert CATALOG.providers["github-copilot"].api == "github-copilot"
    assert CATALOG.providers["google"].base_url.endswith("/v1beta/openai")
    assert not {"agent_bridge", "agent"} & set(CATALOG.providers)


def test_the_demo_row_answers_without_a_credential():
    demo = CATALOG.providers["demo"]
    assert (demo.api, demo.auth_header, demo.billing, list(demo.models)) == ("demo", False, "free", ["echo"])


def test_the_aws_variables_are_not_mistaken_for_bearer_keys():
    assert "AWS_PROFILE" in CATALOG.aws_sdk_env
    assert not any(set(row.env_names) & set(CATALOG.aws_sdk_env) for _, row in ROWS)


def test_derived_addresses_belong_to_rows_and_name_profile_fields():
    for provider_id, template in CATALOG.derived_base_urls.items():
        assert not CATALOG.providers[provider_id].base_url
        assert set(re.findall(r"{(\w+)}", template)) <= {"accountId", "gatewayId"}


def test_the_catalog_is_read_once_and_can_not_be_changed():
    assert load_catalog() is CATALOG
    with pytest.raises(TypeError):
        CATALOG.providers["x"] = CATALOG.providers["openai"]
    with pytest.raises(TypeError):
        CATALOG.providers["openai"].models["x"] = None


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.update(colour="red"),
        lambda row: row.update(auth="magic"),
        lambda row: row.update(billing="barter"),
        lambda row: row.pop("api"),
        lambda row: row.update(env="OPENAI_API_KEY"),
        lambda row: row.update(models=[{"name": "without an id"}]),
    ],
)
def test_a_faulty_row_is_refused_by_its_path(change):
    raw = _raw()
    change(raw["providers"]["openai"])
    with pytest.raises(msgspec.ValidationError, match=r"\$\.providers"):
        read_catalog(json.dumps(raw).encode())
