"""botocore at work: AWS's own chain of credentials, and signatures made with them (SPEC §6). Runs in threads.

botocore decides where credentials are and when they are renewed; it sends nothing. Whatever it wants sent goes through
the `Exchange` it is given, which is the gateway's own way out. Imported when a request is to be signed for the first
time, because it is large.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import (
    AssumeRoleProvider,
    CanonicalNameCredentialSourcer,
    ContainerProvider,
    CredentialResolver,
    EnvProvider,
    InstanceMetadataProvider,
    ProcessProvider,
    ProfileProviderBuilder,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    LoginError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.session import Session
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher, JSONFileCache

from ..errors import EgressBlocked, GatewayError, SecretUnavailable
from ..values import Headers, Outbound

__all__ = ["Exchange", "Finder", "Sent"]

#: status, header fields and body of an answer
Sent = tuple[int, Mapping[str, str], bytes]
#: (method, URL, header fields, body, asked of a metadata service?) to the answer; raises `GatewayError`
Exchange = Callable[[str, str, Mapping[str, str], bytes, bool], Sent]

#: Seconds for a program that a profile names as its source (`credential_process`).
_PROGRAM_PATIENCE: Final = 30.0
_METADATA_SECONDS: Final = 1
#: where `aws sso login` leaves what it was given
_SIGN_INS: Final = "~/.aws/sso/cache"
#: Header fields that are signed beside Host and those that signing adds; others may change on their way.
_SIGNED: Final = (b"content-type", b"x-amz-")
_ADDED: Final = ("authorization", "x-amz-date", "x-amz-security-token")

# What botocore logs at lower levels holds requests, their headers and their keys.
logging.getLogger("botocore").setLevel(logging.CRITICAL)


class Finder:
    """The credentials of one profile of AWS's own files ("" for the default chain), and what they sign.

    botocore renews what expires. What stands in files and variables is read anew when they change, and what could not
    be found is looked for again at the next call. May be used by several threads.
    """

    def __init__(self, profile: str, exchange: Exchange, *, metadata: bool) -> None:
        self._profile = profile
        self._exchange = exchange
        self._metadata = metadata
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._credentials: Any = None
        self._stamp: object = None

    def sign(self, request: Outbound, environ: Mapping[str, str]) -> Headers:
        """The header fields that sign `request`. `environ` are the variables that may hold credentials.

        Raises:
            SecretUnavailable: there are no credentials, or none that still hold; the message says what to run.
            EgressBlocked: where they would come from is out of bounds.
        """
        if request.signing is None:
            return ()
        try:
            session, credentials = self._current(environ, request.signing.region)
            region = request.signing.region or _region(session, environ)
            frozen = credentials.get_frozen_credentials()
        except (EgressBlocked, SecretUnavailable):
            raise
        except GatewayError as error:
            raise SecretUnavailable(f"AWS credentials{self._named} can't be had: {error.message}") from error
        except (BotoCoreError, ClientError, OSError, ValueError, KeyError) as error:
            raise self._explained(error) from error
        if not region:
            raise SecretUnavailable(
                "The region of AWS is not known: use a base URL that names it, set metadata.region of the profile, or"
                " set AWS_REGION."
            )
        return _signature(frozen, request, request.signing.service, region)

    # --- finding ---

    def _current(self, environ: Mapping[str, str], region: str) -> tuple[Session, Any]:
        with self._lock:
            session, credentials = self._session, self._credentials
            if session is not None and self._stamp == _stamp(session, environ):
                return session, credentials
            self._session = None
            session = self._new_session(environ)
            stamp = _stamp(session, environ)
            # Services that give credentials are asked in the profile's own region, else in that of the call.
            chain = self._chain(session, environ, _region(session, environ) or region)
            credentials = chain.load_credentials()
            if credentials is None:
                raise self._missing()
            self._session, self._credentials, self._stamp = session, credentials, stamp
            return session, credentials

    def _new_session(self, environ: Mapping[str, str]) -> Session:
        session = Session(profile=self._profile or environ.get("AWS_PROFILE") or None)
        for variable, name in _SETTINGS.items():
            if variable in environ:
                session.set_config_variable(name, environ[variable])
        session.register("before-send", self._before_send)
        return session

    def _chain(self, session: Session, environ: Mapping[str, str], region: str) -> CredentialResolver:
        """The order of botocore's own chain, without the metadata services unless they are allowed, and without the
        files of its predecessor."""
        name = session.get_config_variable("profile") or "default"

        def new_client(service: str, **options: Any) -> Any:
            return session.create_client(service, **{"region_name": region or None, **options})

        cache: dict[str, Any] = {}
        variables = EnvProvider(environ=environ)
        machine = list(self._machine(environ)) if self._metadata else []
        sign_ins = JSONFileCache(str(Path(_SIGN_INS).expanduser()))
        builder = _Profiles(session, cache=cache, region_name=region or None, sso_token_cache=sign_ins)
        roles = AssumeRoleProvider(
            load_config=lambda: session.full_config,
            client_creator=new_client,
            cache=cache,
            profile_name=name,
            prompter=_ask_nobody,
            credential_sourcer=CanonicalNameCredentialSourcer([variables, *machine]),
            profile_provider_builder=builder,
        )
        # A profile that was named comes before variables that were not.
        named = bool(self._profile)
        profiles = builder.providers(profile_name=name, disable_env_vars=named)
        return CredentialResolver([*([] if named else [variables]), roles, *profiles, *machine])

    def _machine(self, environ: Mapping[str, str]) -> Iterator[Any]:
        """The metadata services of a container and of an instance."""
        services = _MetadataSession(self._exchange)
        yield ContainerProvider(
            environ=environ, fetcher=ContainerMetadataFetcher(session=services, sleep=lambda _: None)
        )
        yield InstanceMetadataProvider(iam_role_fetcher=_InstanceFetcher(services))

    def _before_send(self, request: Any, **_: Any) -> AWSResponse:
        """botocore sends what no handler has answered; this one answers everything."""
        return _answer(self._exchange, request, metadata=False)

    # --- explaining ---

    @property
    def _named(self) -> str:
        return f" of the AWS profile {self._profile!r}" if self._profile else ""

    @property
    def _option(self) -> str:
        return f" --profile {self._profile}" if self._profile else ""

    def _missing(self) -> SecretUnavailable:
        hint = (
            "" if self._metadata else " (egressPolicy.awsMetadata lets the credentials of the machine itself be used)"
        )
        return SecretUnavailable(
            f"No AWS credentials were found{self._named}. Run: aws configure{self._option}, or: aws sso login"
            f"{self._option}, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.{hint}"
        )

    def _explained(self, error: Exception) -> SecretUnavailable:
        """What went wrong, in our words: botocore's may hold what a program or a service said."""
        match error:
            case ProfileNotFound():
                return SecretUnavailable(
                    f"There is no AWS profile {error.kwargs.get('profile')!r}. Run: aws configure"
                    f" --profile {error.kwargs.get('profile')}"
                )
            case SSOError() | TokenRetrievalError():
                return SecretUnavailable(
                    f"The AWS sign-in{self._named} is missing or has expired. Run: aws sso login{self._option}"
                )
            case LoginError():
                return SecretUnavailable(
                    f"The AWS sign-in{self._named} is missing or has expired. Run: aws login{self._option}"
                )
            case ClientError():
                code = str(error.response.get("Error", {}).get("Code", ""))
                reason = code if code.isalnum() else "no reason given"
                return SecretUnavailable(
                    f"AWS refused {error.operation_name}{self._named} ({reason})."
                    f" Check the profile with: aws sts get-caller-identity{self._option}"
                )
        return SecretUnavailable(
            f"AWS credentials{self._named} can't be had ({type(error).__name__}). Check the profile with: aws sts"
            f" get-caller-identity{self._option}"
        )


