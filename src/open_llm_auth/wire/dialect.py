"""What every dialect is made of: one value, filled in by one package a dialect with the same names in each.

A dialect has a client's side (it can come in), a provider's side (it can go out), or both. Between two dialects a call
goes through `Conversation` and `Event`, never from one to the other directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from ..errors import GatewayError
from .carrying import Feature, Handling
from .conversation import Conversation
from .envelope import Envelope
from .events import ErrorBody, Event, Usage
from .fitting import NameRule

__all__ = [
    "Answering",
    "ClientSide",
    "Dialect",
    "DialectName",
    "Fields",
    "Following",
    "ProviderSide",
    "Request",
    "Stream",
    "StreamDecoder",
    "StreamEncoder",
]

DialectName = Literal[
    "openai-chat",
    "openai-responses",
    "anthropic-messages",
    "google-genai",
    "bedrock-converse",
    "ollama",
    "claude-cli",
    "codex-cli",
]

#: The top level of a JSON body about to be encoded: each value raw JSON or anything msgspec encodes.
Fields = dict[str, Any]


class Request(msgspec.Struct, frozen=True, gc=False):
    """A call as it was asked for, taken apart at its top level only: `envelope` maps names to raw JSON, in order.

    `wants_usage` is False where the client's dialect has usage in streams on demand and it was not demanded. `choices`
    is how many answers are wanted at once.
    """

    envelope: Envelope
    model: str | None
    stream: bool
    wants_usage: bool = True
    choices: int = 1

    def __repr__(self) -> str:  # a prompt is not printed
        return f"Request(model={self.model!r}, stream={self.stream!r})"


class Answering(msgspec.Struct, frozen=True, gc=False):
    """What a writer of answers needs beside the events.

    `id` is lower-case hex, new for each call: ids of answers and items are made from it, so that none is random.
    `created` is seconds since the epoch, and `now` says what they have come to, for those who tell when an answer was
    whole. `model` is told where the provider names none. `envelope` is the request.
    """

    id: str
    created: int
    model: str
    envelope: Mapping[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    wants_usage: bool = True
    now: Callable[[], int] | None = None

    def __repr__(self) -> str:  # nor here
        return f"Answering(id={self.id!r}, model={self.model!r})"


class Following(Protocol):
    """Whoever takes a provider's stream knows how far it has come.

    `committed`: something a client would see has come (SPEC §5). `done`: the answer is whole. `failure`: the provider
    reported an error; nothing after it goes on. `usage`: the count so far, once there is one.
    """

    @property
    def committed(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    @property
    def failure(self) -> ErrorBody | None: ...
    @property
    def usage(self) -> Usage | None: ...

    def feed(self, chunk: bytes) -> bytes:
        """What to send on now, whole events only.

        Raises:
            UpstreamInvalidResponse: the bytes are not the dialect.
        """

    def end(self) -> bytes:
        """What is left to send when the provider closes.

        Raises:
            UpstreamInvalidResponse: the answer was not whole.
        """


class Stream(Following, Protocol):
    """One streamed answer on its way to a client, relayed or translated."""

    def fail(self, error: GatewayError) -> bytes:
        """The error as the client's dialect tells it within a stream, with whatever ends such a stream."""


class StreamDecoder(Protocol):
    """Bytes of a provider's stream, however they were cut, to events. `Finished` or `Failed` comes last, once."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete now.

        Raises:
            UpstreamInvalidResponse: the bytes are not the dialect.
        """

    def end(self) -> list[Event]:
        """The events left when the provider closes; none when `Finished` or `Failed` has been given.

        Raises:
            UpstreamInvalidResponse: the stream stopped before its end, or nothing came.
        """


class StreamEncoder(Protocol):
    """Events to the bytes of a client's stream. After `Finished` comes nothing more, the end mark included."""

    def feed(self, events: Iterable[Event]) -> bytes: ...

    def fail(self, error: GatewayError) -> bytes:
        """The error as this dialect tells it within a stream; an open block is not closed as if it were whole."""


@dataclass(frozen=True, slots=True)
class ClientSide:
    """How clients speak a dialect.

    `rewrite(envelope, model, stream)` is the request for a provider of the same dialect: the same fields in the same
    order, the model replaced; `given_up(envelope, fields)` names the features that this could not leave as they were.
    `relay(request)` watches such a provider's stream go by. `gather(stream)` makes one plain
    answer of a whole stream of the same dialect, and `unfold(body)` a stream of one plain answer, where that keeps more
    than the events do. `without_reasoning(envelope, model)` is the request without the reasoning that only its maker
    can read, and the very same envelope where it holds none. `keep_alive` is what may be sent between two events
    without meaning anything; None where clients break on it.
    """

    read_request: Callable[[bytes], Request]
    read_conversation: Callable[[Envelope], Conversation]
    write_reply: Callable[[Sequence[Event], Answering], bytes]
    encoder: Callable[[Answering], StreamEncoder]
    write_error: Callable[[GatewayError, str], bytes]
    rewrite: Callable[[Envelope, str, bool], Fields]
    relay: Callable[[Request], Stream]
    read_usage: Callable[[bytes], Usage | None]
    given_up: Callable[[Envelope, Fields], tuple[str, ...]] | None = None
    gather: Callable[[bytes], bytes] | None = None
    unfold: Callable[[bytes], bytes] | None = None
    without_reasoning: Callable[[Envelope, str], Envelope] | None = None
    keep_alive: bytes | None = b": keep-alive\n\n"


@dataclass(frozen=True, slots=True)
class ProviderSide:
    """How providers speak a dialect.

    `limits` says what the dialect can't carry (carrying.py); what is not in it is carried. `limits_of` says it of one
    call to one model, where that matters; `limits` then holds for models it does not know. `tool_names` and
    `call_ids` say which names it takes: others are replaced on the way out, and names of tools back again on the way
    in.
    """

    write_request: Callable[[Conversation, str], Fields]
    read_reply: Callable[[bytes], list[Event]]
    decoder: Callable[[], StreamDecoder]
    read_error: Callable[[bytes], ErrorBody | None]
    limits: Mapping[Feature, Handling]
    tool_names: NameRule
    call_ids: NameRule
    limits_of: Callable[[Conversation, str], Mapping[Feature, Handling]] | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    name: DialectName
    client: ClientSide | None = None
    provider: ProviderSide | None = None
