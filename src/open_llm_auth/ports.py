"""What the pure rooms and the server need from the world, one small method each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from .values import (
    Command,
    ConfigFault,
    Headers,
    Outbound,
    RenewalNote,
    Secret,
    SecretRef,
    SignedIn,
    Snapshot,
)

__all__ = [
    "Clock",
    "ConfigSource",
    "Lease",
    "Programs",
    "RenewalStates",
    "Reply",
    "SecretSource",
    "SecretWriter",
    "SignInStore",
    "Transport",
]


class Clock(Protocol):
    """Two clocks: one that says when, one that never jumps."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds since some moment; only differences mean anything."""


class SecretSource(Protocol):
    """Resolves a reference at the time of use."""

    def get(self, ref: SecretRef) -> Secret:
        """The secret behind `ref`.

        Raises:
            SecretUnavailable: the variable is not set, or the file can't be read or is empty.
        """

    def environment(self, name: str) -> Secret | None:
        """A variable of the process environment or the gateway's `.env`; None when unset or empty."""


class SecretWriter(Protocol):
    """Secrets that stand behind a `vault:` or `keyring:` reference, read and replaced where they stand. Blocks."""

    def fresh(self, ref: SecretRef) -> Secret:
        """The secret as it is now, past everything that is kept: another process may have replaced it.

        Raises:
            SecretUnavailable: it can't be had.
        """

    def put(self, ref: SecretRef, text: str) -> None:
        """Replace it, durably and as one step; the next `SecretSource.get` of this process gives the new one.

        Raises:
            SecretUnavailable: it can't be written; the old one is whole.
        """


class Lease(Protocol):
    """The right to renew one sign-in, held by one process at a time; it dies with its holder."""

    def release(self) -> None: ...


class SignInStore(Protocol):
    """Where the gateway's own sign-ins stand, and what all processes know of their renewal. Everything blocks.

    Raises:
        ConfigError, SecretUnavailable: it can't be read or written; nothing was changed.
    """

    def read(self, profile_id: str) -> SignedIn | None:
        """As it is stored now, past every snapshot; None when it is there no more. The snapshot in force is not older
        afterwards."""

    def store(self, profile_id: str, before: Secret, fields: Mapping[str, str | int | None]) -> bool:
        """Replace what a renewal changes, where `before` is still the refresh token; False where it is not. `fields`
        are the config's: access, refresh, expires, accountId, baseUrl; None takes one away. The snapshot in force has
        them afterwards."""

    def try_lease(self, profile_id: str) -> Lease | None:
        """The lease, None while another holds it."""

    def note(self, profile_id: str) -> RenewalNote | None:
        """What was noted last."""

    def write_note(self, note: RenewalNote) -> None:
        """Note it, durably before this returns. Only under the lease."""


class RenewalStates(Protocol):
    """What is known of the gateway's own sign-ins while a plan is made. Never blocks."""

    def lapsed(self, profile_id: str, access: Secret, *, expired: bool) -> str:
        """Why this sign-in can't serve and what repairs it; "" where it can."""


class ConfigSource(Protocol):
    """The snapshot in force, and what keeps a newer one out."""

    def current(self) -> Snapshot: ...

    def fault(self) -> ConfigFault | None: ...


class Reply(Protocol):
    """An answer whose head has arrived. Its body is read once, by one of the two ways, and it is always closed."""

    status: int
    headers: Headers

    def header(self, name: bytes) -> bytes | None:
        """The first field of that lower-case name."""

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamInvalidResponse: it is longer than `limit` bytes.
            UpstreamUnreachable: the connection broke.
            UpstreamTimeout: it fell silent.
        """

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises as `read` does. Reading slowly slows the sender.

        A wait that is cancelled loses nothing: the next one goes on where it stood.
        """

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else drop it. May be called twice."""


class Transport(Protocol):
    """The only way out."""

    async def send(self, request: Outbound) -> Reply:
        """Send and wait for the head. Redirects are never followed, environment proxies are ignored.

        Raises:
            EgressBlocked: the address to dial is forbidden (phase ``connect``).
            UpstreamUnreachable: DNS or connection trouble.
            UpstreamInvalidResponse: the answer is not HTTP.
            UpstreamTimeout: connect or first byte took too long.
        """

    async def aclose(self) -> None: ...


class Programs(Protocol):
    """Runs commands of this machine, without a shell."""

    async def run(self, command: Command) -> Reply:
        """Start it, hand it its input and wait for its first output, which is the beginning of the reply's body.

        The status is 200. A program that ends without output and with an exit code that says so gives 502 and what it
        left (`wire/program.py`). Closing the reply ends the program and all that it has started.

        Raises:
            UpstreamUnreachable: it is not installed, or does not start.
            UpstreamTimeout: nothing came in time.
        """

    async def aclose(self) -> None: ...
