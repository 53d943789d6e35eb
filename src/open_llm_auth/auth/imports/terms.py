"""How far a sign-in that was made for another program may be taken over, by what its provider says of that.

The facts of sign-ins stand in the catalog (sign_ins.json); Google's, which the gateway does not offer, stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .found import Known, Offer

__all__ = ["Terms", "terms_of"]


@dataclass(frozen=True, slots=True)
class Terms:
    """`risk` is a sentence for the person, `url` where the provider says so."""

    offer: Offer = "free"
    risk: str = ""
    url: str = ""


#: Gemini CLI's and Antigravity's. Read on 2026-11-23.
_GOOGLE: Final = Terms(
    "never",
    "Google's terms forbid this sign-in to other programs, and accounts were closed for it. An API key of AI Studio is"
    " allowed: open-llm-auth auth add-api-key google",
    "https://github.com/google-gemini/gemini-cli/blob/main/docs/resources/tos-privacy.md",
)
_OFFERS: Final[Mapping[str, Offer]] = {"restricted": "ask"}


def terms_of(provider: str, known: Known) -> Terms:
    """The terms of a sign-in at `provider`."""
    if provider == "google":
        return _GOOGLE
    sign_in = known.sign_ins.get(provider)
    if sign_in is None:
        return Terms()
    return Terms(_OFFERS.get(sign_in.standing, "free"), sign_in.risk, sign_in.terms_url)
