"""What all processes of one machine know of their credentials' health: one small file, shared and replaced whole.

It is no user data: what can't be read is written anew, and what can't be written is kept in memory. It holds no secret
and nothing that one could be guessed from: credentials stand in it by marks keyed with a random salt (SPEC §5).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from ..auth.kept import Kept, KeptCredential, Reset, differences, merged, moved_back, pruned
from ..errors import ConfigUnavailable
from .atomic import clear_leftovers, write_atomically
from .lock import locked
from .privacy import make_private_directory
from .reading import Stamp, read_regular, stamp_of

__all__ = ["HealthFile", "health_path", "read_health"]

_NAME: Final = "health.json"
_LOCK: Final = ".health.lock"
_PREFIX: Final = ".health-"
_VERSION: Final = 1
_SALT_BYTES: Final = 32
#: Beyond what `pruned` leaves at the most.
_LARGEST: Final = 8 * 1024 * 1024
_WAIT_SECONDS: Final = 2.0


class _Document(msgspec.Struct, frozen=True, omit_defaults=True):
    version: int
    salt: str
    credentials: dict[str, KeptCredential] = {}
    resets: tuple[Reset, ...] = ()


_DECODER: Final = msgspec.json.Decoder(_Document)


def health_path(config: Path) -> Path:
    """The file beside that config file."""
    return config.absolute().parent / _NAME


def read_health(path: Path) -> tuple[bytes, Kept] | None:
    """The salt and what is known; None where there is no file.

    Raises:
        ConfigUnavailable: there is one that can't be read, or makes no sense.
    """
    try:
        _, raw = read_regular(path, _LARGEST)
        return _decoded(raw)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigUnavailable(
            f"{path} can't be read: {_reason(error)}. It holds nothing but the health of credentials: a running "
            "gateway writes it anew, and it may be removed."
        ) from error


class HealthFile:
    """One process's hold on the file. Every method blocks. `load` and `exchange` never fail: what goes wrong is told
    once to `on_event`, and again when all is well."""

    def __init__(self, path: Path, *, now: Callable[[], float], on_event: Callable[[str], object]) -> None:
        self.path = path
        self.salt = secrets.token_bytes(_SALT_BYTES)
        self._now = now
        self._on_event = on_event
        self._known = Kept()
        self._unsaved = Kept()
        self._stamp: Stamp | None = None
        self._due = False
        self._trouble = ""
        self._lock = threading.Lock()

    def load(self) -> Kept:
        """All that is known at the start; `salt` is the file's afterwards."""
        return self._look() or Kept()

    def exchange(self, news: Kept, *, set_back: float = 0.0) -> Kept | None:
        """Add `news` to the file, and give what others have added; None where that is nothing. `set_back` is by how
        many seconds the clock was set back since the last time. `salt` may be another one afterwards: then nothing
        that is known here stands any more, and what comes back is everything."""
        with self._lock:
            if news:
                self._unsaved = pruned(merged(self._unsaved, news, self._now()), self._now())
            must_write = self._unsaved or self._due or set_back
            return (self._write(set_back) if must_write else self._look()) or None

    def reset(self, *resets: Reset) -> None:
        """Write a person's word into the file.

        Raises:
            ConfigUnavailable: it can't be written.
        """
        self._unsaved = Kept(resets=resets)
        self._write(0.0)
        if self._unsaved:
            raise ConfigUnavailable(f"{self.path} can't be written, so nothing was reset: {self._trouble}.")

    # -- reading -----------------------------------------------------------------------------------------------

    def _look(self) -> Kept | None:
        """What others have added, where the file has changed."""
        try:
            stamp = stamp_of(self.path)
            if stamp == self._stamp:
                return None
            self._stamp = stamp
            if stamp is None:
                self._due = bool(self._known)  # somebody has removed it; what is known goes into a new one
                return None
            return self._take(self._read())
        except OSError as error:
            self._complain("read", error)
            return None

    def _read(self) -> tuple[bytes, Kept] | None:
        """The file as it is; None where there is none that makes sense. Raises OSError."""
        try:
            self._stamp, raw = read_regular(self.path, _LARGEST)
            return _decoded(raw)
        except FileNotFoundError:
            return None
        except (ValueError, PermissionError) as error:
            self._due = True
            self._complain("read", error)
            return None

    def _take(self, found: tuple[bytes, Kept] | None) -> Kept | None:
        """What is new in the file, which is then known."""
        if found is None:
            return None
        salt, kept = found
        if salt != self.salt:
            self.salt, self._known, self._unsaved = salt, Kept(), Kept()
            self._known = kept
            return kept
        known, self._known = self._known, kept
        return differences(kept, known)

    # -- writing -----------------------------------------------------------------------------------------------

    def _write(self, set_back: float) -> Kept | None:
        """Put together what the file and this process know, and make that the file. Returns what others have added."""
        try:
            make_private_directory(self.path.parent)
            with locked(self.path.parent / _LOCK, _WAIT_SECONDS):
                clear_leftovers(self.path.parent, prefix=_PREFIX)
                return self._write_locked(set_back)
        except (OSError, ConfigUnavailable) as error:
            self._complain("written", error)
            return self._look()

    def _write_locked(self, set_back: float) -> Kept | None:
        known, now = self._known, self._now()
        found = self._read()
        if found is not None and found[0] != self.salt:
            return self._take(found)
        before = known if found is None else found[1]
        if set_back:
            before, known = moved_back(before, known, set_back), moved_back(known, known, set_back)
        kept = pruned(merged(before, self._unsaved, now), now)
        if found is None or kept != found[1]:
            write_atomically(self.path, _encoded(self.salt, kept), prefix=_PREFIX)
            self._stamp = stamp_of(self.path)
        added = differences(kept, merged(known, self._unsaved, now))
        self._known, self._unsaved, self._due = kept, Kept(), False
        self._recover()
        return added

    # -- trouble -----------------------------------------------------------------------------------------------

    def _complain(self, verb: str, error: Exception) -> None:
        if not self._trouble:
            self._on_event(
                f"warning: {self.path} can't be {verb} ({_reason(error)}), so the health of credentials is this "
                "process's own for now"
            )
        self._trouble = _reason(error)

    def _recover(self) -> None:
        if self._trouble:
            self._on_event(f"{self.path} is written again, and the health of credentials is shared")
        self._trouble = ""


def _decoded(raw: bytes) -> tuple[bytes, Kept]:
    """Raises ValueError: it is not what this release writes."""
    try:
        document = _DECODER.decode(raw)
        salt = bytes.fromhex(document.salt)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ValueError("it is damaged") from error
    if document.version != _VERSION or len(salt) != _SALT_BYTES:
        raise ValueError("another release wrote it")
    return salt, Kept(document.credentials, document.resets)


def _encoded(salt: bytes, kept: Kept) -> bytes:
    return msgspec.json.encode(_Document(_VERSION, salt.hex(), kept.credentials, kept.resets)) + b"\n"


def _reason(error: Exception) -> str:
    if isinstance(error, ConfigUnavailable):
        return error.message.removesuffix(".")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
