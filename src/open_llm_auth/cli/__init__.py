"""The command line (SPEC §8): one module per noun, all of them working in process on the config file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from .application import app
from .core_dumps import forbid_core_dumps
from .output import complain

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None, *, commands: Callable[..., object] = app) -> NoReturn:
    """Run one command and exit: 0 done, 1 failed, 2 wrong usage. `arguments` are those of the process by default."""
    _speak_any_language()
    forbid_core_dumps()
    try:
        commands(arguments, prog_name="open-llm-auth")
    except Exception as error:  # noqa: BLE001  # one of the three edges of the program
        # A fault of ours is one line too, and never a traceback with somebody's key in a frame.
        complain(f"internal error ({type(error).__name__}). Nothing more was done; please report the command you ran.")
        raise SystemExit(1) from None
    sys.exit(0)


def _speak_any_language() -> None:
    """A path, a name or an answer may hold what the terminal's encoding has no word for."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        # Streams that something else put in place may be of another kind, or absent.
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]
