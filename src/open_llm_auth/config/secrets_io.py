"""Secret references resolved against the environment, the `.env` file, files and the slower stores (SPEC §3)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..auth.pointers import NotJSON, places_in, text_at
from ..errors import ConfigUnavailable, SecretUnavailable
from ..values import Secret, SecretRef
from .dotenv import DotEnv, parse_dotenv
from .paths import expand
from .reading import Stamp, read_regular, stamp_of
from .stores import SecretStores

__all__ = ["EnvironmentSecrets"]

#: Bytes; a secret is a line, a `.env` a page.
_LARGEST_SECRET: Final = 64 * 1024
_LARGEST_DOTENV: Final = 1024 * 1024
#: Bytes of a file that a pointer leads into, which holds many.
_LARGEST_STORE: Final = 1024 * 1024
#: Seconds that the last good secret of a store outlives a store that does not parse: its owner is writing it.
_PATIENCE: Final = 5.0
#: Nanoseconds. A file this young may change once more without its stamp showing it, so it is read again.
_UNSETTLED: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """A secret as last read. `stamp` is None where the file is to be read again all the same; `broken` is when it was
    first seen not to parse since."""

    stamp: Stamp | None
    secret: Secret
    broken: float | None = None


@dataclass(frozen=True, slots=True)
class _DotEnvState:
    stamp: Stamp | None = None
    content: DotEnv = field(default_factory=DotEnv)
    etag: str = ""
    warnings: tuple[str, ...] = ()


class EnvironmentSecrets:
    """A `SecretSource` over the process environment (which wins), a `.env` file and `file:` references.

    Literals cost nothing and a `file:` secret one `stat`. The `.env` is looked at again after `recheck` seconds. `now`
    is the clock that stamps files, in seconds since the epoch.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        dotenv: Path | None = None,
        *,
        recheck: float = 0.25,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        stores: SecretStores | None = None,
    ) -> None:
        """`stores` resolve what stands in a keyring, a password manager or the vault; without them that is refused."""
        self._environ = environ
        self._dotenv_path = dotenv
        self._stores = stores
        self._recheck = recheck
        self._monotonic = monotonic
        self._now = now
        self._dotenv = _DotEnvState()
        self._dotenv_due = float("-inf")
        #: the path and the pointer that the place of a `file:` reference means
        self._places: dict[str, tuple[str, str]] = {}
        self._files: dict[str, _Kept] = {}
        self._resolvers: Mapping[str, Callable[[SecretRef], Secret]] = {
            "literal": self._literal,
            "env": self._env,
            "file": self._file,
        }

    def get(self, ref: SecretRef) -> Secret:
        """The secret behind `ref`.

        Raises:
            SecretUnavailable: naming the reference and the repair, never a value.
        """
        if ref.scheme == "literal" and not ref.maybe_env:
            return ref.place
        resolve = self._resolvers.get(ref.scheme)
        if resolve is not None:
            return resolve(ref)
        if self._stores is None:
            raise _unavailable(ref, "references of that kind are not looked up here")
        return self._stores.get(ref)

    def environment(self, name: str) -> Secret | None:
        """A variable of the environment, else of the `.env`; None when unset or empty. Empty in the environment hides
        the `.env`'s, which never overrides."""
        text = self.variable(name)
        return Secret(text) if text else None

    def variable(self, name: str) -> str | None:
        """The same as plain text, for settings that are no secrets."""
        text = self._environ.get(name)
        if text is None:
            text = self._dotenv_now().content.values.get(name)
        return text or None

    def dotenv_etag(self) -> str:
        """What names this state of the `.env`; empty where there is none. Looks at the file now."""
        self._dotenv_due = float("-inf")
        return self._dotenv_now().etag

    def dotenv_warnings(self) -> tuple[str, ...]:
        """What is wrong with the `.env`, by line number."""
        return self._dotenv_now().warnings

    def _literal(self, ref: SecretRef) -> Secret:
        return self.environment(ref.place.reveal()) or ref.place

    def _env(self, ref: SecretRef) -> Secret:
        found = self.environment(ref.place.reveal())
        if found is None:
            raise _unavailable(ref, "the variable is not set; set it, or write it into the .env beside the config")
        return found

    def _file(self, ref: SecretRef) -> Secret:
        place = ref.place.reveal()
        path, pointer = self._places.get(place) or self._locate(ref, place)
        kept = self._files.get(place)
        try:
            if kept is not None and kept.stamp is not None and stamp_of(path) == kept.stamp:
                return kept.secret
            self._files[place] = kept = self._settled(_read_secret(path, pointer), kept)
        except NotJSON as error:
            self._files[place] = kept = self._outliving(ref, kept, error)
        except (OSError, ValueError) as error:
            self._places.pop(place, None)
            raise _unavailable(ref, _why(error)) from None
        return kept.secret

    def _settled(self, fresh: _Kept, before: _Kept | None) -> _Kept:
        """`fresh` as it is kept: the same object where it is the same secret, and without a stamp while its file is so
        young that the next change might not show."""
        young = fresh.stamp is not None and abs(self._now() * 1e9 - fresh.stamp[0]) < _UNSETTLED
        secret = before.secret if before is not None and before.secret == fresh.secret else fresh.secret
        return _Kept(None if young else fresh.stamp, secret)

    def _outliving(self, ref: SecretRef, kept: _Kept | None, error: NotJSON) -> _Kept:
        """The last good secret of a store that does not parse now, for a while, to be looked for again each time."""
        now = self._monotonic()
        since = now if kept is None or kept.broken is None else kept.broken
        if kept is None or now - since > _PATIENCE:
            raise _unavailable(ref, f"{error}") from None
        return replace(kept, stamp=None, broken=since)

    def _locate(self, ref: SecretRef, place: str) -> tuple[str, str]:
        """What `place` means: a file of that very name where there is one, else a file and a pointer into it."""
        if not place.startswith(("/", "~/")):
            raise _unavailable(ref, "the path must be absolute, or begin with ~/")
        try:
            ways = [(str(expand(path, self._environ)), pointer) for path, pointer in places_in(place)]
        except ConfigUnavailable as error:
            raise _unavailable(ref, error.message) from None
        way = next(((path, pointer) for path, pointer in ways if _is_there(path)), None)
        if way is None:
            return ways[-1]  # reading it tells what is wrong
        self._places[place] = way
        return way

    def _dotenv_now(self) -> _DotEnvState:
        now = self._monotonic()
        if self._dotenv_path is not None and now >= self._dotenv_due:
            self._dotenv_due = now + self._recheck
            self._dotenv = _reread(self._dotenv_path, self._dotenv)
        return self._dotenv


