"""Providers and variables as other programs call them, in this gateway's ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...provider_catalog import Catalog

__all__ = ["provider_of", "variables_of"]

#: What no alias of the catalog says, mostly ids of models.dev.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "claude": "anthropic",
    "github-copilot-enterprise": "github-copilot",
    "google-antigravity": "google",
    "google-gemini-cli": "google",
    "antigravity": "google",
    "gemini-cli": "google",
    "grok": "xai",
    "kimi": "kimi-coding",
    "minimax-coding-plan": "minimax-portal",
    "moonshotai": "moonshot",
    "qwen-code": "qwen-portal",
    "togetherai": "together",
    "vercel": "vercel-ai-gateway",
    "zai-coding-plan": "zai-coding",
    "zhipu": "zhipuai",
}
#: Programs for which a sign-in at `openai` is one with ChatGPT.
_SIGNED_IN: Final[Mapping[str, str]] = {"openai": "openai-codex", "minimax": "minimax-portal"}
#: Variables of sign-ins, which the catalog does not list because no key of the provider stands in them.
_OF_SIGN_INS: Final[Mapping[str, str]] = {"CLAUDE_CODE_OAUTH_TOKEN": "anthropic"}


def provider_of(name: str, catalog: Catalog, *, signed_in: bool = False) -> str:
    """The id behind another program's name for a provider; "" for one that the catalog lacks."""
    plain = catalog.normalise(name)
    plain = catalog.normalise(_OTHER_NAMES.get(plain, plain))
    if signed_in:
        plain = _SIGNED_IN.get(plain, plain)
    return plain if plain in catalog.providers else ""


def variables_of(catalog: Catalog) -> Mapping[str, str]:
    """The variables that hold a credential, each with the one provider it is most about: the one that asks for it
    first, and of those the preferred one, else the one of the shortest name."""
    ranked: dict[str, tuple[int, bool, int, str]] = {}
    for row in catalog.providers.values():
        for place, variable in enumerate(row.env_names):
            rank = (place, not row.preferred, len(row.id), row.id)
            ranked[variable] = min(ranked.get(variable, rank), rank)
    return {**{variable: rank[-1] for variable, rank in ranked.items()}, **_OF_SIGN_INS}
