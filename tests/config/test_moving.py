"""Every secret moved to the vault, to the keyring and back, through every way to be interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.config.file import ConfigFile
from open_llm_auth.config.moving import Mover, Target, backups_with
from open_llm_auth.config.sealing import SealKey
from open_llm_auth.config.secret_places import secret_places
from open_llm_auth.config.stores import SecretStores
from open_llm_auth.errors import ConfigUnavailable, SecretUnavailable
from open_llm_auth.values import Secret

from .test_os_keyring import fakes

KEYS = Path(__file__).parents[1] / "keyrings"
SEAL = "a key that is long enough"
ENVIRON = {"OPEN_LLM_AUTH_SEAL_KEY": SEAL}
SECRETS = {
    "openai:default.key": "sk-canary-1",
    "anthropic:me.access": "at-canary-2",
    "anthropic:me.refresh": "rt-canary-3",
    "providers.mine.apiKey": "pk-canary-4",
    "providers.mine.headers.X-Api-Key": "hk-canary-5",
    "oauth.openai-codex.clientSecret": "cs-canary-6",
    "serverToken": "st-canary-7",
}
DOCUMENT: dict[str, Any] = {
    "authProfiles": {
        "openai:default": {"provider": "openai", "type": "api_key", "key": "sk-canary-1"},
        "openai:env": {"provider": "openai", "type": "api_key", "key": "env:NAME"},
        "openai:caps": {"provider": "openai", "type": "api_key", "key": "OPENAI_KEY"},
        "anthropic:me": {"provider": "anthropic", "type": "oauth", "access": "at-canary-2", "refresh": "rt-canary-3"},
    },
    "auth": {"profiles": {}},
    "providers": {
        "mine": {
            "baseUrl": "https://llm.example.org/v1",
            "apiKey": "pk-canary-4",
            "headers": {"X-Api-Key": "hk-canary-5", "X-Team": "blue"},
        }
    },
    "authorization": {"tokens": {"ci": {"token": "client-canary-8", "scopes": ["read"]}}},
    "oauth": {"openai-codex": {"clientSecret": "cs-canary-6"}},
    "serverToken": "st-canary-7",
}


class Home:
    """A config with secrets, and a mover of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps: list[str] = []
        self.file = ConfigFile(folder / "config.json")
        self.file.path.write_text(json.dumps(DOCUMENT))
        self.stores = self.fresh()
        self.stores.vault.create(SealKey("key", Secret(SEAL), "a test"))
        self.mover = Mover(self.file, self.stores, on_step=self.steps.append, grace=0)

    def fresh(self) -> SecretStores:
        return SecretStores(self.file.path, ENVIRON, wait=True)

    def resolved(self) -> dict[str, str]:
        """What each place means, asked of stores that know nothing yet."""
        stores, found = self.fresh(), {}
        for place in secret_places(self.file.read().data):
            if place.name in SECRETS:
                literal = place.ref.scheme == "literal"
                found[place.name] = (place.ref.place if literal else stores.get(place.ref)).reveal()
        return found

    def schemes(self) -> set[str]:
        return {place.ref.scheme for place in secret_places(self.file.read().data) if place.name in SECRETS}

    def text(self) -> str:
        return self.file.path.read_text()


