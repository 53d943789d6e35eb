"""Where programs are looked for: below home, where their variables say, and by the ways of the platform."""

from __future__ import annotations

import pytest

from open_llm_auth.auth.imports.places import Folders, Place, names_of, places
from open_llm_auth.auth.imports.sources import SOURCES

LINUX = Folders("/home/ann", "/here")


def paths(source: str, environ: dict[str, str] | None = None, folders: Folders = LINUX) -> list[str]:
    return [f"{each.folder}/{each.name}" for each in places(environ or {}, folders) if each.source == source]


@pytest.mark.parametrize(
    ("source", "environ", "expected"),
    [
        ("codex", {}, ["/home/ann/.codex/auth.json"]),
        ("codex", {"CODEX_HOME": "/x/"}, ["/x/auth.json"]),
        ("codex", {"CODEX_HOME": "~/c"}, ["/home/ann/c/auth.json"]),
        ("codex", {"CODEX_HOME": "c"}, ["/here/c/auth.json"]),
        ("codex", {"CODEX_HOME": " "}, ["/home/ann/.codex/auth.json"]),
        ("claude", {}, ["/home/ann/.claude/.credentials.json", "/home/ann/.claude.json"]),
        ("claude", {"CLAUDE_CONFIG_DIR": "/c"}, ["/c/.credentials.json", "/c/.claude.json"]),
        ("opencode", {}, ["/home/ann/.local/share/opencode/auth.json"]),
        ("opencode", {"XDG_DATA_HOME": "/d"}, ["/d/opencode/auth.json"]),
        ("opencode", {"XDG_DATA_HOME": "relative"}, ["/home/ann/.local/share/opencode/auth.json"]),
        ("gemini-cli", {"GEMINI_CLI_HOME": "/g"}, ["/g/.gemini/oauth_creds.json", "/g/.gemini/.env"]),
        ("llm", {}, ["/home/ann/.config/io.datasette.llm/keys.json"]),
        ("llm", {"LLM_USER_PATH": "/l"}, ["/l/keys.json"]),
        ("dotenv", {}, ["/home/ann/.env", "/here/.env"]),
        ("openclaw", {"OPENCLAW_AGENT_DIR": "/a"}, [
            "/home/ann/.openclaw/agents/*/agent/auth-profiles.json",
            "/home/ann/.clawdbot/agents/*/agent/auth-profiles.json",
            "/a/auth-profiles.json"]),
    ],
)  # fmt: skip
def test_a_program_is_looked_for_where_it_keeps_its_files(
    source: str, environ: dict[str, str], expected: list[str]
) -> None:
    assert paths(source, environ) == expected


def test_the_platform_decides_where_it_does() -> None:
    mac = Folders("/Users/ann", "/here", "darwin")
    assert paths("llm", folders=mac) == ["/Users/ann/Library/Application Support/io.datasette.llm/keys.json"]
    (keychain,) = [each for each in places({}, mac) if each.keyring.startswith("Claude")]
    assert keychain == Place("claude", "/Users/ann/.claude", ".credentials.json", "Claude Code-credentials/{user}")
    windows = Folders("C:/Users/ann", "C:/work", "win32")
    assert "C:/local/github-copilot/apps.json" in paths("copilot", {"LOCALAPPDATA": "C:/local"}, windows)
    assert not [each for each in places({}, LINUX) if each.keyring.startswith("Claude")]


def test_no_place_is_looked_at_twice() -> None:
    found = list(places({}, Folders("/home/ann", "/home/ann")))
    assert len(found) == len(set(found))


def test_every_place_belongs_to_a_source_that_reads_it() -> None:
    for platform in ("linux", "darwin", "win32"):
        for place in places({"OPENCLAW_AGENT_DIR": "/a"}, Folders("/h", "/w", platform)):
            assert SOURCES[place.source].reader(place.name.replace("*", "x")) is not None


def test_every_source_that_reads_files_has_a_place() -> None:
    placed = {place.source for place in places({}, LINUX)}
    assert {name for name, source in SOURCES.items() if source.reads} == placed


def test_names_are_those_of_one_source_or_of_all() -> None:
    assert list(names_of("codex")) == ["auth.json"]
    assert {"auth.json", ".credentials.json", ".env"} <= set(names_of())
