"""Errors as OpenAI's dialects write them, and as those who claim to speak them do."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import msgspec

from ..errors import GatewayError, UpstreamError
from . import sse
from .events import ErrorBody

__all__ = ["read_error", "write_error", "write_error_body", "write_stream_error"]

_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)

#: OpenAI's `type` by status; other statuses below 500 are the request's fault.
_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def read_error(body: bytes) -> ErrorBody | None:
    """What a provider's error body says; None when it is not one.

    Takes OpenAI's shape with string or integer codes, ``{"error": "text"}``, FastAPI's ``{"detail": …}``,
    ``{"message": …}``, ``{"errors": […]}`` and Google's list around any of them.
    """
    try:
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, list):
        value = value[0] if value else None
    return _from_object(value) if isinstance(value, dict) else None


def _from_object(value: dict[str, Any]) -> ErrorBody | None:
    error = value.get("error")
    if isinstance(error, dict):
        return _from_fields(error)
    if isinstance(error, str) and error:
        # xAI puts the reason into a sibling `code`, some servers the longer sentence into `message`.
        message = _text(value.get("message"))
        return ErrorBody(message or error, error if message else _text(value.get("type")), _code(value.get("code")))
    detail = value.get("detail")
    if isinstance(detail, dict):
        return _from_object(detail) or _from_fields(detail)
    if isinstance(detail, str) and detail:
        return ErrorBody(detail, code=_code(value.get("code")))
    if isinstance(detail, list) and detail:
        return _from_validation(detail)
    errors = value.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return _from_fields(errors[0])
    return _from_fields(value) if _text(value.get("message")) else None


def _from_fields(error: dict[str, Any]) -> ErrorBody:
    message = _text(error.get("message")) or _text(error.get("msg")) or _text(error.get("detail")) or ""
    given = error.get("details")
    reason, retry_after = _from_details(given)
    return ErrorBody(
        message,
        _text(error.get("type")) or _text(error.get("status")),
        reason or _code(error.get("code")),
        _text(error.get("param")),
        retry_after,
        tuple(item for item in given if _is_typed(item)) if isinstance(given, list) else (),
    )


def _is_typed(item: object) -> bool:
    """Whether it is a detail as Google's APIs have them, which name their type."""
    return isinstance(item, dict) and isinstance(item.get("@type"), str)


def _from_details(details: object) -> tuple[str | None, float | None]:
    """Google's ErrorInfo reason and RetryInfo delay."""
    reason: str | None = None
    delay: float | None = None
    for item in details if isinstance(details, list) else ():
        if not isinstance(item, dict):
            continue
        reason = reason or _text(item.get("reason"))
        match = _DURATION.fullmatch(_text(item.get("retryDelay")) or "")
        delay = float(match[1]) if match else delay
    return reason, delay


def _from_validation(faults: list[Any]) -> ErrorBody:
    """FastAPI's 422: a list of places and sentences. The `input` it echoes stays behind."""
    sentences = []
    param = None
    for fault in faults[:8]:
        if not isinstance(fault, dict):
            continue
        loc = fault.get("loc")
        place = ".".join(str(part) for part in loc if part != "body") if isinstance(loc, list) else ""
        param = param or place or None
        message = _text(fault.get("msg")) or "invalid"
        sentences.append(f"{place}: {message}" if place else message)
    return ErrorBody("; ".join(sentences), param=param)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _code(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    # Whole, because a cut before what is secret was taken out could leave half of it.
    return str(value) or None


def write_error(error: GatewayError) -> bytes:
    """``{"error": {message, type, param, code, details?}}``; never fails, whatever the message holds."""
    body: dict[str, object] = {
        "message": error.message,
        "type": _type_of(error),
        "param": error.param,
        "code": error.code,
    }
    if error.details:
        body["details"] = error.details
    document = {"error": body}
    try:
        return _ENCODER.encode(document)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        # A lone surrogate, or details that are not JSON: what can be said is said, escaped.
        body["details"] = {str(key): str(value) for key, value in error.details.items()}
        text = json.dumps(document, ensure_ascii=False)
        return text.encode("utf-8", "replace")


def write_stream_error(error: GatewayError) -> bytes:
    """The same as one event, which ends a stream that has begun."""
    return sse.event(write_error(error))


def write_error_body(error: ErrorBody) -> bytes:
    """What a provider said, as the body it would have had outside a stream."""
    fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return _ENCODER.encode({"error": fields})


def _type_of(error: GatewayError) -> str:
    if error.status >= 500:
        return "api_error" if isinstance(error, UpstreamError) else "server_error"
    return _TYPES.get(error.status, "invalid_request_error")
