"""Which credentials a provider has, in the order they are tried (SPEC §5): profiles, environment, config, none."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from ..errors import NoCredentials, NotConfigured, SecretUnavailable, SignInLapsed
from ..policy.access import is_gateway_token
from ..ports import RenewalStates, SecretSource
from ..provider_catalog import load_sign_ins
from ..values import (
    EMPTY,
    Auth,
    Billing,
    Caller,
    Credential,
    CredentialSource,
    Endpoint,
    PassedOver,
    Profile,
    ProfileType,
    Provider,
    Secret,
    SecretRef,
    SignIn,
    Surface,
    TokenTable,
)
from .imports.repairs import owners_repair
from .moments import expiry_of, milliseconds
from .refresh import is_renewable, repair_of

__all__ = ["NO_ADDRESS_NEEDED", "Candidate", "Selection", "candidates_of", "select", "unusable"]

#: Kinds that answer without a base URL: in the process itself, or through a program on this machine.
NO_ADDRESS_NEEDED: Final = frozenset({"demo", "claude-cli", "codex-cli"})

#: "Other profiles" come in this order.
_TYPE_ORDER: Final[Mapping[ProfileType, int]] = {"oauth": 0, "token": 1, "api_key": 2, "aws-sdk": 3, "cli": 4}

#: Types of profile that hold no secret: what finds one, or signs in by itself, belongs to providers of that `auth`.
_WITHOUT_SECRET: Final[Mapping[ProfileType, Auth]] = {"aws-sdk": "aws-sdk", "cli": "cli"}

_TYPE_OF_AUTH: Final[Mapping[Auth, ProfileType]] = {"oauth": "oauth", "token": "token", "api-key": "api_key"}

#: The command that gives a provider a credential, by what it takes; other kinds take an API key or nothing.
_REPAIRS: Final[Mapping[str, str]] = {"oauth": "add-oauth", "token": "add-token"}

_SURFACES: Final[tuple[str, ...]] = get_args(Surface)

_BILLINGS: Final[Mapping[object, Billing]] = {
    "metered": "metered",
    "subscription": "subscription",
    "free": "free",
    "local": "local",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place a credential may come from. Everything the snapshot can tell of it is worked out here, once.

    `ref` or `variable` say where its secret stands; with neither it carries none. `flaw` is why it can never serve.
    `needs`: one of these variables must be set, which is how a key wakes a local backend that takes none, and how the
    environment says that AWS's chain has something to find.
    """

    id: str
    source: CredentialSource
    type: ProfileType | Literal["none"]
    billing: Billing
    ref: SecretRef | None = None
    variable: str = ""
    endpoint: Endpoint | None = None
    owner: str | None = None
    #: milliseconds since the epoch
    expires: int | None = None
    account_id: str | None = None
    aws_profile: str = ""
    aws_region: str = ""
    flaw: str = ""
    needs: tuple[str, ...] = ()
    #: of a sign-in that is renewed where it has expired: what a person runs when it can't be any more
    renewal: str = ""
    #: where alone it may be used; None is everywhere
    surfaces: frozenset[str] | None = None
    #: candidates with the same rank that is not "" are equals, whose order a conversation decides
    rank: str = ""
    #: what renews a sign-in that another program owns, which is read through and never renewed here
    repair: str = ""
    #: where its expiry stands beside it, for a token that does not tell it itself
    expiry: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The credentials to try, in order, and what was passed over. `equals` are runs of credentials of one rank: the
    first place, and the one behind the last.

    `lapsed` is how many credentials stand before the first subscription of the caller's that had to be passed over;
    None when there is none. What comes after it would be a silent fall from a subscription to a metered key.
    """

    credentials: tuple[Credential, ...]
    passed_over: tuple[PassedOver, ...] = ()
    lapsed: int | None = None
    equals: tuple[tuple[int, int], ...] = ()


def candidates_of(
    provider: Provider, profiles: Sequence[Profile], order: Sequence[str], sign_ins: Mapping[str, SignIn] = EMPTY
) -> tuple[Candidate, ...]:
    """Everything that may authenticate to `provider`, in the order it is tried when no profile is preferred.

    `profiles` are those of the provider; `order` is its `authOrder`, whose profiles come first, exactly as listed.
    `sign_ins` are those that the gateway knows to renew.
    """
    by_id = {profile.id: profile for profile in profiles}
    listed = [by_id[profile_id] for profile_id in dict.fromkeys(order) if profile_id in by_id]
    others = [_from_profile(provider, profile, sign_ins) for profile in profiles if profile.id not in order]
    ranked = sorted((replace(each, rank=_rank(each)) for each in others), key=lambda each: each.rank)
    stored = [*(_from_profile(provider, profile, sign_ins) for profile in listed), *ranked]
    if not provider.auth_header or provider.auth == "cli":
        return (*stored, *_without_secret(provider))
    keyed = (*stored, *(_from_variable(provider, name) for name in provider.env_names), *_from_config(provider))
    if provider.auth == "aws-sdk":
        return (*keyed, *_from_aws_chain(provider))
    return (*keyed, *_without_secret(provider)) if provider.key_optional else keyed


def select(
    candidates: Sequence[Candidate],
    *,
    provider: Provider,
    caller: Caller,
    secrets: SecretSource,
    now_ms: float,
    made: MutableMapping[str, Credential],
    tokens: TokenTable,
    surface: str = "",
    renewals: RenewalStates | None = None,
) -> Selection:
    """Resolve `candidates` for `caller`. `now_ms` is milliseconds since the epoch. `surface` is the way the call came
    in; "" leaves that out of account.

    `made` keeps the credentials of the last calls by candidate id: the same secret gives the same object. `tokens` are
    the gateway's own, which no provider may see. `renewals` tells which sign-ins can't be renewed any more.
    """
    found: list[Credential] = []
    passed: list[PassedOver] = []
    seen: dict[tuple[Secret | None, Endpoint | None, str, str], str] = {}
    lapsed: int | None = None
    for candidate in candidates:
        if candidate.owner is not None and candidate.owner != caller.subject:
            passed.append(PassedOver(candidate.id, f"it belongs to {candidate.owner!r}"))
            continue
        if candidate.surfaces is not None and surface and surface not in candidate.surfaces:
            passed.append(PassedOver(candidate.id, _elsewhere(candidate.surfaces, surface)))
            continue
        secret, reason = _resolve(candidate, provider, secrets, now_ms, made.get(candidate.id))
        if reason is not None:
            if reason:
                passed.append(PassedOver(candidate.id, reason, candidate.billing))
                if lapsed is None and candidate.billing == "subscription":
                    lapsed = len(found)
            continue
        if (why := _lapsed(candidate, secret, renewals, now_ms)) is not None:
            passed.append(PassedOver(candidate.id, why, candidate.billing, candidate.renewal))
            if lapsed is None and candidate.billing == "subscription":
                lapsed = len(found)
            continue
        if candidate.source == "none" and provider.key_optional and found:
            continue  # a server that has been given a key would only refuse to go without
        credential = made.get(candidate.id)
        if credential is None or credential.secret != secret:
            if secret is not None and candidate.variable and is_gateway_token(tokens, secret.reveal()):
                passed.append(PassedOver(candidate.id, "it is a token of this gateway, which no provider may see"))
                continue
            credential = None
        # Where no credential is sent, two candidates for one address are the same request.
        key = (
            secret if provider.auth_header else None,
            candidate.endpoint,
            candidate.aws_profile,
            candidate.aws_region,
        )
        if (twin := seen.get(key)) is not None:
            passed.append(PassedOver(candidate.id, f"the same credential as {twin!r}"))
            continue
        seen[key] = candidate.id
        if credential is None:
            credential = made[candidate.id] = Credential(
                id=candidate.id,
                provider=provider.id,
                source=candidate.source,
                type=candidate.type,
                secret=secret,
                endpoint=candidate.endpoint,
                billing=candidate.billing,
                expires=_ends(candidate, secret, secrets, None),
                account_id=candidate.account_id,
                aws_profile=candidate.aws_profile,
                aws_region=candidate.aws_region,
                renewable=bool(candidate.renewal),
            )
        found.append(credential)
    equals = _equals(candidates, found) if len(found) > 1 else ()
    return Selection(tuple(found), tuple(passed), lapsed, equals)


def _equals(candidates: Sequence[Candidate], found: Sequence[Credential]) -> tuple[tuple[int, int], ...]:
    """Runs of two and more of one rank. A preferred candidate stands first, and is nobody's equal."""
    ranks = {each.id: each.rank for each in candidates}
    runs: list[tuple[int, int]] = []
    start = 0
    for place in range(1, len(found) + 1):
        rank = ranks[found[start].id]
        if place < len(found) and rank and ranks[found[place].id] == rank:
            continue
        if place - start > 1:
            runs.append((start, place))
        start = place
    return tuple(runs)


