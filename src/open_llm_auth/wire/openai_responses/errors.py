"""Errors of this dialect: OpenAI's shape in a body, an `error` event and a `response.failed` within a stream."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ...errors import GatewayError
from .. import openai_error, sse
from ..events import ErrorBody

__all__ = ["error_from", "failure_code", "read_error", "write_error", "write_failure"]

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
#: "Please try again in 1.898s": a failed response has no header that could say it.
_AGAIN: Final = re.compile(r"try again in\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s)", re.IGNORECASE)
_SECONDS: Final = {"s": 1.0, "ms": 0.001}
_RATE_LIMITED: Final = "rate_limit_exceeded"
#: `response.error.code` by status, of the few that OpenAI documents; others are the server's. Codex tries again after
#: any of them but `invalid_prompt`.
_CODES: Final = {400: "invalid_prompt", 413: "invalid_prompt", 422: "invalid_prompt", 429: _RATE_LIMITED}
_NAMELESS: Final = "The provider reported an error without a reason."


def read_error(body: bytes) -> ErrorBody | None:
    """What a provider's error body says; None when it is not one. A sign-in's spent limit says when it is renewed."""
    said = openai_error.read_error(body)
    if said is None or said.retry_after is not None:
        return said
    wait = _resets_in(body)
    return said if wait is None else ErrorBody(said.message, said.type, said.code, said.param, wait)


def _resets_in(body: bytes) -> float | None:
    if b"resets_in_seconds" not in body:
        return None
    try:
        value = _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    error = value.get("error")
    wait = (error if isinstance(error, dict) else value).get("resets_in_seconds")
    return float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) and wait >= 0 else None


def error_from(value: Any) -> ErrorBody:
    """The error of an event or of a failed response, decoded; never fails."""
    said = openai_error.read_error(msgspec.json.encode(value)) if isinstance(value, dict | str) else None
    if said is None or not said.message:
        return ErrorBody(_NAMELESS, code=said.code if said else None, type=said.type if said else None)
    match = _AGAIN.search(said.message) if said.code == _RATE_LIMITED else None
    if match is None:
        return said
    return ErrorBody(said.message, said.type, said.code, said.param, float(match[1]) * _SECONDS[match[2].lower()])


def write_error(error: GatewayError, _request_id: str = "") -> bytes:
    """The error as a body. OpenAI tells the request's id in a header alone."""
    return openai_error.write_error(error)


def failure_code(error: GatewayError) -> str:
    """The code of a failed response: the provider's own word, by which Codex knows a spent quota or a full context.
    Where there is none, or a number, it is OpenAI's word for what the status says."""
    own = error.details.get("upstreamCode")
    if isinstance(own, str) and own and not own.isdigit():
        return own
    return _CODES.get(error.status, "server_error")


def write_failure(error: GatewayError, response: dict[str, Any], sequence: int) -> bytes:
    """What ends a stream that failed. The SDKs raise at the first event, Codex reads the second.

    `response` is the answer so far, its status and error aside; `sequence` is the number of the first event.
    """
    told = _OBJECT.decode(openai_error.write_error(error))["error"]
    flat = {"code": told["code"], "message": told["message"], "param": told["param"]}
    event = {"type": "error", "sequence_number": sequence, **flat, "error": told}
    reason = {"code": failure_code(error), "message": told["message"]}
    failed = {**response, "status": "failed", "error": reason}
    ending = {"type": "response.failed", "sequence_number": sequence + 1, "response": failed}
    return sse.event(msgspec.json.encode(event), "error") + sse.event(msgspec.json.encode(ending), "response.failed")
