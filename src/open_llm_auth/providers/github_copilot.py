"""GitHub Copilot (``api: github-copilot``): chat completions, and Responses for the models that have nothing else.

A credential is a GitHub token or the short-lived token that GitHub gives for one. The gateway says its own name to it.
What counts against a plan's premium requests is what a person asked: the last message says whether one did.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from .. import __version__
from ..errors import InvalidRequest
from ..values import Credential, Endpoint, Fault, Headers, Operation, Outbound, Provider
from ..wire import openai_chat
from ..wire.dialect import DialectName, Fields
from ..wire.envelope import first_byte
from ..wire.instructions import is_instruction
from . import openai
from .faults import read_error as read_any_error
from .faults import spent_wait
from .outbound import JSON_IN, STREAM_IN, bearer, endpoint_of, headers_of, listing
from .spec import Adjusting, Sending, UpstreamKind

__all__ = ["GITHUB_COPILOT", "adjust", "dialect_of", "prepare", "prepare_models", "read_error"]

Raw = msgspec.Raw

_HOSTS: Final = ".githubcopilot.com"
#: where a GitHub token is taken as it is
_DIRECT: Final = "api.githubcopilot.com"
_GITHUB_TOKENS: Final = ("gho_", "ghu_", "ghp_", "github_pat_")
#: how the host of a company's own GitHub begins
_ENTERPRISE: Final = "copilot-api."
_PATHS: Final[Mapping[Operation, str]] = {"chat": "/chat/completions", "embeddings": "/embeddings"}
#: Answers 400 `unsupported_api_for_model` to chat completions.
_RESPONSES_ONLY: Final = re.compile(r"gpt-.*codex|gpt-5\.[4-9]|gpt-[6-9]|gpt-\d\d")
_NAME: Final = f"open-llm-auth/{__version__}".encode("ascii")
_ABOUT_US: Final[Headers] = ((b"user-agent", _NAME), (b"openai-intent", b"conversation-edits"))
#: Demanded with an exchanged token ("missing Editor-Version header").
_EDITOR: Final[Headers] = ((b"editor-version", _NAME), (b"editor-plugin-version", _NAME))
_VISION: Final[Headers] = ((b"copilot-vision-request", b"true"),)
#: Within a JSON string the quotes of a key are escaped.
_IMAGES: Final = (b'"image_url"', b'"input_image"')
_HOST: Final = re.compile(r"[a-z0-9.-]{1,253}")
_NOTHING: Final = Raw(b"null")
_BODY: Final = msgspec.json.Decoder(dict[str, Raw])
_LIST: Final = msgspec.json.Decoder(list[Raw])
_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def dialect_of(model: str) -> DialectName:
    """Responses for the models that are served there alone."""
    return "openai-responses" if _RESPONSES_ONLY.match(model) else "openai-chat"


def prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:
    """One call on the wire.

    Raises:
        NotConfigured: neither the provider nor the credential has a usable base URL.
        SecretUnavailable: the credential's text can't stand in a header.
        InvalidRequest: Copilot has no such operation.
    """
    path = _PATHS.get(sending.operation)
    if path is None:
        raise InvalidRequest(f"Provider {provider.id!r} does not count tokens; its answers state how many they took.")
    if sending.operation == "chat" and dialect_of(sending.model) == "openai-responses":
        path = "/responses"
    endpoint = _endpoint(provider, credential)
    return Outbound(
        provider.id,
        "POST",
        endpoint,
        endpoint.path + path,
        headers_of(
            STREAM_IN if sending.stream else JSON_IN,
            _about(provider, credential),
            _about_body(sending.body),
            sending.headers,
        ),
        sending.body,
        sending.timeouts,
    )


def prepare_models(provider: Provider, credential: Credential, headers: Headers) -> Outbound | None:
    """The request for the list of models; None when there is none. Raises as `prepare`."""
    if provider.endpoint is None and credential.endpoint is None:
        return None
    asked = replace(credential, endpoint=_endpoint(provider, credential))
    return listing(provider, asked, "/models", headers_of(_about(provider, credential), headers))


def adjust(fields: Fields, adjusting: Adjusting) -> Fields:
    """Chat completions as of other providers; Responses as they are."""
    return fields if dialect_of(adjusting.model) == "openai-responses" else openai.adjust(fields, adjusting)


# ---------------------------------------------------------------------------------------------- where to


def _endpoint(provider: Provider, credential: Credential) -> Endpoint:
    """The host that the token is for, unless the config says another. GitHub's own have no ``/v1``."""
    stated = endpoint_of(provider, credential)
    if not stated.host.endswith(_HOSTS):
        is_enterprise = stated.host.startswith(_ENTERPRISE)
        return replace(stated, path=stated.path.removesuffix("/v1")) if is_enterprise else stated
    host = None if credential.endpoint is not None else _host_for(credential)
    return replace(stated, host=host or stated.host, path=stated.path.removesuffix("/v1"))


