"""A stream of Anthropic's Messages API on its way between two sides that both speak it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import GatewayError
from .. import sse
from ..events import ErrorBody
from ..relaying import EventRelay
from .errors import read_error, write_stream_error
from .replies import Counts, counts_of

__all__ = ["StreamRelay"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")


class _Delta(msgspec.Struct):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    signature: Any = None
    citation: Any = None
    stop_reason: Any = None


class _Block(msgspec.Struct):
    type: Any = None
    text: Any = None
    thinking: Any = None


class _Message(msgspec.Struct):
    usage: Raw = _NULL


class _Event(msgspec.Struct):
    """The part of an event that matters to a relay."""

    type: Any = None
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: Raw = _NULL


_EVENT: Final = msgspec.json.Decoder(_Event)
_DELTA: Final = b"event: content_block_delta\ndata: "
_STOP: Final = sse.event(b'{"type":"message_stop"}', "message_stop")


class StreamRelay(EventRelay):
    """Watches one streamed answer go by; see `dialect.Stream`."""

    __slots__ = ("_counts", "_ended")

    def __init__(self) -> None:
        super().__init__()
        self._counts = Counts()
        #: a reason for the end has come
        self._ended = False

    def end(self) -> bytes:
        """What is left to forward when the provider closes, and an end mark that it forgot. Raises as `EventRelay`."""
        was_done = self.done
        before = super().end()
        # `end` makes a stream that is whole done; only a mark that came makes it so before.
        return before if was_done or b"message_stop" in before else before + _STOP

    def fail(self, error: GatewayError) -> bytes:
        return write_stream_error(error)

    def _is_plain(self, block: bytes) -> bool:
        # Each such event has three line breaks, and JSON has none: nothing else stands between them.
        count = block.count(_DELTA)
        return count > 0 and block.count(b"\n") == 3 * count

    def _is_whole(self) -> bool:
        return self._ended

    def _keeps(self, event: bytes, name: bytes, data: bytes) -> bool:  # noqa: ARG002 - the base names it
        try:
            seen = _EVENT.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Not ours to judge: a client may know what it means.
            return True
        if seen.type == "error" or name == b"error":
            self.failure = read_error(data) or ErrorBody("The provider reported an error in the stream.")
            return False
        if seen.type == "message_stop":
            self.done = True
        elif seen.type == "message_start" and seen.message is not None:
            self._count(seen.message.usage)
        elif seen.type == "message_delta":
            self._count(seen.usage)
            self._ended = self._ended or bool(seen.delta and seen.delta.stop_reason)
        else:
            self.committed = self.committed or _says_something(seen)
        return True

    def _count(self, raw: Raw) -> None:
        counts = counts_of(raw)
        if counts is not None:
            self._counts = self._counts.then(counts)
            self.usage = self._counts.usage()


def _says_something(event: _Event) -> bool:
    """Whether a client would see something of it."""
    block, delta = event.content_block, event.delta
    if block is not None and event.type == "content_block_start":
        return block.type not in ("text", "thinking") or bool(block.text or block.thinking)
    if delta is None or event.type != "content_block_delta":
        return False
    return bool(delta.text or delta.thinking or delta.partial_json or delta.signature or delta.citation)
