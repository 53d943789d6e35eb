"""How one attempt's bytes get across: relayed where both sides speak one dialect, else translated (ARCHITECTURE).

A passage is made for each attempt, because the next provider may speak another dialect. It is pure: bytes to bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

import msgspec

from ..errors import InvalidRequest, UpstreamInvalidResponse
from ..ports import Clock
from ..providers.spec import UpstreamKind
from ..values import Attempt, Call
from ..wire import embeddings
from ..wire.carrying import check_carried
from ..wire.conversation import Conversation
from ..wire.dialect import Answering, ClientSide, DialectName, Fields, Following, ProviderSide, Stream
from ..wire.dialects import client_side, provider_side
from ..wire.events import ErrorBody, Event, Failed, Usage
from ..wire.fitting import fit
from ..wire.forgetting import forget_reasoning
from ..wire.translation import Gathering, StreamTranslation, restore_names, usage_of
from .images import ImageFetcher

__all__ = ["Job", "Passage", "Told", "choose_kind", "dialect_of"]

#: Nearly every answer does without; a look at the others costs a full reading.
_MAY_TELL_OF_ERROR: Final = re.compile(rb'"error"(?!\s*:\s*null\b)')


#: what is dropped where a provider does not accept the proof of earlier reasoning (carrying.py)
_REASONING: Final = ("reasoning_replay",)


class Told(msgspec.Struct, frozen=True, gc=False):
    """A provider's plain answer, as bytes for the client. With a `failure` it is none, and there are no bytes."""

    body: bytes
    usage: Usage | None
    failure: ErrorBody | None = None


class Passage(Protocol):
    """One attempt's way. `dropped` names what of the request the provider's dialect can't carry. `relayed`: what is
    sent is the client's own body, and what the client says about itself may go with it."""

    dropped: tuple[str, ...]
    relayed: bool

    def fields(self, model: str, *, stream: bool) -> Fields:
        """The request for the provider.

        Raises:
            InvalidRequest: the provider's dialect can't say it.
        """

    def without_reasoning(self, model: str) -> Passage | None:
        """The same way without the reasoning that only its maker can read, which then counts as dropped; None where
        the request holds none."""

    def stream(self) -> Stream:
        """What takes the provider's stream to the client."""

    def whole(self, body: bytes) -> Told:
        """A plain answer as the client gets it.

        Raises:
            UpstreamInvalidResponse: it is not an answer.
        """

    def unfold(self, body: bytes) -> Told:
        """A plain answer as the stream that was asked for. Raises as `whole`."""

    def gathering(self) -> Following:
        """What follows the stream of a provider that has no other form, for a client that wants a plain answer."""

    def gathered(self, following: Following, said: bytes) -> bytes:
        """The plain answer. `said` is all that `following` gave. Raises as `whole`."""


class Job:
    """One call on its way through its attempts: what an attempt needs of the request is worked out once. Its answers
    are created now. `several`: more than one credential might serve such a call, so that it matters which made what."""

    def __init__(self, call: Call, clock: Clock, images: ImageFetcher, *, several: bool = False) -> None:
        self.call = call
        self.several = several
        self._images = images
        self._clock = clock
        self._created = self._now()
        self._conversation: Conversation | None = None

    async def passage(self, kind: UpstreamKind, attempt: Attempt) -> Passage:
        """The way to `attempt` and back.

        Raises:
            InvalidRequest: the request can't be understood beyond its own dialect, or not be carried in the provider's,
                or an image that has to be fetched can't be had.
        """
        call = self.call
        if call.operation == "embeddings":
            return _Embeddings(call)
        client = client_side(call.dialect)
        name = dialect_of(kind, attempt.model)
        provider = provider_side(name)
        if name == call.dialect:
            return _Relayed(call, client, provider, lambda: self._answering(attempt))
        conversation = self.conversation()
        limits = provider.limits if provider.limits_of is None else provider.limits_of(conversation, attempt.model)
        dropped = check_carried(conversation, limits, target=name, strict=call.strict)
        if limits.get("image_url") == "fetched":
            conversation = self._conversation = await self._images.inline(conversation)
        fitted, names = fit(conversation, provider.tool_names, provider.call_ids)
        return _Translated(fitted, client, provider, self._answering(attempt), names, dropped)

    def conversation(self) -> Conversation:
        """The request without its dialect.

        Raises:
            InvalidRequest: it is not what its dialect says.
        """
        if self._conversation is None:
            request = self.call.request
            read = client_side(self.call.dialect).read_conversation(request.envelope)
            # Whether a stream is wanted is not in the body of every dialect.
            self._conversation = read if read.stream == request.stream else replace(read, stream=request.stream)
        return self._conversation

    def _answering(self, attempt: Attempt) -> Answering:
        request = self.call.request
        return Answering(
            id=self.call.id.rpartition("_")[2],
            created=self._created,
            model=attempt.model,
            envelope=request.envelope,
            wants_usage=request.wants_usage,
            now=self._now,
        )

    def _now(self) -> int:
        return int(self._clock.now())


