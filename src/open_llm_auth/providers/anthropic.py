"""Providers that speak Anthropic's Messages API (``api: anthropic-messages``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ..errors import InvalidRequest, UpstreamCredentialRejected
from ..values import Credential, Endpoint, Fault, Headers, Operation, Outbound, Provider
from ..wire import anthropic_messages
from ..wire.dialect import Fields
from .faults import error_reader, spent_wait
from .outbound import JSON_IN, STREAM_IN, api_key, bearer, endpoint_of, headers_of, listing
from .spec import Adjusting, Sending, UpstreamKind

__all__ = ["ANTHROPIC", "adjust", "prepare", "prepare_models", "read_error"]

_PATHS: Final[dict[Operation, str]] = {"chat": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"}
_VERSION: Final = (b"anthropic-version", b"2023-06-01")
_BETA: Final = b"anthropic-beta"
#: What Anthropic wants beside a token that is no API key.
_SIGNED_IN: Final = b"oauth-2025-04-20"
#: How such a token begins, wherever it was entered: from `claude setup-token`, or a sign-in.
_SIGN_IN_PREFIX: Final = "sk-ant-oat"


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
        InvalidRequest: the dialect has no such operation.
    """
    path = _PATHS.get(sending.operation)
    if path is None:
        raise InvalidRequest(
            f"Provider {provider.id!r} has no {sending.operation}; choose a model that has.", param="model"
        )
    endpoint = endpoint_of(provider, credential)
    own = STREAM_IN if sending.stream else JSON_IN
    return Outbound(
        provider.id,
        "POST",
        endpoint,
        _base(endpoint) + path,
        _headers(own, provider, credential, sending.headers),
        sending.body,
        sending.timeouts,
    )


def prepare_models(provider: Provider, credential: Credential, headers: Headers) -> Outbound | None:
    """The request for the provider's list of models; None when it has none. Raises as `prepare`."""
    endpoint = credential.endpoint or provider.endpoint
    versioned = endpoint is not None and endpoint.path != _base(endpoint)
    path = "/models" if versioned else "/v1/models"
    return listing(provider, credential, path, _headers((), provider, credential, headers))


def _base(endpoint: Endpoint) -> str:
    """The path under which the API begins; a base URL may already name its version."""
    return endpoint.path.removesuffix("/v1")


def _headers(own: Headers, provider: Provider, credential: Credential, extra: Headers) -> Headers:
    if provider.bearer_key:
        return headers_of(own, (_VERSION,), bearer(provider, credential), extra)
    if _is_token(credential):
        return headers_of(own, (_VERSION,), bearer(provider, credential), extra, _signed_in(extra))
    return headers_of(own, (_VERSION,), api_key(provider, credential, b"x-api-key"), extra)


def _is_token(credential: Credential) -> bool:
    """Whether the credential is a sign-in's and not an API key."""
    if credential.type in ("token", "oauth"):
        return True
    return credential.secret is not None and credential.secret.reveal().strip().startswith(_SIGN_IN_PREFIX)


def _signed_in(headers: Headers) -> Headers:
    """The betas that the client asks for, and the one that goes with a sign-in."""
    asked = dict(headers).get(_BETA, b"")
    betas = [beta.strip() for beta in asked.split(b",") if beta.strip()]
    return ((_BETA, b",".join(dict.fromkeys([*betas, _SIGNED_IN]))),)


# ---------------------------------------------------------------------------------------------- errors

_READ: Final = error_reader(
    anthropic_messages.read_error,
    limits=lambda name: name.startswith(b"anthropic-ratelimit-") or name == b"x-should-retry",
)
#: Whether a plan has refused the call, and which of its windows is the one that counts. Both stand on every answer.
_STATUS: Final = b"anthropic-ratelimit-unified-status"
_CLAIM: Final = b"anthropic-ratelimit-unified-representative-claim"
_ACCOUNT_CLAIMS: Final = (b"five_hour", b"seven_day")
#: How Anthropic says that a sign-in may not be used by other programs than its own.
_REFUSALS: Final = ("only authorized for use with claude code", "oauth authentication is currently not")
_WAYS: Final = (
    "This sign-in is for Claude Code alone. What is allowed here: an API key from the Claude Console, or models of the"
    " provider 'claude-cli', which runs the claude program of this machine with its own sign-in."
)


def read_error(provider_id: str, status: int, headers: Headers, body: bytes, hide: Callable[[str], str]) -> Fault:
    """What an error status means for the attempt. A sign-in that is refused to all programs but Claude Code rests for
    this model, and the caller is told which ways are allowed."""
    fault = _READ(provider_id, status, headers, body, hide)
    if status == 429:
        fault = _limited(fault, headers)
    said = fault.error.message
    if not (400 <= status < 500 and any(refusal in said.lower() for refusal in _REFUSALS)):
        return fault
    error = UpstreamCredentialRejected(
        f"{said} {_WAYS}", details=fault.error.details, headers=fault.error.headers, status=status
    )
    return replace(fault, kind="denied", error=error)


def _limited(fault: Fault, headers: Headers) -> Fault:
    """A plan's windows are the account's, but for those of one family of models; an API key's are each model's. The
    spent ones say when they begin anew where nothing else does."""
    fields = dict(headers)
    claimed = fields.get(_STATUS, b"").strip() == b"rejected" and fields.get(_CLAIM, b"").strip() in _ACCOUNT_CLAIMS
    wait = spent_wait(headers) if fault.retry_after is None else fault.retry_after
    return replace(fault, account_wide=fault.account_wide or claimed, retry_after=wait)


# ---------------------------------------------------------------------------------------------- bodies

#: MiniMax documents its temperature as more than 0 and at most 1, and refuses what is not.
_ABOVE_ZERO: Final = frozenset({"minimax", "minimax-portal"})
_COLDEST: Final = 0.01


def adjust(fields: Fields, adjusting: Adjusting) -> Fields:
    """What compatible hosts are documented to refuse is made to fit, in bodies that were written here; a client's own
    is left to the provider's judgement."""
    if adjusting.translated and adjusting.provider.id in _ABOVE_ZERO and fields.get("temperature") == 0:
        return {**fields, "temperature": _COLDEST}
    return fields


ANTHROPIC: Final = UpstreamKind(
    api="anthropic-messages",
    dialect="anthropic-messages",
    prepare=prepare,
    prepare_models=prepare_models,
    read_error=read_error,
    adjust=adjust,
    counts=True,
)
