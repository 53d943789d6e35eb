"""Resolution against the real catalog and against any string: documented errors only, and no secret anywhere.

The readable story of resolution is `tests/test_provider_manager.py`.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.auth.manager import ProviderManager
from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.errors import (
    AccessDenied,
    CallerError,
    GatewayError,
    NotConfigured,
    ProviderNotFound,
    SecretUnavailable,
    UpstreamHTTPError,
)
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.testing.clock import ManualClock
from open_llm_auth.values import (
    Caller,
    EgressRules,
    FallbackRules,
    Fault,
    Model,
    Profile,
    Provider,
    Secret,
    SecretRef,
    ServerSettings,
    Snapshot,
    TokenTable,
)

CANARY = "sk-canary-0123456789"
ADMIN = Caller("root", admin=True)
CARRIED = frozenset({"openai-completions", "demo"})


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


def manager(health: HealthTable | None = None, **variables: str) -> ProviderManager:
    return ProviderManager(Variables(variables), health or HealthTable(), ManualClock(), CARRIED)


def snapshot(**fields: Any) -> Snapshot:
    catalog = load_catalog()
    profiles = (
        Profile("openai:default", "openai", "api_key", parse_reference(f"{CANARY}-a")),
        Profile("openai:ada", "openai", "oauth", parse_reference(f"{CANARY}-b"), owner="ada"),
        Profile("openrouter:old", "openrouter", "oauth", parse_reference(f"{CANARY}-c"), expires=1),
        Profile("groq:gone", "groq", "api_key", parse_reference("file:/nowhere")),
    )
    settings: dict[str, Any] = {
        "etag": "1",
        "providers": catalog.providers,
        "aliases": catalog.aliases,
        "profiles": {each.id: each for each in profiles},
        "order": {"openai": ("openai:default", "openai:missing")},
        "tokens": TokenTable(),
        "egress": EgressRules(),
        "fallback": FallbackRules(order={"openai": ("groq", "openrouter:old/auto", "together/x")}),
        "server": ServerSettings(),
    }
    return Snapshot(**{**settings, **fields})


HOUSE = snapshot()
WORDS = ["openai", "gpt-5.5", "openrouter", "groq", "demo", "echo", "ada", "default", "old", "codex", "kimi", "[1m]"]
#: Any text at all, and texts made of the pieces that mean something.
NAMES = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*WORDS, "/", ":", " ", "\x00", "é", "env", "none", "config"]), max_size=8).map("".join),
)
CALLERS = st.builds(
    Caller,
    subject=st.sampled_from(["ada", "bob"]),
    admin=st.booleans(),
    models=st.none() | st.lists(st.sampled_from(["*", "openai/*", "gpt-*", ""]), max_size=2).map(tuple),
    providers=st.none() | st.lists(st.sampled_from(["open*", "demo"]), max_size=2).map(tuple),
    profiles=st.none() | st.lists(st.sampled_from(["env:*", "openai:*"]), max_size=2).map(tuple),
)


@given(
    NAMES,
    st.none() | NAMES,
    CALLERS,
    st.sampled_from(["chat", "embeddings"]),
    st.sampled_from(["allow", "refuse"]),
    st.none() | NAMES,
)
def test_any_model_and_profile_give_attempts_or_a_documented_error_and_never_a_secret(
    model: str, profile: str | None, caller: Caller, operation: Any, policy: Any, default: str | None
) -> None:
    asked = manager(TOGETHER_API_KEY=f"{CANARY}-d", OPENROUTER_API_KEY=f"{CANARY}-e")
    rules = FallbackRules(order=HOUSE.fallback.order, subscription_to_metered=policy, max_attempts=3)
    house = snapshot(fallback=rules, default_model=default)
    discovered = {"together": {"gpt-5.5": Model("gpt-5.5"), "Odd/Name": Model("Odd/Name")}, "gone": {"x": Model("x")}}
    try:
        plan = asked.plan(
            house, model=model, caller=caller, operation=operation, preferred_profile=profile, discovered=discovered
        )
    except GatewayError as error:
        assert isinstance(error, CallerError | AccessDenied | NotConfigured)
        assert CANARY not in error.message + repr(error.details) + repr(error)
        assert len(error.message) < 3000
        error.message.encode("utf-8")
        return
    assert 1 <= len(plan.attempts) <= 3
    assert CANARY not in repr(plan)
    for attempt in plan.attempts:
        assert attempt.provider.api in CARRIED
        assert attempt.credential.provider == attempt.provider.id
        assert attempt.credential.id != "openai:ada" or caller.subject == "ada"
        assert attempt.model


@given(NAMES, NAMES)
def test_any_fall_back_entry_only_ever_adds_attempts(key: str, value: str) -> None:
    rules = FallbackRules(order={key: (value,), "openai": (value, key)})
    plan = manager().plan(snapshot(fallback=rules), model="openai/gpt-5.5", caller=ADMIN)
    assert plan.attempts[0].credential.id == "openai:default"
    assert CANARY not in repr(plan)


def test_every_provider_of_the_catalog_plans_or_says_what_it_lacks() -> None:
    empty = snapshot(profiles={}, order={})
    for provider in HOUSE.providers.values():
        key = provider.env_names[0] if provider.env_names else "UNUSED"
        try:
            plan = manager(**{key: CANARY}).plan(empty, model=f"{provider.id}/some-model", caller=ADMIN)
        except NotConfigured as error:
            assert provider.api not in CARRIED or not provider.env_names, error.message
        else:
            assert [each.provider.id for each in plan.attempts] == [provider.id] * len(plan.attempts)


def test_a_new_snapshot_is_seen_by_the_next_question() -> None:
    asked = manager()
    assert asked.plan(HOUSE, model="openai/x", caller=ADMIN).attempts[0].credential.source == "profile"
    with pytest.raises(NotConfigured):
        asked.plan(snapshot(profiles={}), model="openai/x", caller=ADMIN)
    assert asked.plan(HOUSE, model="openai/x", caller=ADMIN).attempts


def test_credentials_lists_what_is_tried_whatever_rests_and_what_is_passed_over() -> None:
    health = HealthTable()
    asked = manager(health, OPENAI_API_KEY=f"{CANARY}-env")
    openai = HOUSE.providers["openai"]
    credentials, _ = asked.credentials(HOUSE, openai, ADMIN)
    health.failed(credentials[0], "m", Fault("auth", UpstreamHTTPError("no")), 0.0)
    credentials, passed = asked.credentials(HOUSE, openai, ADMIN, "env:OPENAI_API_KEY")
    assert [each.id for each in credentials] == ["env:OPENAI_API_KEY", "openai:default"]
    assert [each.candidate for each in passed] == ["openai:missing", "openai:ada"]
    with pytest.raises(ProviderNotFound):
        asked.credentials(HOUSE, Provider("far", "demo", "api-key"), ADMIN)


def test_a_changed_listing_is_seen_under_its_new_names() -> None:
    asked = manager(TOGETHER_API_KEY=CANARY)
    for name in ("Alpha", "Beta"):
        plan = asked.plan(HOUSE, model=name.lower(), caller=ADMIN, discovered={"together": {name: Model(name)}})
        assert plan.attempts[0].model == name
