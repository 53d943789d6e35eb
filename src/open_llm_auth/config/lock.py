"""A lock that serialises the writers of one directory across processes, and that dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import ConfigUnavailable
from .privacy import give_to_owner_of

__all__ = ["locked", "try_lock"]

_PAUSE: Final = 0.01  # seconds between two tries


@contextmanager
def locked(path: Path, wait: float) -> Iterator[None]:
    """Hold the lock at `path` for the block. The file stays, as removing it would let two in at once.

    Raises:
        ConfigUnavailable: another holds it for longer than `wait` seconds.
        OSError: it can't be made or taken.
    """
    descriptor = _acquire(path, time.monotonic() + wait, wait)
    try:
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """The descriptor that holds the lock at `path` until it is closed or its process ends; None while another holds it.

    Raises:
        OSError: it can't be made or taken.
    """
    return _try(path)


def _acquire(path: Path, deadline: float, wait: float) -> int:
    while True:
        descriptor = _try(path)
        if descriptor is not None:
            return descriptor
        if time.monotonic() >= deadline:
            raise ConfigUnavailable(
                f"Another process has held the lock {str(path)!r} for {wait:g} s. Nothing was changed: try again, and "
                "if it stays, end the process that holds it."
            )
        time.sleep(_PAUSE)


def _try(path: Path) -> int | None:
    """The descriptor that holds the lock, None while another does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        give_to_owner_of(path.parent, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # someone may have tidied the file away between the open and the lock
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # not ours yet
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
