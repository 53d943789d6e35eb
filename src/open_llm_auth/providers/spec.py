"""What the gateway knows of one kind of upstream: facts and small functions, filled in by one file per kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from ..values import Command, Credential, Fault, Headers, Operation, Outbound, Provider, Timeouts
from ..wire.dialect import DialectName, Fields

__all__ = [
    "Adjust",
    "Adjusting",
    "Answer",
    "LocalAnswer",
    "Prepare",
    "PrepareModels",
    "ReadError",
    "Sending",
    "UpstreamKind",
]


_USUAL: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """An answer made in process. Each piece is the seconds to wait before it, and its bytes."""

    status: int
    headers: Headers
    pieces: tuple[tuple[float, bytes], ...]


class Sending(msgspec.Struct, frozen=True, gc=False):
    """One attempt about to leave. `model` is the upstream's own name for it.

    `headers` are extra ones, already resolved, with lower-case names; they replace the kind's own, and the last of a
    name replaces those before it. `session` names the conversation where the client named it, for kinds that keep one.
    """

    operation: Operation
    model: str
    stream: bool
    body: bytes
    headers: Headers = ()
    timeouts: Timeouts = _USUAL
    session: str = ""

    def __repr__(self) -> str:  # a prompt is not printed, and a configured header may be secret
        return f"Sending(operation={self.operation!r}, model={self.model!r}, stream={self.stream!r})"


class Prepare(Protocol):
    """Builds the request for one attempt."""

    def __call__(self, provider: Provider, credential: Credential, sending: Sending) -> Outbound | Command:
        """What to send, or the command to run.

        Raises:
            NotConfigured: there is no address to send to.
            SecretUnavailable: the secret can't stand in a header.
            InvalidRequest: this kind has no such operation.
        """


class PrepareModels(Protocol):
    """Builds the request that asks a provider for its models; None when it can't be asked. Raises as `Prepare`."""

    def __call__(self, provider: Provider, credential: Credential, headers: Headers) -> Outbound | None: ...


class ReadError(Protocol):
    """Says what an answer with an error status means. `hide` takes every known secret out of a text."""

    def __call__(
        self, provider_id: str, status: int, headers: Headers, body: bytes, hide: Callable[[str], str]
    ) -> Fault: ...


class Adjusting(msgspec.Struct, frozen=True, gc=False):
    """What an adjustment depends on. `translated`: the body was written by us and is not the client's own.

    `refuses_usage`: the provider is known to refuse `stream_options` (SPEC §11).
    """

    provider: Provider
    model: str
    stream: bool
    translated: bool
    refuses_usage: bool = False


#: The last word on a body: what this kind wants otherwise than its dialect says. It returns new fields, or the same; a
#: field that is gone from them counts as dropped, and the client is told.
Adjust = Callable[[Fields, Adjusting], Fields]

#: (operation, request body, streamed?) to an answer made in process.
Answer = Callable[[Operation, bytes, bool], LocalAnswer]


@dataclass(frozen=True, slots=True)
class UpstreamKind:
    """One value of a provider's `api` (SPEC §3). A kind with `answer` makes its answers in process and sends nothing.

    `prepare_models` is None where the kind has no list to ask for. `dialect_of` says the dialect where it depends on
    the model. `stream_only`: it answers in streams alone, which are gathered for clients that want a plain answer.
    `is_program`: a program of this machine answers, and its answers have no HTTP status. `counts`: it can be asked how
    many tokens a request has (operation `count_tokens`), in its own dialect.
    """

    api: str
    dialect: DialectName
    prepare: Prepare
    prepare_models: PrepareModels | None
    read_error: ReadError
    answer: Answer | None = None
    adjust: Adjust | None = None
    dialect_of: Callable[[str], DialectName] | None = None
    stream_only: bool = False
    is_program: bool = False
    counts: bool = False
