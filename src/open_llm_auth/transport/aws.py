"""Signs requests with the credentials that AWS's own tools would find on this machine (SPEC §6).

The work is botocore's, in threads (aws_chain.py); what it wants to ask of STS, SSO or a metadata service comes back
here and leaves by the same way as everything else, judged by the egress policy.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..errors import SecretUnavailable, UpstreamUnreachable
from ..policy.egress import AWS_METADATA, parse_endpoint
from ..policy.headers import RESERVED_HEADERS
from ..ports import Reply, SecretSource
from ..values import EgressRules, Headers, Outbound, Timeouts

if TYPE_CHECKING:
    from .aws_chain import Finder, Sent

__all__ = ["AwsSigner"]

#: Variables that hold credentials or say where they are; the gateway's `.env` may set them too.
_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
)
#: Seconds for credentials to be found or renewed; the next call finds what came too late for this one.
_PATIENCE: Final = 60.0
_THREADS: Final = 4
_BODY_LIMIT: Final = 1 << 20
_SERVICE_TIMEOUTS: Final = Timeouts(connect=5.0, first_byte=20.0, idle=20.0)
_METADATA_TIMEOUTS: Final = Timeouts(connect=1.0, first_byte=1.0, idle=1.0)
#: botocore's name for itself; the transport writes the gateway's.
_LEFT_OUT: Final = RESERVED_HEADERS | {"user-agent"}


class AwsSigner:
    """`send` sends what botocore asks for; `rules` are the egress rules in force."""

    def __init__(
        self,
        send: Callable[[Outbound], Awaitable[Reply]],
        secrets: SecretSource,
        rules: Callable[[], EgressRules],
    ) -> None:
        self._send = send
        self._secrets = secrets
        self._rules = rules
        self._profiles: dict[tuple[str, str, bool], _Profile] = {}

    async def sign(self, request: Outbound) -> Outbound:
        """The request with its signature.

        Raises:
            SecretUnavailable: there are no credentials, or none that still hold; the message says what to run.
            EgressBlocked: where they would come from is out of bounds.
        """
        if request.signing is None:
            return request
        metadata = self._rules().aws_metadata
        key = (request.provider, request.signing.profile, metadata)
        profile = self._profiles.get(key)
        if profile is None:
            profile = self._profiles[key] = _Profile(self._send, request.provider, request.signing.profile, metadata)
        added = await profile.sign(request, self._environment())
        names = {name for name, _ in added}
        return replace(request, headers=(*(field for field in request.headers if field[0] not in names), *added))

    def _environment(self) -> Mapping[str, str]:
        found = {name: self._secrets.environment(name) for name in _VARIABLES}
        return {name: secret.reveal() for name, secret in found.items() if secret}

    def close(self) -> None:
        """Nothing is signed any more, and nothing that botocore asked for is waited for."""
        for profile in self._profiles.values():
            profile.close()
        self._profiles.clear()


class _Profile:
    """One profile for one provider, with threads of its own: what hangs in one holds up no other."""

    def __init__(
        self, send: Callable[[Outbound], Awaitable[Reply]], provider: str, profile: str, metadata: bool
    ) -> None:
        self._send = send
        self._provider = provider
        self._profile = profile
        self._metadata = metadata
        self._loop = asyncio.get_running_loop()
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")
        self._finder: Finder | None = None
        self._finding = threading.Lock()
        self._asked: set[concurrent.futures.Future[Sent]] = set()

    async def sign(self, request: Outbound, environ: Mapping[str, str]) -> Headers:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._loop.run_in_executor(self._threads, self._sign, request, environ)
        except TimeoutError as error:
            raise SecretUnavailable(
                f"AWS credentials could not be had within {_PATIENCE:g} s. Check the profile with: aws sts"
                " get-caller-identity"
            ) from error

    def close(self) -> None:
        for asked in tuple(self._asked):
            asked.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- in a thread ---

    def _sign(self, request: Outbound, environ: Mapping[str, str]) -> Headers:
        with self._finding:
            if self._finder is None:
                from .aws_chain import Finder  # botocore is large, and most gateways never need it

                self._finder = Finder(self._profile, self._exchange, metadata=self._metadata)
        return self._finder.sign(request, environ)

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes, metadata: bool) -> Sent:
        """One request of botocore's, sent by the loop while this thread waits."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        outbound = Outbound(
            AWS_METADATA if metadata else self._provider,
            method,
            parse_endpoint(f"{parts.scheme}://{parts.netloc}"),
            target,
            tuple(
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in headers.items()
                if name.lower() not in _LEFT_OUT
            ),
            body,
            _METADATA_TIMEOUTS if metadata else _SERVICE_TIMEOUTS,
        )
        asked = asyncio.run_coroutine_threadsafe(self._ask(outbound), self._loop)
        self._asked.add(asked)
        try:
            return asked.result(_PATIENCE)
        except (concurrent.futures.CancelledError, TimeoutError) as error:
            raise UpstreamUnreachable("AWS could not be asked: the gateway is stopping.") from error
        finally:
            self._asked.discard(asked)

    async def _ask(self, outbound: Outbound) -> Sent:
        reply = await self._send(outbound)
        try:
            body = await reply.read(_BODY_LIMIT)
        finally:
            await reply.aclose()
        return reply.status, {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}, body
