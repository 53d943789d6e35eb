"""The config in force: one snapshot, swapped whole when the file or the `.env` changes for the better (SPEC §3)."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..errors import ConfigInvalid, ConfigUnavailable, GatewayError, InternalError
from ..provider_catalog import Catalog, load_catalog
from ..values import ConfigFault, Snapshot
from .compile import compile_snapshot
from .document import Document
from .file import ConfigFile
from .model import SecretsSection
from .privacy import privacy_warnings
from .reading import Stamp
from .secret_places import references_of
from .secrets_io import EnvironmentSecrets
from .stores import SecretStores

__all__ = ["LiveConfig"]

#: Nanoseconds. A file this young may change once more without its stamp showing it, so it is read again.
_UNSETTLED: Final = 50_000_000
#: Seconds that a config waits for what it newly names of a keyring or a password manager; the one before stays in force
#: meanwhile. What is not there by then is passed over until it is.
_WARMING: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was there when the files were last looked at. `stamp` is None for no file; `stores` changes when a secret of
    a keyring, a password manager or the vault has become another."""

    stamp: Stamp | None
    dotenv: str
    settled: bool
    stores: object


def _ignore(_: str) -> None:
    """For those who keep no log."""


class LiveConfig:
    """A `ConfigSource` over one file. `load` once, then `watch`; `check` before an answer that must see a change.

    `secrets` resolves against the same environment and `.env`, and against `stores`; `file` reads and changes the
    document. `on_event` hears one line when a fault begins, when it ends, and for every warning that a change brought;
    it is called by the thread that checks and must be quick.
    """

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str],
        *,
        catalog: Catalog | None = None,
        now: Callable[[], float] = time.time,
        interval: float = 0.5,
        on_event: Callable[[str], object] = _ignore,
        stores: SecretStores | None = None,
    ) -> None:
        self._environ = environ
        self._catalog = catalog or load_catalog()
        self._now = now
        self._interval = interval
        self._on_event = on_event
        self._dotenv = path.absolute().parent / ".env"
        self.file = ConfigFile(path, environ=environ, catalog=self._catalog)
        self.stores = stores or SecretStores(path, environ)
        self.secrets = EnvironmentSecrets(environ, self._dotenv, stores=self.stores)
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._fault: ConfigFault | None = None
        self._seen: _Seen | None = None
        self._existed = False

    def current(self) -> Snapshot:
        """The snapshot in force.

        Raises:
            InternalError: nothing was loaded yet.
        """
        if self._snapshot is None:
            raise InternalError("The config was asked for before it was loaded.")
        return self._snapshot

    def fault(self) -> ConfigFault | None:
        """Why the newest file is not in force; None when it is."""
        return self._fault

    def load(self) -> Snapshot:
        """The first snapshot; that of an empty config where there is no file yet.

        Raises:
            ConfigInvalid: the file does not parse, validate or compile.
            ConfigUnavailable: it can't be read.
        """
        with self._lock:
            return self._reload(self._look())

    def check(self) -> bool:
        """Look at the files; True when a new snapshot came into force. A fault is recorded, and the last good snapshot
        stays. Blocks for as long as the reading takes."""
        with self._lock:
            before = self._snapshot
            try:
                self.stores.look()
                seen = self._look()
                if self._fault is not None or seen != self._seen or not seen.settled:
                    self._reload(seen)
            except GatewayError as error:
                self._record(error)
            return self._snapshot is not before

    async def watch(self) -> None:
        """Check every half second until cancelled, off the event loop."""
        while True:
            await asyncio.sleep(self._interval)
            await asyncio.to_thread(self.check)

    def _look(self) -> _Seen:
        stamp = self.file.stamp()
        # A time well ahead of the clock is as settled as an old one, or such a file would be read for ever.
        young = stamp is not None and abs(self._now() * 1e9 - stamp[0]) < _UNSETTLED
        return _Seen(stamp, self.secrets.dotenv_etag(), not young, self.stores.generation())

    def _reload(self, seen: _Seen) -> Snapshot:
        # remembered before the reading, so that what changes during it shows at the next look
        self._seen = seen
        document = self.file.read()
        if self._existed and not document.exists:
            raise ConfigUnavailable(
                f"{self.file.path} has vanished. Put it back; backups are in {self.file.path.parent / 'backups'}."
            )
        self._warm(document)
        self._seen = replace(seen, stores=self.stores.generation())
        snapshot = self._compiled(document, seen)
        before, fault = self._snapshot, self._fault
        if before is None or snapshot != before:
            self._snapshot = snapshot
        self._existed = document.exists
        self._fault = None
        if before is not None:
            self._tell_change(before, snapshot, fault)
        return self.current()

    def _warm(self, document: Document) -> None:
        """Have at hand what no call may wait for."""
        self.stores.configure(SecretsSection.model_validate(document.data.get("secrets") or {}))
        self.stores.warm(references_of(document.data), _WARMING)
        self.stores.renew()

    def _tell_change(self, before: Snapshot, now: Snapshot, fault: ConfigFault | None) -> None:
        if fault is not None:
            self._on_event("the config is in force again")
        for warning in now.warnings:
            if warning not in before.warnings:
                self._on_event(f"warning: {warning}")

    def _compiled(self, document: Document, seen: _Seen) -> Snapshot:
        snapshot = compile_snapshot(document, self.secrets, self._catalog, self._environ)
        warnings = (*snapshot.warnings, *self.secrets.dotenv_warnings(), *privacy_warnings(None, self._dotenv))
        return replace(snapshot, etag=_joined(document.etag, seen.dotenv), warnings=warnings)

    def _record(self, error: GatewayError) -> None:
        if self._fault is None or self._fault.message != error.message:
            path = error.param if isinstance(error, ConfigInvalid) else None
            self._fault = ConfigFault(error.message, path, self._now())
            self._on_event(f"config fault, so the last good config stays in force: {error.message}")


def _joined(document: str, dotenv: str) -> str:
    return hashlib.sha256(f"{document} {dotenv}".encode()).hexdigest()[:32] if dotenv else document
