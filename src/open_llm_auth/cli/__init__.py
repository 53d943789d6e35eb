"""The command line (SPEC §8): one module per noun, all of them working in process on the config file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from .application import app
from .output import complain

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 1 failed, 2 wrong usage. `arguments` are those of the process by default."""
    try:
        app(arguments, prog_name="open-llm-auth")
    except Exception as error:  # noqa: BLE001  # one of the three edges of the program
        # A fault of ours is one line too, and never a traceback with somebody's key in a frame.
        complain(f"internal error ({type(error).__name__}). Nothing more was done; please report the command you ran.")
        raise SystemExit(1) from None
    sys.exit(0)
