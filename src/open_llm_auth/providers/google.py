"""Google's Gemini API in its own dialect (``api: google-generative-ai``).

The version is in the base (``…/v1beta``). The base of Google's OpenAI-compatible API (``…/v1beta/openai``) is taken as
well: it is the same server, and the one place where it has embeddings in OpenAI's form.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import quote

from ..values import Credential, Headers, Outbound, Provider
from ..wire.google_genai import read_error as read_body
from ..wire.google_genai import write_count_request
from .faults import error_reader
from .outbound import JSON_IN, STREAM_IN, api_key, bearer, endpoint_of, headers_of, listing
from .spec import Sending, UpstreamKind

__all__ = ["GOOGLE", "prepare", "prepare_models", "read_error"]

_COMPATIBLE: Final = "/openai"
#: Names of resources that are whole; every other name is a model's.
_COLLECTIONS: Final = ("models/", "tunedModels/")
_MODELS: Final = "/models?pageSize=1000"

read_error: Final = error_reader(read_body)


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
    """
    endpoint = endpoint_of(provider, credential)
    base = endpoint.path.removesuffix(_COMPATIBLE)
    body = sending.body
    own = STREAM_IN if sending.stream else JSON_IN
    keys = _credential(provider, credential)
    if sending.operation == "embeddings":
        target, keys = f"{base}{_COMPATIBLE}/embeddings", bearer(provider, credential)
    elif sending.operation == "count_tokens":
        target, own = f"{base}/{_resource(sending.model)}:countTokens", JSON_IN
        body = write_count_request(body, _named(sending.model))
    elif sending.stream:
        target = f"{base}/{_resource(sending.model)}:streamGenerateContent?alt=sse"
    else:
        target = f"{base}/{_resource(sending.model)}:generateContent"
    headers = headers_of(own, keys, sending.headers)
    return Outbound(provider.id, "POST", endpoint, target, headers, body, sending.timeouts)


def prepare_models(provider: Provider, credential: Credential, headers: Headers) -> Outbound | None:
    """The request for the provider's list of models; None when it has none. Raises as `prepare`."""
    asked = listing(provider, credential, _MODELS, headers_of(_credential(provider, credential), headers))
    if asked is None:
        return None
    return replace(asked, target=asked.endpoint.path.removesuffix(_COMPATIBLE) + _MODELS)


def _credential(provider: Provider, credential: Credential) -> Headers:
    """A key has a header of its own; what a sign-in gave is a bearer token."""
    if credential.type in ("oauth", "token"):
        return bearer(provider, credential)
    return api_key(provider, credential, b"x-goog-api-key")


def _named(model: str) -> str:
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def _resource(model: str) -> str:
    """A model's place under the base; what is odd in its name stays one segment."""
    collection, _, name = _named(model).partition("/")
    return f"{collection}/{quote(name, safe='')}"


GOOGLE: Final = UpstreamKind(
    api="google-generative-ai",
    dialect="google-genai",
    prepare=prepare,
    prepare_models=prepare_models,
    read_error=read_error,
    counts=True,
)
