"""`auth export` and `auth import-sealed`."""

from __future__ import annotations

import json
import os

import pytest

WORDS = "correct horse battery\n"


@pytest.fixture
def home(cli, tmp_path):
    """Four kinds of profile; what they resolve to is planted."""
    cli.key, cli.token = cli.secret(), cli.secret("tok")
    (tmp_path / "key").write_text(cli.key)
    cli.write(
        {
            "authProfiles": {
                "openai:default": {"provider": "openai", "type": "api_key", "key": f"file:{tmp_path}/key"},
                "openai:backup": {"provider": "openai", "type": "api_key", "key": cli.token},
                "openai-codex:mine": {
                    "provider": "openai-codex",
                    "type": "oauth",
                    "access": cli.secret("at"),
                    "refresh": cli.secret("rt"),
                },
                "openai-codex:theirs": {
                    "provider": "openai-codex",
                    "type": "oauth",
                    "access": f"file:{tmp_path}/key",
                    "metadata": {"mayRotate": False},
                },
            },
            "authOrder": {"openai": ["openai:backup", "openai:default"]},
        }
    )
    return cli


def wiped(cli):
    cli.write({})


def test_an_export_is_sealed_private_and_comes_back_resolved(home, tmp_path):
    out = tmp_path / "out.json"
    before = home.config
    done = home("auth", "export", "--out", str(out), stdin=WORDS)
    assert done.code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    raw = out.read_text()
    assert not [secret for secret in home.planted if secret in raw]
    assert "openai" not in raw.replace("open-llm-auth", "")
    assert "openai-codex:mine" in done.stderr
    assert "one machine only" in done.stderr
    wiped(home)
    done = home("auth", "import-sealed", str(out), stdin=WORDS)
    assert done.code == 0
    assert "3 of 4 profiles imported" in done.stdout
    assert "openai-codex:theirs" in done.stderr
    profiles = home.config["authProfiles"]
    assert profiles["openai:default"]["key"] == home.key
    assert profiles["openai-codex:mine"] == before["authProfiles"]["openai-codex:mine"]
    assert home.config["authOrder"] == before["authOrder"]


def test_references_travel_only_when_asked_for_and_are_taken_only_when_asked_for(home, tmp_path):
    out = tmp_path / "out.json"
    before = home.config
    home("auth", "export", "--references", "--out", str(out), stdin=WORDS)
    wiped(home)
    assert "2 of 4 profiles imported" in home("auth", "import-sealed", str(out), stdin=WORDS).stdout
    assert "2 of 4 profiles imported" in home("auth", "import-sealed", "--references", str(out), stdin=WORDS).stdout
    assert home.config["authProfiles"] == before["authProfiles"]


def test_what_is_there_stays_unless_it_is_to_be_replaced(home, tmp_path):
    out = tmp_path / "out.json"
    home("auth", "export", "openai:backup", "--out", str(out), stdin=WORDS)
    home.write({"authProfiles": {"openai:backup": {"provider": "openai", "type": "api_key", "key": "sk-local"}}})
    done = home("auth", "import-sealed", str(out), stdin=WORDS)
    assert "--replace" in done.stderr
    assert home.config["authProfiles"]["openai:backup"]["key"] == "sk-local"
    assert "would be imported" in home("auth", "import-sealed", "--replace", "--dry-run", str(out), stdin=WORDS).stdout
    assert home.config["authProfiles"]["openai:backup"]["key"] == "sk-local"
    home("auth", "import-sealed", "--replace", str(out), stdin=WORDS)
    assert home.config["authProfiles"]["openai:backup"]["key"] == home.token


def test_import_knows_a_sealed_export(home, tmp_path):
    out = tmp_path / "out.json"
    home("auth", "export", "openai:backup", "--out", str(out), stdin=WORDS)
    wiped(home)
    assert "1 of 1 profiles imported" in home("auth", "import", str(out), stdin=WORDS).stdout


def test_without_a_name_the_file_lies_in_this_folder(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert home("auth", "export", stdin=WORDS).code == 0
    (found,) = tmp_path.glob("open-llm-auth-export-*.json")
    assert json.loads(found.read_text())["format"] == "open-llm-auth export"


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("--out", "OUT"), "", "wants a passphrase"),
        (("--out", "OUT"), "short\n", "at least 8 characters"),
        (("--out", "OUT", "openai:nobody"), WORDS, "no profile"),
        (("--out", "THERE"), WORDS, "it is there already"),
        (("--out", "LINK"), WORDS, "it is there already"),
        (("--out", "/proc/nowhere/x"), WORDS, "can't be written"),
    ],
)
def test_what_can_not_be_exported_is_told_and_nothing_is_written(home, tmp_path, arguments, stdin, words):
    (tmp_path / "THERE").write_text("mine")
    (tmp_path / "LINK").symlink_to(tmp_path / "elsewhere")
    places = [str(tmp_path / word) if word.isupper() else word for word in arguments]
    done = home("auth", "export", *places, stdin=stdin)
    assert done.code == 1
    assert words in done.stderr
    assert not (tmp_path / "OUT").exists()
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "THERE").read_text() == "mine"


def test_an_export_that_does_not_open_changes_nothing(home, tmp_path):
    out = tmp_path / "out.json"
    home("auth", "export", "--out", str(out), stdin=WORDS)
    before = home.path.read_bytes()
    for content, stdin, words in (
        (out.read_bytes(), "another horse entirely\n", "not its passphrase"),
        (out.read_bytes(), "", "no passphrase was given"),
        (out.read_bytes()[:-40], WORDS, "damaged"),
        (b"{}", WORDS, "no sealed export"),
    ):
        out.write_bytes(content)
        done = home("auth", "import-sealed", "--replace", str(out), stdin=stdin)
        assert (done.code, home.path.read_bytes()) == (1, before)
        assert words in done.stderr
    assert "No such file" in home("auth", "import-sealed", str(tmp_path / "none")).stderr
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in home("auth", "import-sealed", str(tmp_path / "pipe")).stderr


def test_a_config_without_profiles_has_nothing_to_export(cli):
    assert "no profiles" in cli("auth", "export", stdin=WORDS).stderr
