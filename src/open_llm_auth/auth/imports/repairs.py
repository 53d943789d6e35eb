"""What a person does when a sign-in that another program owns no longer serves: that program's own command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["REPAIRS", "owners_repair"]

#: By `metadata.source` of a profile, which is the name of a source in sources.py.
REPAIRS: Final[Mapping[str, str]] = {
    "claude": "claude /login",
    "cliproxyapi": "the login option of CLIProxyAPI, such as --codex-login",
    "codex": "codex login",
    "copilot": "sign in to Copilot in your editor, or: open-llm-auth auth login-github-copilot",
    "gateway": "sign in again with the gateway that owns it: open-llm-auth auth list",
    "kimi": "kimi login",
    "minimax": "sign in with MiniMax's program, or: open-llm-auth auth login minimax-portal",
    "openclaw": "openclaw models auth login",
    "opencode": "opencode auth login",
    "pi": "pi, and there /login",
    "qwen": "sign in with qwen, and there /auth",
}


def owners_repair(source: object) -> str:
    """The repair for a profile whose metadata names `source`; "" where nobody but the gateway owns it."""
    return REPAIRS.get(source, "") if isinstance(source, str) else ""
