"""Sealing: AES-256-GCM under a random key, which a passphrase (scrypt) or a key (HKDF-SHA256) wraps. Knows no files."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from ..values import Secret

__all__ = [
    "KEY_BYTES",
    "SealKey",
    "Slot",
    "check_key",
    "check_passphrase",
    "proof_of",
    "seal",
    "unseal",
    "unwrap",
    "wrap",
]

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 16

#: scrypt as OWASP advises: 128 MiB and about half a second for each guess.
_N: Final = 2**17
_R: Final = 8
_P: Final = 1
#: A file says what it was made with; what says more than this wants to use up the machine.
_MOST_N: Final = 2**20
_MOST_R: Final = 8
_MOST_P: Final = 4

_SHORTEST_PASSPHRASE: Final = 8
_SHORTEST_KEY: Final = 16
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?")

By = Literal["passphrase", "key"]


@dataclass(frozen=True, slots=True)
class SealKey:
    """What opens a seal: a passphrase, which is stretched, or a key, which is long enough not to need it. `origin` says
    where it comes from, for messages."""

    by: By
    text: Secret
    origin: str


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A wrapped key as it stands in a file. `n`, `r` and `p` are scrypt's, of a passphrase alone."""

    by: By
    salt: str
    sealed: str
    n: int = 0
    r: int = 0
    p: int = 0


def check_passphrase(passphrase: Secret) -> str | None:
    """What is wrong with a new passphrase; None when nothing is."""
    if len(passphrase.reveal()) < _SHORTEST_PASSPHRASE:
        return f"a passphrase has at least {_SHORTEST_PASSPHRASE} characters; several words are better"
    return None


def check_key(key: Secret) -> str | None:
    """What is wrong with a key; None when nothing is."""
    if len(key.reveal()) < _SHORTEST_KEY:
        return f"a key has at least {_SHORTEST_KEY} characters; 32 random bytes in base64 are best"
    return None


def seal(key: bytes, plain: bytes, bound: bytes) -> str:
    """`plain` under `key`, as base64 of nonce and ciphertext. It opens only with the same `bound`, which says what it
    is and where it belongs."""
    # Late: only who has something sealed pays for it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, bound)).decode("ascii")


def unseal(key: bytes, sealed: str, bound: bytes) -> bytes | None:
    """What was sealed; None where it is not what `key` sealed under `bound`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    raw = _decoded(sealed)
    if raw is None or len(raw) <= _NONCE_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
    except InvalidTag:
        return None


def wrap(data_key: bytes, key: SealKey, bound: bytes) -> Slot:
    """A slot from which `key` gives `data_key` back."""
    salt = os.urandom(_SALT_BYTES)
    bare = Slot(key.by, base64.b64encode(salt).decode("ascii"), "")
    if key.by == "passphrase":
        bare = msgspec.structs.replace(bare, n=_N, r=_R, p=_P)
    return msgspec.structs.replace(bare, sealed=seal(_stretched(bare, salt, key), data_key, bound + _terms(bare)))


def unwrap(slot: Slot, key: SealKey, bound: bytes) -> bytes | None:
    """The key in `slot`; None where `key` is not the one, or the slot is not as it was made."""
    salt = _decoded(slot.salt)
    if slot.by != key.by or salt is None or not _is_sane(slot):
        return None
    found = unseal(_stretched(slot, salt, key), slot.sealed, bound + _terms(slot))
    return found if found is not None and len(found) == KEY_BYTES else None


def proof_of(data_key: bytes, content: bytes) -> str:
    """What only a holder of `data_key` can say of `content`."""
    return hmac.new(_derived(data_key, b"", b"open-llm-auth proof"), content, "sha256").hexdigest()


def _terms(slot: Slot) -> bytes:
    """All of a slot but what is sealed in it."""
    return msgspec.json.encode(msgspec.structs.replace(slot, sealed=""))


def _is_sane(slot: Slot) -> bool:
    if slot.by == "key":
        return slot.n == slot.r == slot.p == 0
    power_of_two = slot.n > 1 and slot.n & (slot.n - 1) == 0
    return power_of_two and slot.n <= _MOST_N and 1 <= slot.r <= _MOST_R and 1 <= slot.p <= _MOST_P


def _stretched(slot: Slot, salt: bytes, key: SealKey) -> bytes:
    if key.by == "key":
        return _derived(_material(key.text.reveal()), salt, b"open-llm-auth seal key")
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    # The same passphrase is other bytes on another keyboard, unless its characters are put together the same way.
    text = unicodedata.normalize("NFC", key.text.reveal()).encode()
    return Scrypt(salt=salt, length=KEY_BYTES, n=slot.n, r=slot.r, p=slot.p).derive(text)


def _derived(material: bytes, salt: bytes, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=purpose).derive(material)


def _material(text: str) -> bytes:
    """32 bytes written in hexadecimal or base64 are those bytes; any other text is its own."""
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        return base64.urlsafe_b64decode(text.rstrip("=").replace("+", "-").replace("/", "_") + "=")
    return text.encode()


def _decoded(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # base64 has several spellings of the same bytes; one of them is ours
    return raw if base64.b64encode(raw).decode("ascii") == text else None
