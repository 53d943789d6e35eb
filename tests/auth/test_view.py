"""What is worked out once per snapshot: spellings of names, who lists what, and which kind a model needs."""

from types import MappingProxyType
from typing import Any

import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.auth.view import View
from open_llm_auth.errors import ProviderKindNotSupported
from open_llm_auth.values import (
    EgressRules,
    FallbackRules,
    Model,
    Profile,
    Provider,
    ServerSettings,
    Snapshot,
    TokenTable,
)

KINDS = frozenset({"openai-completions"})


def row(provider_id: str, *listed: Model, **fields: Any) -> Provider:
    settings: dict[str, Any] = {"api": "openai-completions", "auth": "api-key", **fields}
    return Provider(provider_id, models=MappingProxyType({each.id: each for each in listed}), **settings)


def profile(profile_id: str, provider: str) -> Profile:
    return Profile(profile_id, provider, "api_key", parse_reference("k"))


def view(*rows: Provider, profiles: tuple[Profile, ...] = (), **fields: Any) -> View:
    snapshot = Snapshot(
        etag="1",
        providers={each.id: each for each in rows},
        aliases={"other": "lab"},
        profiles={each.id: each for each in profiles},
        tokens=TokenTable(),
        egress=EgressRules(),
        fallback=FallbackRules(),
        server=ServerSettings(),
        **{"order": {}, **fields},
    )
    return View(snapshot, KINDS)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("lab", ("lab", None)),
        (" LAB ", ("lab", None)),
        ("Other", ("lab", None)),
        ("lab:me", ("lab", "lab:me")),
        ("other:me", ("lab", "lab:me")),
        ("nosuch", None),
        ("nosuch:lab", None),
        ("", None),
        (":", None),
    ],
)
def test_a_provider_is_found_under_every_spelling(text: str, place: tuple[str, str | None] | None) -> None:
    found = view(row("lab")).provider_at(text)
    assert (None if found is None else (found[0].id, found[1])) == place


def test_the_runtimes_always_resolve_and_are_offered_only_when_configured() -> None:
    assert not view().entries["agent_bridge"].offered
    configured = row("agent_bridge", configured=True)
    assert view(configured).entries["agent_bridge"].provider is configured
    assert view(configured).entries["agent_bridge"].offered


def test_a_model_with_its_own_kind_is_served_by_the_provider_in_that_kind() -> None:
    entry = view(row("lab", Model("a"), Model("b", api="anthropic-messages"))).entries["lab"]
    kinds = KINDS | {"anthropic-messages"}
    assert entry.serving(None, kinds) is entry.provider
    assert entry.serving(Model("a"), kinds) is entry.provider
    assert entry.serving(entry.provider.models["b"], kinds).api == "anthropic-messages"
    with pytest.raises(ProviderKindNotSupported, match="'anthropic-messages'"):
        entry.serving(entry.provider.models["b"], KINDS)


def test_a_provider_is_offered_when_one_of_its_kinds_is_carried() -> None:
    mixed = row("lab", Model("a", api="openai-completions"), api="anthropic-messages")
    assert view(mixed).entries["lab"].offered
    assert not view(row("lab", api="anthropic-messages")).entries["lab"].offered


def test_ids_that_differ_in_case_only_are_listed_once_each_by_the_first() -> None:
    found = view(row("lab", Model("Big"), Model("BIG")))
    assert found.entries["lab"].by_key["big"].id == "Big"
    assert found.listing["big"] == ["lab"]


def test_an_order_finds_profiles_by_id_name_and_alias_and_notes_the_rest() -> None:
    own = (profile("lab:a", "lab"), profile("other:b", "other"), profile("loose", "lab"))
    order = {"other": ("lab:b", "loose", "a", "nosuch", "far:a"), "lab": ("lab:b", "loose", "a", "nosuch", "far:a")}
    entry = view(row("lab"), row("far"), profiles=(*own, profile("far:a", "far")), order=order).entries["lab"]
    assert [each.id for each in entry.candidates if each.source == "profile"] == ["other:b", "loose", "lab:a"]
    assert [each.candidate for each in entry.notes] == ["nosuch", "far:a"]


def test_active_providers_are_read_under_any_spelling() -> None:
    assert view(row("lab"), active_providers=frozenset({"Other"})).entries["lab"].active
    assert not view(row("lab"), active_providers=frozenset({"far"})).entries["lab"].active
