"""Upstream kinds, one file each: what to send, what an error means. Pure; no client inside."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .anthropic import ANTHROPIC
from .bedrock import BEDROCK
from .claude_cli import CLAUDE_CLI
from .codex_cli import CODEX_CLI
from .demo import DEMO
from .github_copilot import GITHUB_COPILOT
from .google import GOOGLE
from .ollama import OLLAMA
from .openai import OPENAI
from .openai_codex import OPENAI_CODEX
from .openai_responses import OPENAI_RESPONSES
from .spec import UpstreamKind

__all__ = ["KINDS"]

#: The values of a provider's `api` that this release carries.
KINDS: Final[Mapping[str, UpstreamKind]] = MappingProxyType(
    {
        kind.api: kind
        for kind in (
            OPENAI,
            OPENAI_RESPONSES,
            OPENAI_CODEX,
            ANTHROPIC,
            GOOGLE,
            BEDROCK,
            OLLAMA,
            GITHUB_COPILOT,
            CLAUDE_CLI,
            CODEX_CLI,
            DEMO,
        )
    }
)
