"""ChatGPT sign-ins: Responses as Codex's backend takes them (``api: openai-codex-responses``).

It keeps nothing, only streams, and refuses what it does not know. The gateway says its own name to it; where the
client is Codex itself, what that says of itself goes along.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from .. import __version__
from ..errors import InvalidRequest
from ..values import Credential, Fault, Headers, Outbound, Provider
from ..wire.dialect import Fields
from ..wire.openai_responses import DIALECT, read_error
from .faults import error_reader, retry_after
from .outbound import STREAM_IN, bearer, endpoint_of, headers_of
from .spec import Adjusting, Sending, UpstreamKind

__all__ = ["OPENAI_CODEX", "adjust", "prepare", "read_codex_error"]

Raw = msgspec.Raw

_PATH: Final = "/codex/responses"
_ORIGIN: Final[Headers] = (
    (b"originator", b"open_llm_auth"),
    (b"user-agent", b"open-llm-auth/" + __version__.encode("ascii")),
)
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ANY: Final = msgspec.json.Decoder()


# ---------------------------------------------------------------------------------------------- requests


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
        InvalidRequest: a sign-in answers calls of models and nothing else.
    """
    if sending.operation != "chat":
        raise InvalidRequest(
            f"Provider {provider.id!r} is a ChatGPT sign-in, which has no {sending.operation}; choose another model.",
            param="model",
        )
    endpoint = endpoint_of(provider, credential)
    return Outbound(
        provider.id,
        "POST",
        endpoint,
        endpoint.path + _PATH,
        headers_of(
            STREAM_IN,
            bearer(provider, credential),
            _about_account(credential),
            _ORIGIN,
            _about_session(sending.session),
            sending.headers,
        ),
        sending.body,
        sending.timeouts,
    )


def _about_account(credential: Credential) -> Headers:
    """Whose sign-in it is. The token itself says so where the profile does not."""
    claims = _claims(credential)
    account = credential.account_id or claims.get("chatgpt_account_id")
    fields: Headers = ()
    if isinstance(account, str) and _is_plain(account):
        fields += ((b"chatgpt-account-id", account.encode("ascii")),)
    if claims.get("chatgpt_account_is_fedramp") is True:
        fields += ((b"x-openai-fedramp", b"true"),)
    return fields


def _claims(credential: Credential) -> dict[str, Any]:
    """What the token says of its account. It is not verified: who issued it reads it again."""
    parts = credential.secret.reveal().strip().split(".") if credential.secret is not None else []
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        value = _ANY.decode(payload)
    except (ValueError, binascii.Error, *_NOT_JSON):
        return {}
    claims = value.get("https://api.openai.com/auth") if isinstance(value, dict) else None
    return claims if isinstance(claims, dict) else {}


def _about_session(session: str) -> Headers:
    return ((b"session_id", session.encode("ascii")),) if _is_plain(session) else ()


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= 200 and text.isascii() and text.isprintable() and " " not in text


# ---------------------------------------------------------------------------------------------- bodies

#: Fields that the backend refuses, and without which a call means the same but for limits and sampling.
_STRIPPED: Final = frozenset(
    {
        "background",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "metadata",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "temperature",
        "top_p",
        "user",
    }
)
#: Fields that ask for something kept, without which a call would mean another thing.
_KEPT: Final = ("previous_response_id", "conversation", "prompt")
_ENCRYPTED: Final = "reasoning.encrypted_content"
_INCLUDE: Final = msgspec.json.Decoder(list[str])
_ITEMS: Final = msgspec.json.Decoder(list[Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])


def adjust(fields: Fields, adjusting: Adjusting) -> Fields:
    """The body as the backend takes it.

    Raises:
        InvalidRequest: it goes on from something that the backend does not keep.
    """
    for name in _KEPT:
        if not _is_absent(fields.get(name)):
            raise InvalidRequest(
                f"{name!r} needs a provider that keeps responses, and provider {adjusting.provider.id!r} keeps none. "
                "Send every item of the conversation in 'input'.",
                param=name,
            )
    kept = {name: value for name, value in fields.items() if name not in _STRIPPED and name not in _KEPT}
    if _is_absent(kept.get("instructions")):
        kept["instructions"] = ""
    try:
        kept["input"] = _items(kept.get("input"))
    except _NOT_JSON as error:
        raise InvalidRequest(f"'input' is not valid JSON: {error}.", param="input") from error
    kept["include"] = _including(kept.get("include"))
    return {**kept, "stream": True, "store": False}


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, Raw) and bytes(memoryview(value)[:1]) == b"n")


