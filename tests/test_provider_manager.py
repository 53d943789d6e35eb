"""From a model name to a call, told as a story (SPEC §5): what a name means, which credentials are tried, what follows.

`House` is a configured gateway without its wires. `tries` says a plan in words: ``openai/gpt-5.5 with openai:default``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.auth.manager import ProviderManager
from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.errors import (
    GatewayError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    NoCredentials,
    NotConfigured,
    ProfileNotFound,
    ProfileOwnerMismatch,
    ProviderKindNotSupported,
    ProviderNotFound,
    SecretUnavailable,
    UpstreamHTTPError,
)
from open_llm_auth.testing.clock import ManualClock
from open_llm_auth.values import (
    Attempt,
    Caller,
    EgressRules,
    Endpoint,
    FallbackRules,
    Fault,
    FaultKind,
    Model,
    Plan,
    Profile,
    Provider,
    Secret,
    SecretRef,
    ServerSettings,
    Snapshot,
    TokenTable,
)

ADA = Caller("ada", frozenset({"write"}))
BOB = Caller("bob", frozenset({"write"}))
ADMIN = Caller("root", admin=True)

CARRIED = frozenset({"openai-completions", "demo"})


def models(*ids: str) -> Mapping[str, Model]:
    return MappingProxyType({each: Model(each) for each in ids})


def provider(provider_id: str, *ids: str, api: str = "openai-completions", **fields: Any) -> Provider:
    """A row with an address and one variable of its own, unless `fields` say otherwise."""
    host = provider_id.replace("_", "-")
    settings: dict[str, Any] = {
        "auth": "api-key",
        "base_url": f"https://{host}.example/v1",
        "endpoint": Endpoint("https", f"{host}.example", 443, "/v1"),
        "env_names": (f"{provider_id.upper().replace('-', '_')}_API_KEY",),
        **fields,
    }
    return Provider(provider_id, api, models=models(*ids), **settings)


NO_ADDRESS: dict[str, Any] = {"base_url": "", "endpoint": None}

CATALOG = (
    provider("anthropic", "claude-opus-4-7", api="anthropic-messages"),
    provider("codex-cli", "gpt-5.5", api="codex-cli", auth="cli", self_activating=False, **NO_ADDRESS),
    provider("demo", "echo", api="demo", auth_header=False, billing="free", **NO_ADDRESS),
    provider("google", "gemini-2.5-pro"),
    provider("groq", "llama-3.3-70b", "shared-model"),
    provider("minimax", "MiniMax-M2.5", api="anthropic-messages"),
    provider("moonshot", "kimi-k2.6"),
    provider("ollama", "nomic-embed-text", key_optional=True, self_activating=False, billing="local"),
    provider("openai", "gpt-5.5", "gpt-5.4-mini"),
    provider("openai-codex", "gpt-5.5", api="openai-codex-responses", auth="oauth", billing="subscription"),
    provider("openrouter", "auto", "shared-model", "openai/gpt-5.2"),
    provider("together", "zai-org/GLM-4.7"),
    provider("zai", "glm-5", preferred=True, env_names=("ZAI_API_KEY",)),
    provider("zai-coding", "glm-5", env_names=("ZAI_API_KEY",), billing="subscription"),
)

ALIASES = MappingProxyType({"codex": "openai-codex", "chatgpt": "openai-codex", "z.ai": "zai"})


class Environment:
    """A SecretSource over a dictionary."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)

    def get(self, ref: SecretRef) -> Secret:
        place = ref.place.reveal()
        if ref.scheme == "literal":
            return Secret(self.variables.get(place, place)) if ref.maybe_env else ref.place
        if ref.scheme == "env" and place in self.variables:
            return Secret(self.variables[place])
        raise SecretUnavailable(f"{ref.label} is not set")

    def environment(self, name: str) -> Secret | None:
        return Secret(self.variables[name]) if self.variables.get(name) else None


class House:
    """A gateway with this environment, these stored profiles and this config."""

    def __init__(
        self,
        *profiles: Profile,
        env: Mapping[str, str] | None = None,
        extra: Sequence[Provider] = (),
        order: Mapping[str, tuple[str, ...]] | None = None,
        fallback: Mapping[str, tuple[str, ...]] | None = None,
        rules: FallbackRules | None = None,
        active: frozenset[str] | None = None,
        default: str | None = None,
        kinds: frozenset[str] = CARRIED,
    ) -> None:
        self.env = Environment(env or {})
        self.health = HealthTable()
        self.clock = ManualClock()
        self.manager = ProviderManager(self.env, self.health, self.clock, kinds)
        self.snapshot = Snapshot(
            etag="1",
            providers={row.id: row for row in (*CATALOG, *extra)},
            aliases=ALIASES,
            profiles={each.id: each for each in profiles},
            order=order or {},
            tokens=TokenTable(),
            egress=EgressRules(),
            fallback=rules or FallbackRules(order=fallback or {}),
            server=ServerSettings(),
            active_providers=active,
            default_model=default,
        )

    def plan(self, model: str | None, *, caller: Caller = ADA, profile: str | None = None, **more: Any) -> Plan:
        return self.manager.plan(self.snapshot, model=model, caller=caller, preferred_profile=profile, **more)

    def tries(self, model: str | None, **more: Any) -> list[str]:
        return [said(each) for each in self.plan(model, **more).attempts]

    def passed_over(self, model: str | None, **more: Any) -> dict[str, str]:
        return {each.candidate: each.reason for each in self.plan(model, **more).passed_over}

    def usable(self, caller: Caller = ADA) -> list[str]:
        return [each.id for each in self.manager.usable(self.snapshot, caller)]

    def models(self, caller: Caller = ADA, **more: Any) -> list[str]:
        return [f"{p.id}/{m.id}" for p, m in self.manager.models(self.snapshot, caller, **more)]

    def fails(self, attempt: Attempt, kind: FaultKind, retry_after: float | None = None) -> None:
        fault = Fault(kind, UpstreamHTTPError("no"), None, retry_after)
        self.health.failed(attempt.credential, attempt.model, fault, self.clock.monotonic())


