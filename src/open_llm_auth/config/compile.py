"""Document, catalog and environment compiled into one snapshot, every id and alias in it normal (SPEC §3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import quote

from ..auth.secrets import parse_reference
from ..errors import UnsafeDestination
from ..policy.egress import parse_endpoint
from ..ports import SecretSource
from ..provider_catalog import Catalog, load_sign_ins
from ..providers.bedrock import in_region, region_of
from ..values import (
    EMPTY,
    Cost,
    EgressRules,
    Endpoint,
    FallbackRules,
    Model,
    Profile,
    Provider,
    SecretRef,
    ServerSettings,
    SignIn,
    Snapshot,
)
from .document import Document
from .ids import BRIDGES, Ids
from .model import (
    ConfigDocument,
    EgressPolicySection,
    ModelEntry,
    OAuthEntry,
    ProfileEntry,
    ProviderEntry,
    ProviderFallbackSection,
    ServerSection,
    validate,
)
from .tokens import compile_tokens

__all__ = ["compile_snapshot"]

#: A variable of the environment, None when unset or empty.
_Lookup = Callable[[str], str | None]
_Value = TypeVar("_Value")

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_NO_LETTER: Final = re.compile(r"[^A-Z0-9]")
_REACHABLE_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NEW: Final = Provider(id="", api="openai-completions", auth="api-key")


def compile_snapshot(
    document: Document, secrets: SecretSource, catalog: Catalog, environ: Mapping[str, str]
) -> Snapshot:
    """The snapshot of `document`. `secrets` resolves client tokens; `environ` wins over what it knows.

    A base URL that is none is a warning and an endpoint of None, never a refusal: the policy judges it when it is used.

    Raises:
        ConfigInvalid: the document is not valid, or two client tokens are the same secret.
    """
    model = validate(document.data)
    ids = Ids(catalog, model.providers)
    lookup = partial(_variable, environ, secrets)
    warnings = list(document.warnings)
    of_providers: list[str] = []
    providers = _providers(model, ids, catalog, lookup, of_providers)
    profiles = _profiles(model, ids, catalog, providers, warnings)
    warnings += of_providers
    return Snapshot(
        etag=document.etag,
        providers=MappingProxyType(providers),
        aliases=catalog.aliases,
        profiles=MappingProxyType(profiles),
        order=MappingProxyType(_order(model, ids, profiles, warnings)),
        tokens=compile_tokens(model, secrets, ids, lookup("OPEN_LLM_AUTH_TOKEN"), warnings),
        egress=_egress(model.egress_policy, ids, lookup),
        fallback=_fallback(model.provider_fallback, ids, warnings),
        server=_server(model.server),
        sign_ins=MappingProxyType(_sign_ins(model, ids, warnings)),
        active_providers=_active(model.active_provider_ids, ids, warnings),
        default_model=(model.default_model or "").strip() or None,
        warnings=tuple(warnings),
    )


def _variable(environ: Mapping[str, str], secrets: SecretSource, name: str) -> str | None:
    if name in environ:
        return environ[name] or None
    found = secrets.environment(name)
    return found.reveal() if found else None


# --- providers -------------------------------------------------------------------------------------------------


def _providers(
    model: ConfigDocument, ids: Ids, catalog: Catalog, lookup: _Lookup, warnings: list[str]
) -> dict[str, Provider]:
    replacing = model.models.mode == "replace"
    entries = ids.rekeyed(model.providers, "providers", warnings)
    found = {
        id_: replace(_in_own_region(base, lookup), env_names=_env_names(base))
        for id_, base in catalog.providers.items()
    }
    for id_, entry in entries.items():
        found[id_] = _provider(found.get(id_) or _new_provider(id_), entry, replacing, warnings)
    return found


def _in_own_region(base: Provider, lookup: _Lookup) -> Provider:
    """A catalog row of AWS in the region that the environment names, as AWS's own tools take it."""
    if base.auth != "aws-sdk":
        return base
    region = lookup("AWS_REGION") or lookup("AWS_DEFAULT_REGION")
    base_url = in_region(base.base_url, region.strip()) if region else None
    return base if base_url is None else replace(base, base_url=base_url, endpoint=parse_endpoint(base_url))