def choose_kind(kinds: Mapping[str, UpstreamKind], call: Call, attempt: Attempt) -> UpstreamKind:
    """The kind that serves this attempt: of those a provider answers to, the one that speaks the client's dialect."""
    own = kinds[attempt.provider.api]
    if attempt.provider.also and call.operation != "embeddings" and dialect_of(own, attempt.model) != call.dialect:
        for api in attempt.provider.also:
            other = kinds.get(api)
            if other is not None and dialect_of(other, attempt.model) == call.dialect:
                return other
    return own


def dialect_of(kind: UpstreamKind, model: str) -> DialectName:
    """What the kind speaks for this model."""
    return kind.dialect if kind.dialect_of is None else kind.dialect_of(model)


class _Relayed:
    """One dialect on both sides: bytes go on as they are."""

    __slots__ = ("_answering", "_call", "_client", "_provider", "dropped")
    relayed = True

    def __init__(
        self,
        call: Call,
        client: ClientSide,
        provider: ProviderSide,
        answering: Callable[[], Answering],
        dropped: tuple[str, ...] = (),
    ) -> None:
        self._call = call
        self._client = client
        self._provider = provider
        self._answering = answering
        self.dropped = dropped

    def fields(self, model: str, *, stream: bool) -> Fields:
        envelope = self._call.request.envelope
        fields = self._client.rewrite(envelope, model, stream)
        if self._client.given_up is not None and (lost := self._client.given_up(envelope, fields)):
            if self._call.strict:
                raise InvalidRequest(
                    f"{lost[0]!r} can't be kept: the conversation goes on from calls of another model, whose thinking "
                    "this one can't read. Leave thinking out, or do not send x-gateway-strict.",
                    param=lost[0],
                )
            self.dropped = tuple(dict.fromkeys((*self.dropped, *lost)))
        return fields

    def without_reasoning(self, model: str) -> Passage | None:
        request = self._call.request
        if self._client.without_reasoning is None:
            return None
        envelope = self._client.without_reasoning(request.envelope, model)
        if envelope is request.envelope:
            return None
        call = msgspec.structs.replace(self._call, request=msgspec.structs.replace(request, envelope=envelope))
        return _Relayed(call, self._client, self._provider, self._answering, _REASONING)

    def stream(self) -> Stream:
        return self._client.relay(self._call.request)

    def whole(self, body: bytes) -> Told:
        # Some say within an answer that it failed: OpenRouter in a choice, Responses of the whole.
        failure = self._failure_within(body) if _MAY_TELL_OF_ERROR.search(body) else None
        return Told(body, self._client.read_usage(body)) if failure is None else Told(b"", None, failure)

    def _failure_within(self, body: bytes) -> ErrorBody | None:
        try:
            return _failure_in(self._provider.read_reply(body))
        except UpstreamInvalidResponse:
            return None  # what only the client understands is the client's to judge

    def unfold(self, body: bytes) -> Told:
        if self._client.unfold is None:
            return _streamed(self._provider.read_reply(body), self._client, self._answering())
        stream = self.stream()
        told = stream.feed(self._client.unfold(body))
        if stream.failure is None:
            told += stream.end()
        return Told(told, stream.usage, stream.failure)

    def gathering(self) -> Following:
        return Gathering(self._provider.decoder(), {}) if self._client.gather is None else self.stream()

    def gathered(self, following: Following, said: bytes) -> bytes:
        if self._client.gather is not None:
            return self._client.gather(said)
        return _told(following, self._client, self._answering())


