"""The frozen vocabulary every room speaks: what a snapshot, a provider, a credential, a call and an attempt are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from .errors import GatewayError
from .wire.dialect import DialectName, Request

__all__ = [
    "EMPTY",
    "Attempt",
    "Auth",
    "Billing",
    "Call",
    "Caller",
    "Command",
    "ConfigFault",
    "Cost",
    "Credential",
    "CredentialSource",
    "EgressRules",
    "Endpoint",
    "FallbackRules",
    "Fault",
    "FaultKind",
    "Headers",
    "Model",
    "Operation",
    "Outbound",
    "PassedOver",
    "Plan",
    "Profile",
    "ProfileType",
    "Provider",
    "RenewalNote",
    "RenewalState",
    "Secret",
    "SecretRef",
    "SecretScheme",
    "ServerSettings",
    "SignIn",
    "SignedIn",
    "Signing",
    "Snapshot",
    "Surface",
    "Timeouts",
    "TokenTable",
]

EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})

#: HTTP header fields as they go over the wire: lower-case names, in order.
Headers = tuple[tuple[bytes, bytes], ...]

Auth = Literal["api-key", "aws-sdk", "oauth", "token", "cli"]
ProfileType = Literal["api_key", "token", "oauth", "aws-sdk", "cli"]
Billing = Literal["metered", "subscription", "free", "local"]
SecretScheme = Literal["literal", "env", "file", "keyring", "cmd", "vault"]
CredentialSource = Literal["profile", "environment", "provider", "aws-sdk", "cli", "none"]
Operation = Literal["chat", "embeddings", "count_tokens"]
#: The ways in that a profile can be kept to (`metadata.surfaces`). `ui` are the gateway's own pages and commands.
Surface = Literal["chat", "responses", "messages", "gemini", "universal", "embeddings", "tasks", "ui"]


class Secret:
    """A text that never prints. `reveal()` is the only way to it, so that a search for that word finds every use."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: reveal() it where it is needed")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret stands (SPEC §3). `place` is the text itself for a literal, else the part after the scheme.

    An ALL_CAPS value keeps its `literal` scheme with `maybe_env` set: it is the environment variable of that name
    when one is set at the time of use, and the text itself otherwise.
    """

    scheme: SecretScheme
    place: Secret
    maybe_env: bool = False

    @property
    def label(self) -> str:
        """What may be shown of it: the scheme and, for a reference, its place; of a command the program alone, because
        an argument may be a secret too."""
        if self.scheme == "literal":
            return "literal"
        place = self.place.reveal()
        return f"{self.scheme}:{place.split(' ')[0] if self.scheme == 'cmd' else place}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed base URL. `host` is lower-case and without brackets; `path` has no trailing slash."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header: brackets for IPv6, the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}.get(self.scheme)
        return host if self.port == usual else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars per million tokens."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a provider (SPEC §3). `api` is set only where it differs from the provider's."""

    id: str
    name: str = ""
    api: str | None = None
    reasoning: bool = False
    input: tuple[str, ...] = ("text",)
    cost: Cost | None = None
    context_window: int | None = None
    max_tokens: int | None = None
    headers: tuple[tuple[str, SecretRef], ...] = ()


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as the catalog and the config together describe it.

    `base_url` is the text as configured ("" where a row has none yet); `endpoint` is it parsed, or None when it is
    empty or does not parse. `configured` says the config file has an entry for it. `self_activating` is False for
    local backends, which a catalog row alone does not make usable (SPEC §5). `replaces_models` is `models.mode:
    replace` in force for it. `env_names` are the variables that may hold its key, in order, `<PROVIDER>_API_KEY` last.
    """

    id: str
    api: str
    auth: Auth
    name: str = ""
    base_url: str = field(default="", repr=False)
    endpoint: Endpoint | None = None
    auth_header: bool = True
    #: a key is sent where there is one, and nothing is missing where there is none
    key_optional: bool = False
    headers: tuple[tuple[str, SecretRef], ...] = ()
    api_key: SecretRef | None = None
    models: Mapping[str, Model] = field(default_factory=lambda: EMPTY)
    env_names: tuple[str, ...] = ()
    configured: bool = False
    self_activating: bool = True
    preferred: bool = False
    replaces_models: bool = False
    billing: Billing = "metered"
    #: ask `stream_options.include_usage` of it (SPEC §11)
    stream_usage: bool = True
    #: it answers GET {base}/models, so discovery may ask
    lists_models: bool = True
    #: an API key of it travels as a bearer token, though its kind has a header of its own for keys
    bearer_key: bool = False
    #: further kinds it answers to at the same address, for clients of their dialect
    also: tuple[str, ...] = ()
    #: where a person gets a key
    key_url: str | None = None
    #: variables whose presence means that the AWS credential chain has something to find
    aws_env: tuple[str, ...] = ()
    #: of kinds that run a program: which one, "" for the usual, and further arguments. From the config file alone.
    command: str = ""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A stored credential (SPEC §3). `secret` is its `key`, `token` or `access`, by type."""

    id: str
    provider: str
    type: ProfileType
    secret: SecretRef | None = None
    refresh: SecretRef | None = None
    #: milliseconds since the epoch
    expires: int | None = None
    email: str | None = None
    account_id: str | None = None
    gateway_id: str | None = None
    base_url: str | None = field(default=None, repr=False)
    endpoint: Endpoint | None = None
    owner: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """One way to authenticate to a provider. `id` is what `x-gateway-profile` shows: a profile id, `env:NAME`,
    `config:provider`, `aws-sdk:provider`, `cli:provider` or `none:provider`. `secret` is None where the credential is
    found by AWS's own chain (type `aws-sdk`), where a program signs in by itself (`cli`), and where none is sent."""

    id: str
    provider: str
    source: CredentialSource
    type: ProfileType | Literal["none"]
    secret: Secret | None = None
    endpoint: Endpoint | None = None
    billing: Billing = "metered"
    expires: int | None = None
    #: the provider's id of the account it belongs to, where a sign-in told it
    account_id: str | None = None
    #: of type `aws-sdk`: the profile of AWS's own files, "" for the default, and the region to sign for where the
    #: address names none
    aws_profile: str = ""
    aws_region: str = ""
    #: a sign-in of the gateway's own, which it renews before it expires and once after a 401
    renewable: bool = False


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a person signs in to a provider, and how what that gave is renewed: facts of the catalog with the config's
    `oauth` over them. `docs` and `checked` say where the facts come from, and when they were last read.

    `standing`: what the provider says of programs such as this one, in the words of facts/credential_flows.md:
    `sanctioned`, `unofficial` (works, undocumented for others), `restricted` (said to be for its own programs alone),
    `discontinued`. `risk` is a sentence for the person,
    "" where there is nothing to say.
    """

    provider: str
    #: which flows there are, the usual one first
    flows: tuple[str, ...]
    client_id: str = ""
    client_secret: SecretRef | None = None
    authorize_url: str = ""
    token_url: str = ""
    device_url: str = ""
    #: where a signed-in token is exchanged for a short-lived one (GitHub Copilot)
    exchange_url: str = ""
    #: where a person types a device code, for issuers that do not say so themselves
    verification_url: str = ""
    scopes: tuple[str, ...] = ()
    #: 0 is any port that is free
    redirect_port: int = 0
    #: further ports that the issuer knows, for when that one is taken
    alternate_ports: tuple[int, ...] = ()
    redirect_path: str = "/auth/callback"
    #: what the issuer's authorization page wants beside the parameters of RFC 6749
    extras: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    #: a refresh token is spent by its use
    rotates: bool = True
    #: hosts, or ends of hosts beginning with a dot, that an address told by the issuer may have
    hosts: tuple[str, ...] = ()
    #: error codes that say the refresh token is no good any more; every other failure keeps it
    terminal: frozenset[str] = frozenset({"invalid_grant"})
    standing: Literal["sanctioned", "unofficial", "restricted", "discontinued"] = "sanctioned"
    risk: str = ""
    terms_url: str = ""
    docs: str = ""
    checked: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in of the gateway's own as it is stored now: the pair, and whose it is."""

    access: Secret
    refresh: Secret
    #: milliseconds since the epoch
    expires: int | None = None
    account_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False)


