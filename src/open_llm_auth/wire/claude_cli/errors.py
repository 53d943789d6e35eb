"""What Claude Code says when it fails, in its stream or by ending, as an error with the status it would have had."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..events import ErrorBody
from ..program import read_ending

__all__ = ["error_of", "read_error"]

_SIGN_IN: Final = "Sign in with `claude auth login`, as the user who runs the gateway."

#: What it adds for its own user where it asks another address than Anthropic's. That is nobody else's business, and
#: whoever called would take this gateway for the one that is meant.
_TRAIL: Final = re.compile(r"(?: If it persists,)? check your inference gateway(?: \([^()\n]*\))?\.?")

#: Status by the program's own word for what went wrong, where it told none of the API's.
_STATUSES: Final[Mapping[str, int]] = {
    "authentication_failed": 401,
    "billing_error": 402,
    "invalid_request": 400,
    "max_output_tokens": 400,
    "model_not_found": 404,
    "oauth_org_not_allowed": 403,
    "overloaded": 529,
    "rate_limit": 429,
    "server_error": 502,
}
#: The same by what it prints, for the releases that have no such word; the first that is found counts.
_PHRASES: Final = (
    ("not logged in", 401),
    ("/login", 401),
    ("invalid api key", 401),
    ("oauth token", 401),
    ("credit balance", 402),
    ("usage limit", 429),
    ("hit your limit", 429),
    ("rate limit", 429),
    ("issue with the selected model", 404),
    ("prompt is too long", 400),
    ("overloaded", 529),
    ("unable to connect", 502),
)


def error_of(message: str, word: str | None, status: int | None) -> ErrorBody:
    """An error of the program. `word` is its own name for it, `status` the one that the API answered."""
    known = status if status is not None and 400 <= status <= 599 else _status_of(word, message)
    message = _TRAIL.sub("", message)
    if known == 401:
        message = f"{message.rstrip('.')}. {_SIGN_IN}"
    return ErrorBody(message, word, None if known is None else str(known))


def read_error(body: bytes) -> ErrorBody | None:
    """What the program left when it ended without an answer; None when the body is something else."""
    ending = read_ending(body)
    if ending is None:
        return None
    status = _status_of(None, ending.stderr)
    return ErrorBody(ending.sentence) if status is None else error_of(ending.last_line, None, status)


def _status_of(word: str | None, message: str) -> int | None:
    if word is not None and word in _STATUSES:
        return _STATUSES[word]
    said = message.lower()
    return next((status for phrase, status in _PHRASES if phrase in said), None)
