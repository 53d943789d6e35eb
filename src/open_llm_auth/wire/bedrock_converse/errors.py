"""Errors as Bedrock tells them: a body beside a status, or a message within an event stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..events import ErrorBody
from .eventstream import Message

__all__ = ["read_error", "read_stream_error"]

_DECODER: Final = msgspec.json.Decoder()

#: What each exception would have been as a status. `modelStreamErrorException` states its own, if any: its 424 says
#: that the model failed, not that the request did.
_STATUSES: Final[Mapping[str, int]] = {
    "accessdeniedexception": 403,
    "expiredtokenexception": 403,
    "internalserverexception": 500,
    "modelerrorexception": 500,
    "modelnotreadyexception": 429,
    "modelstreamerrorexception": 500,
    "modeltimeoutexception": 408,
    "resourcenotfoundexception": 404,
    "servicequotaexceededexception": 400,
    "serviceunavailableexception": 503,
    "throttlingexception": 429,
    "unrecognizedclientexception": 403,
    "validationexception": 400,
}
#: Types that say that the credential, or what was signed with it, is wrong; an `AccessDeniedException` is about a model
#: or a policy.
_CREDENTIAL_TYPES: Final = frozenset(
    {
        "expiredtoken",
        "expiredtokenexception",
        "incompletesignature",
        "incompletesignatureexception",
        "invalidclienttokenid",
        "invalidsignatureexception",
        "missingauthenticationtoken",
        "missingauthenticationtokenexception",
        "signaturedoesnotmatch",
        "unrecognizedclientexception",
    }
)
#: What such an error is called in `ErrorBody.code`, whatever the service calls it.
_CREDENTIAL_CODE: Final = "invalid_credential"


def read_error(body: bytes, stated_type: str = "") -> ErrorBody | None:
    """What an error body says; None when it is not one. `stated_type` is the header ``x-amzn-errortype``, which names
    the exception where the body does not."""
    try:
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    message = _first(value, "message", "Message", "errorMessage")
    kind = _plain_type(stated_type or _first(value, "__type", "code"))
    if not message and not kind:
        return None
    return ErrorBody(message or kind, type=kind or None, code=_code(kind))


def read_stream_error(message: Message) -> ErrorBody:
    """What a message of type `exception` or `error` says. Its `code` is the status that it would have been."""
    if message.text(":message-type") == "error":
        kind = message.text(":error-code")
        said = message.text(":error-message")
        return ErrorBody(said or "The provider reported an error.", type=kind or None, code=_status(kind, {}))
    kind = message.text(":exception-type")
    try:
        payload = _DECODER.decode(message.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = {}
    fields = payload if isinstance(payload, dict) else {}
    said = _first(fields, "message", "Message", "originalMessage")
    name = kind[:1].upper() + kind[1:]
    return ErrorBody(said or name or "The provider reported an error.", type=name or None, code=_status(kind, fields))


def _status(kind: str, fields: Mapping[str, Any]) -> str:
    original = fields.get("originalStatusCode")
    if isinstance(original, int) and 400 <= original <= 599:
        return str(original)
    if kind.isdecimal() and 400 <= int(kind[:4]) <= 599:
        return kind
    return str(_STATUSES.get(kind.lower(), 500))


def _code(kind: str) -> str | None:
    return _CREDENTIAL_CODE if kind.lower() in _CREDENTIAL_TYPES else None


def _plain_type(kind: str) -> str:
    """``com.amazon.coral.service#AccessDeniedException:http://…`` without what stands around the name."""
    return kind.partition(":")[0].rpartition("#")[2].strip()


def _first(fields: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := fields.get(name), str) and value), "")
