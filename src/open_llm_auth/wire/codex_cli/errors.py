"""What Codex says when it fails, in its lines or by ending, as an error with the status it would have had.

It has no field for a status: its words are all there is.
"""

from __future__ import annotations

import re
from typing import Final

from ..events import ErrorBody
from ..openai_error import read_error as read_openai_error
from ..program import read_ending

__all__ = ["error_of", "read_error"]

_SIGN_IN: Final = "Sign in with `codex login`, as the user who runs the gateway."

#: "unexpected status 401 Unauthorized: …", "exceeded retry limit, last status: 429 Too Many Requests, …"
_STATUS: Final = re.compile(r"\bstatus:? (\d{3})\b")
#: What it adds for its own people.
_TRAIL: Final = re.compile(r",? (?:url: \S+|request id: [\w-]+|cf-ray: [\w-]+)")
#: Status by what it prints where no status stands in it; the first that is found counts.
_PHRASES: Final = (
    ("usage limit", 429),
    ("rate limit", 429),
    ("quota exceeded", 402),
    ("insufficient_quota", 402),
    ("not logged in", 401),
    ("log in", 401),
    ("sign in again", 401),
    ("unauthorized", 401),
    ("context window", 400),
    ("model is not supported", 404),
    ("does not exist", 404),
    ("high demand", 503),
    ("at capacity", 503),
    ("overloaded", 503),
)


def error_of(message: str) -> ErrorBody:
    """An error from its words, which are the API's own JSON where the API refused the request."""
    said = read_openai_error(message.encode("utf-8", "replace")) if message.startswith("{") else None
    if said is not None:
        return ErrorBody(said.message, said.type, said.code, said.param, said.retry_after)
    status = _status_of(message)
    message = _TRAIL.sub("", message).strip()
    if status == 401:
        message = f"{message.rstrip('.')}. {_SIGN_IN}"
    return ErrorBody(message, code=None if status is None else str(status))


def read_error(body: bytes) -> ErrorBody | None:
    """What the program left when it ended without an answer; None when the body is something else."""
    ending = read_ending(body)
    if ending is None:
        return None
    return ErrorBody(ending.sentence) if _status_of(ending.last_line) is None else error_of(ending.last_line)


def _status_of(message: str) -> int | None:
    match = _STATUS.search(message)
    if match is not None and 400 <= int(match[1]) <= 599:
        return int(match[1])
    said = message.lower()
    return next((status for phrase, status in _PHRASES if phrase in said), None)
