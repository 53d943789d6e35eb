"""The vault: secrets sealed in one file beside the config, each under its name and version (SPEC §3, §12).

A random data key seals the entries; a passphrase, a key, or both wrap it. The file as a whole carries a proof made with
that key, so that nothing in it can be changed, left out or put back alone without being noticed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec

from ..errors import ConfigUnavailable, SecretUnavailable
from ..values import Secret
from .atomic import clear_leftovers, write_atomically
from .lock import locked
from .privacy import make_private_directory
from .reading import Stamp, read_regular, stamp_of
from .sealing import KEY_BYTES, SealKey, Slot, proof_of, seal, unseal, unwrap, wrap
from .vault_keys import Asking, FoundKeys

__all__ = ["Vault", "vault_path"]

_LARGEST: Final = 8 * 1024 * 1024  # bytes
_LONGEST_SECRET: Final = 64 * 1024
_PREFIX: Final = ".vault-"
_ASKED_TIMES: Final = 3
#: Seconds before an opening that failed is tried again while the file is the same: a wrong passphrase costs half a
#: second of work each time.
_PAUSE: Final = 10.0


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    sealed: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file, whole. `id` is new with every new vault; `revision` counts its writes."""

    format: Literal["open-llm-auth vault"]
    version: Literal[1]
    id: str
    revision: int
    slots: tuple[Slot, ...]
    entries: dict[str, _Entry]
    proof: str


_DECODER: Final = msgspec.json.Decoder(_File)


@dataclass(frozen=True, slots=True)
class _Opened:
    """One reading of the file, proven, and the key to its entries."""

    stamp: Stamp | None
    file: _File = field(repr=False)
    data_key: bytes = field(repr=False)
    found: dict[str, Secret] = field(default_factory=dict, repr=False)


def vault_path(config: Path) -> Path:
    """Beside the config file; one that is not called config.json has a vault of its own."""
    config = config.absolute()
    return config.with_name("vault.json" if config.name == "config.json" else f"{config.stem}.vault.json")


