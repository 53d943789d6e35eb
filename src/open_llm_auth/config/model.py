"""The schema of the config document, strict in types and tolerant of keys it does not know (SPEC §3)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from ..errors import ConfigInvalid
from ..policy.egress import deny_hosts
from ..policy.headers import RESERVED_HEADERS
from ..policy.redaction import REDACTED
from ..values import Auth, ProfileType

__all__ = [
    "Api",
    "AuthorizationSection",
    "BudgetEntry",
    "ConfigDocument",
    "CostEntry",
    "DurableStateSection",
    "EgressPolicySection",
    "ModelEntry",
    "ModelsSection",
    "OAuthEntry",
    "ProfileEntry",
    "ProviderEntry",
    "ProviderFallbackSection",
    "RateLimitEntry",
    "SecretsSection",
    "ServerSection",
    "TaskContractSection",
    "TokenEntry",
    "validate",
]

Api = Literal[
    "openai-completions",
    "openai-responses",
    "openai-codex-responses",
    "anthropic-messages",
    "google-generative-ai",
    "github-copilot",
    "bedrock-converse-stream",
    "ollama",
    "claude-cli",
    "codex-cli",
    "agent-bridge",
    "demo",
]

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HASH: Final = re.compile(r"sha256:[0-9a-fA-F]{64}")
_MOST_FAULTS: Final = 20


def _fault(what: str) -> PydanticCustomError:
    return PydanticCustomError("config", what)


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise _fault("is no name of an HTTP header")
    if name.lower() in RESERVED_HEADERS:
        raise _fault("is a header that the gateway writes itself; remove it")
    return name


def _header_value(value: str) -> str:
    if any(character in value for character in "\r\n\0"):
        raise _fault("must not hold a line break")
    return value


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise _fault("must be an IP address or a CIDR block, such as '10.0.0.0/8'") from None
    return text.strip()


def _host_pattern(text: str) -> str:
    try:
        deny_hosts(frozenset({text}))
    except ConfigInvalid:
        raise _fault("must be a name, an address, '*.name' for what lies below it, or '.name' for both") from None
    return text


def _client_token(text: str) -> str:
    if not text.strip():
        raise _fault("is empty; remove it or set a token")
    return _server_token(text)


def _server_token(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _fault("holds half of a surrogate pair, which no client can send")
    if text.strip() == REDACTED:
        raise _fault("holds the mark of a redacted value, not a token; set it anew")
    return text


def _token_hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise _fault("must be 'sha256:' and 64 hexadecimal digits")
    return text


def _milliseconds(value: object) -> object:
    # Other tools compute an expiry in floating point; a part of a millisecond says nothing.
    return int(value) if isinstance(value, float) and abs(value) < 1e18 else value


def _word(text: str) -> str:
    if "\0" in text:
        raise _fault("must not hold a NUL character")
    return text


Name = Annotated[str, Field(min_length=1)]
Word = Annotated[str, AfterValidator(_word)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
HostPattern = Annotated[str, AfterValidator(_host_pattern)]
Network = Annotated[str, AfterValidator(_network)]
ClientToken = Annotated[str, AfterValidator(_client_token)]
#: May be empty, which is as good as none and is warned of: whoever clears the field means to have no such token.
ServerToken = Annotated[str, AfterValidator(_server_token)]
TokenHash = Annotated[str, AfterValidator(_token_hash)]
Milliseconds = Annotated[int, BeforeValidator(_milliseconds)]
Count = Annotated[int, Field(ge=0)]
Dollars = Annotated[float, Field(ge=0)]
Status = Annotated[int, Field(ge=400, le=599)]


class _Section(BaseModel):
    """One object of the document. Its repr is empty, because most sections hold secrets."""

    model_config = ConfigDict(
        strict=True,
        extra="allow",
        frozen=True,
        alias_generator=to_camel,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return ()


class ProfileEntry(_Section):
    """A stored credential; which field is its secret goes by `type`."""

    id: str | None = None
    provider: Name
    type: ProfileType
    key: str | None = None
    token: str | None = None
    access: str | None = None
    refresh: str | None = None
    expires: Milliseconds | None = None
    email: str | None = None
    account_id: str | None = None
    gateway_id: str | None = None
    base_url: str | None = None
    owner: Name | None = None
    metadata: dict[str, Any] | None = None


class CostEntry(_Section):
    """US dollars per million tokens."""

    input: Dollars = 0.0
    output: Dollars = 0.0
    cache_read: Dollars = 0.0
    cache_write: Dollars = 0.0


class ModelEntry(_Section):
    id: Name
    name: str | None = None
    api: Api | None = None
    reasoning: bool | None = None
    input: list[Literal["text", "image"]] | None = None
    cost: CostEntry | None = None
    context_window: Count | None = None
    max_tokens: Count | None = None
    headers: dict[HeaderName, HeaderValue] | None = None


class ProviderEntry(_Section):
    """What a config file says of a provider; an absent field leaves the catalog's."""

    base_url: str | None = None
    api_key: str | None = None
    auth: Auth | None = None
    api: Api | None = None
    headers: dict[HeaderName, HeaderValue] | None = None
    auth_header: bool | None = None
    models: list[ModelEntry] | None = None
    #: of kinds that run a program. What runs on this machine is for its file to say, never for a request over HTTP.
    command: Word | None = None
    args: list[Word] | None = None


