"""The config file: read whole, changed under a lock, replaced as one step, never clobbered (SPEC §3)."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..auth.secrets import parse_reference
from ..errors import ConfigConflict, ConfigUnavailable
from ..ports import SecretWriter
from ..provider_catalog import Catalog, load_catalog
from ..values import EMPTY, Secret
from .atomic import clear_leftovers, write_atomically
from .compile import compile_snapshot
from .destinations import judge_changes
from .document import Document, etag_of, parse, serialise
from .lock import locked
from .mirrors import merge, sync
from .model import validate
from .paths import is_own_home
from .privacy import make_private_directory, privacy_warnings, tighten
from .reading import Stamp, read_regular, stamp_of
from .secrets_io import EnvironmentSecrets
from .volatile import VOLATILE, entries_of

__all__ = ["Change", "ConfigFile"]

#: Edits the document in place.
Change = Callable[[dict[str, Any]], None]

_LARGEST: Final = 16 * 1024 * 1024  # bytes
_BACKUPS: Final = 5
_TRIES: Final = 20

#: What a person does about it.
_REPAIRS: Final[Mapping[int, str]] = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some of this user's quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "mount it writable, or set OPEN_LLM_AUTH_HOME to a directory that is",
    errno.EACCES: "give this user access to it, or set OPEN_LLM_AUTH_HOME to a directory of its own",
    errno.EPERM: "give this user access to it, or set OPEN_LLM_AUTH_HOME to a directory of its own",
    errno.EBUSY: "it seems to be mounted by itself: mount its directory instead",
    errno.ELOOP: "its symbolic links lead in a circle: remove one",
}


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One reading: the bytes, what they mean, and the stamp of the file they came from."""

    document: Document
    raw: bytes = field(repr=False)
    stamp: Stamp | None


class ConfigFile:
    """Reads and changes one config file. A symbolic link is kept, and its target is what changes.

    `environ` holds the overrides of the egress policy. Every method blocks; `update` for up to `wait` seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        environ: Mapping[str, str] = EMPTY,
        catalog: Catalog | None = None,
        wait: float = 10.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path.absolute()
        self._backups = self.path.parent / "backups"
        self._environ = environ
        self._catalog = catalog
        self._wait = wait
        self._now = now

    def read(self) -> Document:
        """The document as it is now; an empty one with `exists` False where there is no file.

        Raises:
            ConfigInvalid: it does not parse or validate; the message says where.
            ConfigUnavailable: it can't be read.
        """
        return self._load(self._target()).document

    def stamp(self) -> Stamp | None:
        """What differs between two states of the file; None when there is none.

        Raises:
            ConfigUnavailable: it can't be looked at.
        """
        try:
            return stamp_of(self.path)
        except OSError as error:
            raise self._unavailable("read", error) from error

    def update(self, change: Change, *, if_match: str | None = None) -> Document:
        """Apply `change` to the document as it stands under the lock, and save it whole. What `change` raises ends the
        update with nothing written. It may be called again if the file is edited by hand meanwhile.

        Raises:
            ConfigInvalid: the file, or what `change` made of it, does not parse or validate; nothing was written.
            UnsafeDestination: a destination that `change` brought in is forbidden; nothing was written.
            ConfigConflict: the file is no longer the one whose `etag` is `if_match`.
            ConfigUnavailable: it can't be read, locked or written; the old file is whole.
        """
        try:
            make_private_directory(self.path.parent)
            target = self._target()
            with locked(target.parent / ".config.lock", self._wait):
                clear_leftovers(target.parent, self._backups)
                return self._update(target, change, if_match)
        except OSError as error:
            raise self._unavailable("written", error) from error

    def renew(
        self,
        profile_id: str,
        before: Secret,
        fields: Mapping[str, str | int | None],
        writer: SecretWriter | None = None,
    ) -> bool:
        """Replace those fields of a sign-in's profile and nothing else, where `before` is still its refresh token;
        False where it is not. No backup is kept, for a pair that was spent is of no use, and `etag` stays.

        A field of None goes. What stands behind a reference is replaced there, by `writer`, the refresh token first.

        Raises:
            ConfigInvalid: the file, or what became of it, does not parse or validate; nothing was written.
            ConfigUnavailable, SecretUnavailable: it can't be read, locked or written; the old pair is whole.
        """
        try:
            target = self._target()
            with locked(target.parent / ".config.lock", self._wait):
                clear_leftovers(target.parent, self._backups)
                return self._renew(target, profile_id, before, fields, writer)
        except OSError as error:
            raise self._unavailable("written", error) from error

    def _renew(
        self,
        target: Path,
        profile_id: str,
        before: Secret,
        fields: Mapping[str, str | int | None],
        writer: SecretWriter | None,
    ) -> bool:
        elsewhere: frozenset[str] = frozenset()
        for attempt in range(_TRIES):
            stamp, _, data = self._parsed(target)
            entries = entries_of(data, profile_id)
            if not attempt:
                if not entries or not _holds(entries[-1], before, writer):
                    return False
                elsewhere = _replace_references(entries[-1], fields, writer)
            for entry in entries:
                _replace_fields(entry, fields, elsewhere)
            validate(data)
            if self._replace(target, stamp, serialise(data)):
                return True
        raise self._restless()

    def _replace(self, target: Path, stamp: Stamp | None, raw: bytes) -> bool:
        return write_atomically(target, raw, still_due=lambda: stamp_of(target) == stamp)

    def _restless(self) -> ConfigUnavailable:
        return ConfigUnavailable(f"{self.path} keeps changing under the hands of another program. Nothing was changed.")

    def _update(self, target: Path, change: Change, if_match: str | None) -> Document:
        for _ in range(_TRIES):
            before = self._load(target)
            _check_match(before.document, if_match)
            raw = self._changed(before, change)
            if raw == serialise(before.document.data):
                return before.document
            if self._save(target, before, raw):
                return self._load(target).document
        raise self._restless()

    def _changed(self, before: _Loaded, change: Change) -> bytes:
        """The bytes to write: changed, whole, valid and judged."""
        data = deepcopy(before.document.data)
        change(data)
        validate(data)
        sync(before.document.data, data)
        self._judge(before.document.data, data)
        return serialise(data)

    def _judge(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Refuse what the next start would refuse, such as twin tokens, and destinations that are not allowed."""
        catalog = self._catalog or load_catalog()
        secrets = EnvironmentSecrets(self._environ, self.path.parent / ".env")
        snapshot = compile_snapshot(Document(after, ""), secrets, catalog, self._environ)
        judge_changes(validate(before), validate(after), snapshot.egress, catalog.normalise)

    def _save(self, target: Path, before: _Loaded, raw: bytes) -> bool:
        """Replace the file; False when it is no longer the one that was read."""
        if before.document.exists:
            self._back_up(before.raw)
        tighten(self.path.parent, self.path.name, own=is_own_home(self.path.parent, self._environ))
        return self._replace(target, before.stamp, raw)

    def _back_up(self, raw: bytes) -> None:
        make_private_directory(self._backups)
        moment = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        write_atomically(self._backups / f"{self.path.stem}-{moment}.json", raw)
        ours = re.compile(re.escape(self.path.stem) + r"-\d{8}T\d{6}\.\d{6}Z\.json")
        kept = sorted(entry for entry in self._backups.iterdir() if ours.fullmatch(entry.name))
        for old in kept[:-_BACKUPS]:
            old.unlink(missing_ok=True)

    def _load(self, target: Path) -> _Loaded:
        stamp, raw, data = self._parsed(target)
        if stamp is None:
            return _Loaded(Document({}, etag_of(b""), exists=False), b"", None)
        etag = etag_of(raw, data)
        warnings = (*privacy_warnings(self.path.parent, target), *merge(data))
        return _Loaded(Document(data, etag, warnings=warnings), raw, stamp)

    def _parsed(self, target: Path) -> tuple[Stamp | None, bytes, dict[str, Any]]:
        """The file's stamp, its bytes and what they say, before the mirrors are merged; no stamp where there is none.
        Raises as `read`."""
        try:
            stamp, raw = read_regular(target, _LARGEST)
        except FileNotFoundError:
            return None, b"", {}
        except OSError as error:
            raise self._unavailable("read", error) from error
        except ValueError as error:
            raise ConfigUnavailable(f"{self.path} can't be read: {error}.") from error
        data = parse(raw, str(self.path))
        validate(data, str(self.path))
        return stamp, raw, data

    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _unavailable(self, verb: str, error: OSError) -> ConfigUnavailable:
        repair = _REPAIRS.get(error.errno or 0, "see to it and try again")
        return ConfigUnavailable(f"{self.path} can't be {verb}: {error.strerror or error}. Repair: {repair}.")


