"""Who is known, and who is not."""

from __future__ import annotations

from typing import Any

import pytest

from open_llm_auth.config.ids import Ids
from open_llm_auth.config.model import validate
from open_llm_auth.config.secrets_io import EnvironmentSecrets
from open_llm_auth.config.tokens import compile_tokens
from open_llm_auth.errors import ConfigInvalid
from open_llm_auth.policy.access import digest
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.values import Caller, TokenTable


def table(tokens: dict[str, Any], environ: dict[str, str] | None = None, **top: Any) -> tuple[TokenTable, list[str]]:
    legacy = top.pop("legacyAdminCompatibility", True)
    section = {"tokens": tokens, "legacyAdminCompatibility": legacy}
    document = validate({"authorization": section, **top})
    warnings: list[str] = []
    secrets = EnvironmentSecrets(environ or {})
    ids = Ids(load_catalog(), {})
    return compile_tokens(document, secrets, ids, secrets.variable("OPEN_LLM_AUTH_TOKEN"), warnings), warnings


def who(found: TokenTable, token: str) -> Caller | None:
    return found.callers.get(digest(token))


def test_a_token_is_its_subject_with_its_scopes_and_lists() -> None:
    entry = {
        "token": "t",
        "id": "runner",
        "scopes": ["read"],
        "expiresAt": 5,
        "models": ["Codex/*"],
        "providers": ["z.ai"],
    }
    found, warnings = table({"ci": entry})
    assert who(found, "t") == Caller(
        "runner", frozenset({"read"}), expires_at=5, models=("openai-codex/*",), providers=("zai",)
    )
    assert (found.configured, found.legacy, warnings) == (1, False, [])


def test_the_key_is_the_subject_of_a_token_without_an_id() -> None:
    found, _ = table({"ci": {"token": "t", "admin": True}})
    caller = who(found, "t")
    assert caller is not None
    assert (caller.subject, caller.admin, caller.scopes) == ("ci", True, {"read", "write", "admin"})


def test_absent_scopes_are_none_and_told() -> None:
    found, warnings = table({"ci": {"token": "t"}})
    caller = who(found, "t")
    assert caller is not None
    assert caller.scopes == frozenset()
    assert "authorization.tokens.ci has no scopes" in warnings[0]


def test_a_hash_knows_its_token_and_is_no_login() -> None:
    text = f"sha256:{digest('t').hex().upper()}"
    found, _ = table({"ci": {"tokenHash": text, "scopes": ["read"]}})
    assert who(found, "t") is not None
    assert who(found, text) is None


def test_a_disabled_token_counts_and_matches_nobody() -> None:
    found, _ = table({"ci": {"token": "t", "scopes": ["read"], "enabled": False}})
    assert who(found, "t") is None
    assert found.configured == 1


def test_a_disabled_token_clashes_with_nothing() -> None:
    found, _ = table({"old": {"token": "t", "enabled": False}, "new": {"token": "t", "scopes": ["read"]}})
    caller = who(found, "t")
    assert caller is not None
    assert caller.subject == "new"


TWINS: list[tuple[dict[str, Any], dict[str, str], dict[str, Any], str, str]] = [
    ({"a": {"token": "t"}, "b": {"token": " t "}}, {}, {}, "authorization.tokens.a", "authorization.tokens.b"),
    ({"a": {"token": "t"}, "b": {"tokenHash": f"sha256:{digest('t').hex()}"}}, {}, {}, "tokens.a", "tokens.b"),
    ({"a": {"token": "t"}, "b": {"token": "env:T"}}, {"T": "t"}, {}, "tokens.a", "tokens.b"),
    ({"a": {"token": "t"}}, {}, {"serverToken": "t"}, "tokens.a", "serverToken"),
    ({"a": {"token": "t"}}, {"OPEN_LLM_AUTH_TOKEN": "t"}, {}, "tokens.a", "OPEN_LLM_AUTH_TOKEN"),
]


@pytest.mark.parametrize(("tokens", "environ", "top", "one", "other"), TWINS)
def test_two_tokens_of_one_secret_are_an_error_that_names_both(
    tokens: dict[str, Any], environ: dict[str, str], top: dict[str, Any], one: str, other: str
) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        table(tokens, environ, **top)
    assert one in caught.value.message
    assert other in caught.value.message
    assert other in str(caught.value.param)