@pytest.fixture(autouse=True)
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = keyring.get_keyring()
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "keyring.json"))
    keyring.set_keyring(fakes.WorkingKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return Home(folder)


@pytest.mark.parametrize("target", ["vault", "keyring"])
def test_every_secret_moves_and_comes_back_and_nothing_else_changes(home: Home, target: Target) -> None:
    moved = home.mover.move(target)
    assert {each.place for each in moved} == set(SECRETS)
    assert home.schemes() == {target}
    assert home.resolved() == SECRETS
    for secret in SECRETS.values():
        assert secret not in home.text()
    data = json.loads(home.text())
    assert data["authProfiles"]["openai:env"]["key"] == "env:NAME"
    assert data["authProfiles"]["openai:caps"]["key"] == "OPENAI_KEY"
    assert data["auth"]["profiles"] == data["authProfiles"]
    assert data["providers"]["mine"]["headers"]["X-Team"] == "blue"
    assert home.mover.move(target) == ()
    home.mover.move("plain")
    assert home.schemes() == {"literal"}
    assert home.resolved() == SECRETS
    assert home.fresh().vault.names() == ()
    assert json.loads((home.folder.parent / "keyring.json").read_text() if target == "keyring" else "{}") == {}


def test_secrets_move_from_the_vault_to_the_keyring_and_leave_nothing_behind(home: Home) -> None:
    home.mover.move("vault")
    home.mover.move("keyring")
    assert (home.schemes(), home.resolved()) == ({"keyring"}, SECRETS)
    assert home.fresh().vault.names() == ()
    home.mover.move("vault")
    assert (home.schemes(), home.resolved()) == ({"vault"}, SECRETS)
    assert json.loads((home.folder.parent / "keyring.json").read_text()) == {}


def test_what_is_due_and_what_stays_is_told_without_a_secret(home: Home) -> None:
    due = {each.place: (each.before, each.after) for each in home.mover.due("vault")}
    assert due["openai:default.key"] == ("literal", "vault:openai:default.key")
    assert due.keys() == SECRETS.keys()
    left = {each.place: each.why for each in home.mover.left()}
    assert left.keys() == {"openai:caps.key", "authorization.tokens.ci.token"}
    assert "tokens create" in left["authorization.tokens.ci.token"]
    assert not [secret for secret in SECRETS.values() if secret in f"{due}{left}"]
    assert json.loads(home.text()) == DOCUMENT


def test_no_entry_is_ever_overwritten(home: Home) -> None:
    home.stores.vault.update({"openai:default.key": Secret("of somebody else")})
    home.mover.move("vault")
    assert home.resolved() == SECRETS
    assert home.stores.vault.read("openai:default.key") == Secret("of somebody else")
    assert home.stores.vault.read("openai:default.key-2") == Secret("sk-canary-1")


def test_the_keyring_entries_of_others_are_left_alone(home: Home) -> None:
    home.stores.put(parse_reference("keyring:Claude Code-credentials/me"), "theirs")
    data = json.loads(home.text())
    data["authProfiles"]["anthropic:theirs"] = {
        "provider": "anthropic",
        "type": "oauth",
        "access": "keyring:Claude Code-credentials/me",
    }
    home.file.path.write_text(json.dumps(data))
    for target in ("keyring", "vault", "plain"):
        home.mover.move(target)
        access = json.loads(home.text())["authProfiles"]["anthropic:theirs"]["access"]
        assert access == "keyring:Claude Code-credentials/me"


def test_two_configs_do_not_share_what_is_in_the_keyring(home: Home, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = Home(tmp_path / "second")
    home.mover.move("keyring")
    second.mover.move("keyring")
    second.mover.move("plain")
    assert home.resolved() == second.resolved() == SECRETS


def test_a_copy_of_a_config_takes_nothing_from_the_original(home: Home, tmp_path: Path) -> None:
    home.mover.move("keyring")
    (tmp_path / "copy").mkdir()
    copy = Home(tmp_path / "copy")
    copy.file.path.write_text(home.text())
    copy.mover.move("plain")
    assert home.resolved() == SECRETS


def test_a_keyring_that_keeps_nothing_is_noticed_before_the_config_changes(home: Home) -> None:
    keyring.set_keyring(fakes.ForgetfulKeyring())
    with pytest.raises(SecretUnavailable):
        home.mover.move("keyring")
    assert json.loads(home.text()) == DOCUMENT


def test_a_keyring_that_is_locked_changes_nothing(home: Home) -> None:
    keyring.set_keyring(fakes.LockedKeyring())
    with pytest.raises(SecretUnavailable, match="locked"):
        home.mover.move("keyring")
    assert json.loads(home.text()) == DOCUMENT


def test_a_secret_that_can_not_stand_in_the_file_keeps_all_where_they_are(home: Home) -> None:
    home.mover.move("vault")
    home.stores.put(parse_reference("vault:openai:default.key"), "ALL_CAPS")
    before = home.text()
    with pytest.raises(SecretUnavailable, match="taken for a reference"):
        home.mover.move("plain")
    assert home.text() == before
    assert home.stores.vault.read("serverToken") == Secret("st-canary-7")


def test_what_was_renewed_meanwhile_is_moved_as_it_is_now(home: Home) -> None:
    def renew(step: str) -> None:
        if step == "compared" and "renewed" not in home.steps:
            home.steps.append("renewed")
            data = json.loads(home.text())
            data["authProfiles"]["anthropic:me"]["access"] = "at-renewed"
            data["auth"]["profiles"] = {}
            home.file.path.write_text(json.dumps(data))

    Mover(home.file, home.stores, on_step=renew).move("vault")
    assert home.resolved() == {**SECRETS, "anthropic:me.access": "at-renewed"}
    assert home.schemes() == {"vault"}


def test_two_at_once_take_turns(home: Home) -> None:
    def second(step: str) -> None:
        if step == "stored":
            with pytest.raises(ConfigUnavailable, match="lock"):
                Mover(home.file, home.fresh(), wait=0.05).move("keyring")

    Mover(home.file, home.stores, on_step=second).move("vault")
    assert (home.schemes(), home.resolved()) == ({"vault"}, SECRETS)


def test_backups_that_hold_a_secret_are_found(home: Home) -> None:
    home.mover.move("vault")
    (home.folder / "backups" / "other.json").write_text("{}")
    held = list(backups_with(home.folder / "backups", home.mover.secrets()))
    assert len(held) == 1
    assert "sk-canary-1" in held[0].read_text()
    assert list(backups_with(home.folder / "none", home.mover.secrets())) == []


# --- killed at every step ---

_KILLED = """
import os, signal, sys
from pathlib import Path
from open_llm_auth.config.file import ConfigFile
from open_llm_auth.config.moving import Mover
from open_llm_auth.config.stores import SecretStores

config, target, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
steps = []

def on_step(step):
    steps.append(step)
    if len(steps) == number:
        os.kill(os.getpid(), signal.SIGKILL)

stores = SecretStores(config, os.environ, wait=True)
Mover(ConfigFile(config), stores, on_step=on_step, grace=0).move(target)
print(len(steps))
"""


def killed(home: Home, target: Target, number: int) -> int:
    environ = {
        **{name: os.environ[name] for name in ("PATH", "FAKE_KEYRING")},
        **ENVIRON,
        "PYTHONPATH": str(KEYS),
        "PYTHON_KEYRING_BACKEND": "fake_keyrings.WorkingKeyring",
    }
    command = [sys.executable, "-c", _KILLED, str(home.file.path), target, str(number)]
    return subprocess.run(command, env=environ, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize(
    ("before", "target"),
    [("plain", "vault"), ("plain", "keyring"), ("vault", "plain"), ("vault", "keyring"), ("keyring", "vault")],
)
def test_who_is_killed_after_any_step_has_lost_nothing_and_can_run_it_again(
    home: Home, before: Target, target: Target
) -> None:
    home.mover.move(before)
    number, codes = 0, []
    while 0 not in codes:
        number += 1
        codes.append(killed(home, target, number))
        assert home.resolved() == SECRETS, number
        if number > 1 or codes != [0]:
            home.mover.move(target)
            assert (home.schemes(), home.resolved()) == ({target if target != "plain" else "literal"}, SECRETS)
            home.mover.move(before)
            assert home.resolved() == SECRETS
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert number > 2
