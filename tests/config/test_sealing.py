"""Sealing: what opens, and that nothing else does."""

from __future__ import annotations

import base64

import msgspec
import pytest

from open_llm_auth.config.sealing import (
    SealKey,
    Slot,
    check_key,
    check_passphrase,
    proof_of,
    seal,
    unseal,
    unwrap,
    wrap,
)
from open_llm_auth.values import Secret

KEY = bytes(range(32))


def key(text: str) -> SealKey:
    return SealKey("key", Secret(text), "a test")


def passphrase(text: str) -> SealKey:
    return SealKey("passphrase", Secret(text), "a test")


def test_what_was_sealed_comes_back_with_the_same_key_and_the_same_binding() -> None:
    sealed = seal(KEY, b"secret", b"here")
    assert b"secret" not in base64.b64decode(sealed)
    assert unseal(KEY, sealed, b"here") == b"secret"
    assert unseal(KEY, sealed, b"elsewhere") is None
    assert unseal(bytes(32), sealed, b"here") is None
    assert seal(KEY, b"secret", b"here") != sealed


@pytest.mark.parametrize("broken", ["", "AAAA", "not base64!", "ä"])
def test_what_is_no_seal_opens_to_nothing(broken: str) -> None:
    assert unseal(KEY, broken, b"here") is None


def test_every_changed_character_of_a_seal_is_noticed() -> None:
    sealed = seal(KEY, b"secret", b"here")
    for at, old in enumerate(sealed):
        for new in "AB+=":
            if new != old:
                assert unseal(KEY, sealed[:at] + new + sealed[at + 1 :], b"here") is None


@pytest.mark.parametrize("text", ["a" * 16, "x y ü " * 5, base64.b64encode(KEY).decode(), KEY.hex()])
def test_a_key_of_any_long_text_wraps_and_unwraps(text: str) -> None:
    slot = wrap(KEY, key(text), b"here")
    assert unwrap(slot, key(text), b"here") == KEY
    assert unwrap(slot, key(text + "x"), b"here") is None
    assert unwrap(slot, key(text), b"there") is None


def test_32_bytes_are_the_same_key_in_every_spelling() -> None:
    raw = bytes(range(220, 252))
    spellings = [raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()]
    spellings.append(spellings[2].rstrip("="))
    slot = wrap(KEY, key(spellings[0]), b"here")
    assert [unwrap(slot, key(text), b"here") for text in spellings] == [KEY] * 5


def test_a_passphrase_is_stretched_and_is_the_same_however_its_characters_are_put_together() -> None:
    slot = wrap(KEY, passphrase("caf\u00e9 noir"), b"here")
    assert (slot.n, slot.r, slot.p) == (2**17, 8, 1)
    assert unwrap(slot, passphrase("cafe\u0301 noir"), b"here") == KEY
    assert unwrap(slot, passphrase("cafe noir"), b"here") is None
    assert unwrap(slot, key("caf\u00e9 noir plus more"), b"here") is None


@pytest.mark.parametrize(
    "change", [{"n": 2**30}, {"n": 2**17 + 1}, {"n": 1}, {"r": 64}, {"p": 0}, {"p": 100}, {"by": "key"}, {"salt": "?"}]
)
def test_a_slot_whose_terms_were_changed_is_refused_without_the_work(change: dict[str, object]) -> None:
    slot = msgspec.structs.replace(Slot("passphrase", "AAAA", "AAAA", 2**17, 8, 1), **change)
    assert unwrap(slot, passphrase("whatever it is"), b"here") is None
    assert unwrap(slot, key("whatever it is, at length"), b"here") is None


def test_only_a_holder_of_the_key_makes_its_proof() -> None:
    assert proof_of(KEY, b"content") == proof_of(KEY, b"content")
    assert len({proof_of(KEY, b"content"), proof_of(KEY, b"other"), proof_of(bytes(32), b"content")}) == 3


def test_what_is_too_short_is_said_to_be() -> None:
    assert check_passphrase(Secret("seven77")) is not None
    assert check_passphrase(Secret("eight888")) is None
    assert check_key(Secret("x" * 15)) is not None
    assert check_key(Secret("x" * 16)) is None


def test_no_key_prints() -> None:
    assert "hush" not in repr(key("hush hush hush hush"))