def _elsewhere(surfaces: frozenset[str], surface: str) -> str:
    if not surfaces:
        return "its metadata.surfaces is empty, so that it is used nowhere"
    return f"it is only for {', '.join(sorted(surfaces))} (metadata.surfaces), and this call is {surface}"


def unusable(provider: Provider, caller: Caller, passed_over: Sequence[PassedOver]) -> NotConfigured:
    """Why a provider can't be called, with what repairs it. Only an admin is told the candidates and their reasons."""
    command = _command(provider, provider.auth)
    details: dict[str, object] = {"provider": provider.id, "command": command}
    if caller.admin and passed_over:
        details["passedOver"] = [{"candidate": each.candidate, "reason": each.reason} for each in passed_over]
    if reason := _unaddressed(provider):
        del details["command"]
        return NotConfigured(_sentence(reason), param="model", details=details)
    if (lapsed := next((each for each in passed_over if each.command), None)) is not None:
        details |= {"profile": lapsed.candidate, "command": lapsed.command}
        message = f"The sign-in {lapsed.candidate!r} can't be renewed any more. Sign in anew with: {lapsed.command}"
        return SignInLapsed(message, param="model", details=details)
    if provider.auth == "aws-sdk":
        return _unsigned(provider, details)
    if provider.auth == "cli" or not provider.auth_header or provider.key_optional:
        details["command"] = "open-llm-auth auth configure"
        message = (
            f"Provider {provider.id!r} is on this machine and is not switched on: an entry of that name under "
            f"'providers' in the config does it. Try: open-llm-auth auth configure"
        )
        return NoCredentials(message, param="model", details=details)
    message = f"Provider {provider.id!r} has no usable credential. Add one with: {command}"
    if provider.env_names:
        message += f" (or set {provider.env_names[0]})"
        details["environment"] = list(provider.env_names)
    if provider.configured and provider.api_key is None:
        message += f". If it takes none, set providers.{provider.id}.authHeader to false"
    if caller.admin and passed_over:
        message += f". Passed over: {passed_over[0].candidate!r}: {passed_over[0].reason}"
    return NoCredentials(message, param="model", details=details)


