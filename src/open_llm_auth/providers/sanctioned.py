"""The ways a provider allows, for who used its sign-in in another one and was refused (SPEC §5, Money and terms)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["sanctioned_way"]

_WAYS: Final[Mapping[str, str]] = {
    "anthropic": (
        "Anthropic allows its sign-in in its own programs alone: call claude-cli/MODEL, which runs your own claude "
        "program, or use an API key (open-llm-auth auth add-api-key anthropic)."
    ),
    "openai-codex": (
        "OpenAI documents this sign-in for Codex alone: call codex-cli/MODEL, which runs your own codex program, or "
        "use an API key (open-llm-auth auth add-api-key openai)."
    ),
    "github-copilot": (
        "GitHub allows sign-ins of an OAuth app of your own: set oauth.github-copilot.clientId and sign in again "
        "(open-llm-auth auth login-github-copilot)."
    ),
}


def sanctioned_way(provider_id: str) -> str:
    """A sentence that says what to do instead."""
    usual = f"An API key is the way that the provider allows: open-llm-auth auth add-api-key {provider_id}."
    return _WAYS.get(provider_id, usual)
