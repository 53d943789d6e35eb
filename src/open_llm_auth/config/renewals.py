"""What processes share of a renewal (SPEC §5, Refresh): a lease that dies with its holder, a durable note beside the
config, and the sign-in itself in the config file: the port `SignInStore`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from ..auth.secrets import parse_reference
from ..errors import ConfigUnavailable
from ..ports import SecretWriter
from ..values import RenewalNote, RenewalState, Secret, SignedIn
from .atomic import clear_leftovers, write_atomically
from .lock import try_lock
from .model import validate
from .privacy import make_private_directory
from .reading import read_regular
from .source import LiveConfig

__all__ = ["FileLease", "FileSignIns"]

_FOLDER: Final = "renewals"
_LARGEST: Final = 64 * 1024  # bytes


class _Row(msgspec.Struct, rename="camel"):
    """A note as it stands on disk."""

    profile: str
    token: str
    state: RenewalState
    at: float
    presented: int = 0
    again: bool = False
    failures: int = 0
    not_before: float = 0.0
    error: str = ""
    code: str = ""
    spent: str = ""


class FileLease:
    """A lock on a file, which the system drops when its holder ends, however that ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


class FileSignIns:
    """Sign-ins that stand in the config file. `writer` replaces those whose texts stand behind a reference."""

    def __init__(self, live: LiveConfig, writer: SecretWriter | None = None) -> None:
        self._live = live
        self._writer = writer
        self._folder = live.file.path.parent / _FOLDER

    def read(self, profile_id: str) -> SignedIn | None:
        model = validate(self._live.file.read().data)
        self._live.check()
        entry = model.auth_profiles.get(profile_id)
        if entry is None or entry.type != "oauth" or not entry.access or not entry.refresh:
            return None
        return SignedIn(
            self._secret(entry.access),
            self._secret(entry.refresh),
            entry.expires,
            entry.account_id,
            entry.metadata or {},
        )

    def store(self, profile_id: str, before: Secret, fields: Mapping[str, str | int | None]) -> bool:
        stored = self._live.file.renew(profile_id, before, fields, self._writer)
        self._live.check()
        return stored

    def try_lease(self, profile_id: str) -> FileLease | None:
        path = self._place(profile_id, "lock")
        try:
            make_private_directory(self._folder)
            descriptor = try_lock(path)
        except OSError as error:
            raise _unavailable(path, "locked", error) from error
        return None if descriptor is None else FileLease(descriptor)

    def note(self, profile_id: str) -> RenewalNote | None:
        path = self._place(profile_id, "json")
        try:
            _, raw = read_regular(path, _LARGEST)
            note = RenewalNote(**msgspec.structs.asdict(msgspec.json.decode(raw, type=_Row)))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(path, "read", error) from error
        except (ValueError, msgspec.MsgspecError) as error:
            raise ConfigUnavailable(f"{path} is not what it should be ({error}). Repair: remove it.") from None
        return note if note.profile == profile_id else None

    def write_note(self, note: RenewalNote) -> None:
        path = self._place(note.profile, "json")
        prefix = f".{path.stem}-"
        try:
            clear_leftovers(self._folder, prefix=prefix)
            write_atomically(path, msgspec.json.encode(_Row(**asdict(note))), prefix=prefix)
        except OSError as error:
            raise _unavailable(path, "written", error) from error

    def _place(self, profile_id: str, ending: str) -> Path:
        # Profile ids are people's words, with any character in them.
        return self._folder / f"{hashlib.sha256(profile_id.encode()).hexdigest()[:32]}.{ending}"

    def _secret(self, text: str) -> Secret:
        ref = parse_reference(text)
        if ref.scheme == "literal":
            return ref.place
        if ref.scheme in ("keyring", "vault") and self._writer is not None:
            return self._writer.fresh(ref)
        return self._live.secrets.get(ref)


def _unavailable(path: Path, verb: str, error: OSError) -> ConfigUnavailable:
    return ConfigUnavailable(f"{path} can't be {verb}: {error.strerror or error}.")