def _new_provider(id_: str) -> Provider:
    fresh = replace(_NEW, id=id_, name=id_, api="agent-bridge" if id_ in BRIDGES else _NEW.api)
    return replace(fresh, env_names=_env_names(fresh))


def _provider(base: Provider, entry: ProviderEntry, replacing: bool, warnings: list[str]) -> Provider:
    path = f"providers.{base.id}"
    base_url = base.base_url if entry.base_url is None else entry.base_url.strip()
    provider = replace(
        base,
        api=entry.api or base.api,
        auth=entry.auth or base.auth,
        base_url=base_url,
        endpoint=base.endpoint if base_url == base.base_url else _endpoint(base_url, f"{path}.baseUrl", warnings),
        auth_header=_stated(entry.auth_header, base.auth_header),
        headers=_headers(base.headers, entry.headers),
        api_key=_reference(entry.api_key) or base.api_key,
        models=_models(base.models, entry.models or [], replacing),
        also=_also(base, entry, base_url),
        configured=True,
        replaces_models=replacing and bool(entry.models),
        command=(entry.command or "").strip() or base.command,
        arguments=base.arguments if entry.args is None else tuple(entry.args),
    )
    _warn_of(provider, path, warnings)
    return provider


def _also(base: Provider, entry: ProviderEntry, base_url: str) -> tuple[str, ...]:
    """What a catalog row says of its own server, or of the same program on another port; not of another kind, nor of a
    server somebody put in its place."""
    if entry.api is not None and entry.api != base.api:
        return ()
    return base.also if base_url == base.base_url or base.billing == "local" else ()


def _warn_of(provider: Provider, path: str, warnings: list[str]) -> None:
    if not _REACHABLE_ID.fullmatch(provider.id):
        warnings.append(f"{path} can't be called: an id is letters, digits, '.', '_' and '-'.")
    if not provider.base_url and provider.api == _NEW.api:
        warnings.append(f"{path} has no baseUrl, so nothing can be sent to it.")


def _env_names(provider: Provider) -> tuple[str, ...]:
    own = _NO_LETTER.sub("_", provider.id.upper()) + "_API_KEY"
    return tuple(dict.fromkeys((*provider.env_names, own)))


def _headers(
    base: tuple[tuple[str, SecretRef], ...], entries: Mapping[str, str] | None
) -> tuple[tuple[str, SecretRef], ...]:
    """Headers by lower-case name. A plain word in capitals is itself here: a header need not be a secret."""
    found = {name.lower(): ref for name, ref in base}
    found |= {name.lower(): parse_reference(text, all_caps=False) for name, text in (entries or EMPTY).items()}
    return tuple(found.items())


def _models(base: Mapping[str, Model], entries: Iterable[ModelEntry], replacing: bool) -> Mapping[str, Model]:
    configured = list(entries)
    found = {} if replacing and configured else dict(base)
    for entry in configured:
        found[entry.id] = _model(found.get(entry.id) or Model(entry.id, name=entry.id), entry)
    return MappingProxyType(found)


def _model(base: Model, entry: ModelEntry) -> Model:
    """`base` with every field that the entry states."""
    return replace(
        base,
        name=_stated(entry.name, base.name),
        api=_stated(entry.api, base.api),
        reasoning=_stated(entry.reasoning, base.reasoning),
        input=tuple(entry.input) if entry.input else base.input,
        cost=_stated(_cost(entry), base.cost),
        context_window=_stated(entry.context_window, base.context_window),
        max_tokens=_stated(entry.max_tokens, base.max_tokens),
        headers=_headers(base.headers, entry.headers),
    )


def _stated(value: _Value | None, default: _Value) -> _Value:
    return default if value is None else value