def said(attempt: Attempt) -> str:
    return f"{attempt.provider.id}/{attempt.model} with {attempt.credential.id}"


def stored(profile_id: str, secret: str = "", kind: str = "api_key", **fields: Any) -> Profile:
    """A profile whose id names its provider; its secret is its own id unless given."""
    fields.setdefault("provider", profile_id.partition(":")[0])
    return Profile(profile_id, type=kind, secret=parse_reference(secret or f"sk-{profile_id}"), **fields)  # type: ignore[arg-type]


OPENAI = {"OPENAI_API_KEY": "sk-env"}


# -- What a name means -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["openai/gpt-5.5", "OpenAI/gpt-5.5", " openai/gpt-5.5 ", "openai/gpt-5.5[1m]", "gpt-5.5", "GPT-5.5", "gpt-5.5[1M]"],
)
def test_many_spellings_are_one_model(name: str) -> None:
    assert House(env=OPENAI).tries(name) == ["openai/gpt-5.5 with env:OPENAI_API_KEY"]


def test_the_plan_remembers_what_was_asked_for() -> None:
    assert House(env=OPENAI).plan("gpt-5.5[1m]").requested == "gpt-5.5[1m]"


def test_an_alias_names_its_provider() -> None:
    assert House(env={"ZAI_API_KEY": "k"}).tries("z.ai/glm-5") == ["zai/glm-5 with env:ZAI_API_KEY"]


def test_a_reference_is_split_at_its_first_slash_only() -> None:
    house = House(env={"OPENROUTER_API_KEY": "k"})
    assert house.tries("openrouter/openai/gpt-5.2") == ["openrouter/openai/gpt-5.2 with env:OPENROUTER_API_KEY"]


def test_an_explicit_model_is_sent_even_if_nobody_lists_it() -> None:
    assert House(env=OPENAI).tries("openai/Brand-New") == ["openai/Brand-New with env:OPENAI_API_KEY"]


def test_an_explicit_name_in_another_case_goes_out_as_the_provider_spells_it() -> None:
    assert House(env={"TOGETHER_API_KEY": "k"}).tries("together/ZAI-ORG/glm-4.7") == [
        "together/zai-org/GLM-4.7 with env:TOGETHER_API_KEY"
    ]


def test_a_bare_id_may_hold_a_slash_when_its_left_part_is_no_provider() -> None:
    house = House(env={"TOGETHER_API_KEY": "k"})
    assert house.tries("zai-org/glm-4.7") == ["together/zai-org/GLM-4.7 with env:TOGETHER_API_KEY"]


def test_replaced_models_refuse_everything_else() -> None:
    house = House(env={"MINE_API_KEY": "k"}, extra=[provider("mine", "one", replaces_models=True, configured=True)])
    assert house.tries("mine/one") == ["mine/one with env:MINE_API_KEY"]
    with pytest.raises(ModelNotFound, match=r"models\.mode is 'replace'") as caught:
        house.plan("mine/ones")
    assert caught.value.details == {"closest": ["mine/one"]}
    with pytest.raises(ModelNotFound):
        house.plan("mine/found", discovered={"mine": models("found")})


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("gpt-99-turbo", "openai"),
        ("o7", "openai"),
        ("o3-mini", "openai"),
        ("gemini-9", "google"),
        ("Kimi-x", "moonshot"),
    ],
)
def test_an_unlisted_bare_id_goes_to_the_family_its_name_tells(name: str, owner: str) -> None:
    house = House(env={"OPENAI_API_KEY": "a", "GOOGLE_API_KEY": "b", "MOONSHOT_API_KEY": "c"})
    assert [each.provider.id for each in house.plan(name).attempts] == [owner]


@pytest.mark.parametrize("name", ["octopus", "oops", "gpt", "gpt-", "claude", "my-gpt-4"])
def test_a_name_that_only_resembles_a_family_is_unknown(name: str) -> None:
    with pytest.raises(ModelNotFound):
        House(env=OPENAI).plan(name)


