"""Signatures come back to their origin unaltered, through any dialect, and are nobody else's."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.signatures import open_call_id, seal, seal_call_id, unseal

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
