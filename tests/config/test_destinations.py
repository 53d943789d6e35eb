"""What a write would send bytes to, and which of it the policy refuses."""

from __future__ import annotations

from typing import Any

import pytest

from open_llm_auth.config.destinations import destinations, judge_changes
from open_llm_auth.config.model import validate
from open_llm_auth.errors import UnsafeDestination
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.values import EgressRules

RULES = EgressRules(allow_local_providers=frozenset({"ollama"}))
NORMAL = load_catalog().normalise


def judge(before: dict[str, Any], after: dict[str, Any], rules: EgressRules = RULES) -> None:
    judge_changes(validate(before), validate(after), rules, NORMAL)


def profile(url: str, provider: str = "openai") -> dict[str, Any]:
    return {"authProfiles": {"p:a": {"provider": provider, "type": "api_key", "key": "k", "baseUrl": url}}}


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"providers": {"my-llm": {"baseUrl": "http://x.example.org"}}},
        "providers.my-llm.baseUrl",
        "my-llm",
        "insecure_http_forbidden",
    ),
    (
        {"providers": {"Codex": {"baseUrl": "https://10.0.0.1"}}},
        "providers.Codex.baseUrl",
        "openai-codex",
        "private_ip",
    ),
    ({"providers": {"my-llm": {"baseUrl": "ftp://x"}}}, "providers.my-llm.baseUrl", "my-llm", "unsupported_scheme"),
    (
        {"providers": {"my-llm": {"baseUrl": "https://me:pw@x.org"}}},
        "providers.my-llm.baseUrl",
        "my-llm",
        "userinfo_forbidden",
    ),
    ({"providers": {"my-llm": {"baseUrl": "env:URL"}}}, "providers.my-llm.baseUrl", "my-llm", "unsupported_scheme"),
    (
        {"providers": {"ollama": {"baseUrl": "http://169.254.169.254"}}},
        "providers.ollama.baseUrl",
        "ollama",
        "denylisted_cidr",
    ),
    (profile("https://localhost"), "authProfiles.p:a.baseUrl", "openai", "localhost_forbidden"),
    ({"oauth": {"x": {"tokenUrl": "https://[::1]/t"}}}, "oauth.x.tokenUrl", "x", "loopback_ip"),
    ({"oauth": {"x": {"authorizeUrl": "https://127.1/"}}}, "oauth.x.authorizeUrl", "x", "loopback_ip"),
    ({"oauth": {"x": {"deviceUrl": "https://0x7f000001/"}}}, "oauth.x.deviceUrl", "x", "loopback_ip"),
    ({"oauth": {"x": {"exchangeUrl": "https://10.0.0.1/"}}}, "oauth.x.exchangeUrl", "x", "private_ip"),
    ({"oauth": {"x": {"verificationUrl": "http://x.org/"}}}, "oauth.x.verificationUrl", "x", "insecure_http_forbidden"),
    (
        {"egressPolicy": {"proxy": "http://me:pw@10.0.0.1:3128"}},
        "egressPolicy.proxy",
        "egressPolicy.proxy",
        "insecure_http_forbidden",
    ),
    (
        {"egressPolicy": {"proxy": "https://me:pw@10.0.0.1:3128"}},
        "egressPolicy.proxy",
        "egressPolicy.proxy",
        "private_ip",
    ),
    (
        {"durableState": {"url": "postgresql://me:pw@169.254.169.254/db"}},
        "durableState.url",
        "durableState.url",
        "denylisted_cidr",
    ),
    (
        {"durableState": {"url": "postgresql:///db?host=100.100.100.200"}},
        "durableState.url",
        "durableState.url",
        "denylisted_cidr",
    ),
    (
        {"durableState": {"url": "postgresql://a.example.org,[fe80::1]/db"}},
        "durableState.url",
        "durableState.url",
        "link_local_ip",
    ),
    (
        {"durableState": {"url": "mysql://me:pw@x.example.org/db"}},
        "durableState.url",
        "durableState.url",
        "unsupported_scheme",
    ),
    ({"durableState": {"url": "postgresql://[::1/db"}}, "durableState.url", "durableState.url", "malformed_url"),
]


@pytest.mark.parametrize(("after", "path", "provider", "reason"), REFUSED)
def test_a_forbidden_destination_is_refused_with_its_details(
    after: dict[str, Any], path: str, provider: str, reason: str
) -> None:
    with pytest.raises(UnsafeDestination) as caught:
        judge({}, after)
    error = caught.value
    assert error.param == path
    assert (error.details["provider"], error.details["reason"]) == (provider, reason)
    assert error.details["phase"] == "config_write"
    assert {"scheme", "host"} <= set(error.details)
    assert "pw" not in f"{error} {error.details}"


ALLOWED: list[dict[str, Any]] = [
    {"providers": {"my-llm": {"baseUrl": "https://x.example.org/v1"}, "other": {"baseUrl": ""}, "third": {}}},
    {"providers": {"Ollama": {"baseUrl": "http://127.0.0.1:11434/v1"}}},
    profile("http://192.168.0.7:11434", "ollama"),
    {"egressPolicy": {"proxy": "https://me:pw@proxy.example.org:3128"}},
    {"egressPolicy": {"proxy": "env:PROXY"}},
    {"durableState": {"url": "postgresql://me:pw@127.0.0.1:5432/db"}},
    {"durableState": {"url": "postgresql+psycopg://me:pw@10.0.0.5,10.0.0.6:5433/db?sslmode=require"}},
    {"durableState": {"url": "postgres:///db?host=/var/run/postgresql"}},
    {"durableState": {"url": "file:/run/secrets/database"}},
]


@pytest.mark.parametrize("after", ALLOWED)
def test_what_the_policy_allows_is_written(after: dict[str, Any]) -> None:
    judge({}, after)


def test_a_write_judges_only_what_it_changes() -> None:
    old = {"providers": {"my-llm": {"baseUrl": "http://10.0.0.1"}}}
    judge(old, old)
    judge(old, {"providers": {"my-llm": {"baseUrl": "http://10.0.0.1", "apiKey": "k"}}})
    with pytest.raises(UnsafeDestination):
        judge(old, {"providers": {"my-llm": {"baseUrl": "http://10.0.0.2"}}})


def test_an_old_address_under_another_provider_is_a_change() -> None:
    url = "http://127.0.0.1:11434"
    with pytest.raises(UnsafeDestination):
        judge(profile(url, "ollama"), profile(url, "openai"))


def test_the_policy_that_is_off_still_refuses_metadata() -> None:
    off = EgressRules(mode="off")
    judge({}, {"providers": {"my-llm": {"baseUrl": "http://10.0.0.1"}}}, off)
    with pytest.raises(UnsafeDestination):
        judge({}, {"providers": {"my-llm": {"baseUrl": "http://169.254.169.254"}}}, off)


def test_every_destination_of_the_schema_is_found(full: dict[str, Any]) -> None:
    full["egressPolicy"]["proxy"] = "https://proxy.example.org"
    full["durableState"]["url"] = "postgresql://me:pw@db.example.org/db"
    found = list(destinations(validate(full), NORMAL))
    assert [each.path for each in found] == [
        "providers.my-llm.baseUrl",
        "authProfiles.openai:default.baseUrl",
        "oauth.openai-codex.authorizeUrl",
        "oauth.openai-codex.tokenUrl",
        "oauth.openai-codex.deviceUrl",
        "egressPolicy.proxy",
        "durableState.url",
    ]
    assert "pw" not in repr(found)
