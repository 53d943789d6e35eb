"""What a sign-in or a renewal asks of the world, one step at a time.

A flow is a generator: it yields steps, is sent what came of each, and returns `Tokens`. It has no clock, no socket and
no dice of its own, so that a test walks every turn of it with plain values, and the command line and the pages drive
the same one (`server/sign_in.py`). Closing the generator cancels it; nothing has to be undone, because nothing is
stored before it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...values import Secret

__all__ = ["Fetch", "Fetched", "Flow", "Listen", "Means", "Receive", "Step", "Tell", "Tokens", "Visit", "Wait"]


@dataclass(frozen=True, slots=True)
class Fetch:
    """One HTTP request, sent once and never again by itself. Answered with `Fetched`; what breaks on the way is thrown
    into the flow as the `UpstreamError` or `EgressBlocked` it is, whose `details.sent` says whether it may have
    arrived."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer of any status, its body read whole. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Answered with None after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Tell:
    """A sentence for the person. Answered with None."""

    text: str


@dataclass(frozen=True, slots=True)
class Visit:
    """The person is to open `url`, and to type `code` there if there is one. Answered with None at once.

    `direct` is the address that has the code in it already, for a browser that is opened for the person.
    """

    url: str = field(repr=False)
    code: str = ""
    direct: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Listen:
    """A loopback address is to be ready for the browser to come back to, at the first of `ports` that is free. Answered
    with the port; where all are taken it is the first of them, and the person has to paste what they are sent to."""

    ports: tuple[int, ...]
    path: str
    state: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receive:
    """The person comes back from the browser to the address of the last `Listen`, or pastes what they were sent to.
    Answered with the query's parameters of a callback whose `state` is the one asked for; others never get here."""

    state: str = field(repr=False)


Step = Fetch | Wait | Tell | Visit | Listen | Receive


@dataclass(frozen=True, slots=True)
class Means:
    """What a flow can't make by itself: so many random bytes, the time in seconds since the epoch, and the client
    secret where the issuer wants one."""

    random: Callable[[int], bytes]
    now: Callable[[], float]
    client_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in or a renewal gave. Texts are secrets and never print. `expires` is milliseconds since the epoch.

    `refresh` is None where the answer held none: the one that was presented stays good. `base_url` is where the
    provider said that calls go, already checked against the sign-in's `hosts`. `details` are plain facts for the
    profile's metadata (a plan, a scope), never a secret.
    """

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    expires: int | None = None
    account_id: str | None = None
    email: str | None = None
    base_url: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


Flow = Generator[Step, Any, Tokens]
