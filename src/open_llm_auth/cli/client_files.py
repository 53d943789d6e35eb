"""The files of other programs on disk: looked at, backed up, replaced as one step and put back, never clobbered."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import ConfigConflict, InvalidRequest

if TYPE_CHECKING:
    from ..config.reading import Stamp

__all__ = ["ClientFile", "look"]

_LARGEST: Final = 4 * 1024 * 1024  # bytes
_SUFFIX: Final = ".open-llm-auth-backup"
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class ClientFile:
    """One reading of a file. `target` is where a link leads, else the path itself. `mode` is None without a file."""

    path: Path
    target: Path
    raw: bytes = field(default=b"", repr=False)
    mode: int | None = None
    stamp: Stamp | None = None

    @property
    def exists(self) -> bool:
        return self.mode is not None

    @property
    def linked(self) -> bool:
        return self.path != self.target and self.path.is_symlink()

    def text(self) -> str:
        """Raises InvalidRequest: it is not UTF-8 text."""
        try:
            return self.raw.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{self.path} is not UTF-8 text, so it was left as it is.") from None

    def back_up(self) -> Path:
        """Keep what it holds in a private file beside it, over no other. Raises OSError."""
        from ..config.atomic import write_atomically

        number = 1
        while (backup := self._backup(number)).exists():
            number += 1
        write_atomically(backup, self.raw)
        return backup

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}{_SUFFIX}{'' if number == 1 else f'-{number}'}")

    def write(self, raw: bytes, *, private: bool) -> None:
        """Replace the content. A `private` file is closed to others; else its mode stays.

        Raises:
            ConfigConflict: it is no longer the file that was read.
            OSError: it can't be written; the old content is whole.
        """
        self._write(raw, _PRIVATE if private or self.mode is None else self.mode)

    def put_back(self) -> None:
        """Make it what it was when it was read, whatever it is now. Raises OSError."""
        from ..config.atomic import write_atomically

        if self.mode is None:
            self.target.unlink(missing_ok=True)
        else:
            write_atomically(self.target, self.raw)
            self.target.chmod(self.mode)

    def restore(self, raw: bytes, mode: int) -> None:
        """Replace the content, with the mode it once had. Raises as `write` does."""
        self._write(raw, mode)

    def remove(self) -> None:
        """Raises OSError."""
        self.path.unlink(missing_ok=True)

    def _write(self, raw: bytes, mode: int) -> None:
        from ..config.atomic import write_atomically
        from ..config.reading import stamp_of

        self.target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not write_atomically(self.target, raw, still_due=lambda: stamp_of(self.target) == self.stamp):
            raise ConfigConflict(f"{self.path} was changed by somebody else just now. Run the command again.")
        if mode != _PRIVATE:
            self.target.chmod(mode)


def look(path: Path, environ: Mapping[str, str]) -> ClientFile:
    """Read a file, which may not exist yet. A link is followed within the user's home, and nowhere else.

    Raises:
        InvalidRequest: it is a link out of the home, no regular file, far too large, or can't be read.
    """
    from ..config.paths import expand
    from ..config.reading import read_regular

    target = Path(os.path.realpath(path))
    if path.is_symlink() and not target.is_relative_to(os.path.realpath(expand("~", environ))):
        raise InvalidRequest(
            f"{path} is a link to {target}, outside your home, so it was left alone. Edit it yourself."
        )
    try:
        stamp, raw = read_regular(target, _LARGEST)
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return ClientFile(path, target)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or error
        raise InvalidRequest(f"{path} can't be read: {reason}. It was left as it is.") from None
    return ClientFile(path, target, raw, mode, stamp)
