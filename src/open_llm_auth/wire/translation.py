"""From one dialect to another: a stream through decoder and encoder, a whole answer through its events."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..errors import GatewayError, UpstreamInvalidResponse
from .dialect import StreamDecoder, StreamEncoder
from .events import CONTENT, ErrorBody, Event, Failed, Finished, Started, ToolCallStarted, Usage

__all__ = ["Gathering", "StreamTranslation", "restore_names", "usage_of"]


class _Following:
    """What both ways of taking a provider's stream have in common: they know how far it has come (dialect.Stream)."""

    __slots__ = ("_decoder", "_names", "committed", "done", "failure", "usage")

    def __init__(self, decoder: StreamDecoder, names: Mapping[str, str]) -> None:
        self._decoder = decoder
        self._names = names
        self.committed = False
        self.done = False
        self.failure: ErrorBody | None = None
        self.usage: Usage | None = None

    def _follow(self, events: list[Event]) -> list[Event]:
        """The events fit to be told: those before a failure, with the tools' own names."""
        for number, event in enumerate(events):
            if isinstance(event, Failed):
                self.failure = event.error
                return events[:number]
            if isinstance(event, Started | Finished):
                self.usage = event.usage or self.usage
                self.done = isinstance(event, Finished)
            elif isinstance(event, ToolCallStarted):
                self.committed = True
                events[number] = _restored(event, self._names)
            elif isinstance(event, CONTENT):
                self.committed = True
        return events

    def _is_over(self) -> bool:
        return self.done or self.failure is not None

    def _rest(self) -> list[Event]:
        if self._is_over():
            return []
        events = self._follow(self._decoder.end())
        if not self._is_over():
            raise UpstreamInvalidResponse("The provider's stream stopped before the answer was complete.")
        return events


class StreamTranslation(_Following):
    """A provider's stream as a client of another dialect sees it; a `dialect.Stream`."""

    __slots__ = ("_encoder",)

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder, names: Mapping[str, str]) -> None:
        """`names`: tools' own names by those the provider was given."""
        super().__init__(decoder, names)
        self._encoder = encoder

    def feed(self, chunk: bytes) -> bytes:
        if self._is_over():
            return b""
        events = self._decoder.feed(chunk)
        return self._encoder.feed(self._follow(events)) if events else b""

    def end(self) -> bytes:
        return self._encoder.feed(self._rest())

    def fail(self, error: GatewayError) -> bytes:
        return self._encoder.fail(error)


class Gathering(_Following):
    """A stream taken to its end for a client that asked for a plain answer: `events` is what it came to."""

    __slots__ = ("events",)

    def __init__(self, decoder: StreamDecoder, names: Mapping[str, str]) -> None:
        super().__init__(decoder, names)
        self.events: list[Event] = []

    def feed(self, chunk: bytes) -> bytes:
        if not self._is_over():
            self.events += self._follow(self._decoder.feed(chunk))
        return b""

    def end(self) -> bytes:
        self.events += self._rest()
        return b""


def restore_names(events: list[Event], names: Mapping[str, str]) -> list[Event]:
    """The events with the tools' own names."""
    if not names:
        return events
    return [_restored(event, names) if isinstance(event, ToolCallStarted) else event for event in events]


def usage_of(events: list[Event]) -> Usage | None:
    """The last count that the events hold."""
    found = [event.usage for event in events if isinstance(event, Started | Finished) and event.usage is not None]
    return found[-1] if found else None


def _restored(event: ToolCallStarted, names: Mapping[str, str]) -> ToolCallStarted:
    name = names.get(event.name)
    return event if name is None else msgspec.structs.replace(event, name=name)
