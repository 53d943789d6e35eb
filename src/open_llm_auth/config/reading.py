"""Reading a regular file whole, with the stamp that tells its states apart."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["Stamp", "read_regular", "stamp_of"]

#: What differs between two states of a file: modification and change time (ns), size, inode.
Stamp = tuple[int, int, int, int]


def stamp_of(path: str | Path) -> Stamp | None:
    """The stamp of the file as it is now; None when there is none.

    Raises:
        OSError: it can't be looked at.
    """
    try:
        return _stamp(os.stat(path))  # noqa: PTH116  # on the hot path, where a Path costs more than the call
    except FileNotFoundError:
        return None


def read_regular(path: str | Path, limit: int, *, owner: int | None = None) -> tuple[Stamp, bytes]:
    """The stamp and the bytes of a regular file. `owner` is the only user whose files count; None is everybody.

    Raises:
        OSError: it can't be opened or read.
        ValueError: it is a directory, a pipe or a device, or another user's, or longer than `limit` bytes; the message
            says which.
    """
    # without O_NONBLOCK the open of a pipe that nobody writes to would never return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if owner is not None and found.st_uid != owner:
            raise ValueError("it belongs to another user")
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(raw) > limit:
        raise ValueError(f"it is longer than {limit:,} bytes")
    return _stamp(found), raw


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