class _AuthSection(_Section):
    """Mirror of `authProfiles` and `authOrder`."""

    profiles: dict[Name, ProfileEntry] | None = None
    order: dict[Name, list[str]] | None = None


class ModelsSection(_Section):
    """Mirror of `providers`, and how configured models meet the catalog's."""

    mode: Literal["merge", "replace"] = "merge"
    providers: dict[Name, ProviderEntry] | None = None


class RateLimitEntry(_Section):
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent: Count | None = None


class BudgetEntry(_Section):
    """US dollars."""

    usd_per_day: Dollars | None = None
    usd_per_month: Dollars | None = None


class TokenEntry(_Section):
    """A client token (SPEC §2)."""

    id: Name | None = None
    token: ClientToken | None = None
    token_hash: TokenHash | None = None
    scopes: list[str] = []
    admin: bool = False
    enabled: bool = True
    expires_at: Milliseconds | None = None
    models: list[str] | None = None
    providers: list[str] | None = None
    profiles: list[str] | None = None
    rate_limit: RateLimitEntry | None = None
    budget: BudgetEntry | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> TokenEntry:
        if (self.token is None) == (self.token_hash is None):
            raise _fault("must have one of 'token' and 'tokenHash'")
        return self


class AuthorizationSection(_Section):
    tokens: dict[Name, TokenEntry] = {}
    legacy_admin_compatibility: bool = True


class DurableStateSection(_Section):
    enabled: bool = True
    url: str | None = None
    db_path: str | None = "~/.open_llm_auth/runtime_state.sqlite3"
    idempotency_ttl_seconds: Dollars = 86400
    pending_lease_seconds: Dollars = 60
    fail_closed: bool = True


