"""Lines that a person may paste at any time while something else is awaited; they hold a code, so nothing is shown."""

from __future__ import annotations

import asyncio
import os
import termios
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

__all__ = ["PastedLines"]

_LONGEST = 64 * 1024


class PastedLines:
    """`async with PastedLines(fd) as lines:` takes over a terminal that is read by nobody else meanwhile."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._begun = b""
        self._before: list[Any] | None = None

    async def __aenter__(self) -> Self:
        self._hide()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._before is not None:
            # What was typed and not taken is no command for the shell that comes next.
            with suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._before)

    async def next(self) -> str | None:
        """The next line; None when the terminal is closed, or the person pressed Ctrl-D."""
        return await self._lines.get()

    def _hide(self) -> None:
        with suppress(termios.error):
            before = termios.tcgetattr(self._descriptor)
            hidden = [*before]
            hidden[3] = (before[3] & ~termios.ECHO) | termios.ECHONL
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, hidden)
            self._before = before

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._lines.put_nowait(None)
            return
        *whole, self._begun = (self._begun + data)[-_LONGEST:].split(b"\n")
        for line in whole:
            self._lines.put_nowait(line.decode("utf-8", "replace"))
