"""Where the document holds secrets."""

from __future__ import annotations

from typing import Any

import pytest

from open_llm_auth.config.secret_places import references_of, secret_places


def named(data: dict[str, Any]) -> dict[str, str]:
    return {place.name: place.text for place in secret_places(data)}


def test_every_secret_of_a_full_document_is_found(full: dict[str, Any]) -> None:
    full["oauth"]["openai-codex"]["clientSecret"] = "cs"
    full["providers"]["my-llm"]["headers"]["X-Api-Key"] = "hk"
    full["providers"]["my-llm"]["models"][0]["headers"]["Authorization"] = "Bearer mk"
    full["egressPolicy"]["proxy"] = "http://user:pw@proxy.example.org"
    assert named(full) == {
        "openai:default.key": "sk-1",
        "openai-codex:me.access": "at",
        "openai-codex:me.refresh": "rt",
        "anthropic:setup.token": "tk",
        "providers.my-llm.apiKey": "MY_LLM_KEY",
        "providers.my-llm.headers.X-Api-Key": "hk",
        "providers.my-llm.models.0.headers.Authorization": "Bearer mk",
        "oauth.openai-codex.clientSecret": "cs",
        "serverToken": "legacy-token",
        "egressPolicy.proxy": "http://user:pw@proxy.example.org",
        "authorization.tokens.ci.token": "client-token-ci",
    }


@pytest.mark.parametrize(
    ("header", "is_secret"),
    [
        *((name, True) for name in ("Authorization", "X-Auth-Token", "ocp-apim-subscription-key", "cookie")),
        *((name, False) for name in ("X-Team", "User-Agent", "x-monkey", "Content-Type", "X-Keyboard")),
    ],
)
def test_a_header_is_a_secret_by_its_name(header: str, is_secret: bool) -> None:
    assert bool(named({"providers": {"p": {"headers": {header: "value"}}}})) is is_secret


def test_a_header_that_is_a_reference_is_one_whatever_its_name() -> None:
    assert named({"providers": {"p": {"headers": {"X-Team": "cmd:whoami"}}}}) == {
        "providers.p.headers.X-Team": "cmd:whoami"
    }


def test_what_is_absent_null_or_blank_is_none() -> None:
    data = {
        "authProfiles": {"a": {"provider": "openai", "type": "api_key", "key": None}},
        "providers": {"p": {"apiKey": "  ", "headers": None, "models": None}},
        "oauth": {"x": {}},
        "egressPolicy": {"proxy": "http://proxy.example.org"},
        "authorization": {"tokens": None},
        "serverToken": "",
    }
    assert named(data) == {}
    assert named({}) == {}


def test_only_secret_fields_are_taken_for_references_and_a_note_never_runs_a_program() -> None:
    data = {
        "authProfiles": {
            "a": {"provider": "openai", "type": "api_key", "key": "vault:a", "metadata": {"source": "cmd:rm -rf x"}}
        },
        "defaultModel": "cmd:evil",
    }
    assert [ref.label for ref in references_of(data)] == ["vault:a"]


def test_client_tokens_are_not_to_be_moved(full: dict[str, Any]) -> None:
    assert [place.name for place in secret_places(full) if not place.movable] == ["authorization.tokens.ci.token"]


def test_no_place_prints_its_secret(full: dict[str, Any]) -> None:
    assert "sk-1" not in repr(list(secret_places(full)))