def _cost(entry: ModelEntry) -> Cost | None:
    cost = entry.cost
    return None if cost is None else Cost(cost.input, cost.output, cost.cache_read, cost.cache_write)


def _endpoint(url: str, path: str, warnings: list[str]) -> Endpoint | None:
    if not url:
        return None
    try:
        return parse_endpoint(url)
    except UnsafeDestination as error:
        warnings.append(f"{path} can't be used: {error.message}")
        return None


def _reference(text: str | None) -> SecretRef | None:
    return parse_reference(text) if text and text.strip() else None


# --- profiles --------------------------------------------------------------------------------------------------


def _profiles(
    model: ConfigDocument, ids: Ids, catalog: Catalog, providers: Mapping[str, Provider], warnings: list[str]
) -> dict[str, Profile]:
    return {id_: _profile(id_, entry, ids, catalog, providers, warnings) for id_, entry in model.auth_profiles.items()}


def _profile(
    id_: str,
    entry: ProfileEntry,
    ids: Ids,
    catalog: Catalog,
    providers: Mapping[str, Provider],
    warnings: list[str],
) -> Profile:
    path = f"authProfiles.{id_}"
    provider = ids.provider(entry.provider)
    if provider not in ids.known:
        warnings.append(f"{path}.provider is {entry.provider!r}, which neither the catalog nor providers has.")
    base_url = (
        (entry.base_url or "").strip()
        or _derived(catalog.derived_base_urls.get(provider), entry)
        or _regional(providers.get(provider), entry, path, warnings)
    )
    return Profile(
        id=id_,
        provider=provider,
        type=entry.type,
        secret=_reference(_secret_of(entry)),
        refresh=_reference(entry.refresh),
        expires=entry.expires,
        email=entry.email,
        account_id=entry.account_id,
        gateway_id=entry.gateway_id,
        base_url=base_url,
        endpoint=_endpoint(base_url or "", f"{path}.baseUrl", warnings),
        owner=entry.owner,
        metadata=MappingProxyType(entry.metadata or {}),
    )


def _secret_of(entry: ProfileEntry) -> str | None:
    return {"api_key": entry.key, "token": entry.token, "oauth": entry.access}.get(entry.type)


def _derived(template: str | None, entry: ProfileEntry) -> str | None:
    """The address that follows from an account, where the provider has one address for each."""
    if template is None or not entry.account_id or not entry.gateway_id:
        return None
    return template.format(accountId=quote(entry.account_id, safe=""), gatewayId=quote(entry.gateway_id, safe=""))


def _regional(provider: Provider | None, entry: ProfileEntry, path: str, warnings: list[str]) -> str | None:
    """The address of a provider of AWS in the region that a profile's metadata names."""
    region = (entry.metadata or {}).get("region")
    if provider is None or provider.auth != "aws-sdk" or region is None:
        return None
    base_url = in_region(provider.base_url, region.strip()) if isinstance(region, str) else None
    if base_url is None and region_of(provider.endpoint):
        warnings.append(f"{path}.metadata.region is {region!r}, which is no region of AWS; it is passed over.")
    return base_url


def _order(
    model: ConfigDocument, ids: Ids, profiles: Mapping[str, Profile], warnings: list[str]
) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for provider, listed in ids.rekeyed(model.auth_order, "authOrder", warnings).items():
        named = [_profile_id(text.strip(), provider, profiles) for text in listed]
        warnings += [
            f"authOrder.{provider} names {missing!r}, which is no profile; it is passed over."
            for missing in named
            if missing not in profiles
        ]
        result[provider] = tuple(dict.fromkeys(named))
    return result


def _profile_id(text: str, provider: str, profiles: Mapping[str, Profile]) -> str:
    return text if text in profiles or ":" in text else f"{provider}:{text}"


# --- sign-ins ---------------------------------------------------------------------------------------------------


