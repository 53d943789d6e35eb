"""Runs programs of this machine for kinds that need one: no shell, a clean environment, and nothing left behind.

Each run has a session of its own, so that all it has started can be ended with it. What leaves its session (`setsid`)
is out of reach; its output is not waited for.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final, cast

from ..errors import GatewayError, UpstreamInvalidResponse, UpstreamTimeout, UpstreamUnreachable
from ..values import Command, Headers
from ..wire.program import write_ending

__all__ = ["ProgramReply", "ProgramRunner"]

#: variables that every program may see
_BASIC: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
#: bytes of output held unread before the program is made to wait
_HIGH_WATER: Final = 262_144
#: bytes kept of what it complains of, the latest
_MOST_ERRORS: Final = 65_536
#: seconds between asking a program to end and ending it
_GRACE: Final = 2.0
#: seconds to wait for a killed program to be gone
_FAREWELL: Final = 5.0
#: seconds to wait for the rest of a pipe once the program has ended
_DRAIN: Final = 0.5
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_LINES: Final[Headers] = ((b"content-type", b"application/x-ndjson"),)
_JSON: Final[Headers] = ((b"content-type", b"application/json"),)


class ProgramRunner:
    """Implements `ports.Programs`. `environ` is where the variables that a command may see are looked up."""

    def __init__(self, environ: Mapping[str, str], *, grace: float = _GRACE) -> None:
        self._environ = environ
        self._grace = grace
        self._turns: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._running: set[_Process] = set()

    async def run(self, command: Command) -> ProgramReply:
        """Start it and wait for its first output (`ports.Programs.run`).

        Raises:
            UpstreamUnreachable: it is not installed, or does not start.
            UpstreamTimeout: nothing came in time.
        """
        turn = self._turns.setdefault((command.provider, command.limit), asyncio.Semaphore(command.limit))
        await turn.acquire()
        process = _Process(command, self._grace, turn.release, self._running.discard)
        self._running.add(process)
        try:
            await process.start(self._environment(command))
            return await _first_output(process)
        except BaseException:
            # The caller may be gone already, so the end is not waited for here.
            process.abandon()
            raise

    async def aclose(self) -> None:
        """End what still runs and wait until it is gone."""
        await asyncio.gather(*(process.over() for process in tuple(self._running)))

    def _environment(self, command: Command) -> dict[str, str]:
        seen = {name: self._environ[name] for name in (*_BASIC, *command.environment) if name in self._environ}
        return seen | dict(command.settings)


class ProgramReply:
    """Implements `ports.Reply`: the output of a program as a body."""

    def __init__(self, process: _Process, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._process = process
        self._body = body

    def header(self, name: bytes) -> bytes | None:
        """The first field of that lower-case name."""
        return dict(reversed(self.headers)).get(name)

    async def read(self, limit: int) -> bytes:
        """All of it.

        Raises:
            UpstreamInvalidResponse: it is longer than `limit` bytes.
            UpstreamUnreachable: the program failed after it had begun.
            UpstreamTimeout: it fell silent.
        """
        body = bytearray()
        async for piece in self.chunks():
            body += piece
            if len(body) > limit:
                self._process.abandon()
                raise UpstreamInvalidResponse(
                    f"{self._process.name} wrote more than {limit} bytes.", details=self._process.details()
                )
        return bytes(body)

    def chunks(self) -> AsyncIterator[bytes]:
        """The output as it comes. Raises as `read` does."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._body:
            body, self._body = self._body, b""
            return body
        if self.status != 200:
            raise StopAsyncIteration
        data = await self._process.take(self._process.command.timeouts.idle)
        if data is not None:
            return data
        if self._process.code:
            raise self._process.failed()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the program and all that it has started, and wait until they are gone. May be called twice."""
        await self._process.over()


async def _first_output(process: _Process) -> ProgramReply:
    data = await process.take(process.command.timeouts.first_byte)
    if data is not None:
        return ProgramReply(process, 200, _LINES, data)
    if process.code:
        return ProgramReply(process, 502, _JSON, write_ending(process.code, await process.complaint()))
    return ProgramReply(process, 200, _LINES, b"")


class _Process(asyncio.SubprocessProtocol):
    """One run: fed by the event loop, read by its reply, and ended once, whoever asks first."""

    def __init__(
        self, command: Command, grace: float, release: Callable[[], None], forget: Callable[[_Process], None]
    ) -> None:
        """`release` gives its turn to the next one; `forget` is told when nothing is left of it."""
        self.command = command
        #: its exit code, None while it runs
        self.code: int | None = None
        self._grace = grace
        self._release = release
        self._forget = forget
        self._folder: Path | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._pid = 0
        self._open = {_STDOUT, _STDERR}
        self._parts: list[bytes] = []
        self._held = 0
        self._paused = False
        self._errors = b""
        self._stirred = asyncio.Event()
        self._exited = asyncio.Event()
        self._end: asyncio.Task[None] | None = None
        self._abandoned = False

    # --- words ---

    @property
    def name(self) -> str:
        return f"The program {Path(self.command.arguments[0]).name!r} of provider {self.command.provider!r}"

    def details(self, *, sent: bool = True, reason: str | None = None) -> dict[str, object]:
        told: dict[str, object] = {"provider": self.command.provider, "sent": sent}
        return told if reason is None else {**told, "reason": reason}

    def failed(self) -> GatewayError:
        return UpstreamUnreachable(
            f"{self.name} ended with exit code {self.code} in the middle of its answer.", details=self.details()
        )

    # --- the beginning ---

    async def start(self, environment: dict[str, str]) -> None:
        """Start the program and hand it its input.

        Raises:
            UpstreamUnreachable: it is not installed, or does not start.
        """
        command = self.command
        if any("\0" in text for text in command.arguments):
            # uvloop would cut an argument there, and run something else than was meant.
            raise self._not_started("an argument holds a NUL character")
        program = shutil.which(command.arguments[0], path=environment.get("PATH", os.defpath))
        if program is None:
            raise self._missing()
        if command.folder is None:
            self._folder = _make_folder(command.files)
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                program,
                *command.arguments[1:],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=command.folder or self._folder,
                env=environment,
                start_new_session=True,
            )
        except OSError as fault:
            raise self._not_started(os.strerror(fault.errno).lower() if fault.errno else "no reason given") from fault
        self._hand_over(command.input)

    def _not_started(self, why: str) -> GatewayError:
        return UpstreamUnreachable(
            f"{self.name} does not start: {why}.", details=self.details(sent=False, reason="not_started")
        )

    def _missing(self) -> GatewayError:
        command = self.command
        how = f"Install it with `{command.install}`, or set" if command.install else "Install it, or set"
        return UpstreamUnreachable(
            f"{self.name} is not on this machine. {how} providers.{command.provider}.command to its path.",
            details=self.details(sent=False, reason="not_installed"),
        )

    def _hand_over(self, data: bytes) -> None:
        pipe = cast("asyncio.WriteTransport", self._pipe(_STDIN))
        pipe.write(data)
        pipe.close()  # after what is written; a program that does not want it all is free to end

    # --- fed by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Casts, here and below: uvloop's transports have the methods, but are not asyncio's classes.
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self._errors = (self._errors + data)[-_MOST_ERRORS:]
            return
        self._parts.append(data)
        self._held += len(data)
        if self._held > _HIGH_WATER and not self._paused:
            self._pause(True)
        self._stirred.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's own signature
        self._open.discard(fd)
        self._stirred.set()

    def process_exited(self) -> None:
        self.code = self._transport.get_returncode() if self._transport is not None else None
        self._exited.set()
        self._stirred.set()
        self._end_once()

    def _pause(self, wanted: bool) -> None:
        self._paused = wanted
        pipe = cast("asyncio.ReadTransport", self._pipe(_STDOUT))
        if wanted:
            pipe.pause_reading()
        else:
            pipe.resume_reading()

    def _pipe(self, fd: int) -> asyncio.BaseTransport | None:
        return self._transport.get_pipe_transport(fd) if self._transport is not None else None

    # --- read by the reply ---

    async def take(self, seconds: float) -> bytes | None:
        """What is in hand, waiting so long if nothing is; None when the program has ended and all is read. A wait that
        is cancelled loses nothing.

        Raises:
            UpstreamTimeout: nothing came.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._parts and not (self._exited.is_set() and await self._is_closed(_STDOUT)):
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            self.abandon()
            raise UpstreamTimeout(
                f"{self.name} said nothing within {seconds:g} s and was ended.", details=self.details()
            ) from None
        if not self._parts:
            return None
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        if self._paused:
            self._pause(False)
        return data

    async def complaint(self) -> bytes:
        """What it wrote to its standard error, the last of it."""
        await self._is_closed(_STDERR)
        return self._errors

    async def _is_closed(self, fd: int) -> bool:
        """Whether an ended program's pipe has nothing more to give. One that stays open is in the hands of something
        that got away, and counts as closed when it has been silent for a moment."""
        try:
            async with asyncio.timeout(_DRAIN):
                while fd in self._open and not self._parts:
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            pass  # given up on
        return not self._parts

    # --- the end ---

    async def over(self) -> None:
        """End it and wait until it is gone. A wait that is cancelled stops nothing."""
        await asyncio.shield(self.abandon())

    def abandon(self) -> asyncio.Task[None]:
        """Begin to end it, if it has not ended: nobody reads it any more."""
        self._abandoned = True
        self._parts.clear()
        ending = self._end_once()
        if ending.done():
            self._let_go()
        return ending

    def _end_once(self) -> asyncio.Task[None]:
        if self._end is None:
            self._end = asyncio.get_running_loop().create_task(self._finish())
        return self._end

    async def _finish(self) -> None:
        try:
            await self._stop()
        finally:
            # Whatever the program left in its session has nobody to work for any more.
            self._signal(signal.SIGKILL)
            self._release()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        if self._abandoned:
            self._let_go()
        self._forget(self)

    def _let_go(self) -> None:
        """Close the pipes; until then what an ended program has written can still be read."""
        if self._transport is not None:
            self._transport.close()

    async def _stop(self) -> None:
        if self._transport is None or self._exited.is_set():
            return
        self._signal(signal.SIGTERM)
        if not await self._is_gone(self._grace):
            self._signal(signal.SIGKILL)
            await self._is_gone(_FAREWELL)

    async def _is_gone(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._exited.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        """To the whole session; its id is the program's own, which nobody else gets while one of it lives."""
        if not self._pid:
            return
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # nobody is left, or only the dead that wait to be counted


def _make_folder(files: tuple[tuple[str, bytes], ...]) -> Path:
    """A fresh folder that only this user can look into."""
    folder = Path(tempfile.mkdtemp(prefix="open-llm-auth-"))
    for name, content in files:
        (folder / name).write_bytes(content)
    return folder
