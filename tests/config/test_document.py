"""Bytes to data and back, and where the faults of a file are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.config.document import Document, etag_of, parse, serialise
from open_llm_auth.errors import ConfigInvalid

BROKEN = [
    (b"", 1, 1, "empty"),
    (b" \n ", 1, 1, "empty"),
    (b"\xef\xbb\xbf{}", 1, 1, "byte order mark"),
    (b'{\n "a": "\xff"}', 2, 8, "UTF-8"),
    (b'{\n  "a": 1\n  "b": 2\n}', 3, 3, "delimiter"),
    (b'{"a": 1', 1, 8, "delimiter"),
    (b'{"a": 1,}', 1, 9, "property name"),
    (b'{"a": 1} x', 1, 10, "Extra data"),
    (b'{\n "a": {"b": 1,\n  "b": 2}}', 3, 3, "'b' twice"),
    (b'{"a": 1, "\\u0061": 2}', 1, 10, "'a' twice"),
    (b'{"a": NaN}', 1, 7, "not finite"),
    (b'{"a": [1,\n -Infinity]}', 2, 2, "not finite"),
    (b'{"a": 1e999}', 1, 7, "not finite"),
    (b'{"a": 1' + b"0" * 400 + b"}", 1, 7, "too large"),
    (b'{"a": "\\ud83d\\ude00", "b": "x\\ud800"}', 1, 28, "surrogate"),
    (b"[1]", 1, 1, "one JSON object"),
    (b"null", 1, 1, "one JSON object"),
    (b'{"a":' * 65 + b"1" + b"}" * 65, 1, 321, "deeper than 64"),
    (b"[" * 200_000, 1, 65, "deeper than 64"),
]


@pytest.mark.parametrize(("raw", "line", "column", "words"), BROKEN)
def test_a_fault_is_told_with_its_line_and_column(raw: bytes, line: int, column: int, words: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse(raw, "gw.json")
    assert words in caught.value.message
    assert caught.value.message.startswith("gw.json ")
    assert (caught.value.details["line"], caught.value.details["column"]) == (line, column)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="too many digits"):
        parse(b'{"a": ' + b"9" * 5000 + b"}")


def test_words_within_strings_are_no_faults() -> None:
    data = {"NaN": "Infinity {[", "a": '\\"NaN: [', "b": {"a": "1e999"}}
    assert parse(serialise(data)) == data


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1: 2}, {"a": (1,)}, object()])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises(ConfigInvalid):
        serialise({"x": value})


def test_nesting_that_would_not_be_read_back_is_not_written() -> None:
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(ConfigInvalid):
        serialise(deep)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_what_is_written_is_read_back(data: dict[str, object]) -> None:
    assert json.dumps(parse(serialise(data))) == json.dumps(data)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_raise_anything_but_a_clear_error(raw: bytes) -> None:
    try:
        assert isinstance(parse(raw), dict)
    except ConfigInvalid as error:
        assert error.message


def test_the_repr_of_a_document_shows_no_data() -> None:
    assert "canary" not in repr(Document({"serverToken": "canary"}, etag_of(b"x")))
