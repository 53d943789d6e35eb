"""What `serve` prints is a function of facts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from open_llm_auth.cli.banner import Access, Facts, banner, url_of
from open_llm_auth.cli.probe import LocalServer
from open_llm_auth.provider_catalog import load_catalog

ROWS = load_catalog().providers
PATH = Path("/home of/ann/admin-token")


def facts(**changes):
    given = {
        "version": "1.0",
        "host": "127.0.0.1",
        "port": 8080,
        "config": Path("config.json"),
        "access": Access("stored"),
        "model": "demo/echo",
    }
    return Facts(**{**given, **changes})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("gateway.local", "http://gateway.local:8080"),
    ],
)
def test_the_url_is_one_that_works_on_this_machine(host, url):
    assert url_of(host, 8080) == url


@pytest.mark.parametrize(
    ("access", "word"),
    [
        (Access("shown", token="ola_x", new=True), "ola_x"),
        (Access("file", path=PATH), "$(cat '/home of/ann/admin-token')"),
        (Access("environment"), "$OPEN_LLM_AUTH_TOKEN"),
        (Access("dotenv", path=Path("/home/.env")), "$OPEN_LLM_AUTH_TOKEN"),
        (Access("anonymous"), "anything"),
        (Access("stored"), "<your token>"),
    ],
)
def test_the_lines_to_paste_fit_how_one_gets_in(access, word):
    text = banner(facts(access=access))
    assert "export OPENAI_BASE_URL=http://127.0.0.1:8080/v1" in text
    assert f'export OPENAI_API_KEY="{word}"' in text
    assert f'-H "Authorization: Bearer {word}"' in text


def test_a_token_is_shown_only_when_it_was_just_made():
    assert "shown this once" in banner(facts(access=Access("shown", token="ola_x", new=True)))
    assert str(PATH) in banner(facts(access=Access("file", path=PATH, new=True)))
    assert "Made an admin token" not in banner(facts(access=Access("file", path=PATH)))


def test_a_token_does_not_stand_in_the_repr_of_what_carries_it():
    assert "ola_x" not in repr(Access("shown", token="ola_x"))


def test_with_nothing_usable_the_demo_and_the_one_command_are_named():
    text = banner(facts(usable=["demo"]))
    assert "nothing but demo/echo" in text
    assert "it is no real model" in text
    assert "open-llm-auth auth add-api-key" in text
    assert "no real model" not in banner(facts(usable=["openai"], model="openai/gpt-5.5"))


def test_keys_are_named_with_who_takes_them():
    text = banner(
        facts(
            keys={"ZAI_API_KEY": ["zai", "zai-anthropic"], "ANTHROPIC_API_KEY": ["anthropic"]},
            waiting=frozenset({"anthropic", "zai-anthropic"}),
        )
    )
    assert "ZAI_API_KEY (zai)" in text
    assert "ANTHROPIC_API_KEY (anthropic: not in this release yet)" in text
    assert "none in the environment" in banner(facts())


def test_a_local_server_is_offered_with_its_command_until_it_is_usable():
    servers = [LocalServer(ROWS["ollama"], ("llama",)), LocalServer(ROWS["litellm"], None)]
    text = banner(facts(local=servers, usable=["litellm"]))
    assert "Ollama at http://127.0.0.1:11434/v1, 1 model; to use it: open-llm-auth auth configure ollama" in text
    assert "auth configure litellm" not in text


@pytest.mark.parametrize("model", ["demo/echo", 'my/it\'s "odd" $HOME `x`'])
def test_the_curl_line_is_sound_for_a_shell(model):
    line = next(line for line in banner(facts(model=model, access=Access("anonymous"))).splitlines() if "curl" in line)
    words = subprocess.run(
        ["bash", "-c", f"set -- {line.strip()}; printf '%s\\0' \"$@\""], capture_output=True, check=True, text=True
    ).stdout.split("\0")
    assert words[0] == "curl"
    assert "Authorization: Bearer anything" in words
    assert json.loads(words[words.index("-d") + 1])["model"] == model
