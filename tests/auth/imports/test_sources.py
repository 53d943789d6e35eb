"""Whose file it is: by its folder where the name says it, else by its shape."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from open_llm_auth.auth.imports.found import Found, Known, Store, Unreadable
from open_llm_auth.auth.imports.repairs import REPAIRS
from open_llm_auth.auth.imports.sources import SOURCES, guess
from open_llm_auth.config.dotenv import parse_dotenv
from open_llm_auth.provider_catalog import load_catalog, load_sign_ins

KNOWN = Known(load_catalog(), load_sign_ins(), lambda text: parse_dotenv(text).values)


def recognised(path: str, content: object) -> tuple[Found, ...]:
    data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    store = Store(path, f"file:{path}", data)
    for _, read in guess(store):
        try:
            if found := read(store, KNOWN):
                return found
        except Unreadable:
            pass  # another's
    return ()


@pytest.mark.parametrize(
    ("path", "content", "source"),
    [
        ("/x/a.json", {"tokens": {"access_token": "t"}}, "codex"),
        ("/x/a.json", {"claudeAiOauth": {"accessToken": "t"}}, "claude"),
        ("/x/a.json", {"github.com": {"oauth_token": "t"}}, "copilot"),
        ("/x/a.json", {"groq": {"type": "api", "key": "k"}}, "opencode"),
        ("/home/ann/.pi/agent/auth.json", {"groq": {"type": "api_key", "key": "k"}}, "pi"),
        ("/x/a.json", {"profiles": {"a": {"type": "api_key", "provider": "groq", "key": "k"}}}, "openclaw"),
        ("/x/a.json", {"type": "codex", "access_token": "t"}, "cliproxyapi"),
        ("/x/a.json", {"authProfiles": {"a:b": {"provider": "groq", "type": "api_key", "key": "k"}}}, "gateway"),
        ("/x/keys.json", {"openai": "k"}, "llm"),
        ("/home/ann/.qwen/oauth_creds.json", {"access_token": "t"}, "qwen"),
        ("/home/ann/.minimax/oauth_creds.json", {"access_token": "t"}, "minimax"),
        ("/home/ann/.kimi/credentials/kimi-code.json", {"access_token": "t"}, "kimi"),
        ("/home/ann/.gemini/oauth_creds.json", {"access_token": "t"}, "gemini-cli"),
        ("/home/ann/.gemini/.env", "GEMINI_API_KEY=k", "gemini-cli"),
        ("/home/ann/.aider/oauth-keys.env", "OPENROUTER_API_KEY=k", "aider"),
        ("/x/.aider.conf.yml", "openai-api-key: k", "aider"),
        ("/x/.env", "GROQ_API_KEY=k", "dotenv"),
        ("/x/secrets", "GROQ_API_KEY=k", "dotenv"),
    ],
)  # fmt: skip
def test_a_file_is_recognised(path: str, content: object, source: str) -> None:
    assert {found.source for found in recognised(path, content)} == {source}


@pytest.mark.parametrize("content", [{}, {"theme": "dark"}, {"a": {"b": "c"}}, [], "text", {"type": "module"}])
def test_a_file_of_nobodys_is_nobodys(content: object) -> None:
    assert all(found.flaw for found in recognised("/x/a.json", content))


def test_every_source_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "credentials.md").read_text("utf-8")
    table = page.partition("## Importing")[2].partition("\n\n**")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} == set(SOURCES)


def test_who_renews_a_sign_in_has_a_command_for_it() -> None:
    found = [
        SOURCES[name].reader("x.json")
        for name in SOURCES
        if name not in REPAIRS and name not in ("llm", "aider", "dotenv", "environment", "gemini-cli")
    ]
    assert found == []
    assert set(REPAIRS) <= set(SOURCES)