def _is_there(path: str) -> bool:
    try:
        return stamp_of(path) is not None
    except (OSError, ValueError):
        return False


def _read_secret(path: str, pointer: str) -> _Kept:
    """Raises OSError or ValueError: there is no secret in it."""
    stamp, raw = read_regular(path, _LARGEST_STORE if pointer else _LARGEST_SECRET)
    if pointer:
        return _Kept(stamp, Secret(text_at(raw, pointer)))
    text = raw.decode()
    secret = Secret(text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text)
    if not secret:
        raise ValueError("it is empty")
    return _Kept(stamp, secret)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"  # the error's own text quotes a byte of it
    return f"{error.strerror}" if isinstance(error, OSError) else f"{error}"


def _reread(path: Path, before: _DotEnvState) -> _DotEnvState:
    """The state of `path` now. One that can't be read leaves the variables as they were: nothing is lost by a slip."""
    try:
        stamp = stamp_of(path)
        if stamp is None:
            return _DotEnvState()
        if stamp == before.stamp:
            return before
        stamp, raw = read_regular(path, _LARGEST_DOTENV)
        content = parse_dotenv(raw.decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        warning = f"{path} can't be read: {_why(error)}."
        return _DotEnvState(None, before.content, before.etag, (warning,))
    warnings = tuple(f"{path}: {fault}." for fault in content.faults)
    return _DotEnvState(stamp, content, hashlib.sha256(raw).hexdigest(), warnings)


def _unavailable(ref: SecretRef, why: str) -> SecretUnavailable:
    return SecretUnavailable(f"The secret {ref.label!r} can't be resolved: {why}.", details={"reference": ref.label})
