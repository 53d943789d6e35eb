"""The keyring of the operating system, through the `keyring` library (SPEC §3): `keyring:service/name`.

Every call may block for as long as a person takes to unlock it, or for ever: only `SlowSecrets` makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ..auth.pointers import places_in, text_at
from ..errors import SecretUnavailable
from ..values import Secret, SecretRef
from .slow_secrets import unavailable

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

__all__ = ["OsKeyring"]

_ELSEWHERE: Final = "or seal the secrets in a file instead ('open-llm-auth auth secure --vault' does)"
_LATE: Final = (
    "the keyring does not answer, so it is locked or waits for somebody: unlock it (sign in to the desktop, or open "
    f"its own program), {_ELSEWHERE}"
)
_ABSENT: Final = (
    "this machine has no keyring that can be used, as is usual without a desktop: sign in to a desktop that has one, "
    f"{_ELSEWHERE}"
)
_LOCKED: Final = (
    f"the keyring is locked: unlock it (sign in to the desktop, or open its own program) and try again, {_ELSEWHERE}"
)
_NOT_OPENED: Final = f"the keyring can't be opened: see that somebody is signed in to the desktop, {_ELSEWHERE}"
_NO_KEYRINGS: Final = ("keyring.backends.fail", "keyring.backends.null")


class OsKeyring:
    """Reads, writes and removes entries of whatever keyring this user has."""

    late: Final = _LATE

    def read(self, ref: SecretRef) -> Secret | None:
        """The secret at `service/name`, or the part of it that a pointer (`#/…`) names; None where there is nothing.

        Raises:
            SecretUnavailable: there is no keyring, it is locked, or the place is malformed.
        """
        backend = self._backend(ref)
        for place, pointer in places_in(ref.place.reveal()):
            service, name = _parts(ref, place)
            with _translated(ref):
                text = backend.get_password(service, name)
            if text is not None:
                return self._pointed(ref, text, pointer)
        return None

    def write(self, ref: SecretRef, secret: Secret) -> None:
        """Store it. Raises SecretUnavailable as `read`."""
        backend = self._backend(ref)
        service, name = _parts(ref, ref.place.reveal())
        with _translated(ref):
            backend.set_password(service, name, secret.reveal())

    def remove(self, ref: SecretRef) -> None:
        """Remove it, if it is there. Raises SecretUnavailable as `read`."""
        backend = self._backend(ref)
        service, name = _parts(ref, ref.place.reveal())
        with _translated(ref):
            if backend.get_password(service, name) is not None:
                backend.delete_password(service, name)

    def name(self) -> str:
        """What this machine's keyring calls itself.

        Raises:
            SecretUnavailable: there is none.
        """
        return self._backend(None).name

    def _backend(self, ref: SecretRef | None) -> KeyringBackend:
        # Late: it takes a tenth of a second, and looks over the whole environment for keyrings.
        import keyring

        with _translated(ref):
            backend = keyring.get_keyring()
        if type(backend).__module__ in _NO_KEYRINGS:
            raise _refusal(ref, _ABSENT)
        return backend

    def _pointed(self, ref: SecretRef, text: str, pointer: str) -> Secret | None:
        if not pointer:
            return Secret(text) if text else None
        try:
            return Secret(text_at(text.encode(), pointer))
        except ValueError as error:
            raise unavailable(ref, f"{error}") from None


def _parts(ref: SecretRef, place: str) -> tuple[str, str]:
    service, slash, name = place.partition("/")
    if not (service and slash and name):
        raise unavailable(ref, "write it as keyring:service/name")
    return service, name


@contextmanager
def _translated(ref: SecretRef | None) -> Iterator[None]:
    """What the library raises, by its class alone: the words are the backend's own, and may say anything."""
    from keyring import errors

    try:
        yield
    except errors.KeyringError as error:
        found = next((words for kind, words in _words(errors) if isinstance(error, kind)), None)
        raise _refusal(ref, found or f"the keyring refuses ({type(error).__name__})") from None


def _words(errors: object) -> Iterator[tuple[type[Exception], str]]:
    for kind, words in _WORDS.items():
        yield getattr(errors, kind), words


_WORDS: Final[Mapping[str, str]] = {
    "KeyringLocked": _LOCKED,
    "NoKeyringError": _ABSENT,
    "InitError": _NOT_OPENED,
    "PasswordSetError": "the keyring does not take it; it may be locked, full or read-only",
}


def _refusal(ref: SecretRef | None, why: str) -> SecretUnavailable:
    return SecretUnavailable(f"{why[:1].upper()}{why[1:]}.") if ref is None else unavailable(ref, why)
