"""One error, in the shape each surface's clients expect (SPEC §11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ..errors import GatewayError
from ..wire import openai_chat
from .routes import Surface

__all__ = ["write_error"]

_ANTHROPIC_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}

#: google.rpc.Code names by HTTP status.
_GOOGLE_STATUSES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _universal(error: GatewayError, _: str) -> object:
    body: dict[str, object] = {"message": error.message, "code": error.code}
    details = error.details if error.param is None else {"param": error.param, **error.details}
    if details:
        body["details"] = details
    return {"error": body}


def _anthropic(error: GatewayError, request_id: str) -> object:
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": request_id}


def _gemini(error: GatewayError, _: str) -> object:
    status = _GOOGLE_STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "FAILED_PRECONDITION")
    return {"error": {"code": error.status, "message": error.message, "status": status}}


_SHAPES: Final[Mapping[Surface, Callable[[GatewayError, str], object]]] = {
    "universal": _universal,
    "anthropic": _anthropic,
    "gemini": _gemini,
}


def write_error(surface: Surface, error: GatewayError, request_id: str) -> bytes:
    """The JSON body of `error` on `surface`."""
    if surface == "openai":
        return openai_chat.write_error(error)
    return msgspec.json.encode(_SHAPES[surface](error, request_id))
