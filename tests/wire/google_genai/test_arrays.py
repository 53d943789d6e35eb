"""The form without ``alt=sse``: one array that grows, cut into its elements and made of events."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire import sse
from open_llm_auth.wire.google_genai.arrays import ArraySplitter, ArrayWrapper

ELEMENTS = [b'{"a":"}] \\" {[ \\\\"}', b'{"b":[{"c":"\xc3\xa9"},[]]}', b"{}"]


def split(chunks):
    splitter = ArraySplitter()
    return [element for chunk in chunks for element in splitter.feed(chunk)]


@pytest.mark.parametrize("joint", [b",", b"\n,\r\n", b" , "])
def test_elements_come_out_as_they_went_in(joint, chop):
    assert split(chop(b" [" + joint.join(ELEMENTS) + b"]\n")) == ELEMENTS


def test_an_element_comes_as_soon_as_it_is_whole():
    splitter = ArraySplitter()
    assert splitter.feed(b'[{"a":1') == []
    assert splitter.feed(b"}") == [b'{"a":1}']


@pytest.mark.parametrize("garbage", [b"x", b"[1]", b'["a"]', b"[null]", b"[{}x"])
def test_what_is_no_array_of_objects_is_refused(garbage, chop):
    with pytest.raises(UpstreamInvalidResponse):
        split(chop(garbage))


def test_an_endless_element_is_refused():
    splitter = ArraySplitter(limit=10)
    with pytest.raises(UpstreamInvalidResponse):
        splitter.feed(b'[{"a":"' + b"x" * 20)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6) | st.lists(st.integers())), max_size=4), st.data()
)
def test_any_array_is_cut_the_same_however_it_arrives(values, data):
    stream = json.dumps(values, indent=data.draw(st.none() | st.integers(0, 2)), ensure_ascii=False)
    stream = stream.encode("utf-8", "surrogatepass")
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    found = split([stream[start:end] for start, end in pairwise(cuts)])
    assert [json.loads(element.decode("utf-8", "surrogatepass")) for element in found] == values


def test_events_become_elements():
    wrapper = ArrayWrapper(object())
    first = wrapper.feed(sse.event(b'{"a":1}'))
    assert first == b'[{"a":1}'
    assert wrapper.feed(b"") == wrapper.feed(b": comment\n\n") == b""
    rest = wrapper.feed(sse.event(b'{"b":2}') + b'data: {"c":3}\r\n\r\n') + wrapper.end()
    assert json.loads(first + rest) == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert split([first + rest]) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_no_events_are_an_empty_array():
    assert ArrayWrapper().end() == b"[]\n"