#: `refreshing`: its refresh token is about to be presented, or was, and no answer is stored yet; `renewed`: the answer
#: is; `waiting`: it could not be presented; `uncertain`: it was, and may be spent or not; `needs_login`: it is no good.
RenewalState = Literal["refreshing", "renewed", "waiting", "uncertain", "needs_login"]


@dataclass(frozen=True, slots=True)
class RenewalNote:
    """What all processes know of a sign-in's renewal. `token` is a digest of the refresh token it speaks of; it says
    nothing of another. Times are seconds since the epoch."""

    profile: str
    token: str
    state: RenewalState
    at: float
    #: how often the token was presented, and whether once because who presented it died before the answer was stored
    presented: int = 0
    again: bool = False
    #: tries in a row that gave nothing
    failures: int = 0
    not_before: float = 0.0
    #: a sentence, and the issuer's own code for it
    error: str = ""
    code: str = ""
    #: digest of the token that `token` came for, and that is no good since
    spent: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls (SPEC §2). Absent allow-lists are None and allow all. `expires_at` is milliseconds since the epoch."""

    subject: str
    scopes: frozenset[str] = frozenset()
    admin: bool = False
    kind: Literal["token", "legacy", "anonymous", "local"] = "token"
    expires_at: int | None = None
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    profiles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Callers by the SHA-256 digest of their token. `configured` counts every configured token, disabled ones too."""

    callers: Mapping[bytes, Caller] = field(default_factory=lambda: EMPTY, repr=False)
    configured: int = 0
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class EgressRules:
    """`egressPolicy`, with the environment's overrides applied (SPEC §6)."""

    mode: Literal["enforce", "observe", "off"] = "enforce"
    resolve_dns: bool = True
    fail_closed: bool = True
    enforce_https: bool = True
    #: an http(s) URL; its userinfo, if any, is a credential
    proxy: SecretRef | None = None
    aws_metadata: bool = False
    allow_local_providers: frozenset[str] = frozenset()
    deny_hosts: frozenset[str] = frozenset()
    deny_cidrs: tuple[str, ...] = ()
    allow_localhost: bool = False
    allow_insecure_http: bool = False


