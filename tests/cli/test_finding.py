"""Looking for sign-ins: the keyring where a file is absent, one entry where two ways lead to it, our own left out."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from open_llm_auth.cli.finding import Finding, look_around, look_at
from open_llm_auth.cli.workbench import Workbench
from open_llm_auth.errors import InvalidRequest, SecretUnavailable
from open_llm_auth.values import Secret, SecretRef


class Keyring:
    """What stands in a keyring, and who asked for what."""

    def __init__(self, items: dict[str, str]) -> None:
        self.items = items
        self.asked: list[str] = []

    def get(self, ref: SecretRef) -> Secret:
        self.asked.append(ref.label)
        if ref.label not in self.items:
            raise SecretUnavailable("no such item")
        return Secret(self.items[ref.label])


def bench(home: Path, keyring: Keyring | None = None) -> Workbench:
    made = Workbench({"HOME": str(home), "OPEN_LLM_AUTH_HOME": str(home / "gateway")})
    if keyring is not None:
        made.__dict__["secrets"] = keyring
        made.__dict__["snapshot"] = Workbench({"HOME": str(home), "OPEN_LLM_AUTH_HOME": str(home / "none")}).snapshot
    return made


def around(made: Workbench, *sources: str) -> Finding:
    return look_around(made, frozenset(sources))


def test_codex_may_keep_its_sign_in_in_the_keyring(tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    mark = hashlib.sha256(os.path.realpath(tmp_path / ".codex").encode()).hexdigest()[:16]
    item = f"keyring:Codex Auth/cli|{mark}"
    keyring = Keyring({item: json.dumps({"tokens": {"access_token": "canary"}})})
    (found,) = around(bench(tmp_path, keyring), "codex").found
    assert found.reference == f"{item}#/tokens/access_token"
    assert found.profile(0, copied=False)["metadata"]["mayRotate"] is False


def test_the_keyring_is_not_asked_for_a_program_that_is_not_here(tmp_path: Path) -> None:
    keyring = Keyring({})
    assert around(bench(tmp_path, keyring), "codex").found == []
    assert keyring.asked == []


def test_a_keyring_without_the_item_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    finding = around(bench(tmp_path, Keyring({})), "codex")
    assert (finding.found, finding.notes) == ([], [])


def test_a_file_goes_before_the_keyring(tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "auth.json").write_text('{"tokens": {"access_token": "t"}}')
    keyring = Keyring({})
    (found,) = around(bench(tmp_path, keyring), "codex").found
    assert found.reference == "file:~/.codex/auth.json#/tokens/access_token"
    assert keyring.asked == []


def test_every_agent_of_openclaw_is_found(tmp_path: Path) -> None:
    for agent in ("main", "work"):
        folder = tmp_path / ".openclaw" / "agents" / agent / "agent"
        folder.mkdir(parents=True)
        profiles = {"groq:x": {"type": "api_key", "provider": "groq", "key": agent}}
        (folder / "auth-profiles.json").write_text(json.dumps({"version": 1, "profiles": profiles}))
    assert len(around(bench(tmp_path), "openclaw").found) == 2


def test_a_file_that_two_ways_lead_to_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("GROQ_API_KEY=k")
    assert len(around(bench(tmp_path), "dotenv").found) == 1


def test_a_path_outside_the_home_is_referred_to_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "auth.json").write_text('{"tokens": {"access_token": "t"}}')
    (found,) = look_at(bench(home), tmp_path / "home" / ".." / "auth.json", None).found
    assert found.reference == f"file:{tmp_path}/auth.json#/tokens/access_token"


def test_a_directory_is_searched_for_the_names_of_all_programs(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    (folder / "agent").mkdir(parents=True)
    (folder / ".credentials.json").write_text('{"claudeAiOauth": {"accessToken": "t"}}')
    (folder / ".env").write_text("GROQ_API_KEY=k")
    (folder / "agent" / "auth-profiles.json").write_text(
        '{"version": 1, "profiles": {"a": {"type": "api_key", "provider": "openai", "key": "k"}}}'
    )
    (folder / "broken").mkdir()
    found = look_at(bench(tmp_path), folder, None).found
    assert {each.source for each in found} == {"claude", "dotenv", "openclaw"}


def test_a_file_of_another_program_than_the_named_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text('{"tokens": {"access_token": "canary"}}')
    with pytest.raises(InvalidRequest) as caught:
        look_at(bench(tmp_path), tmp_path / "auth.json", "opencode")
    assert "canary" not in caught.value.message
