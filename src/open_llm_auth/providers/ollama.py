"""Ollama, in its native dialect (``api: ollama``); embeddings in the OpenAI dialect, which it speaks beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..errors import InvalidRequest
from ..values import Credential, Endpoint, Headers, Operation, Outbound, Provider
from ..wire.ollama import read_error as read_body
from .faults import error_reader
from .outbound import JSON_IN, bearer, endpoint_of, headers_of, listing
from .spec import Sending, UpstreamKind

__all__ = ["OLLAMA", "prepare", "prepare_models"]

_PATHS: Final[dict[Operation, str]] = {"chat": "/api/chat", "embeddings": "/v1/embeddings"}
_NDJSON: Final[Headers] = ((b"accept", b"application/x-ndjson"),)


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
        InvalidRequest: Ollama has no such operation.
    """
    path = _PATHS.get(sending.operation)
    if path is None:
        raise InvalidRequest(f"Provider {provider.id!r} can't be asked for {sending.operation}.")
    endpoint = _root(endpoint_of(provider, credential))
    accepted = _NDJSON if sending.stream else ()
    return Outbound(
        provider.id,
        "POST",
        endpoint,
        endpoint.path + path,
        headers_of(JSON_IN, accepted, bearer(provider, credential), sending.headers),
        sending.body,
        sending.timeouts,
    )


def prepare_models(provider: Provider, credential: Credential, headers: Headers) -> Outbound | None:
    """The request for the models that are there; None where it can't be asked. Raises as `prepare`."""
    endpoint = credential.endpoint or provider.endpoint
    if endpoint is None:
        return None
    rooted = replace(provider, endpoint=_root(endpoint))
    return listing(
        rooted,
        replace(credential, endpoint=None),
        "/api/tags",
        headers_of(bearer(provider, credential), headers),
    )


def _root(endpoint: Endpoint) -> Endpoint:
    """The server's own root: people give the address of its OpenAI-compatible half too (SPEC §3)."""
    return replace(endpoint, path=endpoint.path.removesuffix("/v1"))


OLLAMA: Final = UpstreamKind(
    api="ollama",
    dialect="ollama",
    prepare=prepare,
    prepare_models=prepare_models,
    read_error=error_reader(read_body),
)
