"""Everything that can go wrong, as one tree (SPEC §11).

GatewayError
├── CallerError                     the request is at fault
│   ├── InvalidRequest              400 invalid_request
│   ├── RouteNotFound               404 not_found
│   ├── MethodNotAllowed            405 method_not_allowed
│   ├── UpgradeRefused              426 websocket_not_supported
│   ├── BodyTooLarge                413 request_too_large
│   ├── HeadTooLarge                431 request_head_too_large
│   ├── UnsupportedEncoding         415 unsupported_content_encoding
│   ├── ProviderNotFound            404 provider_not_found
│   ├── ModelNotFound               404 model_not_found
│   └── ProfileNotFound             404 profile_not_found
├── AccessDenied                    the caller may not
│   ├── Unauthenticated             401 authentication_required
│   ├── InsufficientScope           403 insufficient_scope
│   ├── ModelNotAllowed             403 model_not_allowed
│   ├── ProfileOwnerMismatch        403 profile_owner_mismatch
│   ├── OriginNotAllowed            403 origin_not_allowed
│   └── HostNotAllowed              421 host_not_allowed
├── NotConfigured                   the gateway has not been told how
│   ├── NoCredentials               403 no_credentials
│   │   └── SignInLapsed            403 needs_login
│   └── ProviderKindNotSupported    501 provider_kind_not_supported
├── SignInFailed                    400 sign_in_failed
├── EgressBlocked                   403 egress_destination_blocked
├── UpstreamError                   the provider, or the way to it, is at fault
│   ├── UpstreamHTTPError           (its status) upstream_http_error
│   ├── UpstreamCredentialRejected  (401, 403) upstream_credential_rejected
│   ├── UpstreamUnreachable         502 upstream_unreachable
│   ├── UpstreamInvalidResponse     502 upstream_invalid_response
│   ├── UpstreamTimeout             504 upstream_timeout
│   └── RenewalUncertain            502 renewal_uncertain
├── ConfigError                     the config file, or a write to it, is at fault
│   ├── ConfigInvalid               400 invalid_config
│   ├── UnsafeDestination           400 unsafe_destination
│   ├── ConfigConflict              409 config_conflict
│   └── ConfigUnavailable           503 config_unavailable
├── SecretUnavailable               503 secret_unavailable
└── InternalError                   500 internal_error
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "AccessDenied",
    "BodyTooLarge",
    "CallerError",
    "ConfigConflict",
    "ConfigError",
    "ConfigInvalid",
    "ConfigUnavailable",
    "EgressBlocked",
    "GatewayError",
    "HeadTooLarge",
    "HostNotAllowed",
    "InsufficientScope",
    "InternalError",
    "InvalidRequest",
    "MethodNotAllowed",
    "ModelNotAllowed",
    "ModelNotFound",
    "NoCredentials",
    "NotConfigured",
    "OriginNotAllowed",
    "ProfileNotFound",
    "ProfileOwnerMismatch",
    "ProviderKindNotSupported",
    "ProviderNotFound",
    "RenewalUncertain",
    "RouteNotFound",
    "SecretUnavailable",
    "SignInFailed",
    "SignInLapsed",
    "Unauthenticated",
    "UnsafeDestination",
    "UnsupportedEncoding",
    "UpgradeRefused",
    "UpstreamCredentialRejected",
    "UpstreamError",
    "UpstreamHTTPError",
    "UpstreamInvalidResponse",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]


class GatewayError(Exception):
    """The root: a message for a person, a stable code for a program, and the HTTP status that says it.

    `param` names the offending field where there is one. `details` is JSON-ready and never holds a secret.
    `headers` are response headers that belong to the error (``Retry-After``, ``WWW-Authenticate``).
    """

    code: ClassVar[str] = "internal_error"
    status: int = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        details: Mapping[str, object] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.details: dict[str, object] = dict(details or {})
        self.headers = headers
        if status is not None:
            self.status = status


class CallerError(GatewayError):
    """The request is at fault; sending it again unchanged gives the same answer."""

    code = "invalid_request"
    status = 400


class InvalidRequest(CallerError):
    """A body, header or parameter is not what the route takes; `param` names it."""


class RouteNotFound(CallerError):
    code = "not_found"
    status = 404


class MethodNotAllowed(CallerError):
    code = "method_not_allowed"
    status = 405


class UpgradeRefused(CallerError):
    """A WebSocket is asked for; the same is to be had by POST. Codex takes this status as the word to do so."""

    code = "websocket_not_supported"
    status = 426


class BodyTooLarge(CallerError):
    code = "request_too_large"
    status = 413


class HeadTooLarge(CallerError):
    code = "request_head_too_large"
    status = 431


class UnsupportedEncoding(CallerError):
    code = "unsupported_content_encoding"
    status = 415


class ProviderNotFound(CallerError):
    code = "provider_not_found"
    status = 404


class ModelNotFound(CallerError):
    code = "model_not_found"
    status = 404


class ProfileNotFound(CallerError):
    code = "profile_not_found"
    status = 404


class AccessDenied(GatewayError):
    """The caller is unknown, or known and not allowed."""

    code = "access_denied"
    status = 403


class Unauthenticated(AccessDenied):
    code = "authentication_required"
    status = 401


class InsufficientScope(AccessDenied):
    code = "insufficient_scope"


class ModelNotAllowed(AccessDenied):
    code = "model_not_allowed"


class ProfileOwnerMismatch(AccessDenied):
    code = "profile_owner_mismatch"


class OriginNotAllowed(AccessDenied):
    code = "origin_not_allowed"


class HostNotAllowed(AccessDenied):
    code = "host_not_allowed"
    status = 421


class NotConfigured(GatewayError):
    """The gateway has not been told how to reach what was asked for."""

    code = "not_configured"
    status = 403


class NoCredentials(NotConfigured):
    code = "no_credentials"


class SignInLapsed(NoCredentials):
    """A sign-in can't be renewed any more and needs its person; `details.command` repairs it."""

    code = "needs_login"