@dataclass(frozen=True, slots=True)
class FallbackRules:
    """`providerFallback` (SPEC §3, §5). `order` keys are normalised as far as they name a provider."""

    enabled: bool = True
    order: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EMPTY)
    retry_status_codes: frozenset[int] = frozenset({408, 429, 500, 502, 503, 504, 529})
    max_attempts: int = 6
    subscription_to_metered: Literal["allow", "refuse"] = "allow"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`server` (SPEC §3)."""

    host: str = "127.0.0.1"
    port: int = 8080
    allowed_hosts: frozenset[str] = frozenset()
    cors_origins: frozenset[str] = frozenset()
    trusted_proxies: tuple[str, ...] = ()
    max_body_bytes: int = 33_554_432
    request_timeout_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One compiled config: immutable, swapped whole. `etag` changes whenever the file or `.env` does.

    `providers` holds catalog and config together under normalised ids; `aliases` maps every other accepted spelling.
    `profiles` keeps file order; `order` lists profile ids per provider, strict (SPEC §5).
    `warnings` are sentences for the log, the doctor and the config page.
    """

    etag: str
    providers: Mapping[str, Provider]
    aliases: Mapping[str, str]
    profiles: Mapping[str, Profile]
    order: Mapping[str, tuple[str, ...]]
    tokens: TokenTable
    egress: EgressRules
    fallback: FallbackRules
    server: ServerSettings
    #: by provider id; what it lacks has no sign-in that the gateway knows
    sign_ins: Mapping[str, SignIn] = field(default_factory=lambda: EMPTY)
    active_providers: frozenset[str] | None = None
    default_model: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """Why the newest config is not in force. `since` is seconds since the epoch."""

    message: str
    path: str | None
    since: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: which provider, which upstream model name, which credential."""

    provider: Provider
    model: str
    credential: Credential
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A candidate that is not tried, and the reason in words fit for an admin. `billing` is known where it is one of
    the caller's own credentials that could have served; `command` repairs a sign-in that needs its person."""

    candidate: str
    reason: str
    billing: Billing | None = None
    command: str = ""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What a model name means now: attempts in order (never empty) and what was passed over.

    `considered` are the attempts before anything of the moment (rests, money, egress) took some of them away, in the
    order of the config; None stands where a subscription of the caller's can't be used at all.
    """

    requested: str
    attempts: tuple[Attempt, ...]
    passed_over: tuple[PassedOver, ...] = ()
    considered: tuple[Attempt | None, ...] = ()


class Call(msgspec.Struct, frozen=True, gc=False):
    """A model call as it entered. `id` is the gateway's own, ``call_`` and hex. `dialect` is the client's.

    `strict`: what the provider's dialect can't carry is refused instead of dropped (``x-gateway-strict``). `session`
    names the conversation, where the client named it. `surface` is the way it came in; "" is bound to none.
    """

    id: str
    operation: Operation
    dialect: DialectName
    request: Request
    caller: Caller
    preferred_profile: str | None = None
    #: the few request headers that may travel on, where the provider speaks the same dialect
    passthrough: Headers = ()
    strict: bool = False
    session: str = ""
    surface: Surface | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_byte` runs from the end of the send to the status line; `idle` is silence between chunks."""

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 300.0


