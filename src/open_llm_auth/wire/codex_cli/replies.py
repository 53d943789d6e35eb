"""What Codex writes, to events: its lines one by one, or all of them as a whole answer."""

from __future__ import annotations

from typing import Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..events import BlockEnded, ErrorBody, Event, Failed, Finished, Started, TextDelta, ThinkingDelta, Usage
from ..ndjson import read_lines
from .errors import error_of

__all__ = ["LineReader", "read_reply"]

_PARAGRAPH: Final = "\n\n"


class _Item(msgspec.Struct):
    type: str = ""
    text: str | None = None
    message: str | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_output_tokens: int | None = None


class _Error(msgspec.Struct):
    message: str | None = None


class _Line(msgspec.Struct):
    type: str = ""
    thread_id: str | None = None
    item: _Item | None = None
    usage: _Usage | None = None
    error: _Error | None = None
    message: str | None = None


_LINE: Final = msgspec.json.Decoder(_Line)


class LineReader:
    """Lines of one run, in order. `done` after the last event of the answer."""

    __slots__ = ("_kind", "_started", "done")

    def __init__(self) -> None:
        self.done = False
        self._started = False
        #: what the last thing told was
        self._kind = ""

    def read(self, data: bytes) -> list[Event]:
        """What one line says.

        Raises:
            UpstreamInvalidResponse: it is JSON that is not this program's, or is cut off.
        """
        if not data.startswith(b"{"):
            return []  # something printed beside the stream, such as a warning
        try:
            line = _LINE.decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamInvalidResponse("The program's output is not what Codex writes.") from error
        return self._events(line)

    def _events(self, line: _Line) -> list[Event]:
        match line.type:
            case "thread.started":
                return self._start(line.thread_id or "")
            case "item.completed":
                return [] if line.item is None else self._item(line.item)
            case "turn.completed":
                self.done = True
                return [*self._start(), Finished("stop", _usage(line.usage))]
            case "turn.failed":
                self.done = True
                said = line.error.message if line.error is not None else None
                return [Failed(error_of(said) if said else ErrorBody("Codex failed and did not say why."))]
        # `error` comes before each new try of its own too; the last one is said again by `turn.failed`.
        return []

    def _start(self, thread: str = "") -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [Started(thread)]

    def _item(self, item: _Item) -> list[Event]:
        """Finished items; those of its own tools, and its warnings, are not told."""
        if not item.text:
            return []
        if item.type == "agent_message":
            parting: Event = TextDelta(_PARAGRAPH)
            return self._tell("text", TextDelta(item.text), parting)
        if item.type == "reasoning":
            return self._tell("thinking", ThinkingDelta(item.text, summary=True), BlockEnded())
        return []

    def _tell(self, kind: str, event: Event, parting: Event) -> list[Event]:
        told = [*self._start(), *([parting] if kind == self._kind else []), event]
        self._kind = kind
        return told


def read_reply(body: bytes) -> list[Event]:
    """All that one run has written.

    Raises:
        UpstreamInvalidResponse: it is not this program's, or not whole.
    """
    return read_lines(LineReader(), body)


def _usage(stated: _Usage | None) -> Usage | None:
    if stated is None:
        return None
    return Usage(
        stated.input_tokens or 0,
        stated.output_tokens or 0,
        cache_read=stated.cached_input_tokens or 0,
        cache_write=stated.cache_write_input_tokens or 0,
        reasoning=stated.reasoning_output_tokens or 0,
    )
