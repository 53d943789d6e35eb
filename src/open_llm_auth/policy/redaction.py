"""What is taken out of a text before anybody sees it (SPEC §9, §11)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["REDACTED", "Scrubber"]

REDACTED: Final = "[REDACTED]"

#: Shorter texts are not keys, and hiding them would blank ordinary words.
_SHORTEST = 8

#: What keys look like, for those we were never told of: well-known prefixes, bearer values, JSON web tokens, and what
#: AWS gives for a time (base64, whose first bytes say what it is).
_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|ola|gsk|xai|hf|ghp|gho|ghu|ghs|github_pat|glpat|AKIA|ASIA|AIza|ya29|eyJ)[-_.A-Za-z0-9]{16,}"
    r"|\b(?:ABSK|AQoD|FQoD|FQoG|FwoG|IQoJ)[+/=A-Za-z0-9]{32,}"
    r"|(?<=[Bb]earer )[^\s\"',;]{8,}"
)


class Scrubber:
    """Replaces every known secret, and whatever looks like one, by `[REDACTED]`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # A key from a file may drag blanks along, which no header carries.
        whole = {form for text in secrets for form in (text, text.strip())}
        known = sorted((text for text in whole if len(text) >= _SHORTEST), key=len, reverse=True)
        # No pattern of them: compiled ones are kept by `re`, long after the secrets are gone.
        self._known = tuple(known)

    def __call__(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        return _SHAPES.sub(REDACTED, text)