def _items(value: Any) -> Any:
    """Input as a list, without the role `system`, which the backend has not."""
    if isinstance(value, str):
        return [_user_message(value)]
    if isinstance(value, list):
        return [{**item, "role": "developer"} if item.get("role") == "system" else item for item in value]
    if not isinstance(value, Raw):
        return value
    if bytes(memoryview(value)[:1]) == b'"':
        return [_user_message(_TEXT.decode(value))]
    if b'"system"' not in bytes(value):
        return value
    return [_without_system(item) for item in _ITEMS.decode(value)]


def _without_system(item: Raw) -> Any:
    """One item as its client wrote it, but for a role of `system`."""
    if bytes(memoryview(item)[:1]) != b"{":
        return item
    fields = _OBJECT.decode(item)
    role = fields.get("role")
    return {**fields, "role": "developer"} if role is not None and bytes(role) == b'"system"' else item


def _user_message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _including(value: Any) -> list[str]:
    """What is asked for beside the answer, sealed reasoning with it: nothing else keeps it for the next call."""
    try:
        asked = value if isinstance(value, list) else _INCLUDE.decode(value) if isinstance(value, Raw) else []
    except _NOT_JSON:
        asked = []
    return [*asked, *([] if _ENCRYPTED in asked else [_ENCRYPTED])]


# ---------------------------------------------------------------------------------------------- errors

_WINDOWS: Final = (b"primary", b"secondary")
#: Which limit counts: the plan's, or one of a single model.
_ACTIVE: Final = b"x-codex-active-limit"
_PLAN: Final = b"codex"
_SPENT_PERCENT: Final = 100.0
_LONGEST_WAIT: Final = 30 * 24 * 3600.0


def read_codex_error(provider_id: str, status: int, headers: Headers, body: bytes, hide: Callable[[str], str]) -> Fault:
    """What an error status means. A spent plan says in its body, or in its own headers, when it is renewed."""
    fault = _read_error(provider_id, status, headers, body, hide)
    if dict(headers).get(_ACTIVE, _PLAN).strip() != _PLAN:
        fault = replace(fault, account_wide=False)
    if fault.retry_after is not None or status != 429:
        return fault
    wait = _until(_resets_at(body), headers)
    return replace(fault, retry_after=_spent_window(headers) if wait is None else wait)


def _is_limit(name: bytes) -> bool:
    return name.startswith(b"x-codex-")


_read_error: Final = error_reader(read_error, limits=_is_limit)


def _resets_at(body: bytes) -> int | None:
    try:
        value = _ANY.decode(body)
    except _NOT_JSON:
        return None
    error = value.get("error") if isinstance(value, dict) else None
    moment = error.get("resets_at") if isinstance(error, dict) else None
    return int(moment) if isinstance(moment, int | float) and 0 < moment < 1e12 else None


def _until(moment: int | None, headers: Headers) -> float | None:
    """Seconds from the answer's own date to a moment in seconds since the epoch."""
    if moment is None:
        return None
    dates = tuple(field for field in headers if field[0] == b"date")
    return retry_after(429, ((b"x-ratelimit-reset", str(moment).encode()), *dates))


def _spent_window(headers: Headers) -> float | None:
    """The longest wait of those windows of the plan that are spent."""
    fields = dict(headers)
    waits = []
    for window in _WINDOWS:
        used = _number(fields.get(b"x-codex-" + window + b"-used-percent"))
        wait = _number(fields.get(b"x-codex-" + window + b"-reset-after-seconds"))
        if used is not None and wait is not None and used >= _SPENT_PERCENT:
            waits.append(wait)
    return max(waits, default=None)


def _number(value: bytes | None) -> float | None:
    try:
        number = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number <= _LONGEST_WAIT else None


OPENAI_CODEX: Final = UpstreamKind(
    api="openai-codex-responses",
    dialect=DIALECT.name,
    prepare=prepare,
    prepare_models=None,
    read_error=read_codex_error,
    adjust=adjust,
    stream_only=True,
)
