"""Ollama, in its native dialect (``api: ollama``); embeddings in the OpenAI dialect, which it speaks beside it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from ..errors import InvalidRequest
from ..values import Credential, Endpoint, Headers, Operation, Outbound, Provider
from ..wire.dialect import Fields
from ..wire.ollama import read_error as read_body
from .faults import error_reader
from .outbound import JSON_IN, bearer, endpoint_of, headers_of, listing
from .spec import Adjusting, Sending, UpstreamKind

__all__ = ["OLLAMA", "adjust", "prepare", "prepare_models"]

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


# ---------------------------------------------------------------------------------------------- how much it thinks

#: Models that take a level; others know only whether to think, and servers before 0.17.6 refuse a level for them.
_LEVELLED: Final = re.compile(r"gpt-?oss|qwen-?3\.8")
#: Those of them that can't be told not to think.
_ALWAYS: Final = re.compile(r"gpt-?oss")
#: Models that think, where the config does not say. A model that doesn't is refused when it is told to; one that is
#: missing here thinks all the same where it can, because servers since 0.12.10 turn that on themselves.
_THINKERS: Final = re.compile(
    r"cogito|deepseek-(?:r1|v3\.[1-9]|v[4-9])|gemma-?4|glm-(?:4\.[5-9]|[5-9])|gpt-?oss|kimi-k(?:2\.|[3-9])|magistral|"
    r"minimax-m\d|nemotron-3|qwen-?3|qwq|thinking"
)
#: and not these of the same names
_UNTHINKING: Final = re.compile(r"coder|embed|instruct|rerank")


def adjust(fields: Fields, adjusting: Adjusting) -> Fields:
    """`think` as the model takes it. Every server takes the word not to."""
    wanted = fields.get("think")
    if wanted is None:
        return fields
    name = adjusting.model.lower()
    if wanted is False:
        return {**fields, "think": "low"} if _ALWAYS.search(name) else fields
    if not _thinks(name, adjusting):
        return {field: value for field, value in fields.items() if field != "think"}
    return fields if _LEVELLED.search(name) else {**fields, "think": True}


def _thinks(name: str, adjusting: Adjusting) -> bool:
    listed = adjusting.provider.models.get(adjusting.model)
    if listed is not None and listed.reasoning:
        return True
    return _THINKERS.search(name) is not None and not _UNTHINKING.search(name)


OLLAMA: Final = UpstreamKind(
    api="ollama",
    dialect="ollama",
    prepare=prepare,
    prepare_models=prepare_models,
    read_error=error_reader(read_body),
    adjust=adjust,
)
