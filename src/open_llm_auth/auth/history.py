"""What each credential did last: when it answered, what it failed with, what its provider told of its limits.

For people to read; nothing is decided by it. In memory, per credential, bounded (SPEC §5).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

from ..ports import Clock
from ..values import Credential, Fault, Headers
from .kept import Kept, KeptCredential, LastError
from .limits import Told, read_limits
from .marks import account_mark

__all__ = ["History"]

_MOST_CREDENTIALS: Final = 1024
#: Seconds. A busy credential is looked at so often and no oftener.
_PAUSE: Final = 1.0
_LONGEST_MESSAGE: Final = 200
_LONGEST_CODE: Final = 80
#: Where the provider's own words are about the credential. Others may quote a prompt.
_ABOUT_CREDENTIAL: Final = frozenset({"auth", "billing", "rate_limit"})


@dataclass(slots=True)
class _Entry:
    mark: str
    used: float = 0.0
    error: LastError | None = None
    told: Told | None = None
    #: monotonic: when a use and a head were last looked at
    use_seen: float = -inf
    head_seen: float = -inf
    fresh: bool = False


class History:
    """One for the process. A credential that was looked at less than a second ago costs one look into a table."""

    def __init__(self, clock: Clock, salt: bytes = b"") -> None:
        self._clock = clock
        self._salt = salt
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._pressing = False

    def used(self, credential: Credential) -> None:
        """It has answered well."""
        now = self._clock.monotonic()
        entry = self._entries.get((credential.provider, credential.id))
        if entry is not None and now - entry.use_seen < _PAUSE:
            return
        entry = self._entry(credential)
        entry.use_seen, entry.used, entry.fresh = now, self._clock.now(), True

    def heard(self, credential: Credential, headers: Headers, *, refused: bool = False) -> None:
        """An answer has begun with these headers. One that is `refused` tells of limits what the next one may not."""
        now = self._clock.monotonic()
        entry = self._entries.get((credential.provider, credential.id))
        if entry is not None and now - entry.head_seen < _PAUSE and not refused:
            return
        entry = self._entry(credential)
        entry.head_seen = now
        told = read_limits(headers, self._clock.now())
        if told is not None:
            entry.told, entry.fresh = told, True

    def failed(self, credential: Credential, fault: Fault) -> None:
        """It has failed, or its provider has; what only the request was at fault for is not kept."""
        if fault.kind != "rejected":
            entry = self._entry(credential)
            entry.error, entry.fresh = _last_error(fault, self._clock.now()), True
            self._pressing = True

    def changes(self) -> Kept:
        """What changed since the last time."""
        self._pressing = False
        found = {}
        for (provider, credential), entry in self._entries.items():
            if entry.fresh:
                entry.fresh = False
                found[entry.mark] = KeptCredential(
                    provider, credential, used=entry.used, error=entry.error, told=entry.told
                )
        return Kept(found)

    @property
    def pressing(self) -> bool:
        """Whether something failed since the last time; all else can wait for it."""
        return self._pressing

    def restart(self, salt: bytes) -> None:
        """Forget everything: by another salt every credential is another."""
        self._salt = salt
        self._entries.clear()

    def _entry(self, credential: Credential) -> _Entry:
        key, mark = (credential.provider, credential.id), account_mark(self._salt, credential)
        entry = self._entries.get(key)
        if entry is None or entry.mark != mark:
            self._entries.pop(key, None)
            if len(self._entries) >= _MOST_CREDENTIALS:
                del self._entries[next(iter(self._entries))]
            entry = self._entries[key] = _Entry(mark)
        return entry


def _last_error(fault: Fault, now: float) -> LastError:
    error = fault.error
    code = str(error.details.get("upstreamCode") or error.code)[:_LONGEST_CODE]
    message = " ".join(error.message.split()) if fault.kind in _ABOUT_CREDENTIAL else _SENTENCES.get(fault.kind, "")
    return LastError(now, fault.kind, code, fault.status or error.status, message[:_LONGEST_MESSAGE])


_SENTENCES: Final = {
    "denied": "The provider refused this model, region or request to the credential.",
    "overloaded": "The provider was overloaded.",
    "server": "The provider failed.",
    "invalid": "The provider's answer was not one.",
    "unreachable": "The provider could not be reached.",
    "timeout": "The provider did not answer in time.",
}
