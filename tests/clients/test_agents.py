"""Real agents work through the gateway, tools and all, on an upstream of another family than they were made for."""

from __future__ import annotations

import re
import time

import pytest
from typer.testing import CliRunner

from open_llm_auth.cli import app
from open_llm_auth.testing import Behaviour

# The first of them installs what it drives.
pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

#: none of them speaks it
UPSTREAMS = ("gemini",)

#: Their prompts are full of their tools' names, and call none by it.
OBEDIENT = Behaviour(calls="told")
AIDERS_EDIT = Behaviour(text=("greeting.py\n", "```\n", "print(", "'new')\n", "```\n"))


def failed(outcomes):
    assert outcomes
    return [outcome for outcome in outcomes if not outcome.ok]


def test_claude_code_talks_and_runs_a_command(family, run_client, upstream, agents):
    upstream.fake.when(OBEDIENT)
    environ = {"CLAUDE": str(agents / "claude")}
    outcomes = run_client("claude_code_command.py", upstream.gateway, upstream.family, upstream.model, environ=environ)
    assert failed(outcomes) == []


def test_codex_talks_and_runs_a_command(family, run_client, upstream, agents):
    upstream.fake.when(OBEDIENT)
    environ = {"CODEX": str(agents / "codex")}
    outcomes = run_client("codex_command.py", upstream.gateway, upstream.family, upstream.model, environ=environ)
    assert failed(outcomes) == []


def test_aider_changes_a_file(family, run_client, upstream, aider):
    upstream.fake.when(AIDERS_EDIT)
    environ = {"AIDER": str(aider)}
    outcomes = run_client("aider_command.py", upstream.gateway, upstream.family, upstream.model, environ=environ)
    assert failed(outcomes) == []


@pytest.mark.parametrize(
    ("client", "agent", "variable"),
    [
        ("claude-code", "claude_code_command.py", "CLAUDE"),
        ("codex", "codex_command.py", "CODEX"),
        ("aider", "aider_command.py", "AIDER"),
    ],
)
def test_connect_is_all_that_an_agent_needs(
    client, agent, variable, run_client, make_gateway, config_for, provider, request, tmp_path
):
    """`connect --write` on a fresh home, and then the agent as it is."""
    command = request.getfixturevalue("aider" if client == "aider" else "agents")
    gateway = make_gateway(config_for(provider))
    provider.when(AIDERS_EDIT if client == "aider" else OBEDIENT)
    home = tmp_path / "person"
    home.mkdir()
    environ = {
        "HOME": str(home),
        "OPEN_LLM_AUTH_HOME": str(gateway.home),
        "CLAUDE_CONFIG_DIR": None,
        "CODEX_HOME": None,
    }
    arguments = ["connect", client, "--write", "--yes", "--url", gateway.url, "--model", "fake/fake-model"]
    done = CliRunner().invoke(app, arguments, env=environ)
    assert done.exit_code == 0, done.output
    wait_until_known(gateway, token_in(home))
    executable = command if client == "aider" else command / variable.lower()
    settings = {variable: str(executable), "CONNECTED": "1", "HOME": str(home), "API_KEY": "", "BASE_URL": ""}
    outcomes = run_client(agent, gateway, "fake", "", environ=settings)
    assert failed(outcomes) == []


def token_in(home):
    """The one token that stands in the files of a home."""
    texts = [path.read_text() for path in home.rglob("*") if path.is_file()]
    (token,) = {found for text in texts for found in re.findall(r"ola_[\w-]{43}", text)}
    return token


def wait_until_known(gateway, token):
    deadline = time.monotonic() + 5
    while gateway.request("GET", "/v1/models", token=token).status != 200:
        assert time.monotonic() < deadline, "the new token is not known after five seconds"
        time.sleep(0.05)
