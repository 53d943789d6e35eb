"""Blocks that interleave are told one after the other, and nothing of them is lost."""

from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire.events import TextDelta
from open_llm_auth.wire.sequence import Sequencer


def test_the_first_open_block_streams_and_the_second_waits_for_its_end():
    sequencer = Sequencer()
    assert sequencer.put(0, TextDelta("a")) == [TextDelta("a")]
    assert sequencer.put(1, TextDelta("x")) == []
    assert sequencer.put(0, TextDelta("b")) == [TextDelta("b")]
    assert sequencer.close(0) == [TextDelta("x")]
    assert sequencer.put(1, TextDelta("y")) == [TextDelta("y")]
    assert sequencer.open == 1


def test_a_block_that_ended_while_it_waited_goes_out_whole_and_lets_the_next_one_stream():
    sequencer = Sequencer()
    for key in (0, 1, 2):
        sequencer.put(key, TextDelta(str(key)))
    assert sequencer.close(1) == []
    assert sequencer.close(0) == [TextDelta("1"), TextDelta("2")]
    assert sequencer.open == 2


def test_closing_a_block_that_never_was_changes_nothing():
    sequencer = Sequencer()
    assert sequencer.close(7) == []
    assert sequencer.put(7, TextDelta("a")) == [TextDelta("a")]
    assert sequencer.put(7, TextDelta("b")) == [TextDelta("b")]


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3)), max_size=40))
def test_whatever_the_order_every_block_is_whole_and_no_two_mix(puts):
    sequencer = Sequencer()
    out = [event for key, text in puts for event in sequencer.put(key, TextDelta(f"{key}:{text}"))]
    out += sequencer.close_all()
    keys = [event.text[0] for event in out]
    assert keys == sorted(keys, key=keys.index), "blocks are contiguous"
    for key in {key for key, _ in puts}:
        said = [text for put, text in puts if put == key]
        assert [event.text[2:] for event in out if event.text[0] == str(key)] == said