@dataclass(frozen=True, slots=True)
class Signing:
    """How the transport signs a request with AWS credentials that botocore finds (SPEC §6).

    `profile` "" is the default one.
    """

    service: str
    region: str
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Outbound:
    """One HTTP request about to leave. `target` is the path and query. `headers` leave out Host, Content-Length and
    Connection, which the transport writes. `provider` decides the egress exemption and names the error."""

    provider: str
    method: str
    endpoint: Endpoint
    target: str
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    timeouts: Timeouts = Timeouts()
    signing: Signing | None = None
    #: never sent twice, not even where the first was surely lost: it spends something
    once: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A program of this machine about to run, without a shell: its standard output is the answer's body.

    `environment` are names of variables it may see, beside the few that every program needs (PATH, HOME, LANG …);
    `settings` are variables it gets with a value. `folder` is its working directory, a fresh one with nothing but
    `files` in it where None. `limit` is how many of this provider's commands run at once; more wait their turn.
    `install` is what a person runs to get the program.
    """

    provider: str
    arguments: tuple[str, ...]
    input: bytes = field(default=b"", repr=False)
    environment: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    folder: str | None = None
    #: name and content; for what is too long, or nobody else's business, in a list of arguments that all can read
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    timeouts: Timeouts = Timeouts()
    limit: int = 4
    install: str = ""


#: Who is to blame, which decides what rests and whether the next attempt may do better (SPEC §5):
#: `auth` 401, or a 403 about the credential; `billing` 402 or a spent account; `rate_limit` 429; `overloaded` 529, 503;
#: `denied` a 403 about model, region or policy, or an HTML challenge; `rejected` any other 4xx, the request's fault;
#: `server` any other 5xx; `invalid` bytes that are not the protocol; `unreachable` and `timeout` no answer at all.
FaultKind = Literal[
    "auth", "billing", "rate_limit", "overloaded", "denied", "rejected", "server", "invalid", "unreachable", "timeout"
]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt failed. `error` is what the caller is told if no other attempt succeeds.

    `retry_after` is seconds as stated by the provider.
    """

    kind: FaultKind
    error: GatewayError
    status: int | None = None
    retry_after: float | None = None
    #: a 400 or 422 whose body names the field that asks for usage (SPEC §11)
    names_stream_options: bool = False
    #: the proof of earlier reasoning is not accepted by this account
    refuses_reasoning: bool = False
    #: a 429 whose provider says that the limit is the account's, and not this model's
    account_wide: bool = False
