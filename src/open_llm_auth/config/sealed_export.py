"""Profiles sealed with a passphrase, to be taken to another machine or kept as a backup (`auth export`)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from ..errors import ConfigInvalid, SecretUnavailable
from ..values import Secret
from .sealing import KEY_BYTES, SealKey, Slot, seal, unseal, unwrap, wrap

__all__ = ["LARGEST_EXPORT", "Export", "is_sealed_export", "read_sealed_export", "write_sealed_export"]

LARGEST_EXPORT: Final = 16 * 1024 * 1024  # bytes
_BOUND: Final = b"open-llm-auth export 1"
_MARK: Final = b'"open-llm-auth export"'


@dataclass(frozen=True, slots=True)
class Export:
    """Profiles as the config has them, and the orders that name them."""

    profiles: Mapping[str, Mapping[str, Any]] = field(repr=False)
    order: Mapping[str, Sequence[str]]


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["open-llm-auth export"]
    version: Literal[1]
    slot: Slot
    sealed: str


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profiles: dict[str, dict[str, Any]]
    order: dict[str, list[str]]


def write_sealed_export(export: Export, passphrase: Secret) -> bytes:
    """The file that holds `export`. Only `passphrase` opens it."""
    key = secrets.token_bytes(KEY_BYTES)
    content = _Content(
        {id_: dict(profile) for id_, profile in export.profiles.items()},
        {provider: list(order) for provider, order in export.order.items()},
    )
    slot = wrap(key, SealKey("passphrase", passphrase, "the passphrase"), _BOUND)
    sealed = seal(key, msgspec.json.encode(content), _BOUND)
    return msgspec.json.format(msgspec.json.encode(_Sealed("open-llm-auth export", 1, slot, sealed)), indent=1) + b"\n"


def is_sealed_export(raw: bytes) -> bool:
    """Whether it looks like one, whole or not."""
    return _MARK in raw[:200]


def read_sealed_export(raw: bytes, passphrase: Secret) -> Export:
    """What `write_sealed_export` sealed.

    Raises:
        ConfigInvalid: it is no sealed export, or not in a form that this release knows.
        SecretUnavailable: the passphrase is another one, or the file was changed.
    """
    try:
        file = msgspec.json.decode(raw, type=_Sealed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigInvalid(
            "That is no sealed export of this program, or it is damaged. One is made with: open-llm-auth auth export"
        ) from None
    key = unwrap(file.slot, SealKey("passphrase", passphrase, "the passphrase"), _BOUND)
    plain = None if key is None else unseal(key, file.sealed, _BOUND)
    if plain is None:
        raise SecretUnavailable(
            "The export does not open: that is not its passphrase, or the file was changed. Nothing was imported."
        )
    return _content(plain)


def _content(plain: bytes) -> Export:
    try:
        content = msgspec.json.decode(plain, type=_Content)
    except msgspec.DecodeError:
        raise ConfigInvalid("What the export holds is not in a form that this release knows.") from None
    return Export(content.profiles, content.order)