def test_a_reference_is_resolved_now() -> None:
    found, _ = table({"ci": {"token": "${CI_TOKEN}", "scopes": ["read"]}}, {"CI_TOKEN": "t"})
    assert who(found, "t") is not None
    assert who(found, "${CI_TOKEN}") is None


def test_a_client_token_in_capitals_is_never_a_variable() -> None:
    found, _ = table({"ci": {"token": "HOSTNAME", "scopes": ["read"]}}, {"HOSTNAME": "guessable"})
    assert who(found, "guessable") is None
    assert who(found, "HOSTNAME") is not None


@pytest.mark.parametrize("text", ["env:MISSING", "keyring:a/b", "cmd:pass", "file:/nowhere", "file:key"])
def test_a_reference_that_fails_is_a_warning_and_matches_nobody(text: str) -> None:
    found, warnings = table({"ci": {"token": text, "scopes": ["read"]}})
    assert found.callers == {}
    assert found.configured == 1
    assert warnings[0].startswith("authorization.tokens.ci.token matches nobody: ")


def test_a_reference_to_white_space_matches_nobody() -> None:
    found, warnings = table({"ci": {"token": "env:BLANK", "scopes": ["read"]}}, {"BLANK": "  "})
    assert found.callers == {}
    assert "is empty" in warnings[0]


LEGACY: list[tuple[dict[str, str], dict[str, Any], str | None, bool]] = [
    ({}, {}, None, False),
    ({}, {"serverToken": "s"}, "s", True),
    ({"OPEN_LLM_AUTH_TOKEN": "e"}, {}, "e", True),
    ({"OPEN_LLM_AUTH_TOKEN": " e\n"}, {}, "e", True),
    ({"OPEN_LLM_AUTH_TOKEN": "e"}, {"serverToken": "s"}, "s", True),
    ({"OPEN_LLM_AUTH_TOKEN": "e"}, {"serverToken": "env:MISSING"}, None, True),
    ({"OPEN_LLM_AUTH_TOKEN": " "}, {}, None, False),
    ({"OPEN_LLM_AUTH_TOKEN": "e"}, {"legacyAdminCompatibility": False}, None, True),
    ({}, {"serverToken": "s", "legacyAdminCompatibility": False}, None, True),
]


@pytest.mark.parametrize(("environ", "top", "token", "exists"), LEGACY)
def test_the_legacy_admin_is_the_server_token_else_the_variable(
    environ: dict[str, str], top: dict[str, Any], token: str | None, exists: bool
) -> None:
    found, _ = table({}, environ, **top)
    assert set(found.callers) == ({digest(token)} if token else set())
    assert found.legacy is exists
    for caller in found.callers.values():
        assert (caller.subject, caller.kind, caller.admin) == ("legacy-admin", "legacy", True)


def test_a_token_may_be_called_as_the_legacy_one_is() -> None:
    found, warnings = table({"serverToken": {"token": "t", "scopes": ["read"]}}, serverToken="s")
    assert len(found.callers) == 2
    assert warnings == []


def test_a_subject_of_the_gateways_own_is_told() -> None:
    _, warnings = table({"legacy-admin": {"token": "t", "scopes": ["read", "reed"]}})
    assert "'legacy-admin'" in warnings[0]
    assert "['reed']" in warnings[1]


def test_no_token_shows_in_the_table(canary: str) -> None:
    found, warnings = table({"ci": {"token": canary}}, serverToken=canary + "2")
    assert canary not in f"{found!r} {warnings}"


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_server_token_is_as_good_as_none_and_told(empty: str) -> None:
    found, warnings = table({}, serverToken=empty)
    assert (found.callers, found.legacy) == ({}, False)
    assert warnings == ["serverToken is empty, which is as good as none; remove it or set a token."]
    found, _ = table({}, {"OPEN_LLM_AUTH_TOKEN": "e"}, serverToken=empty)
    assert who(found, "e") is not None
    assert found.legacy
