"""Document, catalog and environment become one snapshot."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from open_llm_auth.config.compile import compile_snapshot
from open_llm_auth.config.document import Document
from open_llm_auth.config.secrets_io import EnvironmentSecrets
from open_llm_auth.errors import ConfigInvalid
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.values import Cost, Endpoint, Snapshot


def compiled(data: dict[str, Any], environ: dict[str, str] | None = None) -> Snapshot:
    environ = environ or {}
    return compile_snapshot(Document(data, "tag"), EnvironmentSecrets(environ), load_catalog(), environ)


def test_an_empty_document_is_the_catalog() -> None:
    snapshot = compiled({})
    catalog = load_catalog()
    assert set(snapshot.providers) == set(catalog.providers)
    assert snapshot.providers["openai"].endpoint == Endpoint("https", "api.openai.com", 443, "/v1")
    assert not any(provider.configured for provider in snapshot.providers.values())
    assert snapshot.warnings == ()
    assert snapshot.etag == "tag"
    assert snapshot.active_providers is None
    assert snapshot.default_model is None


def test_the_whole_schema_compiles(full: dict[str, Any]) -> None:
    snapshot = compiled(full)
    provider = snapshot.providers["my-llm"]
    assert provider.configured
    assert provider.endpoint == Endpoint("https", "llm.example.org", 443, "/v1")
    assert [(name, ref.place.reveal()) for name, ref in provider.headers] == [("x-team", "blue")]
    assert provider.models["big"].cost == Cost(1, 2.5, 0.1, 0)
    assert provider.models["big"].input == ("text", "image")
    assert (provider.command, provider.arguments) == ("/opt/llm", ("--quiet", ""))
    assert snapshot.fallback.order == {"chat:openai-codex/gpt-5": ("zai/glm-5", "my-llm")}
    assert snapshot.fallback.max_attempts == 3
    assert snapshot.fallback.subscription_to_metered == "refuse"
    assert snapshot.egress.allow_local_providers == {"ollama", "lmstudio"}
    assert snapshot.server.allowed_hosts == {"gateway.example.org"}
    assert snapshot.server.cors_origins == {"app://ui"}
    assert snapshot.server.trusted_proxies == ("10.0.0.0/8",)
    assert snapshot.default_model == "openai/gpt-5"
    assert snapshot.warnings == ()


def test_the_secret_of_a_profile_goes_by_its_type(full: dict[str, Any]) -> None:
    profiles = compiled(full).profiles
    assert list(profiles) == ["openai:default", "openai-codex:me", "anthropic:setup"]
    secrets = {id_: profile.secret.place.reveal() for id_, profile in profiles.items() if profile.secret}
    assert secrets == {"openai:default": "sk-1", "openai-codex:me": "at", "anthropic:setup": "tk"}
    assert profiles["openai-codex:me"].provider == "openai-codex"
    assert profiles["openai-codex:me"].expires == 1_900_000_000_000
    assert profiles["openai:default"].owner == "ci"
    assert profiles["openai:default"].endpoint == Endpoint("https", "api.example.org", 443, "/v1")


def test_a_profile_without_its_secret_has_none() -> None:
    data = {
        "a": {"provider": "openai", "type": "api_key", "token": "t"},
        "b": {"provider": "x", "type": "cli", "key": "k"},
    }
    profiles = compiled({"authProfiles": data}).profiles
    assert (profiles["a"].secret, profiles["b"].secret) == (None, None)


def test_a_configured_field_lies_over_the_catalogs() -> None:
    entry = {"apiKey": "k", "headers": {"X-A": "1"}, "models": [{"id": "mine"}]}
    provider = compiled({"providers": {"OpenAI": entry}}).providers["openai"]
    base = load_catalog().providers["openai"]
    assert (provider.base_url, provider.endpoint, provider.api) == (base.base_url, base.endpoint, base.api)
    assert provider.configured
    assert provider.api_key is not None
    assert set(provider.models) == {*base.models, "mine"}
    assert not provider.replaces_models


def test_a_configured_model_lies_over_the_catalogs_field_by_field() -> None:
    base = load_catalog().providers["anthropic"]
    id_, model = next(iter(base.models.items()))
    found = compiled({"providers": {"anthropic": {"models": [{"id": id_, "contextWindow": 7}]}}})
    merged = found.providers["anthropic"].models[id_]
    assert merged.context_window == 7
    assert (merged.name, merged.input, merged.reasoning) == (model.name, model.input, model.reasoning)


def test_replace_uses_only_the_configured_models_of_a_provider_that_has_any() -> None:
    data = {"models": {"mode": "replace"}, "providers": {"openai": {"models": [{"id": "only"}]}, "anthropic": {}}}
    snapshot = compiled(data)
    assert set(snapshot.providers["openai"].models) == {"only"}
    assert snapshot.providers["openai"].replaces_models
    assert snapshot.providers["anthropic"].models == load_catalog().providers["anthropic"].models
    assert not snapshot.providers["anthropic"].replaces_models


ENV_NAMES = [
    ("openai", ("OPENAI_API_KEY",)),
    ("google", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    ("llama.cpp", ("LLAMA_CPP_API_KEY",)),
    ("zai", ("ZAI_API_KEY", "Z_AI_API_KEY")),
    ("my-own.llm", ("MY_OWN_LLM_API_KEY",)),
    ("agent_bridge", ("AGENT_BRIDGE_API_KEY",)),
]


@pytest.mark.parametrize(("provider", "names"), ENV_NAMES)
def test_the_variable_named_for_the_provider_comes_last(provider: str, names: tuple[str, ...]) -> None:
    data = {"providers": {provider: {"baseUrl": "https://x.example.org"}}}
    found = compiled(data).providers[provider].env_names
    assert found[-1].endswith("_API_KEY")
    assert set(names) <= set(found)
    assert len(found) == len(set(found))


def test_every_catalog_row_has_its_own_variable() -> None:
    for id_, provider in compiled({}).providers.items():
        own = id_.upper().replace("-", "_").replace(".", "_") + "_API_KEY"
        assert own in provider.env_names


@pytest.mark.parametrize("url", ["ftp://x.example.org", "https://user:pw@x.example.org", "nonsense", "http://[::1"])
def test_an_address_that_is_none_is_a_warning_and_loads(url: str) -> None:
    data = {
        "providers": {"my-llm": {"baseUrl": url}},
        "authProfiles": {"openai:a": {"provider": "openai", "type": "api_key", "key": "k", "baseUrl": url}},
    }
    snapshot = compiled(data)
    assert snapshot.providers["my-llm"].endpoint is None
    assert snapshot.profiles["openai:a"].endpoint is None
    assert [warning.split()[0] for warning in snapshot.warnings] == [
        "authProfiles.openai:a.baseUrl",
        "providers.my-llm.baseUrl",
    ]
    assert "pw" not in "".join(snapshot.warnings)


def test_a_forbidden_address_loads_without_a_word() -> None:
    snapshot = compiled({"providers": {"my-llm": {"baseUrl": "http://169.254.169.254/"}}})
    assert snapshot.providers["my-llm"].endpoint is not None
    assert snapshot.warnings == ()


def test_an_address_that_follows_from_the_account_is_derived() -> None:
    entry = {"provider": "cloudflare-ai-gateway", "type": "api_key", "key": "k", "accountId": "a/b", "gatewayId": "g"}
    profile = compiled({"authProfiles": {"cloudflare-ai-gateway:x": entry}}).profiles["cloudflare-ai-gateway:x"]
    assert profile.base_url == "https://gateway.ai.cloudflare.com/v1/a%2Fb/g/anthropic"
    assert profile.endpoint is not None


def test_an_order_is_under_normal_ids_and_names_profiles() -> None:
    profiles = {
        "openai-codex:a": {"provider": "codex", "type": "token", "token": "t"},
        "openai-codex:b": {"provider": "codex", "type": "token", "token": "u"},
    }
    order = {"Codex": ["b", "openai-codex:a", "b", "gone"]}
    snapshot = compiled({"authProfiles": profiles, "authOrder": order})
    assert snapshot.order == {"openai-codex": ("openai-codex:b", "openai-codex:a", "openai-codex:gone")}
    assert "'openai-codex:gone'" in snapshot.warnings[0]


def test_active_providers_are_normal_and_an_unknown_one_is_told() -> None:
    snapshot = compiled({"activeProviderIds": ["Codex", "z.ai", "nobody"]})
    assert snapshot.active_providers == {"openai-codex", "zai", "nobody"}
    assert "'nobody'" in snapshot.warnings[0]


OVERRIDES = [("1", True), ("true", True), ("YES", True), (" on ", True), ("0", False), ("no", False), ("", False)]


@pytest.mark.parametrize(("text", "on"), OVERRIDES)
def test_the_environment_overrides_the_egress_policy(text: str, on: bool) -> None:
    names = ("OPEN_LLM_AUTH_ALLOW_LOCALHOST_EGRESS", "OPEN_LLM_AUTH_ALLOW_INSECURE_EGRESS_HTTP")
    rules = compiled({}, dict.fromkeys(names, text)).egress
    assert (rules.allow_localhost, rules.allow_insecure_http) == (on, on)


def test_the_dotenv_file_overrides_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPEN_LLM_AUTH_ALLOW_LOCALHOST_EGRESS=1\nOPEN_LLM_AUTH_TOKEN=t\n")
    secrets = EnvironmentSecrets({}, tmp_path / ".env")
    snapshot = compile_snapshot(Document({}, "tag"), secrets, load_catalog(), {})
    assert snapshot.egress.allow_localhost
    assert len(snapshot.tokens.callers) == 1


def test_a_policy_that_is_not_enabled_is_off() -> None:
    assert compiled({"egressPolicy": {"enabled": False, "mode": "enforce"}}).egress.mode == "off"
    assert compiled({"egressPolicy": {"mode": "observe"}}).egress.mode == "observe"
    assert compiled({}).egress.proxy is None
    assert compiled({"egressPolicy": {"proxy": "https://p.example.org"}}).egress.proxy is not None


def test_a_provider_that_nothing_can_be_sent_to_is_told() -> None:
    warnings = compiled({"providers": {"my-llm": {}, "a/b": {"baseUrl": "https://x.example.org"}}}).warnings
    assert "providers.my-llm has no baseUrl" in warnings[0]
    assert "providers.a/b can't be called" in warnings[1]


def test_a_profile_of_an_unknown_provider_is_told() -> None:
    snapshot = compiled({"authProfiles": {"x:a": {"provider": "x", "type": "api_key", "key": "k"}}})
    assert "authProfiles.x:a.provider is 'x'" in snapshot.warnings[0]


def test_a_header_in_capitals_is_itself_and_a_reference_is_one() -> None:
    headers = {"X-Stage": "PRODUCTION", "X-Key": "${MY_KEY}"}
    provider = compiled({"providers": {"openai": {"headers": headers}}}).providers["openai"]
    assert [(name, ref.scheme, ref.maybe_env) for name, ref in provider.headers] == [
        ("x-stage", "literal", False),
        ("x-key", "env", False),
    ]


def places(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, each in inner for path in places(each, (*here, key)))][not here :]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 1e308, -0.0, "", " ", "env:", "file:", "a/b:c/d", "*", "\ud800", "sha256:"])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_value_anywhere_raises_anything_but_a_clear_error(full: dict[str, Any], data: st.DataObject) -> None:
    document = deepcopy(full)
    for path in data.draw(st.lists(st.sampled_from(places(full)), min_size=1, max_size=2), "paths"):
        target: Any = document
        try:
            for part in path[:-1]:
                target = target[part]
            target[path[-1]] = data.draw(JSON, "value")
        except (KeyError, IndexError, TypeError):
            continue  # the first change took the place of the second away
    try:
        assert compiled(document).providers
    except ConfigInvalid as error:
        assert error.param


def test_an_invalid_document_does_not_compile() -> None:
    with pytest.raises(ConfigInvalid):
        compiled({"server": {"port": "x"}})


def test_a_snapshot_shows_no_secret(full: dict[str, Any], canary: str) -> None:
    full["providers"]["my-llm"]["apiKey"] = full["serverToken"] = canary
    full["providers"]["my-llm"]["headers"] = {"Authorization": canary}
    full["authProfiles"]["openai:default"]["key"] = full["authProfiles"]["openai-codex:me"]["refresh"] = canary
    assert canary not in repr(compiled(full))


BEDROCK = "https://bedrock-runtime.{}.amazonaws.com"


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({}, "us-east-1"),
        ({"AWS_REGION": "eu-central-1"}, "eu-central-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
        ({"AWS_REGION": " eu-central-1 ", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-central-1"),
        ({"AWS_REGION": "evil.example/"}, "us-east-1"),
    ],
)
def test_bedrock_is_in_the_region_that_the_environment_names(environ: dict[str, str], region: str) -> None:
    for data in ({}, {"providers": {"bedrock": {"auth": "aws-sdk"}}}):
        provider = compiled(data, environ).providers["amazon-bedrock"]
        assert provider.base_url == BEDROCK.format(region)
        assert str(provider.endpoint) == provider.base_url
    assert compiled({}, environ).providers["openai"].base_url == "https://api.openai.com/v1"


def test_an_address_that_is_configured_stays_where_it_is() -> None:
    data = {"providers": {"amazon-bedrock": {"baseUrl": BEDROCK.format("us-west-2")}}}
    assert compiled(data, {"AWS_REGION": "eu-central-1"}).providers["amazon-bedrock"].base_url == BEDROCK.format(
        "us-west-2"
    )


def profile_of_bedrock(**fields: Any) -> dict[str, Any]:
    return {"authProfiles": {"bedrock:x": {"provider": "bedrock", "type": "aws-sdk", **fields}}}


def test_a_profile_of_bedrock_has_a_region_of_its_own() -> None:
    snapshot = compiled(profile_of_bedrock(metadata={"region": "ap-southeast-2", "awsProfile": "work"}))
    profile = snapshot.profiles["bedrock:x"]
    assert (profile.type, profile.secret, str(profile.endpoint)) == ("aws-sdk", None, BEDROCK.format("ap-southeast-2"))
    assert snapshot.warnings == ()
    own = compiled(profile_of_bedrock(metadata={"region": "eu-west-1"}, baseUrl="https://bedrock.example"))
    assert str(own.profiles["bedrock:x"].endpoint) == "https://bedrock.example"


@pytest.mark.parametrize("region", ["nowhere", 7, "eu-west-1/../x"])
def test_a_region_that_is_none_is_a_warning(region: object) -> None:
    snapshot = compiled(profile_of_bedrock(metadata={"region": region}))
    assert snapshot.profiles["bedrock:x"].endpoint is None
    assert [warning.split()[0] for warning in snapshot.warnings] == ["authProfiles.bedrock:x.metadata.region"]


def test_a_program_is_the_usual_one_without_arguments_until_the_config_says_otherwise() -> None:
    usual = compiled({}).providers["claude-cli"]
    assert (usual.command, usual.arguments) == ("", ())
    own = compiled({"providers": {"claude-cli": {"command": " /opt/claude ", "args": ["--tools", "Read"]}}})
    assert own.providers["claude-cli"].command == "/opt/claude"
    assert own.providers["claude-cli"].arguments == ("--tools", "Read")


def test_an_argument_that_no_program_can_have_is_refused_by_its_path() -> None:
    with pytest.raises(ConfigInvalid, match="NUL") as caught:
        compiled({"providers": {"claude-cli": {"args": ["a", "b\0"]}}})
    assert caught.value.param == "providers.claude-cli.args.1"


# --- sign-ins ---


def test_oauth_stands_over_the_catalogs_facts_field_by_field() -> None:
    said = {"tokenUrl": "https://t.example", "exchangeUrl": "https://x.example", "verificationUrl": "https://v.example"}
    sign_in = compiled({"oauth": {"copilot": said}}).sign_ins["github-copilot"]
    assert (sign_in.token_url, sign_in.exchange_url, sign_in.verification_url) == tuple(said.values())
    assert sign_in.device_url == "https://github.com/login/device/code"
    assert (sign_in.standing, bool(sign_in.risk)) == ("unofficial", True)


def test_a_client_id_of_ones_own_is_nobodys_risk() -> None:
    sign_in = compiled({"oauth": {"github-copilot": {"clientId": "Ov23mine"}}}).sign_ins["github-copilot"]
    assert (sign_in.client_id, sign_in.standing, sign_in.risk) == ("Ov23mine", "sanctioned", "")
    same = compiled({"oauth": {"github-copilot": {"clientId": "Iv1.b507a08c87ecfe98"}}}).sign_ins["github-copilot"]
    assert same.standing == "unofficial"
    ended = compiled({"oauth": {"qwen-portal": {"clientId": "mine"}}}).sign_ins["qwen-portal"]
    assert ended.standing == "discontinued"


def test_a_port_of_ones_own_leaves_the_catalogs_second_one_out() -> None:
    assert compiled({}).sign_ins["openai-codex"].alternate_ports == (1457,)
    own = compiled({"oauth": {"openai-codex": {"redirectPort": 8123}}}).sign_ins["openai-codex"]
    assert (own.redirect_port, own.alternate_ports) == (8123, ())


def test_a_provider_that_the_catalog_knows_no_sign_in_for_can_be_given_one() -> None:
    said = {"authorizeUrl": "https://a.example", "deviceUrl": "https://d.example", "tokenUrl": "https://t.example"}
    sign_ins = compiled({"oauth": {"acme": said, "half": {"deviceUrl": "https://d.example"}}}).sign_ins
    assert sign_ins["acme"].flows == ("browser", "device")
    assert sign_ins["half"].flows == ("device",)
    assert sign_ins["acme"].standing == "sanctioned"