def _holds(entry: Mapping[str, Any], before: Secret, writer: SecretWriter | None) -> bool:
    """Whether this profile's refresh token is the one that was presented: a person may have signed in anew."""
    said = entry.get("refresh")
    if not isinstance(said, str):
        return False
    ref = parse_reference(said)
    return (ref.place if ref.scheme == "literal" else _writer(writer).fresh(ref)) == before


def _replace_references(
    entry: Mapping[str, Any], fields: Mapping[str, str | int | None], writer: SecretWriter | None
) -> frozenset[str]:
    """Write the fields whose text is a reference to where it points; their names."""
    done: set[str] = set()
    # The refresh token first: with it and the old access token a sign-in is whole, the other way round it is not.
    for name in ("refresh", "access"):
        said, text = entry.get(name), fields.get(name)
        if not isinstance(said, str) or not isinstance(text, str):
            continue
        if (ref := parse_reference(said)).scheme != "literal":
            _writer(writer).put(ref, text)
            done.add(name)
    return frozenset(done)


def _replace_fields(entry: dict[str, Any], fields: Mapping[str, str | int | None], elsewhere: frozenset[str]) -> None:
    for name, value in fields.items():
        if name not in VOLATILE:
            raise AssertionError(f"{name!r} is no field that a renewal changes")
        if value is None:
            entry.pop(name, None)
        elif name not in elsewhere:
            entry[name] = value


def _writer(writer: SecretWriter | None) -> SecretWriter:
    if writer is None:
        raise ConfigUnavailable("A sign-in stands behind a reference that nothing here can write to.")
    return writer


def _check_match(document: Document, if_match: str | None) -> None:
    if if_match is not None and if_match != document.etag:
        raise ConfigConflict(
            "The config changed since you read it. Read it again and repeat your change.",
            details={"etag": document.etag},
        )
