"""The schema: what a wrong value is told, and what is kept though unknown."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from open_llm_auth.config.model import validate
from open_llm_auth.errors import ConfigInvalid

#: Objects whose keys are names that a person gives, so that an unknown key there is another entry.
MAPS = {
    ("authProfiles",), ("authOrder",), ("providers",), ("oauth",),
    ("auth", "profiles"), ("auth", "order"), ("models", "providers"),
    ("authorization", "tokens"), ("providerFallback", "order"),
    ("providers", "my-llm", "headers"), ("providers", "my-llm", "models", 0, "headers"),
}  # fmt: skip


Path = tuple[str | int, ...]


def paths(value: object, here: Path = ()) -> Iterator[Path]:
    """The path of the value and of every one within it."""
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths(each, (*here, key))


def at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def changed(data: Any, path: Path, value: object) -> Any:
    """A copy with `value` at `path`."""
    data = deepcopy(data)
    at(data, path[:-1])[path[-1]] = value
    return data


def refusal(data: object) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        validate(data)  # type: ignore[arg-type]
    return caught.value


def test_every_section_of_the_schema_is_valid(full: Any) -> None:
    document = validate(full)
    assert document.server.port == 8080
    assert document.auth_profiles["openai-codex:me"].expires == 1_900_000_000_000
    assert document.authorization.tokens["ci"].rate_limit is not None
    assert document.egress_policy.allow_local_providers == ["ollama", "lm-studio"]


def test_an_empty_document_has_the_defaults_of_the_schema() -> None:
    document = validate({})
    assert document.server.host == "127.0.0.1"
    assert document.server.max_body_bytes == 33_554_432
    assert document.egress_policy.mode == "enforce"
    assert "llama.cpp" in document.egress_policy.allow_local_providers
    assert document.provider_fallback.max_attempts == 6
    assert document.authorization.legacy_admin_compatibility is True
    assert document.models.mode == "merge"


WRONG = [
    (("server", "port"), "8080", "server.port must be a whole number"),
    (("server", "port"), 8080.5, "server.port must be a whole number"),
    (("server", "port"), True, "server.port must be a whole number"),
    (("server", "port"), 70000, "server.port must be at most 65535"),
    (("server", "port"), None, "server.port must be a whole number"),
    (("server", "requestTimeoutSeconds"), 0, "server.requestTimeoutSeconds must be more than 0"),
    (("server", "allowedHosts"), "x", "server.allowedHosts must be a list"),
    (("server", "allowedHosts"), [1], "server.allowedHosts.0 must be a string"),
    (("server", "trustedProxies"), ["x"], "server.trustedProxies.0 must be an IP address"),
    (("server",), [], "server must be an object"),
    (("authProfiles", "openai:default", "type"), "apikey", "authProfiles.openai:default.type must be 'api_key'"),
    (("authProfiles", "openai:default", "key"), 1, "authProfiles.openai:default.key must be a string"),
    (("authProfiles", "openai:default"), "sk-1", "authProfiles.openai:default must be an object"),
    (("authProfiles",), [], "authProfiles must be an object"),
    (("providers", "my-llm", "models", 0, "id"), "", "providers.my-llm.models.0.id must not be empty"),
    (
        ("providers", "my-llm", "models", 0, "cost", "input"),
        "1",
        "providers.my-llm.models.0.cost.input must be a number",
    ),
    (("providers", "my-llm", "authHeader"), "false", "providers.my-llm.authHeader must be true or false"),
    (("providers", "my-llm", "auth"), "key", "providers.my-llm.auth must be 'api-key'"),
    (("providers", "my-llm", "api"), "openai", "providers.my-llm.api must be 'openai-completions'"),
    (
        ("providers", "my-llm", "headers"),
        {"X-A": "b\r\nX-C: d"},
        "providers.my-llm.headers.X-A must not hold a line break",
    ),
    (("providers", "my-llm", "headers"), {"X A": "b"}, "providers.my-llm.headers.X A is no name of an HTTP header"),
    *(
        (
            ("providers", "my-llm", "headers"),
            {name: "x"},
            f"providers.my-llm.headers.{name} is a header that the gateway writes itself; remove it",
        )
        for name in ("Host", "content-length", "Transfer-Encoding", "Connection", "TE", "Accept-Encoding")
    ),
    (
        ("providers", "my-llm", "models", 0, "headers"),
        {"proxy-authorization": "x"},
        "providers.my-llm.models.0.headers.proxy-authorization is a header that the gateway writes itself",
    ),
    (("authorization", "tokens", "ci", "token"), "", "authorization.tokens.ci.token is empty"),
    (("authorization", "tokens", "ci", "token"), "[REDACTED]", "authorization.tokens.ci.token holds the mark"),
    (("authorization", "tokens", "ci", "tokenHash"), "sha256:" + "ab" * 32, "authorization.tokens.ci must have one of"),
    (
        ("authorization", "tokens", "hashed", "tokenHash"),
        "sha256:12",
        "authorization.tokens.hashed.tokenHash must be 'sha256:' and 64",
    ),
    (("authorization", "tokens", "hashed", "tokenHash"), None, "authorization.tokens.hashed must have one of"),
    (("authorization", "tokens", "ci", "scopes"), "read", "authorization.tokens.ci.scopes must be a list"),
    (("egressPolicy", "mode"), "on", "egressPolicy.mode must be 'enforce', 'observe' or 'off'"),
    (("egressPolicy", "denyCidrs"), ["10.0.0.0/99"], "egressPolicy.denyCidrs.0 must be an IP address"),
    (("egressPolicy", "denyHosts"), ["a b"], "egressPolicy.denyHosts.0 must be a name"),
    (("providerFallback", "maxAttempts"), 0, "providerFallback.maxAttempts must be at least 1"),
    (("providerFallback", "retryStatusCodes"), [200], "providerFallback.retryStatusCodes.0 must be at least 400"),
    (("models", "mode"), "overlay", "models.mode must be 'merge' or 'replace'"),
    (("auth", "profiles"), {"x": {"provider": "openai"}}, "auth.profiles.x.type is missing"),
    (("defaultModel",), 5, "defaultModel must be a string"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG)
def test_a_wrong_value_is_an_error_that_names_its_path(full: Any, path: Path, value: object, words: str) -> None:
    error = refusal(changed(full, path, value))
    assert words in error.message
    assert words.startswith(str(error.param))


def test_all_faults_are_told_and_the_first_is_the_param() -> None:
    error = refusal({"authProfiles": {"a": {"type": "x"}}, "server": {"port": "y"}})
    assert error.param == "authProfiles.a.provider"
    for path in ("authProfiles.a.provider", "authProfiles.a.type", "server.port"):
        assert path in error.message


def test_hundreds_of_faults_make_no_endless_message() -> None:
    error = refusal({"authProfiles": {f"p{number}": {} for number in range(300)}})
    assert "and 580 more" in error.message
    assert len(error.details["faults"]) == 20  # type: ignore[arg-type]


def test_an_expiry_in_floating_point_is_taken(full: Any) -> None:
    data = changed(full, ("authProfiles", "openai-codex:me", "expires"), 1_900_000_000_000.7)
    assert validate(data).auth_profiles["openai-codex:me"].expires == 1_900_000_000_000


def test_fields_that_may_be_absent_may_be_null() -> None:
    profile = {"provider": "openai", "type": "api_key"} | dict.fromkeys(
        ("id", "key", "token", "access", "refresh", "expires", "email", "accountId", "gatewayId", "baseUrl", "owner")
    )
    provider = dict.fromkeys(("baseUrl", "apiKey", "auth", "api", "headers", "authHeader", "models"))
    validate({"authProfiles": {"a": profile}, "providers": {"b": provider}, "activeProviderIds": None})


def test_an_unknown_key_is_valid_at_every_level(full: Any) -> None:
    levels = [path for path in paths(full) if path not in MAPS and isinstance(at(full, path), dict)]
    assert len(levels) > 20
    for path in levels:
        at(full, path)["xUnknown"] = {"deep": [1, None]}
    validate(full)


@pytest.mark.parametrize("shape", ["text", "list", "object", "nested", "number"])
def test_no_error_repeats_a_value(full: Any, canary: str, shape: str) -> None:
    wrong = {"text": canary, "list": [canary], "object": {"x": canary}, "nested": {"x": [{"y": canary}]}, "number": 5}
    for path in list(paths(full))[1:]:
        data = changed(full, ("authProfiles", "openai:default", "key"), canary)
        data = changed(data, ("taskContract", "enabled"), canary)
        error = refusal(changed(data, path, wrong[shape]) if path[0] != "taskContract" else data)
        told = f"{error} {error!r} {error.details} {error.param}" + "".join(traceback.format_exception(error))
        assert canary not in told, path


def test_no_repr_shows_a_secret(full: Any, canary: str) -> None:
    data = changed(full, ("serverToken",), canary)
    document = validate(changed(data, ("authProfiles", "openai:default", "key"), canary))
    assert canary not in f"{document!r} {document} {document.auth_profiles!r} {document.authorization}"
