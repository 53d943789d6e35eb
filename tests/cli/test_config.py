"""Where the config file is, and what is wrong with it."""

from __future__ import annotations

import pytest


def test_the_path_is_told_whether_or_not_the_file_exists(cli):
    assert cli("config", "path").stdout == f"{cli.path}\n"
    assert cli("config", "path", "--json").json() == {"path": str(cli.path), "exists": False, "home": str(cli.home)}


def test_another_file_can_be_named(cli, tmp_path):
    other = str(tmp_path / "other.json")
    assert cli("config", "path", environ={"OPEN_LLM_AUTH_CONFIG": other}).stdout == f"{other}\n"


def test_no_file_is_sound(cli):
    assert cli("config", "check").code == 0
    assert cli("config", "check", "--json").json()["exists"] is False


def test_a_clash_of_mirrors_is_a_warning_that_names_both_paths(cli):
    cli.write(
        {
            "authOrder": {"openai": ["openai:a"]},
            "auth": {"profiles": {}, "order": {"openai": ["openai:b"]}},
        }
    )
    done = cli("config", "check")
    assert done.code == 0
    assert "authOrder.openai" in done.stdout
    assert "auth.order.openai" in done.stdout
    assert cli("config", "check", "--json").json()["warnings"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("{", "line 1"),
        ("[]", "object"),
        ('{"server": {"port": "http"}}', "server.port"),
        ('{"server": {"port": 99999}}', "server.port"),
        ('{"authProfiles": {"openai:x": {"provider": "openai", "type": "nonsense"}}}', "authProfiles.openai:x.type"),
        ('{"authorization": {"tokens": {"ci": {"scopes": ["read"]}}}}', "authorization.tokens.ci"),
        ('{"a": 1, "a": 2}', "twice"),
    ],
)
def test_a_fault_is_named_by_its_place(cli, text, message):
    cli.write(text)
    done = cli("config", "check")
    assert done.code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    shown = cli("config", "check", "--json")
    assert shown.code == 1
    assert shown.json()["valid"] is False
    assert message in shown.json()["error"]["message"]


def test_a_fault_never_repeats_a_secret(cli):
    key = cli.secret()
    cli.write({"authProfiles": {"openai:x": {"provider": "openai", "type": "api_key", "key": [key]}}})
    assert cli("config", "check").code == 1


@pytest.mark.parametrize("arguments", [["chek"], ["path", "extra"], ["check", "--yaml"], ["path", "--json=1"], []])
def test_wrong_usage_is_exit_2(cli, arguments):
    assert cli("config", *arguments).code == 2