def test_an_unknown_bare_id_is_404_with_what_it_may_have_meant_and_never_the_default() -> None:
    house = House(env={"GROQ_API_KEY": "k"}, default="groq/llama-3.3-70b")
    with pytest.raises(ModelNotFound, match=r"Did you mean 'groq/llama-3\.3-70b'") as caught:
        house.plan("llama-3.3-7b")
    assert caught.value.details == {"closest": ["groq/llama-3.3-70b"]}
    assert caught.value.param == "model"


def test_a_model_of_a_provider_without_a_credential_says_whose_it_is() -> None:
    with pytest.raises(ModelNotFound, match="open-llm-auth auth add-api-key groq") as caught:
        House(env=OPENAI).plan("llama-3.3-70b")
    assert caught.value.details["providers"] == ["groq"]


def test_an_unknown_provider_is_404_provider_not_found() -> None:
    with pytest.raises(ProviderNotFound, match="Unknown provider 'nosuch'") as caught:
        House(env=OPENAI).plan("nosuch/gpt-5.5")
    assert (caught.value.status, caught.value.code) == (404, "provider_not_found")


@pytest.mark.parametrize("name", ["openai/", "openai/ ", "openai/[1m]"])
def test_a_reference_without_a_model_is_404(name: str) -> None:
    with pytest.raises(ModelNotFound, match="after the slash"):
        House(env=OPENAI).plan(name)


def test_several_usable_providers_make_a_bare_id_ambiguous() -> None:
    house = House(env={"GROQ_API_KEY": "a", "OPENROUTER_API_KEY": "b"})
    with pytest.raises(ModelNotFound) as caught:
        house.plan("shared-model")
    assert caught.value.details == {"candidates": ["groq/shared-model", "openrouter/shared-model"]}
    assert "'groq/shared-model', 'openrouter/shared-model'" in caught.value.message


def test_only_usable_providers_make_it_ambiguous() -> None:
    assert House(env={"GROQ_API_KEY": "a"}).tries("shared-model") == ["groq/shared-model with env:GROQ_API_KEY"]


def test_a_preferred_profile_settles_an_ambiguous_name() -> None:
    house = House(stored("openrouter:work"), env={"GROQ_API_KEY": "a"})
    assert house.tries("shared-model", profile="openrouter:work") == ["openrouter/shared-model with openrouter:work"]


def test_what_the_caller_may_use_settles_an_ambiguous_name() -> None:
    house = House(env={"GROQ_API_KEY": "a", "OPENROUTER_API_KEY": "b"})
    only = Caller("eve", frozenset({"write"}), providers=("openrouter",))
    assert house.tries("shared-model", caller=only) == ["openrouter/shared-model with env:OPENROUTER_API_KEY"]


def test_of_providers_that_share_a_key_the_preferred_one_has_the_bare_id() -> None:
    assert House(env={"ZAI_API_KEY": "k"}).tries("glm-5") == ["zai/glm-5 with env:ZAI_API_KEY"]


def test_preferred_says_nothing_where_the_keys_differ() -> None:
    house = House(stored("zai-coding:plan"), stored("zai:default"))
    with pytest.raises(ModelNotFound) as caught:
        house.plan("glm-5")
    assert caught.value.details == {"candidates": ["zai/glm-5", "zai-coding/glm-5"]}


def test_an_ambiguous_family_member_is_the_familys_own() -> None:
    mirror = provider("mirror", "gpt-5.5")
    assert House(env={**OPENAI, "MIRROR_API_KEY": "k"}, extra=[mirror]).tries("gpt-5.5") == [
        "openai/gpt-5.5 with env:OPENAI_API_KEY"
    ]


def test_a_discovered_model_answers_to_its_bare_id() -> None:
    house = House(extra=[provider("lab", configured=True, auth_header=False)])
    discovered = {"lab": models("Tiny-Random")}
    assert house.tries("tiny-random", discovered=discovered) == ["lab/Tiny-Random with none:lab"]
    assert house.tries("lab/tiny-random", discovered=discovered) == ["lab/Tiny-Random with none:lab"]
    assert house.models(discovered=discovered) == ["lab/Tiny-Random"]


def test_a_provider_outside_active_provider_ids_is_as_good_as_absent() -> None:
    house = House(env={**OPENAI, "GROQ_API_KEY": "k"}, active=frozenset({"groq"}))
    assert house.usable() == ["groq"]
    with pytest.raises(ProviderNotFound, match="activeProviderIds"):
        house.plan("openai/gpt-5.5")
    with pytest.raises(ModelNotFound):
        house.plan("gpt-5.5")


@pytest.mark.parametrize(
    "name",
    [
        "anthropic/claude-opus-4-7",
        "claude-new",
        "minimax/M",
        "openai-codex/gpt-5.5",
        "codex/gpt-5.5",
        "agent/assistant",
    ],
)
def test_a_kind_this_release_does_not_carry_is_501_and_not_listed(name: str) -> None:
    house = House(env={"ANTHROPIC_API_KEY": "k", "MINIMAX_API_KEY": "k", "OPENAI_CODEX_API_KEY": "k"})
    with pytest.raises(ProviderKindNotSupported) as caught:
        house.plan(name)
    assert (caught.value.status, caught.value.code) == (501, "provider_kind_not_supported")
    assert house.usable() == ["demo"]


