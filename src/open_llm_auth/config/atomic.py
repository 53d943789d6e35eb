"""Replacing a file as one step: whoever looks, at any moment and after any crash, sees the old bytes or the new."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .privacy import give_to_owner_of

__all__ = ["clear_leftovers", "write_atomically"]

_PREFIX: Final = ".config-"
_SUFFIX: Final = ".tmp"


def write_atomically(
    path: Path, raw: bytes, *, still_due: Callable[[], bool] = lambda: True, prefix: str = _PREFIX
) -> bool:
    """Make `raw` the content of `path`, 0600 and with its old owner, unless `still_due` says no at the last moment.
    `prefix` begins the name of the temporary file.

    Raises:
        OSError: it did not happen: the old file is whole, and nothing is left beside it.
    """
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            give_to_owner_of(path if path.exists() else path.parent, descriptor)
            file.flush()
            os.fsync(descriptor)
        if not still_due():
            temporary.unlink()
            return False
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)
    return True


def clear_leftovers(*directories: Path, prefix: str = _PREFIX) -> None:
    """Remove what a writer that was killed left behind: it holds secrets. Only under the lock, when nobody writes."""
    for directory in directories:
        for leftover in directory.glob(f"{prefix}*{_SUFFIX}"):
            leftover.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # a directory that may be written and not read; the rename stands all the same
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems have no such thing, and the rename has happened: to fail now would be a lie
    finally:
        os.close(descriptor)
