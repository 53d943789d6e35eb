"""No core dump of a process that holds secrets: what crashes must not leave them on a disk."""

from __future__ import annotations

import sys

__all__ = ["forbid_core_dumps"]

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def forbid_core_dumps() -> None:
    """For this process and, as far as the limit goes, all that it starts. On Linux neither may other programs of this
    user look into its memory any more, which also keeps crash reporters out that take a dump past the limit."""
    if sys.platform == "win32":
        return
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        pass  # a lower limit than ours can't be: somebody forbids to change it, and has seen to it
    if sys.platform == "linux":
        import ctypes

        try:
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        except (OSError, AttributeError):
            pass  # a C library without it
