"""What the log says of a fault of ours: where it broke, never with what."""

from __future__ import annotations

import traceback

__all__ = ["describe_fault"]


def describe_fault(error: BaseException) -> str:
    """Type and frames, without the exception's text: that could quote a body or a secret. Groups are opened."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "\n".join([f"{type(error).__name__}\n{frames}".rstrip(), *map(describe_fault, inner)])