#: Variables that botocore reads from the process, here from the gateway's own environment.
_SETTINGS: Final = {"AWS_CONFIG_FILE": "config_file", "AWS_SHARED_CREDENTIALS_FILE": "credentials_file"}


def _stamp(session: Session, environ: Mapping[str, str]) -> object:
    files = [session.get_config_variable(name) for name in _SETTINGS.values()]
    return [dict(environ), *(_state(Path(file).expanduser()) for file in files)]


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _region(session: Session, environ: Mapping[str, str]) -> str:
    named = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return str(named or session.get_config_variable("region") or "")


def _ask_nobody(_: str) -> NoReturn:
    raise CredentialRetrievalError(
        provider="assume-role", error_msg="the role asks for an MFA code, and nobody is here"
    )


class _Profiles(ProfileProviderBuilder):  # type: ignore[misc]  # botocore has no types
    """Profiles whose `credential_process` is not waited for without end."""

    def _create_process_provider(self, profile_name: str) -> ProcessProvider:
        return ProcessProvider(profile_name=profile_name, load_config=lambda: self._session.full_config, popen=_run)


def _run(arguments: list[str], **options: Any) -> _Program:
    return _Program(arguments, stdin=subprocess.DEVNULL, **options)


class _Program(subprocess.Popen[bytes]):
    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002 - the name is Popen's
        try:
            return super().communicate(input, timeout or _PROGRAM_PATIENCE)
        except subprocess.TimeoutExpired as error:
            self.kill()
            super().communicate()
            raise CredentialRetrievalError(provider="custom-process", error_msg="it took too long") from error


class _InstanceFetcher(InstanceMetadataFetcher):  # type: ignore[misc]  # botocore has no types
    def __init__(self, services: _MetadataSession) -> None:
        super().__init__(timeout=_METADATA_SECONDS, num_attempts=1)
        self._session = services


class _MetadataSession:
    """What botocore's readers of metadata take for their HTTP client. That nobody answers is no fault: the machine may
    not be one of AWS."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def send(self, request: Any) -> AWSResponse:
        try:
            return _answer(self._exchange, request, metadata=True)
        except EgressBlocked:
            raise
        except GatewayError as error:
            raise EndpointConnectionError(endpoint_url=request.url, error=error) from error


# ---------------------------------------------------------------------------------------------- sending, signing


class _Body:
    """The body of an answer as botocore reads it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> Iterator[bytes]:
        yield self._data


def _answer(exchange: Exchange, request: Any, *, metadata: bool) -> AWSResponse:
    headers = {str(name): _text(value) for name, value in request.headers.items()}
    body = request.body or b""
    data = body.encode() if isinstance(body, str) else bytes(body)
    status, fields, content = exchange(request.method, request.url, headers, data, metadata)
    return AWSResponse(request.url, status, dict(fields), _Body(content))


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _signature(credentials: Any, request: Outbound, service: str, region: str) -> Headers:
    endpoint = request.endpoint
    signed = {
        name.decode(): value.decode("latin-1") for name, value in request.headers if name.lower().startswith(_SIGNED)
    }
    url = f"{endpoint.scheme}://{endpoint.authority}{request.target}"
    asked = AWSRequest(method=request.method, url=url, data=request.body, headers=signed)
    # Else a body sent over TLS would go unsigned where a service allows that.
    asked.context["payload_signing_enabled"] = True
    SigV4Auth(credentials, service, region).add_auth(asked)
    found = {name.lower(): value for name, value in asked.headers.items()}
    return tuple((name.encode(), _text(found[name]).encode("latin-1")) for name in _ADDED if name in found)