# -- No model named, and nothing set up --------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_the_default_model_serves_when_the_request_names_none(nothing: str | None) -> None:
    assert House(env=OPENAI, default="openai/gpt-5.5").plan(nothing).requested == "openai/gpt-5.5"


def test_without_a_default_a_request_that_names_no_model_is_at_fault() -> None:
    with pytest.raises(InvalidRequest, match="models set-default") as caught:
        House(env=OPENAI).plan(None)
    assert caught.value.param == "model"


def test_with_nothing_usable_the_demo_is_listed_and_is_the_default() -> None:
    house = House()
    assert house.tries(None) == ["demo/echo with none:demo"]
    assert house.tries("echo") == ["demo/echo with none:demo"]
    assert house.usable() == ["demo"]
    assert house.models() == ["demo/echo"]


def test_the_demo_steps_back_as_soon_as_something_is_usable_and_still_answers_to_its_full_name() -> None:
    house = House(env=OPENAI)
    assert "demo" not in house.usable()
    assert "demo/echo" not in house.models()
    assert house.tries("demo/echo") == ["demo/echo with none:demo"]
    with pytest.raises(ModelNotFound):
        house.plan("echo")


def test_active_provider_ids_can_switch_the_demo_off() -> None:
    house = House(active=frozenset({"openai"}))
    assert house.usable() == []
    with pytest.raises(ProviderNotFound):
        house.plan("demo/echo")
    with pytest.raises(InvalidRequest):
        house.plan(None)


def test_a_key_that_appears_is_used_by_the_next_call() -> None:
    house = House()
    with pytest.raises(NoCredentials):
        house.plan("openai/gpt-5.5")
    house.env.variables["OPENAI_API_KEY"] = "sk-new"
    assert house.tries("openai/gpt-5.5") == ["openai/gpt-5.5 with env:OPENAI_API_KEY"]
    house.env.variables["OPENAI_API_KEY"] = "sk-newer"
    assert house.plan("openai/gpt-5.5").attempts[0].credential.secret == Secret("sk-newer")


# -- Credentials, in order ---------------------------------------------------------------------------------------


def test_credentials_are_tried_in_the_documented_order() -> None:
    row = provider(
        "lab", "m", env_names=("LAB_KEY", "LAB_API_KEY"), api_key=parse_reference("sk-config"), configured=True
    )
    house = House(
        stored("lab:key"),
        stored("lab:token", kind="token"),
        stored("lab:login", kind="oauth"),
        stored("lab:second"),
        stored("lab:first"),
        stored("lab:mine"),
        env={"LAB_API_KEY": "e2", "LAB_KEY": "e1"},
        extra=[row],
        order={"lab": ("lab:first", "lab:second")},
        rules=FallbackRules(max_attempts=20),
    )
    assert [each.credential.id for each in house.plan("lab/m", profile="mine").attempts] == [
        "lab:mine",
        "lab:first",
        "lab:second",
        "lab:login",
        "lab:token",
        "lab:key",
        "env:LAB_KEY",
        "env:LAB_API_KEY",
        "config:lab",
    ]


def test_the_variables_of_a_provider_are_tried_in_the_order_it_names_them() -> None:
    row = provider("my-llm.x", "m", env_names=("OTHER_KEY", "MY_LLM_X_API_KEY"))
    house = House(env={"MY_LLM_X_API_KEY": "a", "OTHER_KEY": "b"}, extra=[row])
    assert house.tries("my-llm.x/m") == ["my-llm.x/m with env:OTHER_KEY", "my-llm.x/m with env:MY_LLM_X_API_KEY"]


def test_the_same_secret_is_tried_once() -> None:
    house = House(stored("openai:default", "env:OPENAI_API_KEY"), stored("openai:copy", "sk-env"), env=OPENAI)
    assert house.tries("openai/gpt-5.5") == ["openai/gpt-5.5 with openai:default"]
    assert house.passed_over("openai/gpt-5.5") == {
        "openai:copy": "the same credential as 'openai:default'",
        "env:OPENAI_API_KEY": "the same credential as 'openai:default'",
    }


def test_the_same_secret_at_another_address_is_another_credential() -> None:
    elsewhere = Endpoint("https", "eu.example", 443, "/v1")
    house = House(stored("openai:eu", "sk-env", base_url="https://eu.example/v1", endpoint=elsewhere), env=OPENAI)
    first, second = house.plan("openai/gpt-5.5").attempts
    assert (first.credential.endpoint, second.credential.endpoint) == (elsewhere, None)


@pytest.mark.parametrize("preferred", ["openai:work", "work", " work ", "OpenAI:work"])
def test_a_preferred_profile_goes_first_and_the_others_stand_behind_it(preferred: str) -> None:
    house = House(stored("openai:default"), stored("openai:work"))
    assert house.tries("gpt-5.5", profile=preferred) == [
        "openai/gpt-5.5 with openai:work",
        "openai/gpt-5.5 with openai:default",
    ]


