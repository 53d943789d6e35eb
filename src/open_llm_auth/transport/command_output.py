"""What a short-lived program prints (SPEC §3, `cmd:`): no shell, a clean environment, bounds. It blocks."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Final

from ..errors import SecretUnavailable

__all__ = ["CommandOutput"]

#: Bytes; a secret is a line.
_MOST_OUTPUT: Final = 65_536
#: Seconds between two looks whether it has ended: what it has left behind may hold its pipe open.
_LOOK: Final = 0.05

#: Variables that every program may see, and those that password managers are set up with.
_SEEN: Final = frozenset(
    {
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "GNUPGHOME",
        "GPG_AGENT_INFO",
        "GPG_TTY",
        "HOME",
        "LANG",
        "LOGNAME",
        "PATH",
        "SHELL",
        "SSH_AUTH_SOCK",
        "TMPDIR",
        "TZ",
        "USER",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
    }
)
_SEEN_BEGINNINGS: Final = ("BITWARDENCLI_", "BW_", "GOPASS_", "LC_", "OP_", "PASSWORD_STORE_", "XDG_")


class CommandOutput:
    """Runs a program and gives what it printed. `environ` is where the variables it may see are looked up."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, words: Sequence[str], environment: Sequence[str], seconds: float) -> bytes:
        """The standard output of `words`, run without a shell. Blocks for up to `seconds`.

        Raises:
            SecretUnavailable: it is not installed, fails, takes too long or prints too much. The message names the
                program, never an argument: that may be a secret too.
        """
        name = words[0]
        try:
            process = subprocess.Popen(  # noqa: S603 - the words stand in the owner's config file
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                # What it complains of may hold what it knows; a person who runs it by hand sees it.
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=self._environment(environment),
                # A session of its own, so that all it starts can be ended with it, and none of it can ask our terminal.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "a word of it can't be passed on"
            raise SecretUnavailable(f"The program {name!r} of a cmd: reference can't be run: {why}.") from None
        with process.stdout or nullcontext():
            output = _read(process, time.monotonic() + seconds)
            if output is None or len(output) > _MOST_OUTPUT:
                _end(process)
                why = (
                    f"took longer than {seconds:g} s" if output is None else f"printed more than {_MOST_OUTPUT:,} bytes"
                )
                raise SecretUnavailable(f"The program {name!r} of a cmd: reference {why} and was ended.")
        if process.returncode:
            _end(process)
            raise SecretUnavailable(
                f"The program {name!r} of a cmd: reference {_ending(process.returncode)}. Run it by hand to see why."
            )
        return output

    def _environment(self, more: Sequence[str]) -> dict[str, str]:
        return {
            name: value
            for name, value in self._environ.items()
            if name in _SEEN or name in more or name.startswith(_SEEN_BEGINNINGS)
        }


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """What it prints until it has ended, a little more than is allowed at most; None if it has not ended by then."""
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type] # it is a pipe
        while len(output) <= _MOST_OUTPUT:
            # Looked at before the pipe: what a program that has ended printed is in there by now.
            over = process.poll() is not None
            if selector.select(0 if over else _LOOK):
                piece = os.read(process.stdout.fileno(), _MOST_OUTPUT)  # type: ignore[union-attr] # it is a pipe
                output += piece
                over = not piece
            if over:
                return output if _has_ended(process, deadline) else None
            if time.monotonic() >= deadline:
                return None
    return output


def _has_ended(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _ending(code: int) -> str:
    return f"ended with code {code}" if code > 0 else f"was ended by signal {-code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and all that it has started. Its id is its session's, which nobody else gets while one of it lives."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left
    process.wait()
