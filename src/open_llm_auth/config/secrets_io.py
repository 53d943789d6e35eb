"""Secret references resolved against the environment, the `.env` file and files (SPEC §3)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import ConfigUnavailable, SecretUnavailable
from ..values import Secret, SecretRef
from .dotenv import DotEnv, parse_dotenv
from .paths import expand
from .reading import Stamp, read_regular, stamp_of

__all__ = ["EnvironmentSecrets"]

#: Bytes; a secret is a line, a `.env` a page.
_LARGEST_SECRET: Final = 64 * 1024
_LARGEST_DOTENV: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: Stamp
    secret: Secret


@dataclass(frozen=True, slots=True)
class _DotEnvState:
    stamp: Stamp | None = None
    content: DotEnv = field(default_factory=DotEnv)
    etag: str = ""
    warnings: tuple[str, ...] = ()


class EnvironmentSecrets:
    """A `SecretSource` over the process environment (which wins), a `.env` file and `file:` references.

    Literals cost nothing and a `file:` secret one `stat`. The `.env` is looked at again after `recheck` seconds.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        dotenv: Path | None = None,
        *,
        recheck: float = 0.25,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environ = environ
        self._dotenv_path = dotenv
        self._recheck = recheck
        self._monotonic = monotonic
        self._dotenv = _DotEnvState()
        self._dotenv_due = float("-inf")
        self._paths: dict[str, str] = {}
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
        if resolve is None:
            raise _unavailable(ref, "this release does not resolve references of that kind yet; use env: or file:")
        return resolve(ref)

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
        path = self._paths.get(place) or self._path(ref, place)
        kept = self._files.get(path)
        try:
            if kept is not None and stamp_of(path) == kept.stamp:
                return kept.secret
            self._files[path] = kept = _read_secret(path)
        except (OSError, ValueError) as error:
            raise _unavailable(ref, _why(error)) from None
        return kept.secret

    def _path(self, ref: SecretRef, place: str) -> str:
        if not place.startswith(("/", "~/")):
            raise _unavailable(ref, "the path must be absolute, or begin with ~/")
        try:
            path = str(expand(place, self._environ))
        except ConfigUnavailable as error:
            raise _unavailable(ref, error.message) from None
        self._paths[place] = path
        return path

    def _dotenv_now(self) -> _DotEnvState:
        now = self._monotonic()
        if self._dotenv_path is not None and now >= self._dotenv_due:
            self._dotenv_due = now + self._recheck
            self._dotenv = _reread(self._dotenv_path, self._dotenv)
        return self._dotenv


def _read_secret(path: str) -> _Kept:
    """Raises OSError or ValueError: there is no secret in it."""
    stamp, raw = read_regular(path, _LARGEST_SECRET)
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
