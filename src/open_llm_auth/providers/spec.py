"""What the gateway knows of one kind of upstream: facts and small functions, filled in by one file per kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..values import Credential, Fault, Headers, Operation, Outbound, Provider, Timeouts

__all__ = ["Answer", "LocalAnswer", "Prepare", "PrepareModels", "ReadError", "UpstreamKind"]


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """An answer made in process. Each piece is the seconds to wait before it, and its bytes."""

    status: int
    headers: Headers
    pieces: tuple[tuple[float, bytes], ...]


class Prepare(Protocol):
    """Builds the request for one attempt."""

    def __call__(
        self,
        provider: Provider,
        credential: Credential,
        operation: Operation,
        body: bytes,
        headers: Headers,
        timeouts: Timeouts,
        stream: bool,
    ) -> Outbound:
        """`headers` are extra ones, already resolved, with lower-case names; they replace the kind's own, and the last
        of a name replaces those before it.

        Raises:
            NotConfigured: there is no address to send to.
            SecretUnavailable: the secret can't stand in a header.
        """


class PrepareModels(Protocol):
    """Builds the request that asks a provider for its models; None when it can't be asked. Raises as `Prepare`."""

    def __call__(self, provider: Provider, credential: Credential, headers: Headers) -> Outbound | None: ...


class ReadError(Protocol):
    """Says what an answer with an error status means. `hide` takes every known secret out of a text."""

    def __call__(
        self, provider_id: str, status: int, headers: Headers, body: bytes, hide: Callable[[str], str]
    ) -> Fault: ...


#: (operation, request body, streamed?) to an answer made in process.
Answer = Callable[[Operation, bytes, bool], LocalAnswer]


@dataclass(frozen=True, slots=True)
class UpstreamKind:
    """One value of a provider's `api` (SPEC §3). A kind with `answer` makes its answers in process and sends nothing.
    `prepare_models` is None where the kind has no list to ask for.
    """

    api: str
    prepare: Prepare
    prepare_models: PrepareModels | None
    read_error: ReadError
    answer: Answer | None = None