def test_a_profile_within_the_reference_goes_before_the_header() -> None:
    house = House(stored("openai:default"), stored("openai:work"))
    assert house.tries("openai:work/gpt-5.5", profile="default")[0] == "openai/gpt-5.5 with openai:work"


def test_what_x_gateway_profile_showed_can_be_preferred() -> None:
    house = House(stored("openai:default"), env=OPENAI)
    assert house.tries("gpt-5.5", profile="env:OPENAI_API_KEY")[0] == "openai/gpt-5.5 with env:OPENAI_API_KEY"


def test_a_profile_stored_under_an_alias_is_found_under_the_providers_id() -> None:
    house = House(stored("codex:me", kind="oauth"), kinds=CARRIED | {"openai-codex-responses"})
    for name in ("openai-codex:me", "codex:me", "chatgpt:me", "me"):
        assert house.tries("openai-codex/gpt-5.5", profile=name) == ["openai-codex/gpt-5.5 with codex:me"]


@pytest.mark.parametrize("name", ["nosuch", "openai:nosuch", "groq:default", "default:openai", ":", "openai:"])
def test_a_preferred_profile_that_is_not_the_providers_is_404_and_never_another_one(name: str) -> None:
    house = House(stored("openai:default"), stored("groq:default"))
    with pytest.raises(ProfileNotFound) as caught:
        house.plan("openai/gpt-5.5", profile=name)
    assert (caught.value.status, caught.value.code) == (404, "profile_not_found")
    with pytest.raises(ProfileNotFound):
        house.plan("openai:nosuch/gpt-5.5")


def test_a_profile_of_another_owner_is_403_when_preferred_and_passed_over_otherwise() -> None:
    house = House(stored("openai:ada", owner="ada"), env=OPENAI)
    assert house.tries("gpt-5.5", caller=ADA)[0] == "openai/gpt-5.5 with openai:ada"
    assert house.tries("gpt-5.5", caller=BOB) == ["openai/gpt-5.5 with env:OPENAI_API_KEY"]
    assert house.passed_over("gpt-5.5", caller=BOB) == {"openai:ada": "it belongs to 'ada'"}
    for other in (BOB, ADMIN):
        with pytest.raises(ProfileOwnerMismatch) as caught:
            house.plan("gpt-5.5", caller=other, profile="openai:ada")
        assert (caught.value.status, caught.value.code) == (403, "profile_owner_mismatch")


def test_a_provider_is_usable_for_the_owner_of_its_only_profile_alone() -> None:
    house = House(stored("openai:ada", owner="ada"))
    assert (house.usable(ADA), house.usable(BOB)) == (["openai"], ["demo"])


def test_an_expired_sign_in_is_passed_over_and_the_reason_names_the_repair() -> None:
    house = House(env=OPENAI)
    now_ms = int(house.clock.now() * 1000)
    login = stored("openai:login", kind="oauth", expires=now_ms - 3 * 3_600_000)
    fresh = stored("openai:fresh", kind="oauth", expires=now_ms + 60_000)
    house = House(login, fresh, env=OPENAI)
    assert house.tries("gpt-5.5")[0] == "openai/gpt-5.5 with openai:fresh"
    assert house.passed_over("gpt-5.5") == {
        "openai:login": "it expired 3 h ago; renew it with: open-llm-auth auth add-oauth openai"
    }
    house.clock.advance(60)
    assert house.tries("gpt-5.5") == ["openai/gpt-5.5 with env:OPENAI_API_KEY"]


def test_a_reference_that_can_not_be_resolved_is_passed_over_with_the_reason() -> None:
    house = House(stored("openai:default", "env:GONE"), env=OPENAI)
    assert house.tries("gpt-5.5") == ["openai/gpt-5.5 with env:OPENAI_API_KEY"]
    assert house.passed_over("gpt-5.5") == {"openai:default": "env:GONE is not set"}


def test_an_order_that_names_a_missing_profile_is_reported_and_harmless() -> None:
    house = House(stored("openai:default"), order={"openai": ("openai:gone", "openai:default")})
    assert house.tries("gpt-5.5") == ["openai/gpt-5.5 with openai:default"]
    assert "authOrder lists it" in house.passed_over("gpt-5.5")["openai:gone"]


@pytest.mark.parametrize("kind", ["aws-sdk", "cli"])
def test_profiles_without_a_secret_of_their_own_serve_only_providers_of_their_sort(kind: str) -> None:
    house = House(stored("openai:x", kind=kind), env=OPENAI)
    assert f"serve only providers whose 'auth' is {kind!r}" in house.passed_over("gpt-5.5")["openai:x"]


def test_a_provider_without_a_credential_is_403_with_the_command_that_repairs_it() -> None:
    with pytest.raises(NoCredentials, match="open-llm-auth auth add-api-key openai") as caught:
        House().plan("openai/gpt-5.5")
    assert (caught.value.status, caught.value.code) == (403, "no_credentials")
    assert caught.value.details == {
        "provider": "openai",
        "command": "open-llm-auth auth add-api-key openai",
        "environment": ["OPENAI_API_KEY"],
    }