def _host_for(credential: Credential) -> str | None:
    token = credential.secret.reveal().strip() if credential.secret is not None else ""
    if token.startswith(_GITHUB_TOKENS):
        return _DIRECT
    stated = next((part[len("proxy-ep=") :] for part in token.split(";") if part.startswith("proxy-ep=")), "")
    host = stated.strip().lower()
    if not _HOST.fullmatch(host) or not host.endswith(_HOSTS):
        return None
    return f"api.{host.removeprefix('proxy.')}" if host.startswith("proxy.") else host


# ---------------------------------------------------------------------------------------------- what is said beside it


def _about(provider: Provider, credential: Credential) -> Headers:
    token = credential.secret.reveal() if credential.secret is not None else ""
    editor = _EDITOR if ";" in token else ()
    return headers_of(bearer(provider, credential), _ABOUT_US, editor)


def _about_body(body: bytes) -> Headers:
    initiator: Headers = ((b"x-initiator", b"user" if _is_asked_by_person(body) else b"agent"),)
    return initiator + (_VISION if any(mark in body for mark in _IMAGES) else ())


def _is_asked_by_person(body: bytes) -> bool:
    """Whether the last message is a user's own: not a tool's result, and nothing that the user only tells."""
    try:
        fields = _BODY.decode(body)
        given = fields.get("messages") or fields.get("input") or _NOTHING
        if first_byte(given) != ord("["):
            return True
        items = _LIST.decode(given)
        last = _ANY.decode(items[-1]) if items else None
    except _NOT_JSON:
        return True
    return isinstance(last, dict) and last.get("role") == "user" and not _is_no_persons(last.get("content"))


def _is_no_persons(content: Any) -> bool:
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return bool(texts) and all(isinstance(text, str) and _is_told(text) for text in texts)


def _is_told(text: str) -> bool:
    """Whether the user only tells what a tool left, or an instruction."""
    return text.startswith(openai_chat.RESULT_MARK) or is_instruction(text)


# ---------------------------------------------------------------------------------------------- errors

#: What a plan says when it pays for no more of the models that it counts; those that it does not count go on.
_SPENT: Final = frozenset({"quota_exceeded", "free_quota_exceeded", "overage_limit_reached", "billing_not_configured"})


def read_error(provider_id: str, status: int, headers: Headers, body: bytes, hide: Callable[[str], str]) -> Fault:
    """What an error status means. A plan without premium requests rests for this model until the month begins anew."""
    fault = read_any_error(provider_id, status, headers, body, hide)
    code = str(fault.error.details.get("upstreamCode", "")).partition(":")[0]
    if status not in (402, 429) or code not in _SPENT:
        return fault
    wait = spent_wait(headers) if fault.retry_after is None else fault.retry_after
    return replace(fault, kind="denied", retry_after=wait)


GITHUB_COPILOT: Final = UpstreamKind(
    api="github-copilot",
    dialect="openai-chat",
    prepare=prepare,
    prepare_models=prepare_models,
    read_error=read_error,
    adjust=adjust,
    dialect_of=dialect_of,
)
