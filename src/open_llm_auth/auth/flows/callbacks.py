"""What comes back from the browser: the query of a redirect (RFC 6749, section 4.1.2), or what a person pastes."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

__all__ = ["is_for", "read_paste", "read_query"]

_MOST_FIELDS: Final = 32
_LONGEST: Final = 16_384


def read_query(query: str) -> Mapping[str, str] | None:
    """The parameters of a callback; None where one comes twice, or it is no query."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


def is_for(parameters: Mapping[str, str], state: str) -> bool:
    """Whether a callback belongs to the sign-in of that `state`, told in constant time."""
    given = parameters.get("state", "")
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), state.encode("ascii"))


def read_paste(text: str) -> Mapping[str, str] | None:
    """The parameters in what a person pasted: the whole address, its query, or `code#state` as some pages show it.
    None where it is none of these."""
    text = text.strip()
    if not text or len(text) > _LONGEST or any(character.isspace() for character in text):
        return None
    if "state=" not in text and text.count("#") == 1:
        code, _, state = text.partition("#")
        return {"code": code, "state": state} if code and state else None
    try:
        query = urlsplit(text).query if "?" in text else text
    except ValueError:
        return None
    found = read_query(query)
    return found if found is not None and "state" in found else None