class EgressPolicySection(_Section):
    """SPEC §6."""

    enabled: bool = True
    mode: Literal["enforce", "observe", "off"] = "enforce"
    resolve_dns: bool = True
    fail_closed: bool = True
    enforce_https: bool = True
    proxy: str | None = None
    aws_metadata: bool = False
    allow_local_providers: list[str] = [
        "agent_bridge",
        "agent",
        "ollama",
        "vllm",
        "litellm",
        "lmstudio",
        "llama.cpp",
        "sglang",
    ]
    deny_hosts: list[HostPattern] = ["metadata.google.internal"]
    deny_cidrs: list[Network] = ["169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "fd00:ec2::254/128"]


class TaskContractSection(_Section):
    enabled: bool = True
    enforce: bool = True
    cache_ttl_seconds: Dollars = 30
    supported_versions: list[str] = ["1.0"]
    allow_legacy_missing: bool = True
    fail_closed: bool = True


class ProviderFallbackSection(_Section):
    enabled: bool = True
    order: dict[str, list[str]] = {}
    retry_status_codes: list[Status] = [408, 429, 500, 502, 503, 504, 529]
    max_attempts: Annotated[int, Field(ge=1)] = 6
    subscription_to_metered: Literal["allow", "refuse"] = "allow"


class OAuthEntry(_Section):
    """Overrides of the catalog's endpoints for one provider's sign-in."""

    authorize_url: str | None = None
    token_url: str | None = None
    device_url: str | None = None
    exchange_url: str | None = None
    verification_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    scopes: list[str] | None = None
    redirect_port: Annotated[int, Field(ge=0, le=65535)] | None = None


class ServerSection(_Section):
    host: Name = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    allowed_hosts: list[str] = []
    cors_origins: list[str] = []
    trusted_proxies: list[Network] = []
    max_body_bytes: Annotated[int, Field(ge=1)] = 33_554_432
    request_timeout_seconds: Annotated[float, Field(gt=0)] = 600


class _VaultSection(_Section):
    """The file that secrets are sealed in; see config/vault.py."""

    key_file: Word | None = None


class SecretsSection(_Section):
    """How secrets are had that stand in a keyring, a password manager or the vault."""

    keyring_seconds: Annotated[float, Field(ge=1)] = 300
    keyring_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    command_seconds: Annotated[float, Field(ge=1)] = 900
    command_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    command_environment: list[str] = []
    vault: _VaultSection = _VaultSection()


class ConfigDocument(_Section):
    """The whole document. Sections that are mirrors hold what the file says; config/mirrors.py makes them agree."""

    auth_profiles: dict[Name, ProfileEntry] = {}
    auth_order: dict[Name, list[str]] = {}
    auth: _AuthSection = _AuthSection()
    providers: dict[Name, ProviderEntry] = {}
    models: ModelsSection = ModelsSection()
    authorization: AuthorizationSection = AuthorizationSection()
    durable_state: DurableStateSection = DurableStateSection()
    egress_policy: EgressPolicySection = EgressPolicySection()
    task_contract: TaskContractSection = TaskContractSection()
    provider_fallback: ProviderFallbackSection = ProviderFallbackSection()
    oauth: dict[Name, OAuthEntry] = {}
    server: ServerSection = ServerSection()
    secrets: SecretsSection = SecretsSection()
    active_provider_ids: list[str] | None = None
    default_model: str | None = None
    server_token: ServerToken | None = None


def validate(data: Mapping[str, object], name: str = "The config") -> ConfigDocument:
    """The typed view of a document. `name` begins the message of a fault.

    Raises:
        ConfigInvalid: `message` tells every fault, `param` is the path of the first, such as ``server.port``,
            `details.faults` lists ``{path, problem}``. None of them repeats a value.
    """
    try:
        return ConfigDocument.model_validate(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    raise _invalid(faults, name)


def _invalid(faults: list[ErrorDetails], name: str) -> ConfigInvalid:
    told = [{"path": _path(fault["loc"]), "problem": _problem(fault)} for fault in faults]
    sentences = [f"{each['path']} {each['problem']}" for each in told[:_MOST_FAULTS]]
    if len(told) > _MOST_FAULTS:
        sentences.append(f"and {len(told) - _MOST_FAULTS} more")
    return ConfigInvalid(
        f"{name} is not valid: {'; '.join(sentences)}.", param=told[0]["path"], details={"faults": told[:_MOST_FAULTS]}
    )


def _path(loc: tuple[int | str, ...]) -> str:
    # pydantic marks a fault of a key itself with a part of its own
    return ".".join(str(part) for part in loc if part != "[key]") or "the document"


def _problem(fault: ErrorDetails) -> str:
    words = _PROBLEMS.get(fault["type"])
    if words is None:
        return fault["msg"] if fault["type"] == "config" else fault["msg"].replace("Input should be", "must be")
    return words if isinstance(words, str) else words(fault.get("ctx", {}))


#: What each of pydantic's verdicts is called here. None of them may quote the value, which may be a secret.
_PROBLEMS: Final[Mapping[str, str | Callable[[dict[str, Any]], str]]] = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_unicode": "must be a string of whole Unicode characters",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": lambda ctx: f"must be {ctx['expected']}",
    "greater_than": lambda ctx: f"must be more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']}",
}
