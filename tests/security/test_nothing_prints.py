"""No value of the gateway that holds a secret has a text form that shows it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.auth.manager import ProviderManager
from open_llm_auth.config.compile import compile_snapshot
from open_llm_auth.config.document import Document
from open_llm_auth.config.model import validate
from open_llm_auth.config.secret_places import secret_places
from open_llm_auth.config.secrets_io import EnvironmentSecrets
from open_llm_auth.policy.access import LOCAL_ADMIN
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.testing import ManualClock
from open_llm_auth.values import Command, Credential, Outbound, Secret, SecretRef

MARK = "canary-printed-6a6a"

DOCUMENT: dict[str, Any] = {
    "authProfiles": {
        "openai:a": {
            "provider": "openai",
            "type": "api_key",
            "key": f"sk-{MARK}",
            "metadata": {"note": MARK},
        },
        "openai-codex:b": {"provider": "openai-codex", "type": "oauth", "access": f"a{MARK}", "refresh": f"r{MARK}"},
    },
    "providers": {"mine": {"baseUrl": f"https://x/{MARK}", "apiKey": MARK, "headers": {"X-Api-Key": MARK}}},
    "oauth": {"openai-codex": {"clientSecret": MARK}},
    "authorization": {"tokens": {"ci": {"token": f"t{MARK}", "scopes": ["read"]}}},
    "egressPolicy": {"proxy": f"http://user:{MARK}@proxy.example.org"},
    "serverToken": f"s{MARK}",
}


def values() -> Iterator[object]:
    secrets, clock = EnvironmentSecrets({}), ManualClock()
    snapshot = compile_snapshot(Document(DOCUMENT, ""), secrets, load_catalog(), {})
    yield snapshot.tokens
    yield snapshot.egress
    yield snapshot.profiles["openai:a"].secret
    yield from (profile.secret for profile in snapshot.profiles.values())
    yield snapshot.sign_ins["openai-codex"]
    yield snapshot.providers["mine"].headers
    yield snapshot.providers["mine"].api_key
    manager = ProviderManager(secrets, HealthTable(), clock, frozenset({"openai-completions", "openai-responses"}))
    yield manager.plan(snapshot, model="openai/gpt-5.5", caller=LOCAL_ADMIN).attempts
    yield manager
    yield Document(DOCUMENT, "")
    yield validate(DOCUMENT)
    yield list(secret_places(DOCUMENT))
    yield Credential("a", "openai", "profile", "api_key", Secret(MARK))
    yield SecretRef("literal", Secret(MARK))
    yield Command("p", ("program",), input=MARK.encode(), settings=(("X", MARK),), files=(("f", MARK.encode()),))
    endpoint = snapshot.providers["openai"].endpoint
    assert endpoint is not None
    yield Outbound("p", "POST", endpoint, "/x", ((b"authorization", MARK.encode()),), MARK.encode())


def test_no_value_shows_a_secret() -> None:
    for value in values():
        for text in (repr(value), f"{value}", str(value)):
            assert MARK not in text, type(value)


def test_an_error_that_carries_one_shows_none_either() -> None:
    credential = Credential("a", "b", "none", "none", Secret(MARK))
    error = ValueError(Secret(MARK), SecretRef("literal", Secret(MARK)), credential)
    told = "".join(traceback.format_exception(error))
    assert "Secret(…)" in told
    assert MARK not in told


def test_the_label_of_a_reference_to_a_program_leaves_its_arguments_out() -> None:
    assert SecretRef("cmd", Secret(f"op read {MARK}")).label == "cmd:op"
