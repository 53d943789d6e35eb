"""A gateway as its users run it, whose secrets stand in a keyring, in a password manager and in the vault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.config.sealing import SealKey
from open_llm_auth.config.vault import Vault
from open_llm_auth.config.vault_keys import FoundKeys
from open_llm_auth.testing import FakeProvider, GatewayProcess
from open_llm_auth.values import Secret

KEYRINGS = Path(__file__).parent / "keyrings"
TOKEN = "client-token-at-rest-4711"
CANARY = "sk-canary-at-rest-c0ffee"
WORDS = "correct horse battery"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(keys=(CANARY,), models=("tiny",)) as running:
        yield running


class House:
    """A home with a password manager, a keyring and a vault in it."""

    def __init__(self, home: Path, provider: FakeProvider) -> None:
        self.home = home
        self.provider = provider
        self.environ = {
            "PYTHONPATH": str(KEYRINGS),
            "PYTHON_KEYRING_BACKEND": "fake_keyrings.WorkingKeyring",
            "FAKE_KEYRING": str(home / "keyring.json"),
            "OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE": str(home / "words"),
        }
        (home / "words").write_text(WORDS)

    def manager(self, body: str) -> str:
        path = self.home / "manager"
        path.write_text(f'#!/bin/sh\necho run >> "{self.home}/runs"\n{body}\n')
        path.chmod(0o755)
        return str(path)

    def runs(self) -> int:
        path = self.home / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def store_in_keyring(self, secret: str) -> str:
        (self.home / "keyring.json").write_text(json.dumps({"service/name": secret}))
        return "keyring:service/name"

    def store_in_vault(self, secret: str) -> str:
        key = SealKey("passphrase", Secret(WORDS), "a test")
        vault = Vault(self.home / "vault.json", lambda: FoundKeys((key,)))
        vault.create(key)
        vault.update({"a name": Secret(secret)})
        return "vault:a name"

    def config(self, key: str, **more: Any) -> dict[str, Any]:
        return {
            "authProfiles": {"mine:default": {"provider": "mine", "type": "api_key", "key": key}},
            "providers": {"mine": {"baseUrl": self.provider.base_url, "api": "openai-completions"}},
            "egressPolicy": {"allowLocalProviders": ["mine"]},
            "authorization": {"tokens": {"ci": {"token": TOKEN, "admin": True}}},
            **more,
        }

    def gateway(self, key: str, **more: Any) -> GatewayProcess:
        return GatewayProcess(
            self.home, self.config(key, **more), token=TOKEN, environ=self.environ, secrets=[CANARY, WORDS]
        )


@pytest.fixture
def house(tmp_path: Path, provider: FakeProvider) -> House:
    return House(tmp_path, provider)


def ask(gateway: GatewayProcess) -> Any:
    body = {"model": "mine/tiny", "messages": [{"role": "user", "content": "hello"}]}
    return gateway.request("POST", "/v1/chat/completions", body=body)


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@pytest.mark.parametrize("place", ["keyring", "vault", "cmd"])
def test_calls_are_answered_with_a_secret_of_each_place(house: House, place: str) -> None:
    key = {
        "keyring": lambda: house.store_in_keyring(CANARY),
        "vault": lambda: house.store_in_vault(CANARY),
        "cmd": lambda: f"cmd:{house.manager(f'echo {CANARY}')} read item",
    }[place]()
    with house.gateway(key) as gateway:
        for _ in range(30):
            answer = ask(gateway)
            assert answer.status == 200, answer.body
        assert answer.headers["x-gateway-profile"] == "mine:default"
        reads = house.home / "keyring.reads"
        asked = {"cmd": house.runs(), "vault": 0}
        asked["keyring"] = len(reads.read_text().splitlines()) if reads.exists() else 0
        # once by `serve`, which the gateway goes on with; a keyring once more at its first look at the config
        assert asked[place] == {"cmd": 1, "keyring": 2, "vault": 0}[place]
        if Path("/proc/self/cmdline").exists():
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    assert CANARY.encode() not in process.read_bytes(), process
                except OSError:
                    pass  # it has just ended


def test_a_program_that_takes_its_time_holds_up_no_call_and_then_serves(house: House) -> None:
    slow = house.manager(f'while [ ! -e "{house.home}/go" ]; do sleep 0.05; done; echo {CANARY}')
    with house.gateway(f"cmd:{slow}") as gateway:
        began = time.monotonic()
        refused = ask(gateway)
        assert time.monotonic() - began < 2
        assert refused.status == 403
        assert "being asked for" in refused.body.decode()
        (house.home / "go").touch()
        until(lambda: ask(gateway).status == 200)
        assert house.runs() == 1


def test_a_program_that_fails_is_a_reason_and_not_an_answer(house: House) -> None:
    failing = house.manager(f"echo {CANARY} >&2; echo {CANARY}; exit 7")
    with house.gateway(f"cmd:{failing} --session {CANARY}") as gateway:
        refused = ask(gateway)
        assert refused.status == 403
        assert "ended with code 7" in refused.body.decode()
        assert ask(gateway).status == 403
        assert gateway.request("GET", "/v1/models").status == 200


def test_a_refused_secret_is_read_again_without_a_change_of_the_config(house: House) -> None:
    (house.home / "held").write_text("sk-the-old-one-1234")
    with house.gateway(f"cmd:{house.manager(f'cat {house.home}/held')}") as gateway:
        assert ask(gateway).status == 401
        until(lambda: house.runs() == 2)
        assert [ask(gateway).status for _ in range(3)][-1] in (401, 403)
        (house.home / "held").write_text(CANARY)
        gateway.write_config(house.config(f"cmd:{house.home}/manager again"))
        until(lambda: ask(gateway).status == 200)


def test_a_secret_that_was_exchanged_is_found_by_the_401_it_causes(house: House) -> None:
    (house.home / "held").write_text("sk-the-old-one-1234")
    with house.gateway(f"cmd:{house.manager(f'cat {house.home}/held')}") as gateway:
        (house.home / "held").write_text(CANARY)
        assert ask(gateway).status == 401
        until(lambda: ask(gateway).status == 200)
        assert house.runs() == 2


@pytest.mark.parametrize("backend", ["HangingKeyring", "LockedKeyring", "StrangeKeyring"])
def test_a_keyring_that_does_not_give_stops_neither_the_start_nor_other_calls(house: House, backend: str) -> None:
    house.environ["PYTHON_KEYRING_BACKEND"] = f"fake_keyrings.{backend}"
    more = {
        "authProfiles": {
            "mine:default": {"provider": "mine", "type": "api_key", "key": "keyring:service/name"},
            "mine:other": {"provider": "mine", "type": "api_key", "key": f"file:{house.home}/key"},
        },
        "authOrder": {"mine": ["mine:default", "mine:other"]},
        "secrets": {"keyringTimeoutSeconds": 1},
    }
    (house.home / "key").write_text(CANARY)
    with house.gateway("", **more) as gateway:
        answer = ask(gateway)
        assert answer.status == 200
        assert answer.headers["x-gateway-profile"] == "mine:other"
    assert "canary" not in gateway.log()


def test_a_vault_without_its_key_is_said_at_the_start_and_opens_when_it_comes(house: House) -> None:
    key = house.store_in_vault(CANARY)
    (house.home / "words").unlink()
    with house.gateway(key) as gateway:
        assert "warning: The vault" in gateway.log()
        refused = ask(gateway)
        assert refused.status == 403
        assert "vault" in refused.body.decode()
        (house.home / "words").write_text(WORDS)
        until(lambda: ask(gateway).status == 200, 45)


def test_secure_under_a_running_gateway_changes_nothing_for_its_callers(house: House) -> None:
    """Its secrets move to the keyring, to the vault and back, while it answers."""
    with house.gateway(CANARY) as gateway:
        assert ask(gateway).status == 200
        for option in ("--keyring", "--vault", "--plain"):
            command = [sys.executable, "-m", "open_llm_auth.cli", "auth", "secure", option]
            environ = {**house.environ, "HOME": str(house.home), "OPEN_LLM_AUTH_HOME": str(house.home)}
            environ["PATH"] = os.environ["PATH"]
            done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            assert "Moved 1 secret" in done.stdout
            assert CANARY not in done.stdout + done.stderr
            # what was read before the change is in force until the gateway has looked, and that is right too
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                assert ask(gateway).status == 200
                time.sleep(0.05)
