"""Amazon Bedrock's Converse (``api: bedrock-converse-stream``), with a bearer key or signed by AWS credentials."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import quote

from ..errors import InvalidRequest
from ..values import Credential, Endpoint, Fault, Headers, Outbound, Provider, Signing
from ..wire import bedrock_converse
from .faults import error_reader
from .outbound import JSON_IN, bearer, endpoint_of, headers_of
from .spec import Sending, UpstreamKind

__all__ = ["BEDROCK", "in_region", "prepare", "read_error", "region_of"]

_SERVICE: Final = "bedrock"
_STREAM_IN: Final[Headers] = (*JSON_IN[:1], (b"accept", b"application/vnd.amazon.eventstream"))
#: ``bedrock-runtime.us-east-1.amazonaws.com``, also with -fips, behind an interface endpoint (``vpce-….``), in other
#: partitions (``.com.cn``) and on the dual-stack name (``.api.aws``). The region is the group.
_HOST: Final = re.compile(
    r"((?:vpce-[a-z0-9-]+\.)?bedrock-runtime(?:-fips)?\.)([a-z]{2}(?:-[a-z]+)+-\d{1,2})"
    r"(\.(?:vpce\.)?amazonaws\.com(?:\.cn)?|\.api\.aws)"
)
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_ERROR_TYPE: Final = b"x-amzn-errortype"


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire. The model's id, an inference profile's or an ARN is one part of the path, encoded.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
        InvalidRequest: Converse has no such operation.
    """
    if sending.operation != "chat":
        raise InvalidRequest(
            f"Provider {provider.id!r} has no {sending.operation}; choose a model that has.", param="model"
        )
    endpoint = endpoint_of(provider, credential)
    operation = "converse-stream" if sending.stream else "converse"
    own = _STREAM_IN if sending.stream else JSON_IN
    return Outbound(
        provider.id,
        "POST",
        endpoint,
        f"{endpoint.path}/model/{quote(sending.model, safe='')}/{operation}",
        headers_of(own, bearer(provider, credential), sending.headers),
        sending.body,
        sending.timeouts,
        _signing(endpoint, credential),
    )


def _signing(endpoint: Endpoint, credential: Credential) -> Signing | None:
    """How to sign, where there is no key. A region that stands in the address is the one that will check it."""
    if credential.secret is not None or credential.type != "aws-sdk":
        return None
    return Signing(_SERVICE, region_of(endpoint) or credential.aws_region, credential.aws_profile)


def region_of(endpoint: Endpoint | None) -> str:
    """The region that an address of AWS names; "" where it is not one, and the transport asks the environment."""
    found = _HOST.fullmatch(endpoint.host) if endpoint is not None else None
    return found[2] if found else ""


def in_region(base_url: str, region: str) -> str | None:
    """The same address in another region; None where the address names none, or `region` is not one."""
    scheme, separator, rest = base_url.partition("://")
    host, slash, path = rest.partition("/")
    found = _HOST.fullmatch(host.lower())
    if found is None or not _REGION.fullmatch(region):
        return None
    return f"{scheme}{separator}{found[1]}{region}{found[3]}{slash}{path}"


def read_error(provider_id: str, status: int, headers: Headers, body: bytes, hide: Callable[[str], str]) -> Fault:
    """What an error status means for the attempt. The exception's name stands in a header more often than in the body.

    A 424 says that the model failed at a request which is sound: as much the provider's fault as a 500.
    """
    stated = dict(reversed(headers)).get(_ERROR_TYPE, b"").decode("latin-1")
    fault = _reader(stated)(provider_id, status, headers, body, hide)
    return replace(fault, kind="server") if status == 424 else fault


def _reader(stated: str) -> Callable[..., Fault]:
    return error_reader(partial(bedrock_converse.read_error, stated_type=stated))


BEDROCK: Final = UpstreamKind(
    api="bedrock-converse-stream",
    dialect="bedrock-converse",
    prepare=prepare,
    prepare_models=None,
    read_error=read_error,
)