def _unsigned(provider: Provider, details: dict[str, object]) -> NoCredentials:
    details["command"] = f"open-llm-auth auth configure {provider.id}"
    names = (*provider.env_names[:1], *provider.aws_env)
    if names:
        details["environment"] = list(names)
    either = " or ".join(names) or "one of its variables"
    message = (
        f"Provider {provider.id!r} has no usable credential. Set {either}, or let it use what AWS's own tools find on"
        " this machine (after 'aws sso login' or 'aws configure') with: open-llm-auth auth configure "
        f"{provider.id}"
    )
    return NoCredentials(message, param="model", details=details)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _resolve(
    candidate: Candidate, provider: Provider, secrets: SecretSource, now_ms: float, known: Credential | None
) -> tuple[Secret | None, str | None]:
    """The secret, or the reason to pass it over; an empty reason is for what is not there at all. `known` is what the
    last call made of the candidate."""
    if candidate.variable:
        secret = secrets.environment(candidate.variable)
        return (secret, candidate.flaw or None) if secret else (None, "")
    if candidate.flaw:
        return None, candidate.flaw
    if not candidate.renewal and candidate.expires is not None and 0 < candidate.expires <= now_ms:
        return None, _expired(candidate, provider, candidate.expires, now_ms)
    if candidate.ref is not None:
        try:
            secret = secrets.get(candidate.ref)
        except SecretUnavailable as error:
            return None, f"{error.message} Repair: {candidate.repair}" if candidate.repair else error.message
        if candidate.repair and (ends := _ends(candidate, secret, secrets, known)) is not None and ends <= now_ms:
            return None, _expired(candidate, provider, ends, now_ms)
        return secret, None if secret else "its secret is empty"
    if candidate.needs and not any(secrets.environment(name) for name in candidate.needs):
        return None, ""
    return None, None