def test_only_an_admin_is_told_which_candidates_there_are() -> None:
    house = House(stored("openai:default", "env:GONE"))
    with pytest.raises(NoCredentials) as caught:
        house.plan("openai/gpt-5.5", caller=ADMIN)
    assert caught.value.details["passedOver"] == [{"candidate": "openai:default", "reason": "env:GONE is not set"}]
    with pytest.raises(NoCredentials) as caught:
        house.plan("openai/gpt-5.5", caller=ADA)
    assert "GONE" not in caught.value.message + repr(caught.value.details)


def test_a_provider_without_an_address_says_which_setting_it_needs() -> None:
    house = House(env={"HOLLOW_API_KEY": "k"}, extra=[provider("hollow", "m", **NO_ADDRESS)])
    with pytest.raises(NotConfigured, match=r"providers\.hollow\.baseUrl"):
        house.plan("hollow/m")
    assert "hollow" not in house.usable()


def test_a_profile_brings_its_own_address() -> None:
    endpoint = Endpoint("https", "own.example", 443, "")
    house = House(
        stored("hollow:me", base_url="https://own.example", endpoint=endpoint),
        extra=[provider("hollow", "m", **NO_ADDRESS)],
    )
    assert house.plan("hollow/m").attempts[0].credential.endpoint == endpoint


# -- Local backends ----------------------------------------------------------------------------------------------


def test_a_local_backend_is_not_usable_by_being_in_the_catalog() -> None:
    house = House()
    assert "ollama" not in house.usable()
    with pytest.raises(NoCredentials, match="open-llm-auth auth configure"):
        house.plan("ollama/llama3:8b")


def test_a_local_backend_wakes_by_config_and_sends_no_credential() -> None:
    house = House(extra=[provider("ollama", key_optional=True, self_activating=False, configured=True)])
    attempt = house.plan("ollama/llama3:8b").attempts[0]
    assert said(attempt) == "ollama/llama3:8b with none:ollama"
    assert (attempt.credential.secret, attempt.credential.source, attempt.credential.type) == (None, "none", "none")


def test_a_local_backend_wakes_by_a_key_and_is_sent_it() -> None:
    assert House(env={"OLLAMA_API_KEY": "k"}).tries("ollama/llama3") == ["ollama/llama3 with env:OLLAMA_API_KEY"]


def test_a_local_backend_that_is_told_to_send_none_sends_none() -> None:
    house = House(
        extra=[provider("ollama", auth_header=False, self_activating=False, configured=True)],
        env={"OLLAMA_API_KEY": "k"},
    )
    assert house.tries("ollama/llama3") == ["ollama/llama3 with none:ollama"]


def test_a_header_less_provider_is_asked_once_per_address() -> None:
    far = Endpoint("http", "10.0.0.5", 11434, "/v1")
    house = House(
        stored("ollama:a"),
        stored("ollama:far", base_url="http://10.0.0.5:11434/v1", endpoint=far),
        extra=[provider("ollama", auth_header=False, self_activating=False, configured=True)],
    )
    assert house.tries("ollama/m") == ["ollama/m with ollama:a", "ollama/m with ollama:far"]


# -- Keys that are none ------------------------------------------------------------------------------------------


def test_a_token_of_the_gateway_is_no_key_of_a_provider_wherever_a_client_keeps_it() -> None:
    """Clients read OPENAI_API_KEY, so that is where people put the token, in the shell that starts the gateway too."""
    house = House(env={"OPENAI_API_KEY": "ola_" + "a" * 43})
    assert "openai" not in house.usable()
    with pytest.raises(NoCredentials, match="a token of this gateway"):
        house.plan("openai/gpt-5.5", caller=ADMIN)


def test_a_misspelt_provider_is_told_the_closest_ones() -> None:
    with pytest.raises(ProviderNotFound) as caught:
        House(env=OPENAI).plan("opnai/gpt-5.5")
    assert caught.value.details["closest"][0] == "openai/gpt-5.5"


# -- A sign-in that stands in ------------------------------------------------------------------------------------

CODEX = CARRIED | {"openai-codex-responses"}


def test_without_an_openai_key_a_codex_sign_in_serves_gpt_models() -> None:
    house = House(stored("openai-codex:me", kind="oauth"), kinds=CODEX)
    assert house.tries("openai/gpt-5.4-mini") == ["openai-codex/gpt-5.4-mini with openai-codex:me"]
    assert house.tries("gpt-99") == ["openai-codex/gpt-99 with openai-codex:me"]


def test_with_an_openai_key_the_codex_sign_in_stays_out_of_it() -> None:
    house = House(stored("openai-codex:me", kind="oauth"), env=OPENAI, kinds=CODEX)
    assert house.tries("openai/gpt-5.5") == ["openai/gpt-5.5 with env:OPENAI_API_KEY"]


