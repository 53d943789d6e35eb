"""The whole tree of commands: help for each, no secret in an argument, and one line for every failure."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from open_llm_auth.cli import app, main
from open_llm_auth.cli.application import _Commands
from open_llm_auth.errors import ConfigInvalid


def commands(group=None, path=()):
    group = group or get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


TREE = dict(commands())


def test_the_commands_of_this_release_are_there():
    auth = "configure add-api-key add-token add-oauth set-order set-server-token list remove"
    auth += " login login-openai-codex login-github-copilot setup-token"
    auth += " reset rename test import"
    auth += " secure export import-sealed"
    assert {" ".join(path) for path in TREE} == {
        "serve",
        "chat",
        "connect",
        "doctor",
        *(f"auth {name}" for name in auth.split()),
        *("models list", "models set-default"),
        *("tokens create", "tokens list", "tokens revoke"),
        *("config path", "config check"),
    }


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_each_command_helps_and_says_what_it_does(cli, path):
    done = cli(*path, "--help")
    assert done.code == 0
    assert TREE[path].help
    assert done.stdout == cli(*path, "-h").stdout


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_no_option_takes_a_secret(path):
    for option in TREE[path].params:
        words = {name.lstrip("-") for name in option.opts}
        if words & {"key", "api-key", "token", "access", "secret", "refresh", "password"}:
            assert option.is_flag, option.name


@pytest.mark.parametrize("path", [path for path in TREE if path[-1] == "list"], ids=" ".join)
def test_each_listing_has_json(cli, path):
    assert cli(*path, "--json").json()


@pytest.mark.parametrize(
    "arguments", [["nope"], ["auth", "nope"], ["--nope"], ["auth", "list", "--nope"], ["serve", "x"]]
)
def test_what_is_no_command_is_wrong_usage(cli, arguments):
    assert cli(*arguments).code == 2


def _app_that_raises(error):
    failing = typer.Typer(cls=_Commands, pretty_exceptions_enable=False, rich_markup_mode=None)

    @failing.callback()
    def root():
        """Something that fails."""

    @failing.command()
    def run():
        raise error

    return failing


def test_an_error_of_the_gateway_is_one_line_and_exit_1(capsys):
    with pytest.raises(SystemExit) as left:
        main(["run"], commands=_app_that_raises(ConfigInvalid("This\nis \x1b[31mwrong.", param="server.port")))
    assert left.value.code == 1
    assert capsys.readouterr().err == "error: This is \ufffd[31mwrong. (at server.port)\n"


def test_a_fault_of_ours_is_one_line_without_its_text(capsys):
    with pytest.raises(SystemExit) as left:
        main(["run"], commands=_app_that_raises(RuntimeError("sk-canary-in-a-fault")))
    assert left.value.code == 1
    told = capsys.readouterr().err
    assert "RuntimeError" in told
    assert told.count("\n") == 1
    assert "canary" not in told


@pytest.mark.parametrize("name", [b"h\xc3\xb4me", b"h\xf4me"])
def test_a_name_that_the_terminal_has_no_word_for_is_no_trouble(tmp_path, name):
    home = os.fsencode(tmp_path) + b"/" + name
    environment = {**os.environb, b"OPEN_LLM_AUTH_HOME": home, b"PYTHONIOENCODING": b"ascii", b"PYTHONUTF8": b"0"}
    done = subprocess.run(
        [sys.executable, "-m", "open_llm_auth.cli", "config", "path"], env=environment, capture_output=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(os.fsencode(tmp_path))


def test_a_key_that_is_no_text_at_all_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "open_llm_auth.cli", "auth", "add-api-key", "openai"],
        env={**os.environ, "OPEN_LLM_AUTH_HOME": str(tmp_path)},
        input=b"\xff\xfe\x00\n",
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: What was given")
    assert not (tmp_path / "config.json").exists()


def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m open_llm_auth.cli auth configure </dev/null | true",
        shell=True,
        env={**os.environ, "OPEN_LLM_AUTH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "Traceback" not in done.stderr
