"""Signatures come back to their origin unaltered, through any dialect, and are nobody else's."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire.conversation import Thinking
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.signatures import (
    ENVELOPES,
    Recalled,
    open_call_id,
    seal,
    seal_call_id,
    seal_thinking,
    unseal,
    unseal_thinking,
)

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=200)
SIGNATURES = st.builds(Signature, origin=TEXTS, value=TEXTS, id=TEXTS)


@given(SIGNATURES)
def test_what_was_sealed_comes_back_whole_whichever_dialect_brings_it(signature):
    assert unseal(seal(signature), "anthropic-messages") == signature


@given(SIGNATURES)
def test_an_envelope_survives_clients_that_treat_it_as_bytes(signature):
    """Gemini's SDKs decode the field and encode it again."""
    sealed = seal(signature)
    assert base64.b64encode(base64.b64decode(sealed, validate=True)).decode() == sealed


@given(SIGNATURES, st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True).filter(lambda text: "-olla1-" not in text))
def test_a_call_id_carries_its_signature_and_is_still_an_id(signature, call_id):
    sealed = seal_call_id(call_id, signature)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", sealed)
    assert open_call_id(sealed) == (call_id, signature)


def test_a_call_without_a_signature_keeps_its_id():
    assert seal_call_id("call_1", None) == "call_1"
    assert open_call_id("call_1") == ("call_1", None)


@pytest.mark.parametrize("text", ["", "EqQBCkYIBRgC", "b2xsYTEA", "b2xsYTEA!!", "b2xsYTEAeA=="])
def test_what_is_no_envelope_is_the_dialects_own_signature(text):
    assert unseal(text, "anthropic-messages") == Signature("anthropic-messages", text)


@pytest.mark.parametrize("tail", ["", "!!!", "eA", "b2xsYTEA"])
def test_an_id_that_only_looks_sealed_is_left_alone(tail):
    assert open_call_id(f"call_1-olla1-{tail}") == (f"call_1-olla1-{tail}", None)


# ---------------------------------------------------------------------------------------------- whole blocks

#: Whoever signs has a name.
NAMED = st.builds(Signature, origin=TEXTS.filter(bool), value=TEXTS, id=TEXTS)
BLOCKS = st.lists(
    st.builds(Thinking, TEXTS, st.none() | NAMED, summary=st.booleans(), redacted=st.booleans()), max_size=3
).map(tuple)


@given(BLOCKS, BLOCKS)
def test_thinking_that_was_sealed_comes_back_whole_and_in_its_place(first, later):
    sealed = seal_thinking(Recalled(first, later))
    if not first and not later:
        assert sealed is None
        return
    assert unseal_thinking(sealed) == Recalled(first, later)
    again = base64.urlsafe_b64encode(base64.b64decode(sealed, validate=True)).decode().rstrip("=")
    assert unseal_thinking(again) == Recalled(first, later)


def test_more_thinking_than_may_travel_stays_behind():
    assert seal_thinking(Recalled((Thinking("x" * 300_000),))) is not None
    assert seal_thinking(Recalled((Thinking("x" * 400_000),))) is None
    assert unseal_thinking("b2xsdDEA" + "A" * 600_000) is None


@pytest.mark.parametrize("text", ["", "c2lnbmF0dXJl", "b2xsdDEA", "b2xsdDEA!!", "b2xsdDEAeA==", "b2xsdDEAW10"])
def test_what_is_no_envelope_of_thinking_holds_none(text):
    assert unseal_thinking(text) in (None, Recalled())


def test_the_two_envelopes_are_told_apart_by_how_they_begin():
    signature = Signature("anthropic-messages", "proof")
    sealed = (seal(signature), seal_thinking(Recalled((Thinking("hm", signature),))))
    assert [text.encode().startswith(mark) for text in sealed for mark in ENVELOPES] == [True, False, False, True]
    assert unseal_thinking(sealed[0]) is None
