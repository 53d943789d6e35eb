"""Named behaviours are what their names say, and no split loses a byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.testing import BEHAVIOURS, SPLITS, Behaviour

EVENT = "data: naïve 日本語 🦙\r\n\r\n".encode()


@pytest.mark.parametrize("split", SPLITS)
@given(event=st.binary(min_size=1))
def test_the_pieces_of_every_split_are_the_event(split, event):
    pieces = list(SPLITS[split](event))
    assert b"".join(pieces) == event
    assert all(pieces)


def test_characters_are_cut_in_the_middle():
    pieces = list(SPLITS["inside_characters"](EVENT))
    assert len(pieces) == 6, "one cut a wide character"
    for piece in pieces[:-1]:
        with pytest.raises(UnicodeDecodeError):
            piece.decode()


def test_line_ends_are_cut_in_the_middle():
    assert list(SPLITS["inside_line_ends"](EVENT))[1:] == [b"\n", b"\r", b"\n"]


def test_the_documented_behaviour_is_the_default():
    assert BEHAVIOURS["documented"] == Behaviour()


def test_each_name_bends_something():
    bent = [behaviour for name, behaviour in BEHAVIOURS.items() if name != "documented"]
    assert all(behaviour != Behaviour() for behaviour in bent)
    assert all(bent.count(behaviour) == 1 for behaviour in bent), "two names for one behaviour"
