"""Embeddings: what a client asked for is what it gets, whatever the provider prefers."""

from __future__ import annotations

import base64
import json
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.embeddings import adapt_reply, asked_encoding, read_request, read_usage, rewrite
from open_llm_auth.wire.events import Usage

FLOATS = [0.5, -0.25, 1.0]
PACKED = base64.b64encode(struct.pack("<3f", *FLOATS)).decode()


def reply(*vectors):
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}}).encode()


@pytest.mark.parametrize("given_input", ["a", "", ["a", "b"], [1, 2], [[1], [2]]])
def test_a_request_goes_on_with_only_its_model_replaced(given_input):
    fields = {"input": given_input, "model": "m", "encoding_format": "base64", "dimensions": 3}
    request = read_request(json.dumps(fields).encode())
    assert (request.model, request.encoding_format, asked_encoding(request.envelope)) == ("m", "base64", "base64")
    assert json.loads(msgspec.json.encode(rewrite(request.envelope, "x"))) == {**fields, "model": "x"}


def test_an_encoding_format_of_null_is_not_sent_on():
    request = read_request(b'{"input": "a", "encoding_format": null}')
    assert request.encoding_format is None
    assert json.loads(msgspec.json.encode(rewrite(request.envelope, "x"))) == {"input": "a", "model": "x"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "input"),
        (b'{"input": null}', "input"),
        (b'{"input": 1}', "input"),
        (b'{"input": {}}', "input"),
        (b'{"input": []}', "input"),
        (b'{"input": [' + b" " * 500 + b"]}", "input"),
        (b'{"input": "a", "model": 1}', "model"),
        (b'{"input": "a", "encoding_format": 1}', "encoding_format"),
    ],
)
def test_a_wrong_field_is_named(body, param):
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("sent", "asked"),
    [(PACKED, "base64"), (FLOATS, "float"), (FLOATS, None), (FLOATS, "int8"), (PACKED, "int8")],
)
def test_an_answer_in_the_right_form_is_untouched(sent, asked):
    body = reply(sent, sent)
    assert adapt_reply(body, asked) is body


def test_floats_become_base64_of_little_endian_float32():
    adapted = json.loads(adapt_reply(reply(FLOATS, FLOATS), "base64"))
    assert [item["embedding"] for item in adapted["data"]] == [PACKED, PACKED]
    assert adapted["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert adapted["data"][1]["index"] == 1


@pytest.mark.parametrize("asked", [None, "float"])
def test_base64_becomes_floats(asked):
    assert json.loads(adapt_reply(reply(PACKED), asked))["data"][0]["embedding"] == FLOATS


def test_each_vector_is_judged_for_itself():
    adapted = json.loads(adapt_reply(reply(FLOATS, PACKED), "base64"))
    assert [item["embedding"] for item in adapted["data"]] == [PACKED, PACKED]


@pytest.mark.parametrize(
    "body",
    [
        reply("not base64!"),
        reply("AAA="),
        b'{"embedding": "x"',
        b'{"data": {"embedding": "AAAA"}}',
        b"",
        b"[]",
        b"\xff",
    ],
)
def test_what_can_not_be_adapted_is_left_as_it_came(body):
    assert adapt_reply(body, "float") == body


def test_usage_is_counted():
    assert read_usage(reply(FLOATS)) == Usage(5)


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.just("AAAA"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["data", "embedding", "index", "x"]), inner)
    ),
    max_leaves=10,
)


@given(
    st.binary() | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from([None, "float", "base64", "x"])
)
def test_no_answer_breaks_the_adapter(body, asked):
    assert isinstance(adapt_reply(body, asked), bytes)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_vector_survives_both_ways(vector):
    there = adapt_reply(reply(vector), "base64")
    assert json.loads(adapt_reply(there, "float"))["data"][0]["embedding"] == vector


@given(st.binary() | JSON.map(lambda value: json.dumps({"input": value, "model": value}).encode()))
def test_a_request_is_read_or_refused(body):
    try:
        read_request(body)
    except InvalidRequest:
        return
