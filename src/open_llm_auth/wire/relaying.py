"""A stream of server-sent events between two sides of one dialect: bytes go on as they are, and are watched."""

from __future__ import annotations

from ..errors import UpstreamInvalidResponse
from . import sse
from .events import ErrorBody, Usage

__all__ = ["EventRelay"]


class EventRelay:
    """The part of a `dialect.Stream` that is the same in every dialect told in server-sent events.

    A dialect says three things: `_is_plain(block)`, whether complete events say nothing but content, which lets a
    committed stream pass without a look; `_keeps(event, name, data)`, which looks at one event, sets `committed`,
    `done`, `failure` and `usage`, and says whether it goes on; and `_is_whole()`, whether the provider may close now.
    """

    __slots__ = ("_splitter", "committed", "done", "failure", "usage")

    def __init__(self) -> None:
        self._splitter = sse.EventSplitter()
        self.committed = False
        self.done = False
        self.failure: ErrorBody | None = None
        self.usage: Usage | None = None

    def feed(self, chunk: bytes) -> bytes:
        """What to forward now; the tail of an unfinished event waits for its end.

        Raises:
            UpstreamInvalidResponse: one event is larger than any honest one.
        """
        if self.done or self.failure is not None:
            return b""
        block = self._splitter.feed(chunk)
        if not block or (self.committed and self._is_plain(block)):
            return block
        return self._inspect(block)

    def end(self) -> bytes:
        """What is left to forward when the provider closes the stream.

        Raises:
            UpstreamInvalidResponse: nothing came, or the stream stopped before its end, or it had failed.
        """
        rest = self._splitter.flush() if not self.done and self.failure is None else b""
        out = self._inspect(rest.rstrip(b"\r\n") + b"\n\n") if self._is_event(rest) else b""
        if self.failure is not None:
            raise UpstreamInvalidResponse("The provider's stream ended with an error.")
        if not self.done and not self._is_whole():
            raise UpstreamInvalidResponse("The provider's stream stopped before the answer was complete.")
        self.done = True
        return out

    def _inspect(self, block: bytes) -> bytes:
        kept = []
        for event in sse.split_events(block):
            data = sse.data_of(event)
            if data is None or self._keeps(event, sse.name_of(event), data.strip()):
                kept.append(event)
            if self.done or self.failure is not None:
                break
        return b"".join(kept)

    def _is_event(self, rest: bytes) -> bool:
        """Whether the last bytes of a stream are an event but for its blank line; half of one goes no further."""
        data = sse.data_of(rest) if rest.strip() else None
        return data is not None and data.rstrip().endswith((b"}", b"]"))

    def _is_plain(self, block: bytes) -> bool:
        raise NotImplementedError

    def _keeps(self, event: bytes, name: bytes, data: bytes) -> bool:
        raise NotImplementedError

    def _is_whole(self) -> bool:
        raise NotImplementedError
