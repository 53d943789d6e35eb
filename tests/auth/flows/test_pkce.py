"""Proof keys against the example of RFC 7636, and against too little randomness."""

from __future__ import annotations

import pytest

from open_llm_auth.auth.flows.pkce import ENTROPY, proof_key, unguessable

#: RFC 7636, appendix B.
_OCTETS = bytes.fromhex("7418dfb4 9799e025 4ffa607d d8adbbba 16d4254d 69d6bff0 5b580558 53848d79")


def test_the_example_of_the_rfc_comes_out() -> None:
    key = proof_key(_OCTETS)
    assert key.verifier == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert key.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_neither_is_shown() -> None:
    key = proof_key(_OCTETS)
    assert key.verifier not in repr(key)
    assert key.challenge not in repr(key)


def test_too_little_randomness_is_refused() -> None:
    for make in (proof_key, unguessable):
        with pytest.raises(ValueError, match="too few"):
            make(b"x" * (ENTROPY - 1))
