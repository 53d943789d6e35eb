"""Reads `catalog.json`, shipped beside this file, into provider rows; every fact about a provider stands there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from ..values import EMPTY, Auth, Billing, Cost, Endpoint, Model, Provider

__all__ = ["Catalog", "load_catalog", "read_catalog"]

_PORTS = {"http": 80, "https": 443}


class _Cost(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0


class _Model(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """One entry of a row's `models`, spelled as in the config file."""

    id: str
    name: str = ""
    api: str | None = None
    reasoning: bool = False
    input: tuple[str, ...] = ("text",)
    cost: _Cost | None = None
    context_window: int | None = None
    max_tokens: int | None = None


class _Row(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """One provider as the file spells it. A field that is left out has the value most providers have."""

    name: str
    base_url: str
    api: str
    auth: Auth
    auth_header: bool = True
    key_optional: bool = False
    env: tuple[str, ...] = ()
    billing: Billing = "metered"
    self_activating: bool = True
    preferred: bool = False
    stream_usage: bool = True
    lists_models: bool = True
    bearer_key: bool = False
    key_url: str | None = None
    also: tuple[str, ...] = ()
    models: tuple[_Model, ...] = ()


class _File(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    aliases: dict[str, str]
    aws_sdk_env: tuple[str, ...]
    derived_base_urls: dict[str, str]
    providers: dict[str, _Row]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Provider rows by id, and the other spellings those ids go by.

    `aws_sdk_env` names the variables whose presence means that the AWS credential chain has something to find; they
    hold no bearer key. `derived_base_urls` are templates over a profile's `accountId` and `gatewayId`.
    """

    providers: Mapping[str, Provider]
    aliases: Mapping[str, str]
    aws_sdk_env: tuple[str, ...] = ()
    derived_base_urls: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    def normalise(self, provider_id: str) -> str:
        """The id behind any accepted spelling; an unknown one comes back stripped and lower-cased."""
        plain = provider_id.strip().lower()
        return self.aliases.get(plain, plain)


@cache
def load_catalog() -> Catalog:
    """The catalog of this release, read once."""
    return read_catalog(files(__package__).joinpath("catalog.json").read_bytes())


def read_catalog(data: bytes) -> Catalog:
    """A catalog from the bytes of its file.

    Raises:
        msgspec.ValidationError: a field is unknown, missing or of the wrong type; the message names its path.
    """
    file = msgspec.json.decode(data, type=_File)
    return Catalog(
        providers=MappingProxyType(
            {provider_id: _provider(provider_id, row, file.aws_sdk_env) for provider_id, row in file.providers.items()}
        ),
        aliases=MappingProxyType(file.aliases),
        aws_sdk_env=file.aws_sdk_env,
        derived_base_urls=MappingProxyType(file.derived_base_urls),
    )


def _provider(provider_id: str, row: _Row, aws_sdk_env: tuple[str, ...]) -> Provider:
    return Provider(
        id=provider_id,
        api=row.api,
        auth=row.auth,
        name=row.name,
        base_url=row.base_url,
        endpoint=_endpoint(row.base_url),
        auth_header=row.auth_header,
        key_optional=row.key_optional,
        models=MappingProxyType({model.id: _model(model) for model in row.models}),
        env_names=row.env,
        aws_env=aws_sdk_env if row.auth == "aws-sdk" else (),
        self_activating=row.self_activating,
        preferred=row.preferred,
        billing=row.billing,
        stream_usage=row.stream_usage,
        lists_models=row.lists_models,
        bearer_key=row.bearer_key,
        key_url=row.key_url,
        also=row.also,
    )


def _model(model: _Model) -> Model:
    return Model(
        id=model.id,
        name=model.name or model.id,
        api=model.api,
        reasoning=model.reasoning,
        input=model.input,
        cost=_cost(model.cost),
        context_window=model.context_window,
        max_tokens=model.max_tokens,
    )


def _cost(cost: _Cost | None) -> Cost | None:
    if cost is None:
        return None
    return Cost(input=cost.input, output=cost.output, cache_read=cost.cache_read, cache_write=cost.cache_write)


def _endpoint(base_url: str) -> Endpoint | None:
    """Our own data needs no hostile-input parser; what a person configures goes through `policy.egress`."""
    if not base_url:
        return None
    parts = urlsplit(base_url)
    return Endpoint(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or _PORTS[parts.scheme],
        path=parts.path.rstrip("/"),
    )
