"""Errors as Anthropic's API writes them (https://platform.claude.com/docs/en/api/errors), alone and within a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...errors import GatewayError, UpstreamError
from .. import openai_error, sse
from ..events import ErrorBody

__all__ = ["read_error", "write_error", "write_stream_error"]

_DECODER: Final = msgspec.json.Decoder()

#: `type` by status; what is not here is the request's fault below 500 and the API's above.
_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
#: Clients repeat a call that meets `overloaded_error` whatever its status, so it is said of providers only.
_OVERLOADED: Final = frozenset({503, 529})


def read_error(body: bytes) -> ErrorBody | None:
    """What a provider's error body says; None when it is not one. Those who claim to speak the dialect answer in
    OpenAI's shapes too."""
    try:
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str) and value.get("type") == "error":
        return ErrorBody(error["message"], _text(error.get("type")), _code(error))
    return openai_error.read_error(body)


def _code(error: dict[str, Any]) -> str | None:
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else error.get("code")
    return str(code) if isinstance(code, str | int) and not isinstance(code, bool) and code != "" else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def write_error(error: GatewayError, request_id: str) -> bytes:
    """``{"type": "error", "error": {type, message}, "request_id"}``; never fails, whatever the message holds."""
    return _encoded({**_document(error), "request_id": request_id})


def write_stream_error(error: GatewayError) -> bytes:
    """The same as the event that ends a stream which has begun."""
    return sse.event(_encoded(_document(error)), "error")


def _document(error: GatewayError) -> dict[str, object]:
    return {"type": "error", "error": {"type": _type_of(error), "message": error.message}}


def _encoded(document: dict[str, object]) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        # A lone surrogate: what can be said is said.
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _type_of(error: GatewayError) -> str:
    if isinstance(error, UpstreamError) and error.status in _OVERLOADED:
        return "overloaded_error"
    return _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