class _Translated:
    """Two dialects: by way of the conversation and the events."""

    __slots__ = ("_answering", "_client", "_conversation", "_names", "_provider", "dropped")
    relayed = False

    def __init__(
        self,
        conversation: Conversation,
        client: ClientSide,
        provider: ProviderSide,
        answering: Answering,
        names: Mapping[str, str],
        dropped: tuple[str, ...],
    ) -> None:
        self._conversation = conversation
        self._client = client
        self._provider = provider
        self._answering = answering
        self._names = names
        self.dropped = dropped

    def fields(self, model: str, *, stream: bool) -> Fields:
        wanted = self._conversation
        if wanted.stream != stream:
            wanted = replace(wanted, stream=stream)
        return self._provider.write_request(wanted, model)

    def without_reasoning(self, model: str) -> Passage | None:  # noqa: ARG002 - the writer knows what it means to each
        conversation = forget_reasoning(self._conversation)
        if conversation is self._conversation:
            return None
        dropped = (*self.dropped, *_REASONING)
        return _Translated(conversation, self._client, self._provider, self._answering, self._names, dropped)

    def stream(self) -> Stream:
        return StreamTranslation(self._provider.decoder(), self._client.encoder(self._answering), self._names)

    def whole(self, body: bytes) -> Told:
        events = self._events(body)
        if (failure := _failure_in(events)) is not None:
            return Told(b"", None, failure)
        return Told(self._client.write_reply(events, self._answering), usage_of(events))

    def unfold(self, body: bytes) -> Told:
        return _streamed(self._events(body), self._client, self._answering)

    def gathering(self) -> Following:
        return Gathering(self._provider.decoder(), self._names)

    def gathered(self, following: Following, said: bytes) -> bytes:  # noqa: ARG002 - the events have it all
        return _told(following, self._client, self._answering)

    def _events(self, body: bytes) -> list[Event]:
        return restore_names(self._provider.read_reply(body), self._names)


class _Embeddings:
    """Vectors have one dialect, and one form of answer that not every provider gives."""

    __slots__ = ("_call",)
    dropped: tuple[str, ...] = ()
    relayed = True

    def __init__(self, call: Call) -> None:
        self._call = call

    def fields(self, model: str, *, stream: bool) -> Fields:  # noqa: ARG002 - vectors are never streamed
        return embeddings.rewrite(self._call.request.envelope, model)

    def without_reasoning(self, model: str) -> Passage | None:  # noqa: ARG002 - vectors are made without any
        return None

    def stream(self) -> Stream:
        raise UpstreamInvalidResponse("The provider streamed what can't be streamed.")

    def whole(self, body: bytes) -> Told:
        body = embeddings.adapt_reply(body, embeddings.asked_encoding(self._call.request.envelope))
        return Told(body, embeddings.read_usage(body))

    def unfold(self, body: bytes) -> Told:
        return self.whole(body)

    def gathering(self) -> Following:
        raise UpstreamInvalidResponse("The provider streamed what can't be streamed.")

    def gathered(self, following: Following, said: bytes) -> bytes:  # noqa: ARG002 - see gathering
        return said


def _streamed(events: list[Event], client: ClientSide, answering: Answering) -> Told:
    """A whole answer as a stream."""
    if (failure := _failure_in(events)) is not None:
        return Told(b"", None, failure)
    return Told(client.encoder(answering).feed(events), usage_of(events))


def _failure_in(events: list[Event]) -> ErrorBody | None:
    """The error that an answer ends with, although its status was good."""
    return events[-1].error if events and isinstance(events[-1], Failed) else None


def _told(following: Following, client: ClientSide, answering: Answering) -> bytes:
    if not isinstance(following, Gathering):
        raise TypeError("only what was gathered can be told")
    return client.write_reply(following.events, answering)
