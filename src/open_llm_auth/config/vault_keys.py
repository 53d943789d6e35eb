"""Where the key of the vault is looked for (SPEC §12): the environment, a file, and a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import ConfigUnavailable
from ..values import Secret
from .paths import expand
from .reading import read_regular
from .sealing import SealKey, check_key

__all__ = ["Asking", "FoundKeys", "find_keys", "read_key_file"]

_KEY: Final = "OPEN_LLM_AUTH_SEAL_KEY"
_KEY_FILE: Final = "OPEN_LLM_AUTH_SEAL_KEY_FILE"
_PASSPHRASE_FILE: Final = "OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE"
_LARGEST: Final = 64 * 1024

#: Asks a person for the passphrase; None when there is none to ask, or when they gave up.
Asking = Callable[[], Secret | None]


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """`faults` are sentences about the places that are named and hold no key."""

    keys: tuple[SealKey, ...]
    faults: tuple[str, ...] = ()


def find_keys(environ: Mapping[str, str], key_file: str | None) -> FoundKeys:
    """Every key that the environment and the config (`secrets.vault.keyFile`) give, without asking anybody."""
    keys: list[SealKey] = []
    faults: list[str] = []
    if text := environ.get(_KEY, "").strip():
        _add(keys, faults, SealKey("key", Secret(text), _KEY))
    named = ((_KEY_FILE, environ.get(_KEY_FILE, "")), ("secrets.vault.keyFile", key_file or ""))
    for origin, place in named:
        if place.strip():
            _from_file(keys, faults, SealKey("key", Secret(""), origin), place.strip(), environ)
    if place := environ.get(_PASSPHRASE_FILE, "").strip():
        _from_file(keys, faults, SealKey("passphrase", Secret(""), _PASSPHRASE_FILE), place, environ)
    return FoundKeys(tuple(keys), tuple(faults))


def read_key_file(path: Path) -> Secret:
    """The text of a key file, without white space around it.

    Raises:
        OSError, ValueError: it can't be read, or is no text.
    """
    _, raw = read_regular(path, _LARGEST)
    try:
        return Secret(raw.decode().strip())
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def _from_file(keys: list[SealKey], faults: list[str], bare: SealKey, place: str, environ: Mapping[str, str]) -> None:
    try:
        text = read_key_file(expand(place, environ))
    except ConfigUnavailable as error:
        faults.append(f"{bare.origin}: {error.message}")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{error}"
        faults.append(f"{bare.origin} names {place!r}, which can't be read: {why}.")
    else:
        _add(keys, faults, SealKey(bare.by, text, f"{bare.origin} ({place})"))


def _add(keys: list[SealKey], faults: list[str], key: SealKey) -> None:
    if not key.text:
        faults.append(f"{key.origin} is empty.")
    elif key.by == "key" and (wrong := check_key(key.text)):
        faults.append(f"{key.origin} is too short: {wrong}.")
    else:
        keys.append(key)
