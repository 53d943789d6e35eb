"""The reference grammar: every spelling, its look-alikes, and that it never raises or prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.secrets import is_reference, parse_reference

SPELLINGS = [
    ("${OPENAI_API_KEY}", "env", "OPENAI_API_KEY"),
    ("env:OPENAI_API_KEY", "env", "OPENAI_API_KEY"),
    ("env:lower_case", "env", "lower_case"),
    ("file:/run/secrets/openai", "file", "/run/secrets/openai"),
    ("file:~/key", "file", "~/key"),
    ("keyring:service/name", "keyring", "service/name"),
    ("cmd:pass show openai", "cmd", "pass show openai"),
    ("  env:PADDED \n", "env", "PADDED"),
]

LITERALS = ["sk-abc", "Bearer ${NAME}", "prefix-env:NAME", "ENV:NAME", "literal:x", "$NAME", "${A}${B}", "a:b", ""]

MALFORMED = ["env:", "${}", "${two words}", "file:", "keyring:", "cmd:", "env:not a name"]


@pytest.mark.parametrize(("text", "scheme", "place"), SPELLINGS)
def test_every_documented_spelling_is_a_reference(text: str, scheme: str, place: str) -> None:
    ref = parse_reference(text)
    assert (ref.scheme, ref.place.reveal(), ref.maybe_env) == (scheme, place, False)
    assert is_reference(text)


@pytest.mark.parametrize("text", LITERALS)
def test_a_look_alike_is_a_literal(text: str) -> None:
    assert parse_reference(text).scheme == "literal"
    assert not is_reference(text)


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_reference_is_not_taken_for_a_key(text: str) -> None:
    assert parse_reference(text).scheme != "literal"


@pytest.mark.parametrize("text", ["OPENAI_API_KEY", "X", "_A1", "AKIA0000"])
def test_all_caps_may_name_a_variable_except_where_tokens_stand(text: str) -> None:
    assert parse_reference(text).maybe_env
    assert parse_reference(text).place.reveal() == text
    assert not parse_reference(text, all_caps=False).maybe_env
    assert is_reference(text, all_caps=True)
    assert not is_reference(text)


@pytest.mark.parametrize("text", ["sk-ABC", "1ABC", "MixedCase", "ÄÖÜ", "WITH SPACE", "A-B"])
def test_other_texts_never_name_a_variable(text: str) -> None:
    assert not parse_reference(text).maybe_env


def test_a_pasted_line_end_is_not_part_of_the_key() -> None:
    assert parse_reference("sk-abc\n").place.reveal() == "sk-abc"


@given(st.text())
def test_any_text_parses_and_a_literal_is_never_shown(text: str) -> None:
    ref = parse_reference("sk-" + text)
    assert ref.scheme == "literal"
    assert repr(ref) == "SecretRef(scheme='literal', place=Secret(…), maybe_env=False)"
    assert ref.label == "literal"
    parse_reference(text)
