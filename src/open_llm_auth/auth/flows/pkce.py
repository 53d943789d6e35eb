"""Proof keys for the exchange of a code, method S256 (RFC 7636), and values that nobody guesses."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

__all__ = ["ENTROPY", "ProofKey", "proof_key", "unguessable"]

#: Bytes of randomness in each of them; a verifier of 43 characters, the shortest that RFC 7636 has.
ENTROPY = 32


@dataclass(frozen=True, slots=True)
class ProofKey:
    """The challenge goes out first, the verifier later; who saw only the first can't redeem the code."""

    verifier: str = field(repr=False)
    challenge: str = field(repr=False)


def proof_key(random: bytes) -> ProofKey:
    """The proof key that these random bytes make.

    Raises:
        ValueError: they are fewer than `ENTROPY`.
    """
    verifier = unguessable(random)
    return ProofKey(verifier, _base64url(hashlib.sha256(verifier.encode("ascii")).digest()))


def unguessable(random: bytes) -> str:
    """A `state` or a verifier of these random bytes. Raises as `proof_key` does."""
    if len(random) < ENTROPY:
        raise ValueError(f"{len(random)} random bytes are too few")
    return _base64url(random)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
