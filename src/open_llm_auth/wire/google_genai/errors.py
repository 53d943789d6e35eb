"""Errors as Google's APIs write them (https://cloud.google.com/apis/design/errors), in a body and within a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ...errors import GatewayError
from .. import sse
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
}


def write_error(error: GatewayError, request_id: str = "") -> bytes:  # noqa: ARG001 - Google says it nowhere
    """``{"error": {code, message, status}}``; never fails, whatever the message holds."""
    status = _STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "FAILED_PRECONDITION")
    # A lone surrogate has no bytes; what can be said is said.
    message = error.message.encode("utf-8", "replace").decode()
    return msgspec.json.encode({"error": {"code": error.status, "message": message, "status": status}})


def write_stream_error(error: GatewayError) -> bytes:
    """The same as one event, which ends a stream that has begun."""
    return sse.event(write_error(error))
