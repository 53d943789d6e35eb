"""The top level of a body is read without reading what is below it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.envelope import is_null, is_object, read_envelope, read_flag, read_model, read_text, type_of

BROKEN = {
    "nothing": b"",
    "white space": b" \n ",
    "a byte order mark alone": b"\xef\xbb\xbf",
    "a list": b"[]",
    "null": b"null",
    "a string": b'"x"',
    "cut off": b'{"a": ',
    "garbage after it": b"{}x",
    "a single quote": b"{'a': 1}",
    "a bare word": b'{"a": yes}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a leading zero": b'{"a": 01}',
    "a control character": b'{"a": "\x01"}',
    "a bad escape": b'{"a": "\\x"}',
    "a lone high surrogate": b'{"a": "\\ud800"}',
    "a lone low surrogate": b'{"a": "\\udc00"}',
    "invalid UTF-8 in a value": b'{"a": "\xff"}',
    "invalid UTF-8 in a name": b'{"\xff": 1}',
    "invalid UTF-8 deep below": b'{"a": [{"b": "\xc3("}]}',
    "UTF-8 for a surrogate": b'{"a": "\xed\xa0\x80"}',
    "UTF-16": '{"é": 1}'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "deep nesting": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep nesting that never ends": b'{"a":' + b'{"a":' * 200_000,
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_json_object_is_an_invalid_request(body):
    with pytest.raises(InvalidRequest) as caught:
        read_envelope(body)
    assert caught.value.status == 400
    assert caught.value.message


def test_values_stay_the_bytes_they_were():
    envelope = read_envelope(b' {"a": { "b" : 1e0 }, "c":0.10} ')
    assert {name: bytes(raw) for name, raw in envelope.items()} == {"a": b'{ "b" : 1e0 }', "c": b"0.10"}


def test_of_a_name_given_twice_the_last_counts():
    assert bytes(read_envelope(b'{"model": "a", "model": "b"}')["model"]) == b'"b"'


def test_a_byte_order_mark_is_forgiven():
    assert list(read_envelope(b'\xef\xbb\xbf{"a": 1}')) == ["a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("1", "a number"), ("-1", "a number"), ("{}", "an object"), ("[]", "a list"), ('""', "a string"),
     ("true", "a boolean"), ("false", "a boolean"), ("null", "null")],
)  # fmt: skip
def test_a_type_is_named_in_words(text, words):
    assert type_of(read_envelope(b'{"a":' + text.encode() + b"}")["a"]) == words


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("false", False), ("null", False)])
def test_a_flag_is_true_false_or_null(text, flag):
    assert read_flag(read_envelope(b'{"stream":' + text.encode() + b"}"), "stream") is flag
    assert read_flag({}, "stream") is False


@pytest.mark.parametrize("text", ["1", '"true"', "{}", "[]"])
def test_a_flag_of_another_type_is_named(text):
    with pytest.raises(InvalidRequest, match="'stream' must be true or false") as caught:
        read_flag(read_envelope(b'{"stream":' + text.encode() + b"}"), "stream")
    assert caught.value.param == "stream"


def test_a_text_is_a_string_or_null():
    envelope = read_envelope(b'{"a": "h\\u00e9\\n", "b": null}')
    assert (read_text(envelope, "a"), read_text(envelope, "b"), read_text(envelope, "c")) == ("hé\n", None, None)
    assert is_null(envelope["b"])
    assert is_null(None)
    assert not is_null(envelope["a"])


@pytest.mark.parametrize("text", ["1", "{}", '""', '"  "', '"a\\nb"', '"a\\u0000"', '"' + "x" * 600 + '"', "true"])
def test_a_model_that_can_not_be_one_is_refused(text):
    with pytest.raises(InvalidRequest) as caught:
        read_model(read_envelope(b'{"model":' + text.encode() + b"}"))
    assert caught.value.param == "model"
    assert "'model'" in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
    max_leaves=12,
)


@given(st.binary())
def test_no_bytes_raise_anything_but_an_invalid_request(body):
    try:
        read_envelope(body)
    except InvalidRequest:
        return


@given(JSON)
def test_no_json_raises_anything_but_an_invalid_request(value):
    """Python's own encoder writes NaN and lone surrogates, which are not JSON."""
    try:
        read_envelope(json.dumps(value).encode())
    except InvalidRequest:
        return


SOUND = {
    "empty": b"{}",
    "in white space": b' \n {"a": [1, {"b": null}]} \r\n',
    "not UTF-8 in a string": b'{"a": "\xff"}',
    "half of a surrogate pair": b'{"a": "\\ud83e", "b": 1}',
    "the other half of one": b'{"a": "\\uDD99 and on"}',
    "a whole pair": b'{"a": "\\ud83e\\udd99"}',
}
UNSOUND = {
    name: BROKEN[name]
    for name in ("nothing", "white space", "a list", "null", "a string", "cut off", "garbage after it", "a bare word")
} | {"no name": b"{not: json}", "half a pair, and cut off": b'{"a": "\\ud83e", "b": '}


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_an_object_is_one_from_end_to_end(body):
    assert is_object(body)


@pytest.mark.parametrize("body", UNSOUND.values(), ids=UNSOUND)
def test_what_only_begins_as_an_object_is_none(body):
    assert not is_object(body)


def test_nesting_without_end_is_no_object():
    assert not is_object(BROKEN["deep nesting that never ends"])
