"""Who else can read the config file and its directory, and how both are closed to them (SPEC §3)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["give_to_owner_of", "make_private_directory", "privacy_warnings", "tighten"]

#: What a directory may hold and still be the gateway's own.
_OUR_NAMES: Final = (
    *(".config", ".env", ".health", "admin-token", "backups", "health.json", "renewals"),
    *("runtime_state.sqlite3", "config.json", "vault.json", ".vault", ".secure.lock"),
)


def privacy_warnings(directory: Path | None, *files: Path) -> Iterator[str]:
    """One sentence for each that others can look into. What is missing is private enough."""
    directories = [] if directory is None else [(directory, 0o700)]
    for path, wanted in (*directories, *((file, 0o600) for file in files)):
        mode = _mode(path)
        if mode is not None and mode & 0o077:
            yield f"{path} is open to other users (mode {mode:04o}). Close it with: chmod {wanted:o} {path}"


def make_private_directory(directory: Path) -> None:
    """Make it, 0700 and with the owner of the directory it stands in, if it is missing. Raises OSError."""
    if not directory.is_dir():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        give_to_owner_of(directory.parent, directory)


def give_to_owner_of(model: Path, made: Path | int) -> None:
    """Hand what root has just made (a path, or a descriptor) to the owner of `model`: a command run as root must not
    shut out the user that the gateway runs as."""
    owner = model.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(made, owner.st_uid, owner.st_gid)


def tighten(directory: Path, config_name: str, *, own: bool = False) -> None:
    """Close the config's directory to others if it is the gateway's own, because `own` says so or because nothing else
    is in it: OPEN_LLM_AUTH_CONFIG may name a file in ``/tmp`` or ``/etc``, which are everybody's. Another user's
    directory is left alone, with the warning."""
    mode = _mode(directory)
    if mode is None or not mode & 0o077 or mode & stat.S_ISVTX:
        return
    try:
        if own or directory.name == ".open_llm_auth" or _is_ours(directory, config_name):
            directory.chmod(0o700)
    except PermissionError:
        pass  # the warning of the next reading says it


def _is_ours(directory: Path, config_name: str) -> bool:
    return all(entry.name.startswith((*_OUR_NAMES, config_name)) for entry in directory.iterdir())


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
