"""`auth secure`: the secrets of a config moved by one command, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest

from ..config.test_os_keyring import fakes

WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = keyring.get_keyring()
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "keyring.json"))
    keyring.set_keyring(fakes.WorkingKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def key(cli) -> str:
    secret = cli.secret()
    cli.write(
        {
            "authProfiles": {"openai:default": {"provider": "openai", "type": "api_key", "key": secret}},
            "authorization": {"tokens": {"ci": {"token": cli.secret("tok"), "scopes": ["read"]}}},
        }
    )
    return secret


def stored_key(cli) -> str:
    return cli.config["authProfiles"]["openai:default"]["key"]


def searched(folder: Path, secret: str) -> list[str]:
    """The files below `folder` that hold it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files if secret.encode() in path.read_bytes())


def test_to_a_vault_with_a_key_file_and_back(cli, key, tmp_path):
    path = tmp_path / "keys" / "vault.key"
    done = cli("auth", "secure", "--key-file", str(path), "--purge-backups")
    assert done.code == 0
    assert "openai:default.key: literal -> vault:openai:default.key" in done.stdout
    assert "Moved 1 secret to the vault" in done.stdout
    assert "authorization.tokens.ci.token" in done.stderr
    assert "Keep a copy" in done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert cli.config["secrets"]["vault"]["keyFile"] == str(path)
    assert searched(tmp_path, key) == []
    listed = cli("auth", "list", "--json")
    assert "vault:openai:default.key" in listed.stdout
    assert cli("doctor", "--offline").stdout.count("every secret can be resolved") == 1
    assert cli("auth", "secure", "--plain").code == 0
    assert stored_key(cli) == key
    assert "Nothing to move" in cli("auth", "secure", "--plain").stdout


def test_to_a_vault_with_a_passphrase_which_is_asked_for_or_in_a_file(cli, key, tmp_path):
    done = cli("auth", "secure", "--vault", stdin=f"{WORDS}\n")
    assert done.code == 0
    assert "OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE" in done.stderr
    assert stored_key(cli) == "vault:openai:default.key"
    # the backup is the only file that still has it, and is named
    (held,) = searched(tmp_path, key)
    assert held.startswith("home/backups/")
    assert held.removeprefix("home/") in done.stderr
    assert WORDS not in done.stdout + done.stderr
    assert searched(tmp_path, WORDS) == []
    refused = cli("auth", "secure", "--plain")
    assert refused.code == 1
    assert "there is no key" in refused.stderr
    (tmp_path / "words").write_text(WORDS)
    opened = {"OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE": str(tmp_path / "words")}
    purged = cli("auth", "secure", "--vault", "--purge-backups", environ=opened)
    assert "Nothing to move" in purged.stdout
    assert "removed" in purged.stdout
    assert searched(tmp_path, key) == []
    assert cli("auth", "secure", "--plain", environ=opened).code == 0
    assert stored_key(cli) == key


def test_a_wrong_passphrase_and_a_damaged_vault_lose_nothing(cli, key, tmp_path):
    cli("auth", "secure", "--vault", stdin=f"{WORDS}\n")
    before = cli.path.read_text()
    (tmp_path / "words").write_text("another horse entirely")
    wrong = cli("auth", "secure", "--plain", environ={"OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE": str(tmp_path / "words")})
    assert (wrong.code, cli.path.read_text()) == (1, before)
    assert "does not open" in wrong.stderr
    vault = cli.home / "vault.json"
    whole = vault.read_bytes()
    vault.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "words").write_text(WORDS)
    damaged = cli("auth", "secure", "--plain", environ={"OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE": str(tmp_path / "words")})
    assert (damaged.code, cli.path.read_text()) == (1, before)
    assert "damaged" in damaged.stderr


