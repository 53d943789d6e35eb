"""Providers that speak OpenAI's Responses (``api: openai-responses``)."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidRequest
from ..values import Credential, Headers, Operation, Outbound, Provider
from ..wire.openai_responses import DIALECT, read_error
from .faults import error_reader
from .outbound import JSON_IN, STREAM_IN, bearer, endpoint_of, headers_of, listing
from .spec import Sending, UpstreamKind

__all__ = ["OPENAI_RESPONSES", "prepare", "prepare_models"]

_PATHS: Final[dict[Operation, str]] = {"chat": "/responses", "embeddings": "/embeddings"}


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
        InvalidRequest: these providers count no tokens.
    """
    path = _PATHS.get(sending.operation)
    if path is None:
        raise InvalidRequest(f"Provider {provider.id!r} can't count tokens; choose another model.", param="model")
    endpoint = endpoint_of(provider, credential)
    own = STREAM_IN if sending.stream else JSON_IN
    return Outbound(
        provider.id,
        "POST",
        endpoint,
        endpoint.path + path,
        headers_of(own, bearer(provider, credential), sending.headers),
        sending.body,
        sending.timeouts,
    )


def prepare_models(provider: Provider, credential: Credential, headers: Headers) -> Outbound | None:
    """The request for the provider's list of models; None when it has none. Raises as `prepare`."""
    return listing(provider, credential, "/models", headers_of(bearer(provider, credential), headers))


OPENAI_RESPONSES: Final = UpstreamKind(
    api="openai-responses",
    dialect=DIALECT.name,
    prepare=prepare,
    prepare_models=prepare_models,
    read_error=error_reader(read_error),
)
