"""The person at this terminal, to whom a sign-in speaks: `server.sign_in.Person` for commands."""

from __future__ import annotations

import asyncio
import errno
import sys
import threading
import webbrowser
from collections.abc import Mapping
from contextlib import AsyncExitStack

from ..auth.flows.callbacks import is_for, read_paste
from ..errors import SignInFailed
from ..transport.loopback import CallbackListener, cancel_codex
from .listeners import Holder, holder_of
from .output import printable, say
from .pasting import PastedLines

__all__ = ["AtTerminal", "has_browser"]

#: How often, and how many seconds apart, a port is tried that its holder was asked to leave.
_TRIES, _PAUSE = 10, 0.2


def has_browser(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether a browser that is opened here would be seen by the person."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    if environ.get("BROWSER") or platform in ("darwin", "win32", "cygwin"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


class AtTerminal:
    """`opens`: a browser is opened; `reads`: the terminal is read for what the person pastes. Close it afterwards."""

    def __init__(self, provider: str, *, opens: bool, reads: bool) -> None:
        self._provider = provider
        self._opens = opens
        self._reads = reads
        self._listener: CallbackListener | None = None

    async def tell(self, text: str) -> None:
        say(printable(text))

    async def visit(self, url: str, code: str, direct: str) -> None:
        say("Your browser opens. If it does not, open this address in one:" if self._opens else "Open this address:")
        say(f"\n  {printable(url)}\n")
        if code:
            say(f"and type this code there:  {printable(code)}\n")
            say("Waiting until you have confirmed it. Ctrl-C cancels.")
        if self._opens:
            # A browser in the foreground would hold up everything, and one that hangs would hold up the end.
            threading.Thread(target=webbrowser.open, args=(direct or url,), daemon=True).start()

    async def listen(self, ports: tuple[int, ...], path: str, state: str) -> int:
        for port in ports:
            self._listener = await self._open(port, path, state)
            if self._listener is not None:
                return self._listener.port
        words = await asyncio.to_thread(_who_holds, ports[0])
        if not self._reads:
            raise SignInFailed(
                f"The sign-in can't come back to this machine: {words}. End that, sign in with --device where the "
                "provider has it, or run this in a terminal, where you can paste the address instead.",
                details={"provider": self._provider, "reason": "port_taken"},
            )
        say(f"note: {words}, so the browser can't come back by itself: paste its address here when it is done.")
        return ports[0]

    async def receive(self, state: str) -> Mapping[str, str]:
        say("Waiting for the browser. Ctrl-C cancels.")
        async with AsyncExitStack() as stack:
            waits = []
            if self._listener is not None:
                waits.append(asyncio.create_task(self._listener.callback()))
            if self._reads:
                lines = await stack.enter_async_context(PastedLines(sys.stdin.fileno()))
                say(
                    "If the page that you are sent to does not load, because the browser is on another machine: copy "
                    "its whole address\nand paste it here. What you paste is not shown."
                )
                waits.append(asyncio.create_task(self._pasted(lines, state)))
            return await _first(waits)

    async def aclose(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.aclose()

    async def _open(self, port: int, path: str, state: str) -> CallbackListener | None:
        """A listener at that port; None where somebody else has it."""
        for turn in range(_TRIES):
            try:
                return await CallbackListener.open(port, path, state)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return None
            if turn == 0:
                if not await asyncio.to_thread(self._is_codex, port):
                    return None
                await cancel_codex(port)
            await asyncio.sleep(_PAUSE)
        return None

    def _is_codex(self, port: int) -> bool:
        """Whether the Codex program waits there for a sign-in of its own, which a second one of it would end too."""
        holder = holder_of(port) if self._provider == "openai-codex" else None
        return holder is not None and not holder.is_gateway and "codex" in holder.command.lower()

    async def _pasted(self, lines: PastedLines, state: str) -> Mapping[str, str]:
        while (line := await lines.next()) is not None:
            if not line.strip():
                continue
            parameters = read_paste(line)
            if parameters is None:
                say("That is not the address of the page you were sent to. Copy all of it, from http to its end.")
            elif not is_for(parameters, state):
                say("That belongs to another sign-in. Use the address that is shown above, and paste what it leads to.")
            else:
                return parameters
        if self._listener is not None:
            return await self._listener.callback()
        raise SignInFailed(
            "The sign-in was given up. Nothing was stored.", details={"provider": self._provider, "reason": "denied"}
        )


async def _first(waits: list[asyncio.Task[Mapping[str, str]]]) -> Mapping[str, str]:
    """What the first of them gives; the rest is let go."""
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _who_holds(port: int) -> str:
    holder: Holder | None = holder_of(port)
    by = f" by {printable(str(holder))}" if holder is not None else ""
    return f"port {port} is taken{by}"
