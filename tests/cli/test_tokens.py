"""Tokens are made of chance, stored hashed, shown once, and their names are never given twice."""

from __future__ import annotations

import hashlib
import time

import pytest


def test_a_token_is_shown_once_and_stored_hashed(cli):
    done = cli("tokens", "create", "ci")
    assert done.code == 0
    token = next(line for line in done.stdout.splitlines() if line.startswith("ola_"))
    assert len(token) == 4 + 43
    entry = cli.config["authorization"]["tokens"]["ci"]
    assert entry == {
        "tokenHash": f"sha256:{hashlib.sha256(token.encode()).hexdigest()}",
        "scopes": ["read", "write"],
        "admin": False,
        "enabled": True,
    }
    assert token not in cli.path.read_text()
    assert token not in cli("tokens", "list").stdout + cli("tokens", "list", "--json").stdout


def test_a_token_can_be_narrowed(cli):
    before = time.time() * 1000
    done = cli(
        "tokens",
        "create",
        "ci",
        "--scope",
        "read",
        "--models",
        "openai/gpt-*",
        "--models",
        "demo/*",
        "--expires",
        "1.5",
    )
    assert done.code == 0, done.stderr
    entry = cli.config["authorization"]["tokens"]["ci"]
    assert entry["scopes"] == ["read"]
    assert entry["models"] == ["openai/gpt-*", "demo/*"]
    assert before + 1.4 * 86_400_000 < entry["expiresAt"] < before + 1.6 * 86_400_000


def test_an_admin_token_has_no_scopes_of_its_own(cli):
    shown = cli("tokens", "create", "root", "--admin", "--json").json()
    assert (shown["id"], shown["admin"], shown["scopes"]) == ("root", True, [])
    assert shown["token"].startswith("ola_")
    assert cli.config["authorization"]["tokens"]["root"]["admin"] is True


def test_two_tokens_are_never_alike(cli):
    tokens = {cli("tokens", "create", f"t{number}", "--json").json()["token"] for number in range(5)}
    assert len(tokens) == 5


def test_a_revoked_token_stays_listed_and_its_name_is_never_given_again(cli):
    cli("tokens", "create", "ci")
    kept = cli.config["authorization"]["tokens"]["ci"]["tokenHash"]
    assert cli("tokens", "revoke", "ci").code == 0
    assert cli.config["authorization"]["tokens"]["ci"]["enabled"] is False
    assert cli.config["authorization"]["tokens"]["ci"]["tokenHash"] == kept
    assert cli("tokens", "list", "--json").json()["tokens"][0]["state"] == "revoked"
    again = cli("tokens", "create", "ci")
    assert again.code == 1
    assert "never given again" in again.stderr
    assert cli("tokens", "revoke", "ci").code == 0


def test_a_name_counts_wherever_it_stands(cli):
    cli.write({"authorization": {"tokens": {"key": {"id": "subject", "token": cli.secret("t"), "scopes": []}}}})
    assert cli("tokens", "create", "subject").code == 1
    assert cli("tokens", "create", "key").code == 1
    assert [row["id"] for row in cli("tokens", "list", "--json").json()["tokens"]] == ["subject"]
    assert cli("tokens", "revoke", "subject").code == 0
    assert cli.config["authorization"]["tokens"]["key"]["enabled"] is False


def test_the_list_says_which_are_in_force(cli):
    assert "tokens create" in cli("tokens", "list").stdout
    tokens = {
        "old": {"token": cli.secret("t"), "scopes": ["read"], "expiresAt": 1000},
        "new": {"token": cli.secret("t"), "scopes": ["read"], "models": ["demo/*"]},
        "root": {"token": cli.secret("t"), "admin": True},
        "none": {"token": cli.secret("t")},
    }
    cli.write({"authorization": {"tokens": tokens}})
    rows = {row["id"]: row for row in cli("tokens", "list", "--json").json()["tokens"]}
    assert [row["state"] for row in rows.values()] == ["expired", "in force", "in force", "in force"]
    assert rows["new"]["hashed"] is False
    text = cli("tokens", "list").stdout
    assert "demo/*" in text
    assert "admin" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "NAME"),
        ([""], 2, "no token name"),
        (["two words"], 2, "no token name"),
        (["-", "--admin"], 2, "no token name"),
        (["x" * 65], 2, "no token name"),
        (["\x1b[31m"], 2, "no token name"),
        (["local-admin"], 2, "uses itself"),
        (["legacy-admin"], 2, "uses itself"),
        (["ci", "--scope", "admin"], 2, "no scope"),
        (["ci", "--scope", "Read"], 2, "no scope"),
        (["ci", "--scope", "read", "--admin"], 2, "not both"),
        (["ci", "--models", ""], 2, "glob"),
        (["ci", "--expires", "0"], 2, "days"),
        (["ci", "--expires", "-1"], 2, "days"),
        (["ci", "--expires", "nan"], 2, "days"),
        (["ci", "--expires", "1e9"], 2, "days"),
        (["ci", "--expires", "tomorrow"], 2, "--expires"),
        (["ci", "secret-in-argv"], 2, "extra argument"),
    ],
)
def test_a_bad_token_is_refused_and_nothing_is_written(cli, arguments, code, message):
    done = cli("tokens", "create", *arguments)
    assert (done.code, message in done.stderr) == (code, True), done.stderr
    assert not cli.path.exists()


@pytest.mark.parametrize("name", ["nobody", "", "CI", "ci ", "\x1b[2J"])
def test_revoking_what_is_not_there_fails(cli, name):
    cli("tokens", "create", "ci")
    done = cli("tokens", "revoke", name)
    assert done.code == 1
    assert "There is no token" in done.stderr
    assert "\x1b" not in done.stderr
    assert cli.config["authorization"]["tokens"]["ci"]["enabled"] is True
