"""Keyring, programs and vault behind one face, and a config in force that uses them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keyring
import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.config.model import SecretsSection
from open_llm_auth.config.sealing import SealKey
from open_llm_auth.config.source import LiveConfig
from open_llm_auth.config.stores import SecretStores
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.policy.access import digest
from open_llm_auth.values import Secret

from .test_os_keyring import fakes

KEY = {"OPEN_LLM_AUTH_SEAL_KEY": "a key that is long enough"}


class Programs:
    """Plays the programs: what each prints, and what was run."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []
        self.output = b"from-a-program"

    def __call__(self, words: Sequence[str], environment: Sequence[str], seconds: float) -> bytes:
        self.ran.append(list(words))
        return self.output


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture(autouse=True)
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = keyring.get_keyring()
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "keyring.json"))
    keyring.set_keyring(fakes.WorkingKeyring())
    yield
    keyring.set_keyring(before)


def stores_at(home: Path, programs: Programs, *, wait: bool = True, environ: dict[str, str] = KEY) -> SecretStores:
    return SecretStores(home / "config.json", environ, run=programs, wait=wait)


def until(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def make_vault(stores: SecretStores) -> None:
    stores.vault.create(SealKey("key", Secret(KEY["OPEN_LLM_AUTH_SEAL_KEY"]), "a test"))


@pytest.mark.parametrize("text", ["vault:a name", "keyring:service/name"])
def test_what_is_put_is_got_at_once_and_by_others_and_removed(tmp_path: Path, programs: Programs, text: str) -> None:
    stores, ref = stores_at(tmp_path, programs), parse_reference(text)
    make_vault(stores)
    for secret in ("one", "two"):
        stores.put(ref, secret)
        assert stores.get(ref) == stores.fresh(ref) == Secret(secret)
        assert stores_at(tmp_path, programs).get(ref) == Secret(secret)
    stores.remove(ref)
    with pytest.raises(SecretUnavailable):
        stores.fresh(ref)


@pytest.mark.parametrize("text", ["cmd:op read x", "env:NAME", "file:/x", "a literal"])
def test_nothing_is_written_anywhere_else(tmp_path: Path, programs: Programs, text: str) -> None:
    with pytest.raises(SecretUnavailable, match="writes only to"):
        stores_at(tmp_path, programs).put(parse_reference(text), "canary")
    assert programs.ran == []


def test_a_token_that_another_process_replaced_is_read_fresh(tmp_path: Path, programs: Programs) -> None:
    ours, theirs = stores_at(tmp_path, programs), stores_at(tmp_path, programs)
    ref = parse_reference("keyring:service/refresh")
    ours.put(ref, "one")
    assert theirs.get(ref) == Secret("one")
    ours.put(ref, "two")
    assert theirs.get(ref) == Secret("one")
    assert theirs.fresh(ref) == Secret("two")
    assert theirs.get(ref) == Secret("two")
    with pytest.raises(SecretUnavailable):
        theirs.fresh(parse_reference("env:NAME"))


def test_a_keyring_without_an_answer_is_told_in_time(tmp_path: Path, programs: Programs) -> None:
    keyring.set_keyring(fakes.HangingKeyring())
    stores = stores_at(tmp_path, programs)
    stores.configure(SecretsSection.model_validate({"keyringTimeoutSeconds": 0.2}))
    ref = parse_reference("keyring:service/name")
    began = time.monotonic()
    for ask in (lambda: stores.get(ref), lambda: stores.fresh(ref), lambda: stores.put(ref, "x")):
        with pytest.raises(SecretUnavailable, match="locked"):
            ask()
    assert time.monotonic() - began < 5


def test_settings_say_how_long_and_what_a_program_may_see(tmp_path: Path) -> None:
    seen: list[Any] = []

    def run(words: Sequence[str], environment: Sequence[str], seconds: float) -> bytes:
        seen.append((tuple(environment), seconds))
        return b"x"

    stores = SecretStores(tmp_path / "config.json", {}, run=run, wait=True)
    section = {"commandTimeoutSeconds": 7, "commandEnvironment": ["MY_SESSION"], "vault": {"keyFile": str(tmp_path)}}
    stores.configure(SecretsSection.model_validate(section))
    stores.get(parse_reference("cmd:op"))
    assert seen == [(("MY_SESSION",), 7)]
    assert "secrets.vault.keyFile" in stores.vault_keys().faults[0]


# --- a config in force ---


def live(home: Path, stores: SecretStores, document: dict[str, Any]) -> LiveConfig:
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text(json.dumps(document))
    config = LiveConfig(home / "config.json", {}, stores=stores)
    config.load()
    return config


def profile(key: str) -> dict[str, Any]:
    return {"provider": "openai", "type": "api_key", "key": key}


def test_the_first_config_has_its_secrets_at_hand(tmp_path: Path, programs: Programs) -> None:
    stores = stores_at(tmp_path, programs, wait=False)
    make_vault(stores)
    stores.put(parse_reference("vault:a"), "from-the-vault")
    stores.put(parse_reference("keyring:service/name"), "from-the-keyring")
    keys = {"vault:a": "from-the-vault", "keyring:service/name": "from-the-keyring", "cmd:op x": "from-a-program"}
    fresh = stores_at(tmp_path, programs, wait=False)
    config = live(tmp_path, fresh, {"authProfiles": {f"openai:{n}": profile(key) for n, key in enumerate(keys)}})
    for key, secret in keys.items():
        assert config.secrets.get(parse_reference(key)) == Secret(secret)
    assert programs.ran == [["op", "x"]]
    for _ in range(50):
        config.check()
        config.secrets.get(parse_reference("cmd:op x"))
    assert programs.ran == [["op", "x"]]


def test_a_client_token_of_the_keyring_is_in_force_once_it_is_there(tmp_path: Path, programs: Programs) -> None:
    ref = parse_reference("keyring:service/token")
    stores = stores_at(tmp_path, programs, wait=False)
    tokens = {"authorization": {"tokens": {"ci": {"token": "keyring:service/token", "scopes": ["read"]}}}}
    config = live(tmp_path, stores, tokens)
    assert not config.current().tokens.callers
    assert "matches nobody" in config.current().warnings[-1]
    stores.put(ref, "client-token-1")
    assert config.check()
    assert digest("client-token-1") in config.current().tokens.callers
    assert not config.check()


def test_a_vault_whose_key_comes_later_is_opened_then(tmp_path: Path, programs: Programs) -> None:
    make_vault(stores_at(tmp_path, programs))
    stores_at(tmp_path, programs).put(parse_reference("vault:a"), "client-token-2")
    environ: dict[str, str] = {}
    stores = stores_at(tmp_path, programs, wait=False, environ=environ)
    stores.vault._monotonic = lambda: now[0]
    now = [0.0]
    tokens = {"authorization": {"tokens": {"ci": {"token": "vault:a", "scopes": ["read"]}}}}
    config = live(tmp_path, stores, tokens)
    assert not config.current().tokens.callers
    assert "there is no key" in stores.faults()[0]
    environ.update(KEY)
    now[0] += 60
    assert config.check()
    assert digest("client-token-2") in config.current().tokens.callers
    assert stores.faults() == ()


def test_a_keyring_that_hangs_delays_the_start_by_seconds_and_a_later_change_hardly(
    tmp_path: Path, programs: Programs
) -> None:
    keyring.set_keyring(fakes.HangingKeyring())
    stores = stores_at(tmp_path, programs, wait=False)
    document = {"authProfiles": {"openai:a": profile("keyring:service/name")}}
    began = time.monotonic()
    config = live(tmp_path, stores, {**document, "secrets": {"keyringTimeoutSeconds": 0.5}})
    assert time.monotonic() - began < 8
    with pytest.raises(SecretUnavailable, match="locked"):
        config.secrets.get(parse_reference("keyring:service/name"))
    (tmp_path / "config.json").write_text(json.dumps({**document, "defaultModel": "openai/x"}))
    began = time.monotonic()
    assert config.check()
    assert time.monotonic() - began < 3  # it has been asked already, and is not waited for again


def test_a_change_of_the_config_reads_the_keyring_again(tmp_path: Path, programs: Programs) -> None:
    """Another process that renews a sign-in writes there, and then the expiry into the file."""
    stores, theirs = stores_at(tmp_path, programs, wait=False), stores_at(tmp_path, programs)
    ref = parse_reference("keyring:service/name")
    theirs.put(ref, "one")
    document = {"authProfiles": {"openai:a": profile("keyring:service/name")}}
    config = live(tmp_path, stores, document)
    assert config.secrets.get(ref) == Secret("one")
    theirs.put(ref, "two")
    (tmp_path / "config.json").write_text(json.dumps({**document, "defaultModel": "openai/x"}))
    config.check()
    until(lambda: config.secrets.get(ref) == Secret("two"))