def test_a_key_file_is_added_to_a_vault_that_had_a_passphrase(cli, key, tmp_path):
    (tmp_path / "words").write_text(WORDS)
    opened = {"OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE": str(tmp_path / "words")}
    cli("auth", "secure", "--vault", environ=opened)
    path = tmp_path / "vault.key"
    assert cli("auth", "secure", "--vault", "--key-file", str(path), environ=opened).code == 0
    assert cli("doctor", "--offline").stdout.count("every secret can be resolved") == 1


def test_to_the_keyring_which_is_what_it_does_by_itself(cli, key, tmp_path):
    done = cli("auth", "secure")
    assert done.code == 0
    assert "The keyring is: " in done.stderr
    assert stored_key(cli).startswith("keyring:open-llm-auth-")
    assert [name for name in searched(tmp_path, key) if "backups" not in name] == ["keyring.json"]
    assert cli("auth", "secure", "--plain").code == 0
    assert stored_key(cli) == key


def test_without_a_keyring_it_is_the_vault(cli, key):
    keyring.set_keyring(keyring.backends.fail.Keyring())
    done = cli("auth", "secure", stdin=f"{WORDS}\n")
    assert done.code == 0
    assert "So the vault it is" in done.stderr
    refused = cli("auth", "secure", "--keyring")
    assert refused.code == 1
    assert "auth secure --vault" in refused.stderr


def test_a_dry_run_says_what_would_be_and_does_nothing(cli, key):
    before = {path.name: path.read_bytes() for path in cli.home.iterdir()}
    for option in ("--vault", "--keyring"):
        done = cli("auth", "secure", option, "--dry-run")
        assert "1 secret would be moved" in done.stdout
    assert {path.name: path.read_bytes() for path in cli.home.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        (("--vault", "--plain"), "", 2, "one of --keyring, --vault and --plain"),
        (("--vault",), "", 1, "wants a passphrase"),
        (("--vault",), "short\n", 1, "at least 8 characters"),
        (("--key-file", "/proc/nowhere/key"), "", 1, "can't be made"),
    ],
)
def test_what_can_not_be_is_told_and_nothing_is_moved(cli, key, arguments, stdin, code, words):
    done = cli("auth", "secure", *arguments, stdin=stdin)
    assert (done.code, stored_key(cli)) == (code, key)
    assert words in done.stderr


def test_a_short_or_unreadable_key_is_told(cli, key, tmp_path):
    for content in (b"short", b"\xff" * 40):
        (tmp_path / "key").write_bytes(content)
        done = cli("auth", "secure", "--key-file", str(tmp_path / "key"))
        assert (done.code, stored_key(cli)) == (1, key)


def test_without_a_config_there_is_nothing_to_do(cli):
    done = cli("auth", "secure", "--vault")
    assert (done.code, "nothing to move" in done.stdout) == (0, True)
    assert not cli.home.exists()


def test_a_person_types_the_passphrase_twice_and_errs_once(at_terminal, tmp_path):
    home = tmp_path / "typed"
    home.mkdir(mode=0o700)
    profile = {"provider": "openai", "type": "api_key", "key": "sk-typed-canary-1234567890"}
    (home / "config.json").write_text(json.dumps({"authProfiles": {"openai:default": profile}}))
    terminal = at_terminal(home, "auth", "secure", "--vault")
    terminal.read_until("New passphrase.*: ")
    terminal.type(f"{WORDS}\n")
    terminal.read_until("The same again: ")
    terminal.type("something else\n")
    terminal.read_until("not the same")
    assert not (home / "vault.json").exists()
    terminal = at_terminal(home, "auth", "secure", "--vault")
    for question in ("New passphrase.*: ", "The same again: "):
        terminal.read_until(question)
        terminal.type(f"{WORDS}\n")
    terminal.read_until("Moved 1 secret")
    terminal = at_terminal(home, "auth", "secure", "--plain")
    for answer in ("wrong", WORDS):
        terminal.read_until("Passphrase of the vault: ")
        terminal.type(f"{answer}\n")
    seen = terminal.read_until("Moved 1 secret")
    assert WORDS not in seen
    assert (home / "vault.json").exists()
