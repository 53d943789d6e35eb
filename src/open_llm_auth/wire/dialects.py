"""Every dialect by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from . import (
    anthropic_messages,
    bedrock_converse,
    claude_cli,
    codex_cli,
    google_genai,
    ollama,
    openai_chat,
    openai_responses,
)
from .dialect import ClientSide, Dialect, DialectName, ProviderSide

__all__ = ["DIALECTS", "client_side", "provider_side"]

DIALECTS: Final[Mapping[DialectName, Dialect]] = MappingProxyType(
    {
        room.DIALECT.name: room.DIALECT
        for room in (
            openai_chat,
            openai_responses,
            anthropic_messages,
            google_genai,
            bedrock_converse,
            ollama,
            claude_cli,
            codex_cli,
        )
    }
)


def client_side(name: DialectName) -> ClientSide:
    """How clients speak it.

    Raises:
        LookupError: none do.
    """
    side = DIALECTS[name].client
    if side is None:
        raise LookupError(f"no client speaks {name}")
    return side


def provider_side(name: DialectName) -> ProviderSide:
    """How providers speak it.

    Raises:
        LookupError: none do.
    """
    side = DIALECTS[name].provider
    if side is None:
        raise LookupError(f"no provider speaks {name}")
    return side
