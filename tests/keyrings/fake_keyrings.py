"""Keyrings as the `keyring` library finds them by PYTHON_KEYRING_BACKEND: one that works, and every way not to."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import InitError, KeyringLocked

MARK = "canary-of-a-keyring-9d41"


class _OnPurpose(KeyringBackend):
    """Never found by itself: a test that imports this must not give every other test a keyring."""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805 - a property of the class
        if "FAKE_KEYRING" not in os.environ:
            raise RuntimeError("nobody asked for it")
        return 10


class WorkingKeyring(_OnPurpose):
    """Keeps its entries in the file FAKE_KEYRING names, and counts in a file beside it how often it is read."""

    @property
    def _path(self) -> Path:
        return Path(os.environ["FAKE_KEYRING"])

    def get_password(self, service: str, username: str) -> str | None:
        with self._path.with_suffix(".reads").open("a") as reads:
            reads.write(f"{service}/{username}\n")
        return self._entries().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._save({**self._entries(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        entries = self._entries()
        del entries[f"{service}/{username}"]
        self._save(entries)

    def _entries(self) -> dict[str, str]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def _save(self, entries: dict[str, str]) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(entries))
        fresh.rename(self._path)


class ForgetfulKeyring(WorkingKeyring):
    """Takes everything and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class LockedKeyring(_OnPurpose):
    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"locked, says {MARK}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(f"locked, and got {password}")

    def delete_password(self, service: str, username: str) -> None:
        raise KeyringLocked("locked")


class UnopenedKeyring(LockedKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise InitError(f"no session, says {MARK}")


class StrangeKeyring(LockedKeyring):
    """Raises what no keyring is supposed to raise."""

    def get_password(self, service: str, username: str) -> str | None:
        raise ZeroDivisionError(f"a bus of our own broke, says {MARK}")


class HangingKeyring(LockedKeyring):
    """Waits for somebody to type a password, for ever."""

    def get_password(self, service: str, username: str) -> str | None:
        threading.Event().wait()
        return None

    set_password = get_password  # type: ignore[assignment] # it hangs all the same