class ProviderKindNotSupported(NotConfigured):
    code = "provider_kind_not_supported"
    status = 501


class SignInFailed(GatewayError):
    """A sign-in ended without a credential: the person or the issuer said no, or nobody came back in time. `details`
    holds the provider, the `reason`, and the issuer's own error code where it gave one."""

    code = "sign_in_failed"
    status = 400


class EgressBlocked(GatewayError):
    """The egress policy forbids the destination (SPEC §6). `details` holds provider, scheme, host, reason, phase."""

    code = "egress_destination_blocked"
    status = 403


class UpstreamError(GatewayError):
    """The provider, or the way to it, is at fault."""

    code = "upstream_error"
    status = 502
    retryable = True


class UpstreamHTTPError(UpstreamError):
    """The provider answered with an error status, which is kept."""

    code = "upstream_http_error"


class UpstreamCredentialRejected(UpstreamError):
    """The provider refused the credential (401 or 403); the caller's own token is fine."""

    code = "upstream_credential_rejected"
    retryable = False


class UpstreamUnreachable(UpstreamError):
    """No connection, or it broke before an answer."""

    code = "upstream_unreachable"


class UpstreamInvalidResponse(UpstreamError):
    """The provider's bytes are not HTTP, or not the dialect they claim to be."""

    code = "upstream_invalid_response"


class UpstreamTimeout(UpstreamError):
    """Connect, first byte, or silence between bytes took too long."""

    code = "upstream_timeout"
    status = 504


class RenewalUncertain(UpstreamError):
    """A sign-in has expired and could not be renewed now: nothing is lost, and it is tried again."""

    code = "renewal_uncertain"


class ConfigError(GatewayError):
    """The config file, or a write to it, is at fault."""

    code = "config_error"
    status = 400


class ConfigInvalid(ConfigError):
    """The document does not parse or validate; `param` is the path of the first fault, such as ``server.port``."""

    code = "invalid_config"


class UnsafeDestination(ConfigError):
    """A write would send bytes where the egress policy forbids it (SPEC §6, phase ``config_write``)."""

    code = "unsafe_destination"


class ConfigConflict(ConfigError):
    """The file changed since the caller read it."""

    code = "config_conflict"
    status = 409


class ConfigUnavailable(ConfigError):
    """The file can't be read, locked or written; nothing was changed."""

    code = "config_unavailable"
    status = 503


class SecretUnavailable(GatewayError):
    """A secret reference can't be resolved; the message names the reference's kind and place, never a value."""

    code = "secret_unavailable"
    status = 503


class InternalError(GatewayError):
    """A fault of ours. The message says nothing of the cause; the log does, under the call id."""
