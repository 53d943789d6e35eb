"""Which credentials a provider has: where each comes from, what it bills, and what repairs a missing one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from open_llm_auth.auth.profiles import Selection, candidates_of, select, unusable
from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.errors import NoCredentials, NotConfigured, SecretUnavailable, SignInLapsed
from open_llm_auth.values import (
    Caller,
    Credential,
    Endpoint,
    PassedOver,
    Profile,
    Provider,
    Secret,
    SecretRef,
    SignIn,
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
    assert selection.credentials == ()
    assert [(each.candidate, each.reason) for each in selection.passed_over] == [("lab:x", reason)]


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


AWS = row(
    auth="aws-sdk", env_names=("LAB_BEARER",), aws_env=("AWS_ACCESS_KEY_ID", "AWS_PROFILE"), self_activating=False
)


@pytest.mark.parametrize(
    ("provider", "env", "ids"),
    [
        (AWS, {}, []),
        (AWS, {"AWS_PROFILE": "work"}, ["aws-sdk:lab"]),
        (AWS, {"AWS_ACCESS_KEY_ID": "AKIA1"}, ["aws-sdk:lab"]),
        (AWS, {"LAB_BEARER": "key"}, ["env:LAB_BEARER"]),
        (AWS, {"LAB_BEARER": "key", "AWS_PROFILE": "work"}, ["env:LAB_BEARER", "aws-sdk:lab"]),
        (replace(AWS, configured=True), {}, ["aws-sdk:lab"]),
        (
            replace(AWS, configured=True, api_key=parse_reference("key")),
            {"LAB_BEARER": "other"},
            ["env:LAB_BEARER", "config:lab", "aws-sdk:lab"],
        ),
        (replace(AWS, aws_env=()), {"AWS_PROFILE": "work"}, []),
        (replace(AWS, auth_header=False, configured=True), {"AWS_PROFILE": "work"}, ["none:lab"]),
    ],
)
def test_what_awss_own_tools_find_comes_behind_every_key_once_it_is_switched_on(
    provider: Provider, env: dict[str, str], ids: list[str]
) -> None:
    assert [each.id for each in selected(provider, **env).credentials] == ids


def test_a_credential_of_awss_chain_carries_no_secret() -> None:
    (credential,) = selected(AWS, AWS_PROFILE="work").credentials
    assert (credential.source, credential.type, credential.secret) == ("aws-sdk", "aws-sdk", None)
    assert (credential.aws_profile, credential.aws_region) == ("", "")


def test_a_profile_of_type_aws_sdk_names_the_profile_of_awss_own_files_and_wakes_the_provider() -> None:
    work = profile("work", "aws-sdk", secret=None, metadata={"awsProfile": " work ", "region": "eu-west-1"})
    (credential,) = selected(AWS, work).credentials
    assert (credential.id, credential.type, credential.secret) == ("lab:work", "aws-sdk", None)
    assert (credential.aws_profile, credential.aws_region) == ("work", "eu-west-1")
    odd = profile("odd", "aws-sdk", secret=None, metadata={"awsProfile": 7})
    assert selected(AWS, odd).credentials[0].aws_profile == ""


def test_two_names_for_one_chain_are_one_credential_and_two_profiles_are_two() -> None:
    default = profile("default", "aws-sdk", secret=None)
    work = profile("work", "aws-sdk", secret=None, metadata={"awsProfile": "work"})
    selection = selected(AWS, default, work, AWS_PROFILE="x")
    assert [each.id for each in selection.credentials] == ["lab:default", "lab:work"]
    assert selection.passed_over == (PassedOver("aws-sdk:lab", "the same credential as 'lab:default'"),)


def test_a_key_comes_before_awss_chain_among_stored_profiles() -> None:
    stored = (profile("sdk", "aws-sdk", secret=None), profile("key"), profile("bearer", "token"))
    assert [each.id for each in selected(AWS, *stored).credentials] == ["lab:bearer", "lab:key", "lab:sdk"]


CLI = row(api="claude-cli", auth="cli", endpoint=None, env_names=("LAB_API_KEY",), self_activating=False)


@pytest.mark.parametrize(
    ("provider", "stored", "ids"),
    [
        (CLI, (), []),
        (replace(CLI, configured=True), (), ["cli:lab"]),
        (CLI, (profile("own", "cli", secret=None),), ["lab:own"]),
        (replace(CLI, configured=True), (profile("own", "cli", secret=None),), ["lab:own"]),
    ],
)
def test_a_program_that_signs_in_by_itself_serves_once_it_is_switched_on(
    provider: Provider, stored: tuple[Profile, ...], ids: list[str]
) -> None:
    found = selected(provider, *stored).credentials
    assert [each.id for each in found] == ids
    assert {each.type for each in found} <= {"cli"}


@pytest.mark.parametrize("kind", ["aws-sdk", "cli"])
def test_a_profile_without_a_secret_does_not_serve_a_provider_of_another_sort(kind: str) -> None:
    ((passed),) = selected(ROW, profile("x", kind, secret=None)).passed_over
    assert passed.reason == f"profiles of type {kind!r} serve only providers whose 'auth' is {kind!r}"


def test_an_unusable_provider_of_aws_says_how_to_sign_in() -> None:
    error = unusable(AWS, ADA, ())
    assert type(error) is NoCredentials
    assert "LAB_BEARER or AWS_ACCESS_KEY_ID or AWS_PROFILE" in error.message
    assert error.details["command"] == "open-llm-auth auth configure lab"
    assert error.details["environment"] == ["LAB_BEARER", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"]


def test_no_secret_shows_in_what_is_selected() -> None:
    selection = selected(ROW, profile("sk-canary", id="lab:x"), LAB_API_KEY="sk-canary-2")
    assert len(selection.credentials) == 2
    assert "canary" not in repr(selection)
    assert "canary" not in repr(candidates_of(ROW, [profile("sk-canary", id="lab:x")], ()))


# --- sign-ins that are renewed ---

SIGN_INS = {"lab": SignIn("lab", ("browser",), token_url="https://lab.example/token")}
COMMAND = "open-llm-auth auth login lab --profile me"


class Lapses:
    """A `RenewalStates` that knows one sign-in that needs its person."""

    def __init__(self, access: str = "") -> None:
        self.access = access

    def lapsed(self, profile_id: str, access: Secret, *, expired: bool) -> str:
        return "it was ended" if expired and access == Secret(self.access) else ""


def signed_in(lapses: Lapses, *profiles: Profile) -> Selection:
    return select(
        candidates_of(ROW, profiles, (), SIGN_INS),
        provider=ROW,
        caller=ADA,
        secrets=Variables({}),
        now_ms=1_000_000.0,
        made={},
        tokens=TokenTable(),
        renewals=lapses,
    )


def test_a_sign_in_that_is_renewed_is_not_passed_over_for_being_expired() -> None:
    found = signed_in(Lapses(), profile("me", "oauth", expires=1, refresh=parse_reference("again")))
    assert [credential.renewable for credential in found.credentials] == [True]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"refresh": parse_reference("again"), "metadata": {"mayRotate": False}},
        {"refresh": parse_reference("file:/elsewhere")},
    ],
)
def test_a_sign_in_that_is_not_the_gateways_own_is_passed_over_when_it_has_expired(fields: dict[str, Any]) -> None:
    found = signed_in(Lapses(), profile("me", "oauth", expires=1, **fields))
    assert found.credentials == ()
    assert "expired" in found.passed_over[0].reason


def test_a_sign_in_that_needs_its_person_is_passed_over_with_the_command() -> None:
    mine = profile("me", "oauth", expires=1, refresh=parse_reference("again"))
    found = signed_in(Lapses("me"), mine, profile("key"))
    assert [credential.id for credential in found.credentials] == ["lab:key"]
    assert found.lapsed == 0
    assert found.passed_over[0].reason == f"it was ended; sign in anew with: {COMMAND}"
    error = unusable(ROW, ADA, signed_in(Lapses("me"), mine).passed_over)
    assert isinstance(error, SignInLapsed)
    assert error.details["command"] == COMMAND
    assert COMMAND in error.message


def test_a_sign_in_that_needs_its_person_serves_while_its_token_lasts() -> None:
    mine = profile("me", "oauth", expires=2_000_000, refresh=parse_reference("again"))
    assert len(signed_in(Lapses("me"), mine).credentials) == 1
