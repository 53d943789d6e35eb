"""A secret is typed unseen, and what can't be one is refused before it is stored."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


def stored(home):
    return json.loads((home / "config.json").read_text())["authProfiles"]["openai:default"]


def test_a_key_typed_at_a_prompt_is_not_echoed(home, at_terminal):
    terminal = at_terminal(home, "auth", "add-api-key", "openai")
    seen = terminal.read_until("API key for openai: ")
    assert "platform.openai.com" in seen
    terminal.type("sk-typed-canary\n")
    seen = terminal.read_until("Stored openai:default")
    assert "sk-typed-canary" not in seen
    assert terminal.process.wait(10) == 0
    assert stored(home)["key"] == "sk-typed-canary"


def test_an_empty_answer_is_refused(home, at_terminal):
    terminal = at_terminal(home, "auth", "add-api-key", "openai")
    terminal.read_until("API key for openai: ")
    terminal.type("\n")
    terminal.read_until("error: Nothing was given")
    assert terminal.process.wait(10) == 1
    assert not (home / "config.json").exists()


def test_ctrl_c_at_a_prompt_leaves_and_stores_nothing(home, at_terminal):
    terminal = at_terminal(home, "auth", "add-api-key", "openai")
    terminal.read_until("API key for openai: ")
    terminal.type("sk-half\x03")
    assert terminal.process.wait(10) == 1
    assert not (home / "config.json").exists()


def test_an_empty_server_token_is_made(home, at_terminal):
    terminal = at_terminal(home, "auth", "set-server-token")
    terminal.read_until(r"make one\): ")
    terminal.type("\n")
    seen = terminal.read_until(r"Stored in")
    assert json.loads((home / "config.json").read_text())["serverToken"] in seen


def test_a_guided_set_up_asks_step_by_step(home, at_terminal):
    terminal = at_terminal(home, "auth", "configure")
    terminal.read_until("Which one")
    terminal.type("my-llm\n")
    terminal.read_until("Base URL of my-llm")
    terminal.type("https://llm.example.com/v1\n")
    terminal.read_until(r"API key of my-llm .*: ")
    terminal.type("sk-mine\n")
    seen = terminal.read_until("Configured my-llm")
    assert "sk-mine" not in seen
    assert terminal.process.wait(10) == 0
    config = json.loads((home / "config.json").read_text())
    assert config["providers"]["my-llm"]["baseUrl"] == "https://llm.example.com/v1"
    assert config["authProfiles"]["my-llm:default"]["key"] == "sk-mine"