class Vault:
    """Reads and writes one vault. `keys` looks for keys without asking; `ask` asks a person.

    Every method may block, `read` of an open vault for no longer than one `stat`. Threads may share it.
    """

    def __init__(
        self,
        path: Path,
        keys: Callable[[], FoundKeys],
        *,
        ask: Asking | None = None,
        wait: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._place = str(path)
        self.previous = path.with_name(path.name + ".previous")
        self._keys = keys
        self._ask = ask
        self._wait = wait
        self._monotonic = monotonic
        self._opening = threading.RLock()
        self._opened: _Opened | None = None
        self._failed: tuple[Stamp | None, float, SecretUnavailable] | None = None

    # --- reading ---

    def exists(self) -> bool:
        """Whether there is a vault.

        Raises:
            SecretUnavailable: it can't be looked at.
        """
        return self._stamp() is not None

    def read(self, name: str, *, waiting: bool = True) -> Secret:
        """The secret of that name. Without `waiting` a vault that is not open stays closed: opening takes a while.

        Raises:
            SecretUnavailable: it is not open, has no such entry, is damaged or missing.
        """
        opened = self._current() or self._open(waiting=waiting)
        secret = opened.found.get(name)
        if secret is None:
            secret = opened.found[name] = self._entry(opened, name)
        return secret

    def open(self) -> None:
        """Find the key and open it. One that could not be opened is left alone for a while.

        Raises:
            SecretUnavailable: there is no key, the wrong one, or the file is damaged or missing; the message tells.
        """
        if self._current() is None:
            self._open(waiting=True)

    def state(self) -> object:
        """Another value when the file has changed, or has been opened. Never raises."""
        opened = self._opened
        try:
            return self._stamp(), opened is not None
        except SecretUnavailable:
            return None

    def names(self) -> tuple[str, ...]:
        """What it holds. Raises as `open`."""
        opened = self._current() or self._open(waiting=True)
        return tuple(opened.file.entries)

    def slots(self) -> frozenset[str]:
        """What opens it: `passphrase`, `key`, or both; nothing where there is none. Needs no key.

        Raises:
            SecretUnavailable: it is damaged or can't be read.
        """
        return frozenset(slot.by for slot in self._load()[1].slots) if self.exists() else frozenset()

    def ask_no_more(self) -> None:
        """Nobody sits at the terminal from now on."""
        self._ask = None

    # --- writing ---

    def create(self, key: SealKey) -> None:
        """Make an empty one.

        Raises:
            SecretUnavailable: there is one already, or it can't be written.
        """
        with self._writing():
            if self.exists():
                raise SecretUnavailable(f"There is a vault at {self.path} already.")
            data_key, id_ = secrets.token_bytes(KEY_BYTES), secrets.token_hex(16)
            slot = wrap(data_key, key, _bound_slot(id_))
            self._write(_File("open-llm-auth vault", 1, id_, 0, (slot,), {}, ""), data_key)

    def update(self, changes: Mapping[str, Secret | None]) -> None:
        """Store secrets by name, and remove those that are None: all of them or none.

        Raises:
            SecretUnavailable: it can't be opened or written; the old one is whole.
        """
        for name, secret in changes.items():
            _check(name, secret)
        with self._writing():
            opened = self._open(waiting=True)
            entries = dict(opened.file.entries)
            for name, secret in changes.items():
                before = entries.pop(name, None)
                if secret is not None:
                    version = before.version + 1 if before is not None else opened.file.revision + 1
                    plain = secret.reveal().encode()
                    sealed = seal(opened.data_key, plain, _bound_entry(opened.file.id, name, version))
                    entries[name] = _Entry(version, sealed)
            self._write(msgspec.structs.replace(opened.file, entries=entries), opened.data_key)

    def add_key(self, key: SealKey) -> None:
        """Let `key` open it too, in place of another of its kind. Raises as `update`."""
        with self._writing():
            opened = self._open(waiting=True)
            others = tuple(slot for slot in opened.file.slots if slot.by != key.by)
            slot = wrap(opened.data_key, key, _bound_slot(opened.file.id))
            self._write(msgspec.structs.replace(opened.file, slots=(*others, slot)), opened.data_key)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock of the vault's writers. It is not the config's: who holds that one may write here, never the
        other way round."""
        try:
            make_private_directory(self.path.parent)
            with locked(self.path.with_name(f".{self.path.stem}.lock"), self._wait):
                clear_leftovers(self.path.parent, prefix=_PREFIX)
                yield
        except ConfigUnavailable as error:
            raise SecretUnavailable(error.message) from None
        except OSError as error:
            raise SecretUnavailable(
                f"The vault {self.path} can't be written: {error.strerror or 'the disk refuses'}. The old one is whole."
            ) from None

    def _write(self, file: _File, data_key: bytes) -> None:
        """Only under the lock. What is replaced is kept once, so that a slip can be taken back."""
        file = msgspec.structs.replace(file, revision=file.revision + 1)
        file = msgspec.structs.replace(file, proof=proof_of(data_key, _proven(file)))
        raw = msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"
        if len(raw) > _LARGEST:
            raise SecretUnavailable(f"{self.path} would grow beyond {_LARGEST:,} bytes. Nothing was changed.")
        if self.exists():
            write_atomically(self.previous, self._load()[2], prefix=_PREFIX)
        write_atomically(self.path, raw, prefix=_PREFIX)
        with self._opening:
            self._failed = None
            # A stamp that was never seen, so that the next reading is one of the file itself.
            self._opened = _Opened(None, file, data_key)

    # --- opening ---

    def _current(self) -> _Opened | None:
        """What is open, if the file is still the one that was opened."""
        opened, stamp = self._opened, self._stamp()
        return opened if opened is not None and stamp is not None and opened.stamp == stamp else None

    def _open(self, *, waiting: bool) -> _Opened:
        # One opens; who can't wait does not wait for that either.
        if not self._opening.acquire(blocking=waiting):
            raise self._closed()
        try:
            stamp, file, _ = self._load()
            before = self._opened
            if before is not None and _is_proven(file, before.data_key):
                self._opened = _Opened(stamp, file, before.data_key)
            elif self._failed is not None and self._failed[0] == stamp and self._monotonic() < self._failed[1]:
                raise self._failed[2]
            elif not waiting:
                raise self._closed()
            else:
                self._opened = self._opened_anew(stamp, file)
            return self._opened
        finally:
            self._opening.release()

    def _opened_anew(self, stamp: Stamp, file: _File) -> _Opened:
        try:
            return _Opened(stamp, file, self._data_key(file))
        except SecretUnavailable as error:
            self._failed = (stamp, self._monotonic() + _PAUSE, error)
            raise

    def _closed(self) -> SecretUnavailable:
        return SecretUnavailable(f"The vault {self.path} is not open yet.")

    def _data_key(self, file: _File) -> bytes:
        found = self._keys()
        for key in found.keys:
            data_key = _unwrapped(file, key)
            if data_key is not None:
                return self._proven(file, data_key)
        by_passphrase = any(slot.by == "passphrase" for slot in file.slots)
        if by_passphrase and self._ask is not None:
            return self._asked(file, self._ask)
        raise SecretUnavailable(self._unopened(found, by_passphrase=by_passphrase))

    def _asked(self, file: _File, ask: Asking) -> bytes:
        for _ in range(_ASKED_TIMES):
            passphrase = ask()
            if passphrase is None:
                raise SecretUnavailable(f"The vault {self.path} is sealed, and no passphrase was given.")
            data_key = _unwrapped(file, SealKey("passphrase", passphrase, "what was typed"))
            if data_key is not None:
                return self._proven(file, data_key)
        raise SecretUnavailable(self._wrong("what was typed"))

    def _proven(self, file: _File, data_key: bytes) -> bytes:
        if not _is_proven(file, data_key):
            raise self._damaged("it is not as the gateway wrote it")
        return data_key

    def _unopened(self, found: FoundKeys, *, by_passphrase: bool) -> str:
        if found.keys:
            return " ".join((self._wrong(" and ".join(key.origin for key in found.keys)), *found.faults))
        ways = "set OPEN_LLM_AUTH_SEAL_KEY_FILE or secrets.vault.keyFile to the file with its key"
        if by_passphrase:
            ways = (
                "start the gateway on a terminal, which asks for the passphrase, or set "
                "OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE to a file with it"
            )
        return " ".join((f"The vault {self.path} is sealed, and there is no key to it: {ways}.", *found.faults))

    def _wrong(self, origin: str) -> str:
        return (
            f"The vault {self.path} does not open with {origin}. It is not the key it was sealed with, or the part of "
            "the file that holds the key was damaged. Nothing was changed."
        )

    def _damaged(self, why: str) -> SecretUnavailable:
        repair = f" Put back the version before it: cp {self.previous} {self.path}" if self.previous.exists() else ""
        return SecretUnavailable(
            f"The vault {self.path} is damaged or was tampered with: {why}. Nothing was changed.{repair}"
        )

    def _entry(self, opened: _Opened, name: str) -> Secret:
        entry = opened.file.entries.get(name)
        if entry is None:
            raise SecretUnavailable(
                f"The vault {self.path} has no entry {name!r}.", details={"reference": f"vault:{name}"}
            )
        plain = unseal(opened.data_key, entry.sealed, _bound_entry(opened.file.id, name, entry.version))
        if plain is None:
            raise self._damaged(f"its entry {name!r} is not what was sealed there")
        return Secret(plain.decode())

    def _load(self) -> tuple[Stamp, _File, bytes]:
        try:
            stamp, raw = read_regular(self.path, _LARGEST)
        except FileNotFoundError:
            raise SecretUnavailable(
                f"There is no vault at {self.path}. Put it back from a backup; a new one is made with: open-llm-auth "
                "auth secure --vault"
            ) from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else f"{error}"
            raise SecretUnavailable(f"The vault {self.path} can't be read: {why}.") from None
        try:
            return stamp, _DECODER.decode(raw), raw
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._damaged("it is not a vault in a form that this release knows") from None

    def _stamp(self) -> Stamp | None:
        try:
            return stamp_of(self._place)
        except OSError as error:
            raise SecretUnavailable(f"The vault {self.path} can't be looked at: {error.strerror}.") from None


def _check(name: str, secret: Secret | None) -> None:
    if not name or not name.isprintable():
        raise SecretUnavailable(f"{name!r} is no name for an entry of the vault: 'vault:' is followed by a name.")
    if secret is not None and not 0 < len(secret.reveal()) <= _LONGEST_SECRET:
        raise SecretUnavailable(
            f"What is to be stored as {name!r} is empty, or longer than {_LONGEST_SECRET} characters."
        )


def _unwrapped(file: _File, key: SealKey) -> bytes | None:
    found = (unwrap(slot, key, _bound_slot(file.id)) for slot in file.slots)
    return next((data_key for data_key in found if data_key is not None), None)


def _is_proven(file: _File, data_key: bytes) -> bool:
    return secrets.compare_digest(proof_of(data_key, _proven(file)), file.proof)


def _proven(file: _File) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(file, proof=""), order="deterministic")


def _bound_slot(vault_id: str) -> bytes:
    return msgspec.json.encode(["open-llm-auth vault 1", vault_id, "slot"])


def _bound_entry(vault_id: str, name: str, version: int) -> bytes:
    return msgspec.json.encode(["open-llm-auth vault 1", vault_id, "entry", name, version])
