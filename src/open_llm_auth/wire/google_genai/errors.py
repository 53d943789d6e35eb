"""Errors as Google's APIs write them (https://cloud.google.com/apis/design/errors), in a body and within a stream."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from ...errors import GatewayError
from .. import sse
from ..events import UPSTREAM_DETAILS
from ..openai_error import read_error

__all__ = ["read_error", "write_error", "write_stream_error"]

#: google.rpc.Code names by HTTP status.
_STATUSES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    #: Anthropic's word for overload
    529: "UNAVAILABLE",
}
_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


def write_error(error: GatewayError, request_id: str = "") -> bytes:  # noqa: ARG001 - Google says it nowhere
    """``{"error": {code, message, status, details?}}``; never fails, whatever the message holds. The details are
    Google's own, and when to come back where somebody else has said it: Gemini's clients look for both there."""
    status = _STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "FAILED_PRECONDITION")
    # A lone surrogate has no bytes; what can be said is said.
    message = error.message.encode("utf-8", "replace").decode()
    told: dict[str, object] = {"code": error.status, "message": message, "status": status}
    if details := _details(error):
        told["details"] = details
    return msgspec.json.encode({"error": told})


def _details(error: GatewayError) -> list[object]:
    found = error.details.get(UPSTREAM_DETAILS)
    details: list[object] = [*found] if isinstance(found, list) else []
    if any(isinstance(item, dict) and item.get("@type") == _RETRY_INFO for item in details):
        return details
    wait = dict(reversed(error.headers)).get("retry-after", "")
    if _SECONDS.fullmatch(wait):
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{wait}s"})
    return details


def write_stream_error(error: GatewayError) -> bytes:
    """The same as one event, which ends a stream that has begun."""
    return sse.event(write_error(error))
