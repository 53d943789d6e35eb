"""What `connect` wrote, so that it can be undone: paths, hashes and the names of tokens, in the gateway's home.

No value stands in it: those written are known again by their hash, those replaced are in the backup beside the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigInvalid, ConfigUnavailable
from .settings_text import Entry, FormatName, SettingPath

__all__ = ["Connection", "Connections", "WrittenFile", "hash_of"]

NAME: Final = "connections.json"
_LARGEST: Final = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file as it was left. `backup` and `mode` are those of the file before; both None where there was none."""

    path: Path
    format: FormatName
    digest: str
    settings: Mapping[SettingPath, str] = field(default_factory=dict)
    backup: Path | None = None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """One client: the name of the token made for it, and its files."""

    token: str
    files: tuple[WrittenFile, ...] = ()

    def file_at(self, path: Path) -> WrittenFile | None:
        return next((file for file in self.files if file.path == path), None)


def hash_of(value: object) -> str:
    """What a value, or the content of a file, is known again by."""
    raw = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
    return hashlib.sha256(raw).hexdigest()


class Connections:
    """The file itself. Changes are made under a lock, and of a file that can't be read, none."""

    def __init__(self, home: Path) -> None:
        self._path = home / NAME

    def all(self) -> dict[str, Connection]:
        """Connections by client.

        Raises:
            ConfigInvalid: the file is not as it was written.
            ConfigUnavailable: it can't be read.
        """
        from ..config.document import parse
        from ..config.reading import read_regular

        try:
            raw = read_regular(self._path, _LARGEST)[1]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigUnavailable(f"{self._path} can't be read: {_why(error)}.") from None
        try:
            found = parse(raw, str(self._path)).get("connections", {})
            return {client: _connection(each) for client, each in found.items()}
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ConfigInvalid(
                f"{self._path} is not as it was written. Remove it to begin anew: what was written into the files of "
                "clients then stays, and can't be undone by this command."
            ) from None

    def put(self, client: str, connection: Connection | None) -> None:
        """Remember a connection; None forgets it.

        Raises:
            ConfigInvalid, ConfigUnavailable: as `all`, or it can't be written; nothing has changed.
        """
        from ..config.atomic import write_atomically
        from ..config.lock import locked
        from ..config.privacy import make_private_directory

        try:
            make_private_directory(self._path.parent)
            with locked(self._path.parent / ".connections.lock", 10):
                kept = self.all()
                kept.pop(client, None)
                if connection is not None:
                    kept[client] = connection
                document = {"connections": {name: _document(each) for name, each in sorted(kept.items())}}
                write_atomically(self._path, (json.dumps(document, indent=2) + "\n").encode())
        except OSError as error:
            raise ConfigUnavailable(f"{self._path} can't be written: {_why(error)}.") from None


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _connection(found: Any) -> Connection:
    return Connection(str(found["token"]), tuple(_file(each) for each in found["files"]))


def _file(found: Any) -> WrittenFile:
    backup = found["backup"]
    return WrittenFile(
        path=Path(found["path"]),
        format=found["format"],
        digest=found["digest"],
        settings={tuple(_step(step) for step in path): digest for path, digest in found["settings"]},
        backup=None if backup is None else Path(backup),
        mode=found["mode"],
    )


def _step(found: Any) -> str | Entry:
    return found if isinstance(found, str) else Entry(str(found["name"]), str(found["value"]))


def _document(connection: Connection) -> dict[str, Any]:
    return {"token": connection.token, "files": [_file_document(file) for file in connection.files]}


def _file_document(file: WrittenFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "format": file.format,
        "digest": file.digest,
        "settings": [[[_step_document(step) for step in path], digest] for path, digest in file.settings.items()],
        "backup": None if file.backup is None else str(file.backup),
        "mode": file.mode,
    }


def _step_document(step: str | Entry) -> object:
    return step if isinstance(step, str) else {"name": step.name, "value": step.value}
