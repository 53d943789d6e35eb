"""The doctor names what is broken, exits 1 only then, and tells no secret."""

from __future__ import annotations

import os
import socket
import time
from email.utils import formatdate

import pytest

from open_llm_auth.testing import Behaviour, FakeProvider


def findings(cli, *arguments, **options):
    done = cli("doctor", "--json", *arguments, **options)
    report = done.json()
    assert done.code == (0 if report["ok"] else 1)
    assert report["ok"] is not any(row["state"] == "broken" for row in report["findings"])
    return report["findings"]


def states(rows, check):
    return [row["state"] for row in rows if row["check"] == check]


@pytest.fixture
def healthy(cli, config_for, provider, free_port):
    cli.write(config_for(provider, server={"port": free_port}))
    return cli


def test_a_fresh_machine_is_not_broken(cli):
    rows = findings(cli)
    assert states(rows, "tokens") == ["warning"]
    assert states(rows, "providers") == ["warning"]
    assert states(rows, "clock") == ["unknown"]


def test_everything_is_well_with_a_provider_that_answers(healthy):
    rows = findings(healthy)
    assert {row["check"]: row["state"] for row in rows} == {
        "config": "ok",
        "permissions": "ok",
        "tokens": "ok",
        "secrets": "ok",
        "credentials": "ok",
        "port": "ok",
        "provider fake": "ok",
        "clock": "ok",
    } | ({"clock": "unknown"} if states(rows, "clock") == ["unknown"] else {})
    text = healthy("doctor").stdout
    assert "provider fake" in text


@pytest.mark.parametrize(
    ("offset", "state"), [(0, "ok"), (-30, "ok"), (120, "warning"), (-120, "warning"), (7200, "broken")]
)
def test_the_clock_is_compared_with_the_providers(healthy, provider, offset, state):
    date = formatdate(time.time() + offset, usegmt=True)
    provider.behaviour = Behaviour(headers=(("date", date),))
    assert states(findings(healthy), "clock") == [state]


def test_a_provider_that_does_not_answer_is_broken(cli, config_for):
    with FakeProvider() as gone:
        config = config_for(gone)
    cli.write(config)
    assert states(findings(cli), "provider fake") == ["broken"]


def test_offline_asks_nobody(healthy, provider):
    rows = findings(healthy, "--offline")
    assert states(rows, "provider fake") == ["unknown"]
    assert states(rows, "clock") == ["unknown"]
    assert provider.requests == []


def test_a_config_that_does_not_parse_is_broken(cli):
    cli.write("{")
    rows = findings(cli)
    assert states(rows, "config") == ["broken"]
    assert "line 1" in rows[0]["message"]


def test_a_config_open_to_others_is_warned_about(healthy):
    healthy.path.chmod(0o644)
    healthy.home.chmod(0o755)
    rows = findings(healthy, "--offline")
    assert states(rows, "permissions") == ["warning", "warning"]


@pytest.mark.skipif(os.geteuid() == 0, reason="ROOT MAY WRITE EVERYWHERE: not tried here")
def test_a_home_that_can_not_be_written_is_broken(healthy):
    healthy.home.chmod(0o500)
    try:
        assert "broken" in states(findings(healthy, "--offline"), "permissions")
    finally:
        healthy.home.chmod(0o700)


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "${NOT_SET_ANYWHERE}", "file:/does/not/exist", "env:"])
def test_a_reference_that_leads_nowhere_is_broken(cli, reference):
    cli.write({"authProfiles": {"openai:default": {"provider": "openai", "type": "api_key", "key": reference}}})
    rows = findings(cli, "--offline")
    assert states(rows, "secrets") == ["broken"]
    (row,) = [row for row in rows if row["check"] == "secrets"]
    assert "openai:default" in row["message"]


def test_a_taken_port_is_a_warning_that_names_the_holder(healthy):
    port = healthy.config["server"]["port"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        (row,) = [row for row in findings(healthy, "--offline") if row["check"] == "port"]
    assert row["state"] == "warning"
    assert str(os.getpid()) in row["message"]


def test_a_host_that_is_not_of_this_machine_is_broken(cli):
    cli.write({"server": {"host": "192.0.2.1"}})
    assert states(findings(cli, "--offline"), "port") == ["broken"]


def test_revoked_tokens_let_nobody_in(cli):
    cli("tokens", "create", "ci")
    assert states(findings(cli, "--offline"), "tokens") == ["ok"]
    cli("tokens", "revoke", "ci")
    assert states(findings(cli, "--offline"), "tokens") == ["warning"]


def test_no_canary_stands_in_a_full_report(cli, config_for, provider, provider_key, client_token, admin_token):
    cli.planted |= {provider_key, client_token, admin_token}
    cli.write(config_for(provider))
    cli("doctor")
    cli("doctor", "--json")


@pytest.mark.parametrize("arguments", [["now"], ["--online"], ["--json", "x"], ["--offline=1"], ["-x"]])
def test_wrong_usage_is_exit_2(cli, arguments):
    assert cli("doctor", *arguments).code == 2