@pytest.mark.parametrize(("name", "kinds"), [("openai/o3", CODEX), ("openai/gpt-5.5", CARRIED)])
def test_it_serves_gpt_models_only_and_only_where_its_kind_is_carried(name: str, kinds: frozenset[str]) -> None:
    with pytest.raises(NoCredentials, match="add-api-key openai"):
        House(stored("openai-codex:me", kind="oauth"), kinds=kinds).plan(name)


# -- Fail-over ---------------------------------------------------------------------------------------------------

KEYS = {**OPENAI, "GROQ_API_KEY": "g", "OPENROUTER_API_KEY": "r"}
PRIMARY = "openai/gpt-5.5 with env:OPENAI_API_KEY"


@pytest.mark.parametrize("key", ["chat:openai/gpt-5.5", "chat:openai", "openai/gpt-5.5", "openai", "gpt-5.5"])
def test_every_kind_of_key_names_the_fall_backs(key: str) -> None:
    house = House(env=KEYS, fallback={key: ("groq/llama-3.3-70b",)})
    assert house.tries("gpt-5.5") == [PRIMARY, "groq/llama-3.3-70b with env:GROQ_API_KEY"]
    assert [each.fallback for each in house.plan("gpt-5.5").attempts] == [False, True]


def test_the_most_specific_key_decides_alone() -> None:
    order = {"gpt-5.5": ("groq/e",), "openai": ("groq/d",), "openai/gpt-5.5": ("groq/c",), "chat:openai": ("groq/b",)}
    house = House(env=KEYS, fallback=order)
    assert house.tries("gpt-5.5")[1:] == ["groq/b with env:GROQ_API_KEY"]
    house = House(env=KEYS, fallback={**order, "chat:openai/gpt-5.5": ()})
    assert house.tries("gpt-5.5") == [PRIMARY]


def test_embeddings_have_their_own_prefix() -> None:
    house = House(env=KEYS, fallback={"chat:openai": ("groq/a",), "embeddings:openai": ("groq/b",)})
    assert house.tries("openai/x", operation="embeddings")[1:] == ["groq/b with env:GROQ_API_KEY"]


def test_values_are_references_profiles_bare_ids_or_a_provider_for_the_same_model() -> None:
    house = House(
        stored("groq:work"),
        env=KEYS,
        fallback={"openai": ("openrouter", "groq:work", "auto", "groq/llama-3.3-70b")},
        rules=None,
    )
    assert house.tries("openai/gpt-5.5") == [
        PRIMARY,
        "openrouter/gpt-5.5 with env:OPENROUTER_API_KEY",
        "groq/gpt-5.5 with groq:work",
        "groq/gpt-5.5 with env:GROQ_API_KEY",
        "openrouter/auto with env:OPENROUTER_API_KEY",
        "groq/llama-3.3-70b with groq:work",
    ]


def test_at_most_max_attempts_are_made() -> None:
    rules = FallbackRules(order={"openai": ("groq", "openrouter")}, max_attempts=2)
    assert len(House(env=KEYS, rules=rules).tries("gpt-5.5")) == 2
    assert len(House(env=KEYS, rules=FallbackRules(max_attempts=0)).tries("gpt-5.5")) == 1


def test_an_entry_that_can_not_be_used_is_passed_over_with_the_reason() -> None:
    house = House(
        env=OPENAI, fallback={"openai": ("groq", "nosuch/x", "claude-x", "openai:nosuch/gpt-5.5", "openai/gpt-5.5")}
    )
    assert house.tries("gpt-5.5") == [PRIMARY]
    passed = house.passed_over("gpt-5.5")
    assert list(passed) == ["groq", "nosuch/x", "claude-x", "openai:nosuch/gpt-5.5"]
    assert "add-api-key groq" in passed["groq"]


def test_disabled_fall_back_keeps_to_the_provider_and_still_tries_each_of_its_credentials() -> None:
    rules = FallbackRules(enabled=False, order={"openai": ("groq",)})
    house = House(stored("openai:default"), env=KEYS, rules=rules)
    assert house.tries("gpt-5.5") == ["openai/gpt-5.5 with openai:default", PRIMARY]


def test_fall_backs_serve_when_the_primary_has_no_credential_at_all() -> None:
    house = House(env={"GROQ_API_KEY": "g"}, fallback={"openai": ("groq",), "anthropic": ("groq",)})
    assert house.tries("openai/gpt-5.5") == ["groq/gpt-5.5 with env:GROQ_API_KEY"]
    assert house.tries("anthropic/x") == ["groq/x with env:GROQ_API_KEY"]


def subscription_house(policy: Any, *profiles: Profile) -> House:
    rules = FallbackRules(order={"zai-coding": ("groq/llama-3.3-70b",)}, subscription_to_metered=policy)
    return House(*profiles, env={"GROQ_API_KEY": "g"}, rules=rules)


