"""Which credentials a provider has: where each comes from, what it bills, and what repairs a missing one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from open_llm_auth.auth.profiles import Selection, candidates_of, select, unusable
from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.errors import NoCredentials, NotConfigured, SecretUnavailable
from open_llm_auth.values import (
    Caller,
    Credential,
    Endpoint,
    PassedOver,
    Profile,
    Provider,
    Secret,
    SecretRef,
    TokenTable,
)

ADA = Caller("ada")
LAB = Endpoint("https", "lab.example", 443, "/v1")
ROW = Provider("lab", "openai-completions", "api-key", endpoint=LAB, env_names=("LAB_API_KEY",))


class Variables:
    """A SecretSource over a dictionary."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    def get(self, ref: SecretRef) -> Secret:
        if ref.scheme == "literal":
            return ref.place
        raise SecretUnavailable(f"{ref.label} can't be resolved")

    def environment(self, name: str) -> Secret | None:
        return Secret(self.variables[name]) if name in self.variables else None


def row(**fields: Any) -> Provider:
    return replace(ROW, **fields)


def selected(
    provider: Provider, *profiles: Profile, made: dict[str, Credential] | None = None, **env: str
) -> Selection:
    return select(
        candidates_of(provider, profiles, ()),
        provider=provider,
        caller=ADA,
        secrets=Variables(env),
        now_ms=1_000_000.0,
        made={} if made is None else made,
        tokens=TokenTable(),
    )


def profile(name: str, kind: Any = "api_key", **fields: Any) -> Profile:
    return Profile(**{"id": f"lab:{name}", "provider": "lab", "type": kind, "secret": parse_reference(name), **fields})


@pytest.mark.parametrize(
    ("provider", "variable", "source_type", "billing"),
    [
        (ROW, "LAB_API_KEY", "api_key", "metered"),
        (row(env_names=("LAB_OAUTH_TOKEN",)), "LAB_OAUTH_TOKEN", "oauth", "subscription"),
        (row(auth="token", env_names=("LAB_TOKEN",)), "LAB_TOKEN", "token", "metered"),
        (row(billing="free"), "LAB_API_KEY", "api_key", "free"),
    ],
)
def test_a_variable_gives_a_credential_of_the_providers_sort(
    provider: Provider, variable: str, source_type: str, billing: str
) -> None:
    (credential,) = selected(provider, **{variable: "secret"}).credentials
    assert (credential.id, credential.source) == (f"env:{variable}", "environment")
    assert (credential.type, credential.billing) == (source_type, billing)


def test_the_variables_are_those_the_provider_names_and_no_others() -> None:
    assert selected(row(env_names=("OTHER_KEY",)), LAB_API_KEY="secret").credentials == ()


@pytest.mark.parametrize(
    ("kind", "metadata", "billing"),
    [
        ("api_key", {}, "metered"),
        ("token", {}, "metered"),
        ("oauth", {}, "subscription"),
        ("token", {"billing": "subscription"}, "subscription"),
        ("oauth", {"billing": "free"}, "free"),
        ("api_key", {"billing": ["nonsense"]}, "metered"),
    ],
)
def test_a_profile_bills_as_its_metadata_says_or_as_its_type_does(
    kind: str, metadata: dict[str, object], billing: str
) -> None:
    (credential,) = selected(ROW, profile("x", kind, metadata=metadata)).credentials
    assert credential.billing == billing


def test_the_key_of_the_config_is_the_last_resort() -> None:
    provider = row(api_key=parse_reference("sk-config"), configured=True)
    assert [each.id for each in selected(provider, LAB_API_KEY="sk-env").credentials] == [
        "env:LAB_API_KEY",
        "config:lab",
    ]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (profile("x", secret=None), "it has no 'key'"),
        (profile("x", "oauth", secret=None), "it has no 'access'"),
        (profile("x", secret=parse_reference("")), "its secret is empty"),
        (profile("x", secret=parse_reference("keyring:a/b")), "keyring:a/b can't be resolved"),
        (profile("x", base_url="nonsense"), "its baseUrl is not a usable address"),
        (profile("x", expires=999_999), "it expired 0 min ago; renew it with: open-llm-auth auth add-api-key lab"),
    ],
)
def test_what_can_not_serve_is_passed_over_with_its_reason(broken: Profile, reason: str) -> None:
    selection = selected(ROW, broken)
    assert (selection.credentials, selection.passed_over) == ((), (PassedOver("lab:x", reason),))


@pytest.mark.parametrize("expires", [None, 0, 1_000_001])
def test_what_has_not_expired_serves(expires: int | None) -> None:
    assert len(selected(ROW, profile("x", expires=expires)).credentials) == 1


def test_it_tells_how_many_credentials_stand_before_a_lapsed_subscription() -> None:
    lapsed = profile("old", "oauth", expires=1)
    assert selected(ROW, lapsed, profile("key")).lapsed == 0
    assert selected(ROW, profile("new", "oauth"), lapsed, profile("key")).lapsed == 1
    assert selected(ROW, profile("key")).lapsed is None


def test_an_unchanged_secret_gives_the_same_credential_object() -> None:
    made: dict[str, Credential] = {}
    first = selected(ROW, made=made, LAB_API_KEY="a").credentials[0]
    assert selected(ROW, made=made, LAB_API_KEY="a").credentials[0] is first
    assert selected(ROW, made=made, LAB_API_KEY="b").credentials[0].secret == Secret("b")


@pytest.mark.parametrize(
    ("provider", "kind", "words"),
    [
        (ROW, NoCredentials, "open-llm-auth auth add-api-key lab"),
        (row(env_names=("LAB_KEY",)), NoCredentials, "or set LAB_KEY"),
        (row(auth="oauth"), NoCredentials, "open-llm-auth auth add-oauth lab"),
        (row(auth="token"), NoCredentials, "open-llm-auth auth add-token lab"),
        (row(configured=True), NoCredentials, "providers.lab.authHeader to false"),
        (row(key_optional=True, self_activating=False), NoCredentials, "open-llm-auth auth configure"),
        (row(endpoint=None), NotConfigured, "set providers.lab.baseUrl"),
    ],
)
def test_each_unusable_provider_names_its_repair(provider: Provider, kind: type[Exception], words: str) -> None:
    error = unusable(provider, ADA, ())
    assert type(error) is kind
    assert words in error.message


def test_no_secret_shows_in_what_is_selected() -> None:
    selection = selected(ROW, profile("sk-canary", id="lab:x"), LAB_API_KEY="sk-canary-2")
    assert len(selection.credentials) == 2
    assert "canary" not in repr(selection)
    assert "canary" not in repr(candidates_of(ROW, [profile("sk-canary", id="lab:x")], ()))
