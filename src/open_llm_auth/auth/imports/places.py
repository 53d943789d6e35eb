"""Where the programs keep their sign-ins: files below the home directory, or where a variable of theirs says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .claude import NAME as CLAUDE
from .cliproxyapi import NAME as CLIPROXYAPI
from .codex import NAME as CODEX
from .copilot import NAME as COPILOT
from .gateway import NAME as GATEWAY
from .gemini_cli import NAME as GEMINI
from .llm import NAME as LLM
from .openclaw import NAME as OPENCLAW
from .variables import DOTENV

__all__ = ["Folders", "Place", "names_of", "places"]


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things are on this machine, as absolute paths without a slash at their end."""

    home: str
    here: str
    #: `darwin` and `win32` as `sys.platform` has them; all else goes by the ways of `linux`
    platform: str = "linux"


@dataclass(frozen=True, slots=True)
class Place:
    """A file that a source may have; `name` is a pattern with `*` where it may have several. `keyring` is the item that
    holds the same text where the file is absent; its `{user}` is the person's name, its `{mark}` what Codex makes of
    the folder."""

    source: str
    folder: str
    name: str
    keyring: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """Files `names` in the folder that `variable` names, else in `folder`; `within` lies between the two."""

    source: str
    names: tuple[str, ...]
    folder: str
    variable: str = ""
    within: str = ""
    keyring: str = ""
    platforms: tuple[str, ...] = ()


_ROWS: Final = (
    _Row(CODEX, ("auth.json",), "{home}/.codex", "CODEX_HOME", keyring="Codex Auth/cli|{mark}"),
    _Row(CLAUDE, (".credentials.json",), "{home}/.claude", "CLAUDE_CONFIG_DIR", platforms=("linux", "win32")),
    _Row(
        CLAUDE,
        (".credentials.json",),
        "{home}/.claude",
        "CLAUDE_CONFIG_DIR",
        keyring="Claude Code-credentials/{user}",
        platforms=("darwin",),
    ),
    _Row(CLAUDE, (".claude.json",), "{home}", "CLAUDE_CONFIG_DIR"),
    _Row(COPILOT, ("apps.json", "hosts.json"), "{config}/github-copilot"),
    _Row(COPILOT, ("apps.json", "hosts.json"), "{home}", "LOCALAPPDATA", "github-copilot", platforms=("win32",)),
    _Row(GEMINI, ("oauth_creds.json", ".env"), "{home}", "GEMINI_CLI_HOME", ".gemini"),
    _Row("opencode", ("auth.json",), "{data}/opencode"),
    _Row("pi", ("auth.json",), "{home}/.pi/agent", "PI_CODING_AGENT_DIR"),
    _Row("aider", (".aider.conf.yml",), "{home}"),
    _Row("aider", (".aider.conf.yml",), "{here}"),
    _Row("aider", ("oauth-keys.env",), "{home}/.aider"),
    _Row(LLM, ("keys.json",), "{config}/io.datasette.llm", "LLM_USER_PATH", platforms=("linux",)),
    _Row(
        LLM,
        ("keys.json",),
        "{home}/Library/Application Support/io.datasette.llm",
        "LLM_USER_PATH",
        platforms=("darwin",),
    ),
    _Row(LLM, ("keys.json",), "{home}/AppData/Roaming/io.datasette.llm", "LLM_USER_PATH", platforms=("win32",)),
    _Row(OPENCLAW, ("agents/*/agent/auth-profiles.json",), "{home}/.openclaw", "OPENCLAW_STATE_DIR"),
    _Row(OPENCLAW, ("agents/*/agent/auth-profiles.json",), "{home}/.clawdbot", "CLAWDBOT_STATE_DIR"),
    _Row(OPENCLAW, ("auth-profiles.json",), "", "OPENCLAW_AGENT_DIR"),
    _Row(CLIPROXYAPI, ("*.json",), "{home}/.cli-proxy-api"),
    _Row("qwen", ("oauth_creds.json",), "{home}/.qwen"),
    _Row("minimax", ("oauth_creds.json",), "{home}/.minimax"),
    _Row("kimi", ("credentials/kimi-code.json",), "{home}/.kimi"),
    _Row(GATEWAY, ("config.json",), "{home}/.open_llm_auth"),
    _Row(DOTENV, (".env",), "{home}"),
    _Row(DOTENV, (".env",), "{here}"),
)


def places(environ: Mapping[str, str], folders: Folders) -> Iterator[Place]:
    """Every place there is to look at, none twice."""
    seen: set[Place] = set()
    for row in _ROWS:
        folder = environ.get(row.variable, "").strip() if row.variable else ""
        folder = _expanded(folder, folders) if folder else _filled(row.folder, environ, folders)
        if not folder or (row.platforms and folders.platform not in row.platforms):
            continue
        for name in row.names:
            place = Place(row.source, f"{folder}/{row.within}".rstrip("/"), name, row.keyring)
            if place not in seen:
                seen.add(place)
                yield place


def names_of(source: str | None = None) -> Iterator[str]:
    """What the files are called, of one source or of all, from the folder on that is theirs."""
    yield from dict.fromkeys(name for row in _ROWS if source in (None, row.source) for name in row.names)


def _filled(folder: str, environ: Mapping[str, str], folders: Folders) -> str:
    """A folder of the table. XDG's variables count only where they are absolute, as their specification has it."""
    config = environ.get("XDG_CONFIG_HOME", "")
    data = environ.get("XDG_DATA_HOME", "")
    return folder.format(
        home=folders.home,
        here=folders.here,
        config=config.rstrip("/") if config.startswith("/") else f"{folders.home}/.config",
        data=data.rstrip("/") if data.startswith("/") else f"{folders.home}/.local/share",
    )


def _expanded(folder: str, folders: Folders) -> str:
    """A folder of a variable."""
    if folder == "~" or folder.startswith("~/"):
        return f"{folders.home}{folder[1:]}".rstrip("/")
    return folder.rstrip("/") if folder.startswith("/") or ":" in folder else f"{folders.here}/{folder.rstrip('/')}"