def test_a_subscription_falls_to_a_metered_key_unless_that_is_refused() -> None:
    plan = stored("zai-coding:plan")
    assert len(subscription_house("allow", plan).tries("zai-coding/glm-5")) == 2
    house = subscription_house("refuse", plan)
    assert house.tries("zai-coding/glm-5") == ["zai-coding/glm-5 with zai-coding:plan"]
    assert "subscriptionToMetered" in house.passed_over("zai-coding/glm-5")["groq/llama-3.3-70b with env:GROQ_API_KEY"]


def test_a_refused_fall_stays_refused_while_the_subscription_cools() -> None:
    house = subscription_house("refuse", stored("zai-coding:plan"))
    house.fails(house.plan("zai-coding/glm-5").attempts[0], "rate_limit")
    assert house.tries("zai-coding/glm-5") == ["zai-coding/glm-5 with zai-coding:plan"]


def test_an_expired_subscription_does_not_fall_to_a_metered_key_either() -> None:
    house = subscription_house("refuse", stored("zai-coding:plan", expires=1))
    with pytest.raises(NoCredentials) as caught:
        house.plan("zai-coding/glm-5")
    assert caught.value.code == "no_credentials"
    assert len(subscription_house("allow", stored("zai-coding:plan", expires=1)).tries("zai-coding/glm-5")) == 1


# -- Health ------------------------------------------------------------------------------------------------------


def test_a_cooling_credential_is_skipped_while_another_is_usable() -> None:
    house = House(stored("openai:default"), env=OPENAI)
    first = house.plan("gpt-5.5").attempts[0]
    house.fails(first, "rate_limit")
    assert house.tries("gpt-5.5") == [PRIMARY]
    assert house.passed_over("gpt-5.5") == {"openai/gpt-5.5 with openai:default": "it rests for another 60 s"}
    assert len(house.tries("gpt-5.4-mini")) == 2, "another model of it does not rest"
    house.clock.advance(60)
    assert house.tries("gpt-5.5")[0] == "openai/gpt-5.5 with openai:default"


def test_when_all_cool_the_soonest_is_tried_first_and_an_invalid_one_not_at_all() -> None:
    house = House(stored("openai:a"), stored("openai:b"), stored("openai:c"))
    a, b, c = house.plan("gpt-5.5").attempts
    house.fails(a, "rate_limit", 50.0)
    house.fails(b, "rate_limit", 20.0)
    house.fails(c, "auth")
    assert house.tries("gpt-5.5") == ["openai/gpt-5.5 with openai:b", "openai/gpt-5.5 with openai:a"]


def test_when_every_credential_is_invalid_they_are_tried_all_the_same() -> None:
    house = House(stored("openai:a"))
    house.fails(house.plan("gpt-5.5").attempts[0], "auth")
    assert house.tries("gpt-5.5") == ["openai/gpt-5.5 with openai:a"]


def test_a_rejected_key_is_tried_again_once_it_was_replaced() -> None:
    house = House(stored("openai:a", "env:A"), env={"A": "old", **OPENAI})
    house.fails(house.plan("gpt-5.5").attempts[0], "auth")
    assert house.tries("gpt-5.5") == [PRIMARY]
    house.env.variables["A"] = "new"
    assert house.tries("gpt-5.5")[0] == "openai/gpt-5.5 with openai:a"


def test_a_cooling_primary_gives_way_to_a_fall_back() -> None:
    house = House(env=KEYS, fallback={"openai": ("groq/x",)})
    house.fails(house.plan("gpt-5.5").attempts[0], "rate_limit")
    assert house.tries("gpt-5.5") == ["groq/x with env:GROQ_API_KEY"]


# -- What a token may use ----------------------------------------------------------------------------------------


def test_attempts_outside_the_allow_lists_are_dropped() -> None:
    house = House(stored("openai:default"), env=KEYS, fallback={"openai": ("groq/x", "openrouter/y")})
    token = Caller("eve", models=("openai/*", "openrouter/*"), profiles=("env:*",))
    assert house.tries("gpt-5.5", caller=token) == [PRIMARY, "openrouter/y with env:OPENROUTER_API_KEY"]


@pytest.mark.parametrize("name", ["openai/gpt-5.5", "gpt-5.5", "gpt-99"])
def test_when_none_is_left_it_is_403(name: str) -> None:
    token = Caller("eve", models=("groq/*",))
    with pytest.raises(ModelNotAllowed) as caught:
        House(env=KEYS).plan(name, caller=token)
    assert (caught.value.status, caught.value.code) == (403, "model_not_allowed")


def test_listings_hold_what_the_token_may_call() -> None:
    house = House(env=KEYS)
    assert house.models(caller=Caller("eve", models=("groq/llama*", "gpt-5.4-mini"))) == [
        "groq/llama-3.3-70b",
        "openai/gpt-5.4-mini",
    ]
    assert house.models(caller=Caller("eve", profiles=("config:*",))) == []


def test_no_suggestion_names_a_model_the_token_may_not_call() -> None:
    token = Caller("eve", models=("groq/*",))
    with pytest.raises(GatewayError) as caught:
        House(env=KEYS).plan("gtp-5.5", caller=token)
    assert "openai" not in caught.value.message