def _ends(candidate: Candidate, secret: Secret | None, secrets: SecretSource, known: Credential | None) -> int | None:
    """When a credential expires. One that is read through says it itself, as a JWT does, or its file says it."""
    if candidate.expires is not None or not candidate.repair or secret is None:
        return candidate.expires
    if candidate.expiry is not None:
        try:
            return milliseconds(secrets.get(candidate.expiry).reveal())
        except SecretUnavailable:
            return None  # the provider knows it better
    return known.expires if known is not None and known.secret == secret else expiry_of(secret.reveal())


def _lapsed(candidate: Candidate, secret: Secret | None, renewals: RenewalStates | None, now_ms: float) -> str | None:
    """Why a sign-in needs its person."""
    if renewals is None or not candidate.renewal or secret is None:
        return None
    expired = candidate.expires is not None and 0 < candidate.expires <= now_ms
    reason = renewals.lapsed(candidate.id, secret, expired=expired)
    return f"{reason}; sign in anew with: {candidate.renewal}" if reason else None


def _expired(candidate: Candidate, provider: Provider, expires: int, now_ms: float) -> str:
    minutes = int((now_ms - expires) // 60_000)
    ago = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
    if candidate.repair:
        return f"it expired {ago} ago. Repair: {candidate.repair}"
    return f"it expired {ago} ago; renew it with: {_command(provider, candidate.type)}"


def _command(provider: Provider, kind: str) -> str:
    """What gives a provider a credential of that kind: its sign-in, where the gateway knows one."""
    signs_in = kind in _REPAIRS and provider.auth in _REPAIRS and provider.id in load_sign_ins()
    verb = "login" if signs_in else _REPAIRS.get(kind, "add-api-key")
    return f"open-llm-auth auth {verb} {provider.id}"


def _from_profile(provider: Provider, profile: Profile, sign_ins: Mapping[str, SignIn]) -> Candidate:
    return Candidate(
        id=profile.id,
        source="profile",
        type=profile.type,
        billing=_billing(provider, profile),
        ref=profile.secret,
        endpoint=profile.endpoint,
        owner=profile.owner,
        expires=profile.expires,
        account_id=profile.account_id,
        aws_profile=_told(profile, "awsProfile"),
        aws_region=_told(profile, "region"),
        flaw=_flaw(provider, profile),
        surfaces=_surfaces(profile),
        renewal=repair_of(profile) if is_renewable(profile, sign_ins) else "",
        repair=owners_repair(profile.metadata.get("source")) if profile.metadata.get("mayRotate") is False else "",
        expiry=_expiry(profile),
    )


def _expiry(profile: Profile) -> SecretRef | None:
    """Where the expiry of a sign-in that is read through stands: in the same file, and nowhere else."""
    pointer, ref = profile.metadata.get("expiresPointer"), profile.secret
    if not isinstance(pointer, str) or not pointer.startswith("#/") or ref is None:
        return None
    place, mark, _ = ref.place.reveal().rpartition("#/")
    return SecretRef(ref.scheme, Secret(place + pointer)) if mark and ref.scheme in ("file", "keyring") else None


def _rank(candidate: Candidate) -> str:
    """Sorts by type, and within a type what is paid for already before what is metered."""
    order = _TYPE_ORDER.get(candidate.type, len(_TYPE_ORDER)) if candidate.type != "none" else len(_TYPE_ORDER)
    return f"{order} {'metered' if candidate.billing == 'metered' else 'free'}"


def _surfaces(profile: Profile) -> frozenset[str] | None:
    """Where alone the profile may be used; what is no list of texts is nowhere (`_flaw` says why)."""
    said = profile.metadata.get("surfaces")
    if said is None:
        return None
    words = [said] if isinstance(said, str) else said
    return frozenset(word for word in words if isinstance(word, str)) if isinstance(words, list) else frozenset()


def _told(profile: Profile, name: str) -> str:
    """What the metadata of an `aws-sdk` profile says under that name."""
    said = profile.metadata.get(name) if profile.type == "aws-sdk" else None
    return said.strip() if isinstance(said, str) else ""


def _flaw(provider: Provider, profile: Profile) -> str:
    if profile.type in _WITHOUT_SECRET:
        if provider.auth != _WITHOUT_SECRET[profile.type]:
            return f"profiles of type {profile.type!r} serve only providers whose 'auth' is {profile.type!r}"
    elif profile.secret is None:
        field = {"api_key": "key", "token": "token"}.get(profile.type, "access")
        return f"it has no {field!r}"
    if profile.base_url and profile.endpoint is None:
        return "its baseUrl is not a usable address"
    if (unknown := _unknown_surface(profile)) is not None:
        return f"its metadata.surfaces holds {unknown:.40}, which is none of {', '.join(_SURFACES)}"
    return _unaddressed(provider, profile.endpoint)


def _unknown_surface(profile: Profile) -> str | None:
    said = profile.metadata.get("surfaces")
    words = said if isinstance(said, list) else [] if said is None else [said]
    return next((repr(word) for word in words if word not in _SURFACES), None)


def _unaddressed(provider: Provider, endpoint: Endpoint | None = None) -> str:
    if endpoint or provider.endpoint or provider.api in NO_ADDRESS_NEEDED:
        return ""
    return f"provider {provider.id!r} has no usable baseUrl: set providers.{provider.id}.baseUrl"


def _billing(provider: Provider, profile: Profile) -> Billing:
    """What its metadata says; else a sign-in draws on a subscription, and a key bills as its provider does."""
    said = profile.metadata.get("billing")
    if isinstance(said, str) and said in _BILLINGS:
        return _BILLINGS[said]
    return _signed_in(provider) if profile.type == "oauth" else provider.billing


def _signed_in(provider: Provider) -> Billing:
    return "subscription" if provider.billing == "metered" else provider.billing


def _from_variable(provider: Provider, name: str) -> Candidate:
    # ANTHROPIC_OAUTH_TOKEN, QWEN_OAUTH_TOKEN …: the name says that a sign-in gave it.
    signed_in = name.endswith("_OAUTH_TOKEN")
    return Candidate(
        id=f"env:{name}",
        source="environment",
        type="oauth" if signed_in else "token" if provider.auth == "token" else "api_key",
        billing=_signed_in(provider) if signed_in else provider.billing,
        variable=name,
        flaw=_unaddressed(provider),
    )


def _from_config(provider: Provider) -> tuple[Candidate, ...]:
    if provider.api_key is None:
        return ()
    return (
        Candidate(
            id=f"config:{provider.id}",
            source="provider",
            type=_TYPE_OF_AUTH.get(provider.auth, "api_key"),
            billing=provider.billing,
            ref=provider.api_key,
            flaw=_unaddressed(provider),
        ),
    )


def _from_aws_chain(provider: Provider) -> tuple[Candidate, ...]:
    """What AWS's own tools would find on this machine, once config or the environment has switched it on."""
    on = provider.configured or provider.self_activating
    if not on and not provider.aws_env:
        return ()
    return (
        Candidate(
            id=f"aws-sdk:{provider.id}",
            source="aws-sdk",
            type="aws-sdk",
            billing=provider.billing,
            flaw=_unaddressed(provider),
            needs=() if on else provider.aws_env,
        ),
    )


def _without_secret(provider: Provider) -> tuple[Candidate, ...]:
    """Kinds that need no secret, or have their own, once config or a key has switched them on."""
    on = provider.configured or provider.self_activating
    kind: Literal["cli", "none"] = "cli" if provider.auth == "cli" else "none"
    return (
        Candidate(
            id=f"{kind}:{provider.id}",
            source=kind,
            type=kind,
            billing=provider.billing,
            flaw=_unaddressed(provider),
            needs=() if on else provider.env_names,
        ),
    )