def _sign_ins(model: ConfigDocument, ids: Ids, warnings: list[str]) -> dict[str, SignIn]:
    """The catalog's facts with `oauth` over them; a provider that the catalog has no sign-in for can be given one."""
    found = dict(load_sign_ins())
    for id_, entry in ids.rekeyed(model.oauth, "oauth", warnings).items():
        found[id_] = _sign_in(found.get(id_) or SignIn(provider=id_, flows=_flows(entry)), entry)
    return found


def _flows(entry: OAuthEntry) -> tuple[str, ...]:
    return tuple(flow for flow, url in (("browser", entry.authorize_url), ("device", entry.device_url)) if url)


def _sign_in(base: SignIn, entry: OAuthEntry) -> SignIn:
    # What an issuer has against other programs is the use of a client id that it gave to one of its own.
    own_client = base.standing == "unofficial" and entry.client_id not in (None, base.client_id)
    return replace(
        base,
        standing="sanctioned" if own_client else base.standing,
        risk="" if own_client else base.risk,
        client_id=_stated(entry.client_id, base.client_id),
        client_secret=_reference(entry.client_secret) or base.client_secret,
        authorize_url=_stated(entry.authorize_url, base.authorize_url),
        token_url=_stated(entry.token_url, base.token_url),
        device_url=_stated(entry.device_url, base.device_url),
        exchange_url=_stated(entry.exchange_url, base.exchange_url),
        verification_url=_stated(entry.verification_url, base.verification_url),
        scopes=base.scopes if entry.scopes is None else tuple(entry.scopes),
        redirect_port=_stated(entry.redirect_port, base.redirect_port),
        alternate_ports=base.alternate_ports if entry.redirect_port is None else (),
    )


# --- rules and settings ----------------------------------------------------------------------------------------


def _egress(section: EgressPolicySection, ids: Ids, lookup: _Lookup) -> EgressRules:
    """`egressPolicy` with the environment's overrides."""
    return EgressRules(
        mode=section.mode if section.enabled else "off",
        resolve_dns=section.resolve_dns,
        fail_closed=section.fail_closed,
        enforce_https=section.enforce_https,
        proxy=parse_reference(section.proxy, all_caps=False) if section.proxy and section.proxy.strip() else None,
        aws_metadata=section.aws_metadata,
        allow_local_providers=ids.providers(section.allow_local_providers),
        deny_hosts=frozenset(section.deny_hosts),
        deny_cidrs=tuple(section.deny_cidrs),
        allow_localhost=_is_true(lookup("OPEN_LLM_AUTH_ALLOW_LOCALHOST_EGRESS")),
        allow_insecure_http=_is_true(lookup("OPEN_LLM_AUTH_ALLOW_INSECURE_EGRESS_HTTP")),
    )


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in _TRUE


def _fallback(section: ProviderFallbackSection, ids: Ids, warnings: list[str]) -> FallbackRules:
    order = ids.rekeyed(section.order, "providerFallback.order", warnings, ids.fallback_key)
    return FallbackRules(
        enabled=section.enabled,
        order=MappingProxyType({key: tuple(map(ids.reference, refs)) for key, refs in order.items()}),
        retry_status_codes=frozenset(section.retry_status_codes),
        max_attempts=section.max_attempts,
        subscription_to_metered=section.subscription_to_metered,
    )


def _server(section: ServerSection) -> ServerSettings:
    return ServerSettings(
        host=section.host,
        port=section.port,
        allowed_hosts=frozenset(host.strip().lower().removesuffix(".") for host in section.allowed_hosts),
        cors_origins=frozenset(section.cors_origins),
        trusted_proxies=tuple(section.trusted_proxies),
        max_body_bytes=section.max_body_bytes,
        request_timeout_seconds=section.request_timeout_seconds,
    )


def _active(listed: list[str] | None, ids: Ids, warnings: list[str]) -> frozenset[str] | None:
    active = ids.providers(listed or [])
    warnings += [
        f"activeProviderIds has {unknown!r}, which neither the catalog nor providers has."
        for unknown in sorted(active - ids.known)
    ]
    return active or None
