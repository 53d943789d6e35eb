"""Lines come out as they went in, however they were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.ndjson import LineSplitter


def split(chunks, limit=1000):
    splitter = LineSplitter(limit)
    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*found, *splitter.flush()]


def test_lines_are_told_without_their_ends_and_blank_ones_not_at_all(chop):
    assert split(chop(b"\xef\xbb\xbf{1}\r\n\n  \n{2}\n{3}")) == [b"{1}", b"{2}", b"{3}"]


def test_a_mark_is_one_only_at_the_very_start(chop):
    assert split(chop(b"a\n\xef\xbb\xbfb\n")) == [b"a", b"\xef\xbb\xbfb"]


def test_a_line_is_told_as_soon_as_it_is_complete():
    splitter = LineSplitter()
    assert splitter.feed(b"a") == []
    assert splitter.feed(b"b\nc") == [b"ab"]
    assert splitter.feed(b"\n") == [b"c"]


def test_a_line_over_the_limit_is_refused():
    with pytest.raises(UpstreamInvalidResponse, match="more than 10 bytes"):
        split([b"x" * 8, b"x" * 8], limit=10)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), min_size=1)), st.data())
def test_any_cut_gives_the_same_lines(texts, data):
    lines = [stripped for text in texts if (stripped := text.encode().strip())]
    stream = b"\n".join(lines)
    cut = data.draw(st.integers(0, len(stream)))
    assert split([stream[:cut], stream[cut:]], limit=100_000) == [
        line.removeprefix(b"\xef\xbb\xbf") if n == 0 else line for n, line in enumerate(lines)
    ]
