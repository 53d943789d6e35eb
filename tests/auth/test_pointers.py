"""JSON pointers: RFC 6901's own examples, what is refused, and that nothing a document holds is ever repeated."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.pointers import NotJSON, places_in, pointer_of, text_at

#: RFC 6901, section 5, with texts for values.
DOCUMENT = {
    "foo": ["bar", "baz"], "": "0", "a/b": "1", "c%d": "2", "e^f": "3", "g|h": "4", "i\\j": "5", 'k"l': "6", " ": "7",
    "m~n": "8",
}  # fmt: skip
EXAMPLES = [
    ("/foo/0", "bar"), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"), ("/e^f", "3"), ("/g|h", "4"), ("/i\\j", "5"),
    ('/k"l', "6"), ("/ ", "7"), ("/m~0n", "8"),
]  # fmt: skip


@pytest.mark.parametrize(("pointer", "value"), EXAMPLES)
def test_the_examples_of_the_specification(pointer: str, value: str) -> None:
    assert text_at(json.dumps(DOCUMENT).encode(), pointer) == value


@pytest.mark.parametrize("pointer", ["/foo", "/foo/00", "/foo/2", "/foo/-", "/foo/1/x", "/nothing", "/foo/0/0", "/fo"])
def test_what_is_not_there_or_no_text_is_refused(pointer: str) -> None:
    with pytest.raises(ValueError, match="stands at"):
        text_at(json.dumps(DOCUMENT).encode(), pointer)


@pytest.mark.parametrize("pointer", ["/m~n", "/~", "/~2"])
def test_a_tilde_that_escapes_nothing_is_no_pointer(pointer: str) -> None:
    with pytest.raises(ValueError, match="no JSON pointer"):
        text_at(b"{}", pointer)


@pytest.mark.parametrize(("value", "text"), [(12, "12"), (1.5, "1.5"), ("x", "x"), ("é", "é")])
def test_numbers_are_read_as_text(value: object, text: str) -> None:
    assert text_at(json.dumps({"a": value}).encode(), "/a") == text


@pytest.mark.parametrize("value", [None, True, False, "", [], {}])
def test_what_is_no_text_is_not_made_one(value: object) -> None:
    with pytest.raises(ValueError, match="/a"):
        text_at(json.dumps({"a": value}).encode(), "/a")


@pytest.mark.parametrize("data", [b"", b'{"a": "secret', b"\xff", b"{}x", b"[" * 100_000, b'{"a": "\\ud800"}'])
def test_what_does_not_parse_is_told_apart_and_not_repeated(data: bytes) -> None:
    with pytest.raises(NotJSON) as caught:
        text_at(data, "/a")
    assert "secret" not in str(caught.value)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert text_at(b'\xef\xbb\xbf{"a": "x"}', "/a") == "x"


def test_every_way_to_read_a_place_begins_with_the_whole_of_it() -> None:
    assert list(places_in("/a")) == [("/a", "")]
    assert list(places_in("/a#/b#/c")) == [("/a#/b#/c", ""), ("/a#/b", "/c"), ("/a", "/b#/c")]


#: Halves of a surrogate pair are no text.
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_a_pointer_leads_to_where_it_was_made_for(steps: list[str], value: str) -> None:
    document: object = value
    for step in reversed(steps):
        document = {step: document, step + "x": "another"}
    pointer = pointer_of(*steps)
    assert pointer.startswith("#/")
    assert text_at(json.dumps(document).encode(), pointer[1:]) == value
