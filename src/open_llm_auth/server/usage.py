"""What each request came to: counts, and one log line a request (SPEC §10). Never prompts, never answers."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Final

import msgspec

from ..values import Attempt, Billing
from ..wire.events import Usage

__all__ = ["Counts", "Ledger", "LineFormat", "Row", "json_line", "text_line"]

#: Rows and notes waiting to be written. At a log that stands still the oldest go first, and are counted.
_WAITING: Final = 10_000
#: How many rows are formatted before other calls get their turn: well under a millisecond of work.
_SLICE: Final = 50
_LINES_A_WRITE: Final = 1_000
_FLUSH_SECONDS: Final = 0.1
#: How long the end waits for a log that nobody reads.
_CLOSING_SECONDS: Final = 2.0


@dataclass(slots=True)
class Row:
    """One request. `at` is seconds since the epoch; `began` and `first_byte` are monotonic seconds."""

    at: float
    began: float
    call_id: str
    request_id: str
    method: str
    path: str
    subject: str | None = None
    status: int = 0
    requested: str | None = None
    provider: str | None = None
    model: str | None = None
    profile: str | None = None
    billing: Billing | None = None
    #: the subscription whose place a metered credential took
    fell_from: str | None = None
    attempts: int = 0
    stream: bool = False
    usage: Usage | None = None
    first_byte: float | None = None
    ended: float = 0.0
    #: the error code, or `client_disconnected`
    code: str | None = None

    def note_attempt(self, attempt: Attempt, number: int) -> None:
        """The last attempt is the one that counts."""
        self.provider = attempt.provider.id
        self.model = attempt.model
        self.profile = attempt.credential.id
        self.billing = attempt.credential.billing
        self.attempts = number


LineFormat = Callable[[Row], str]


def text_line(row: Row) -> str:
    """For a person at a terminal."""
    time = datetime.fromtimestamp(row.at, UTC).astimezone().strftime("%H:%M:%S")
    parts = [time, row.method, _shown(row.path), str(row.status)]
    if row.provider is not None:
        parts.append(f"{row.provider}/{_shown(row.model or '')} via {row.profile}")
        if row.attempts > 1:
            parts.append(f"attempt {row.attempts}")
        if row.fell_from is not None:
            parts.append(f"metered instead of {row.fell_from}")
    elif row.requested is not None:
        parts.append(repr(row.requested))
    if row.usage is not None:
        parts.append(f"{row.usage.input}+{row.usage.output} tokens")
    parts.append(f"{_milliseconds(row.began, row.ended)} ms")
    if row.first_byte is not None and row.stream:
        parts.append(f"first {_milliseconds(row.began, row.first_byte)} ms")
    if row.subject is not None:
        parts.append(f"by {row.subject}")
    if row.code is not None:
        parts.append(row.code)
    parts.append(row.call_id)
    return " ".join(parts)


def json_line(row: Row) -> str:
    """For a program: one JSON object, absent values left out."""
    usage = row.usage
    fields = {
        "time": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        "call": row.call_id,
        "request": row.request_id,
        "method": row.method,
        "path": row.path,
        "status": row.status,
        "subject": row.subject,
        "requested": row.requested,
        "provider": row.provider,
        "model": row.model,
        "profile": row.profile,
        "billing": row.billing,
        "fellFrom": row.fell_from,
        "attempts": row.attempts or None,
        "stream": row.stream or None,
        "inputTokens": usage and usage.input,
        "outputTokens": usage and usage.output,
        "cacheReadTokens": usage and usage.cache_read,
        "cacheWriteTokens": usage and usage.cache_write,
        "reasoningTokens": usage and usage.reasoning,
        "firstByteMs": None if row.first_byte is None else _milliseconds(row.began, row.first_byte),
        "ms": _milliseconds(row.began, row.ended),
        "code": row.code,
    }
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None}).decode()


def _shown(text: str) -> str:
    """What a client chose, without the power to write lines or move a cursor."""
    return text if text.isprintable() else ascii(text)


def _milliseconds(start: float, end: float) -> float:
    return round((end - start) * 1000, 1)


@dataclass(slots=True)
class Counts:
    """Totals since the start."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dropped_lines: int = 0

    def add(self, row: Row) -> None:
        self.requests += 1
        if row.usage is not None:
            self.input_tokens += row.usage.input
            self.output_tokens += row.usage.output


