"""What the requests of all kinds have in common: an address, a credential in a header, a list of models."""

from __future__ import annotations

from typing import Final

from ..errors import NotConfigured, SecretUnavailable
from ..values import Credential, Endpoint, Headers, Outbound, Provider, Timeouts

__all__ = ["JSON_IN", "STREAM_IN", "api_key", "bearer", "endpoint_of", "header_text", "headers_of", "listing"]

_JSON: Final = (b"content-type", b"application/json")
#: a JSON body, and what is wanted back
JSON_IN: Final[Headers] = (_JSON, (b"accept", b"application/json"))
STREAM_IN: Final[Headers] = (_JSON, (b"accept", b"text/event-stream"))
_LISTING: Final[Headers] = ((b"accept", b"application/json"),)
_LISTING_TIMEOUTS: Final = Timeouts(connect=3.0, first_byte=10.0, idle=10.0)


def endpoint_of(provider: Provider, credential: Credential) -> Endpoint:
    """Where this credential's calls go.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
    """
    endpoint = credential.endpoint or provider.endpoint
    if endpoint is None:
        raise NotConfigured(
            f"Provider {provider.id!r} has no usable base URL; set providers.{provider.id}.baseUrl in the config.",
            details={"provider": provider.id},
        )
    return endpoint


def bearer(provider: Provider, credential: Credential) -> Headers:
    """The credential as `Authorization: Bearer`; nothing where none is sent. Raises as `header_text`."""
    if not provider.auth_header or credential.secret is None:
        return ()
    return ((b"authorization", b"Bearer " + header_text(credential)),)


def api_key(provider: Provider, credential: Credential, name: bytes) -> Headers:
    """The credential alone in the header `name`, such as `x-api-key`; nothing where none is sent. Raises as
    `header_text`."""
    if not provider.auth_header or credential.secret is None:
        return ()
    return ((name, header_text(credential)),)


def header_text(credential: Credential) -> bytes:
    """The secret as it may stand in a header.

    Raises:
        SecretUnavailable: it is empty or can't stand there.
    """
    # A key read from a file or a shell often drags its line ending along.
    text = credential.secret.reveal().strip() if credential.secret is not None else ""
    if not text or not text.isascii() or not text.isprintable():
        raise SecretUnavailable(
            f"Credential {credential.id!r} is empty or holds characters that can't stand in a header; enter it anew."
        )
    return text.encode("ascii")


def headers_of(*groups: Headers) -> Headers:
    """All of them, the last of a name in force: said twice, a field may be read either way."""
    return tuple(dict(field for group in groups for field in group).items())


def listing(provider: Provider, credential: Credential, path: str, headers: Headers) -> Outbound | None:
    """The request for a provider's list of models at `path` under its base; None when it has none."""
    endpoint = credential.endpoint or provider.endpoint
    if not provider.lists_models or endpoint is None:
        return None
    return Outbound(
        provider.id, "GET", endpoint, endpoint.path + path, headers_of(_LISTING, headers), timeouts=_LISTING_TIMEOUTS
    )
