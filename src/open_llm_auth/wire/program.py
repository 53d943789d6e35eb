"""What is left of a program that ended without an answer: its exit code and the end of what it said in complaint.

The body that the transport makes of it is ``{"exit": 1, "stderr": "…"}``, under the status 502.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["Ending", "read_ending", "write_ending"]

_LINE_LIMIT: Final = 300


class Ending(msgspec.Struct, frozen=True):
    """`exit` is negative where a signal ended it."""

    exit: int
    stderr: str = ""

    @property
    def last_line(self) -> str:
        """The last thing it said."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return lines[-1][:_LINE_LIMIT] if lines else ""

    @property
    def sentence(self) -> str:
        """What may be told of it: the line in which it says what is wrong with how it was called. Anything else that it
        printed may hold what is nobody's business."""
        lines = (line.strip() for line in self.stderr.splitlines())
        complaint = next((line[:_LINE_LIMIT] for line in lines if line.lower().startswith("error:")), "")
        ended = f"The program ended with exit code {self.exit} and no answer"
        return f"{ended}: {complaint}" if complaint else f"{ended}; run it by hand to see why."


_DECODER: Final = msgspec.json.Decoder(Ending)


def write_ending(exit_code: int, errors: bytes) -> bytes:
    """The body for an answer that never came."""
    return msgspec.json.encode(Ending(exit_code, errors.decode("utf-8", "replace")))


def read_ending(body: bytes) -> Ending | None:
    """The same read again; None when it is something else."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