class Ledger:
    """Takes rows and notes at no cost to the call; counts them, and writes their lines in the background.

    `write` may block, even for ever: it runs in a thread of its own, one call of it at a time, in order. `more` adds
    counts to the snapshot. A ledger belongs to the loop it was made on; only `note` may be called from elsewhere.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        line: LineFormat = json_line,
        *,
        more: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self.counts = Counts()
        self.by_status: Counter[int] = Counter()
        self._write = write
        self._line = line
        self._more = more
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Row | str] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._pen: _Pen | None = None

    def record(self, row: Row) -> None:
        """Once a request, at its end or at its abort."""
        self.counts.add(row)
        self.by_status[row.status] += 1
        self._take(row)

    def note(self, text: str) -> None:
        """What the log has to say beside requests: one line or more, finished. From any thread."""
        with suppress(RuntimeError):  # the loop is closed, and with it the log
            self._loop.call_soon_threadsafe(self._take, text.removesuffix("\n"))

    async def aclose(self) -> None:
        """Write what is waiting, for two seconds at most; what is left then counts as dropped."""
        await asyncio.sleep(0)  # notes of a moment ago are on their way
        if self._flusher is not None:
            _, stuck = await asyncio.wait({self._flusher}, timeout=_CLOSING_SECONDS)
            for flusher in stuck:
                flusher.cancel()
                await asyncio.wait(stuck)
        self.counts.dropped_lines += len(self._waiting)
        self._waiting.clear()
        if self._pen is not None:
            self._pen.stop()
            self._pen = None

    def snapshot(self) -> Mapping[str, object]:
        """The counts, ready for JSON."""
        return {
            "requests": self.counts.requests,
            "byStatus": {str(status): count for status, count in sorted(self.by_status.items())},
            "inputTokens": self.counts.input_tokens,
            "outputTokens": self.counts.output_tokens,
            "droppedLogLines": self.counts.dropped_lines,
            **self._more(),
        }

    def _take(self, item: Row | str) -> None:
        if len(self._waiting) >= _WAITING:
            self._waiting.popleft()
            self.counts.dropped_lines += 1
        self._waiting.append(item)
        if self._flusher is None:
            self._flusher = self._loop.create_task(self._flush())

    async def _format(self) -> list[str]:
        """Lines for one write: many, because each waits its turn for the interpreter behind a busy loop."""
        lines: list[str] = []
        while self._waiting and len(lines) < _LINES_A_WRITE:
            for _ in range(min(_SLICE, len(self._waiting))):
                item = self._waiting.popleft()
                lines.append(item if isinstance(item, str) else self._line(item))
            await asyncio.sleep(0)
        return lines

    async def _flush(self) -> None:
        try:
            await asyncio.sleep(_FLUSH_SECONDS)
            if self._pen is None:
                self._pen = _Pen(self._write, self._loop)
            while self._waiting:
                lines = await self._format()
                written = False
                try:
                    written = await self._pen.write("\n".join(lines) + "\n")
                finally:
                    # A log that can't be written (a closed pipe, a full disk) must not stop calls.
                    self.counts.dropped_lines += 0 if written else len(lines)
        except RuntimeError:
            pass  # no thread to be had: what waits is kept, and the next line tries again
        finally:
            self._flusher = None


class _Pen:
    """A thread that writes. Stuck in a log that nobody reads, it holds up neither the loop nor the process's end.

    Raises:
        RuntimeError: the machine gives no more threads.
    """

    def __init__(self, write: Callable[[str], object], loop: asyncio.AbstractEventLoop) -> None:
        self._put = write
        self._loop = loop
        self._texts: SimpleQueue[tuple[str, asyncio.Future[bool]] | None] = SimpleQueue()
        # A daemon, because the interpreter waits for every other thread before it exits.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    async def write(self, text: str) -> bool:
        """Whether it was written."""
        done: asyncio.Future[bool] = self._loop.create_future()
        self._texts.put((text, done))
        return await done

    def stop(self) -> None:
        """Let the thread end, after the write it is in."""
        self._texts.put(None)

    def _run(self) -> None:
        while (item := self._texts.get()) is not None:
            text, done = item
            try:
                self._put(text)
                written = True
            except Exception:  # noqa: BLE001 - the thread's one edge: whatever a stream raises, its lines are lost
                written = False
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(_settle, done, written)
            del item, text, done  # the next one may be long in coming


def _settle(done: asyncio.Future[bool], written: bool) -> None:
    if not done.done():
        done.set_result(written)
