"""Events are found where they end, whatever the line endings and however the bytes were chopped."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire import sse

STREAMS = {
    "LF": b"data: 1\n\nevent: x\ndata: 2\n\n",
    "CRLF": b"data: 1\r\n\r\nevent: x\r\ndata: 2\r\n\r\n",
    "CR": b"data: 1\r\revent: x\rdata: 2\r\r",
    "mixed": b"data: 1\n\r\nevent: x\rdata: 2\r\n\n",
    "comments between": b": hi\n\ndata: 1\n\n: hi\n\nevent: x\ndata: 2\n\n",
    "extra blank lines": b"\n\ndata: 1\n\n\nevent: x\ndata: 2\n\n\n\n",
    "byte order mark": b"\xef\xbb\xbfdata: 1\n\nevent: x\ndata: 2\n\n",
    "no space": b"data:1\n\nevent:x\ndata:2\n\n",
    "blank line of a bare CR": b"data: 1\n\revent: x\ndata: 2\n\n",
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_events_are_the_same_for_every_line_ending_and_split(stream, chop):
    splitter = sse.EventSplitter()
    out = b"".join(splitter.feed(chunk) for chunk in chop(stream)) + splitter.flush()
    assert out == stream.removeprefix(b"\xef\xbb\xbf")
    events = [(sse.name_of(event), sse.data_of(event)) for event in sse.split_events(out)]
    assert [event for event in events if event[1] is not None] == [(b"", b"1"), (b"x", b"2")]


def test_only_complete_events_come_out():
    splitter = sse.EventSplitter()
    assert splitter.feed(b"data: 1\n") == b""
    assert splitter.feed(b"\ndata: 2") == b"data: 1\n\n"
    assert splitter.pending == b"data: 2"
    assert splitter.flush() == b"data: 2"
    assert not splitter.pending


def test_a_chunk_of_whole_events_is_not_copied():
    splitter = sse.EventSplitter()
    splitter.feed(b"data: 1\n\n")
    chunk = b"data: 2\n\n"
    assert splitter.feed(chunk) is chunk


def test_an_event_without_end_is_refused_before_it_fills_the_memory():
    splitter = sse.EventSplitter(limit=100)
    assert splitter.feed(b"x" * 100) == b""
    with pytest.raises(UpstreamInvalidResponse, match="100 bytes"):
        splitter.feed(b"x")


def test_data_lines_are_joined_by_a_line_feed():
    assert sse.data_of(b"data: a\ndata:b\ndata\ndata:  c\n\n") == b"a\nb\n\n c"


@pytest.mark.parametrize("event", [b": ping\n\n", b"event: x\n\n", b"\n\n", b"", b"id: 1\nretry: 5\n\n"])
def test_an_event_without_data_has_none(event):
    assert sse.data_of(event) is None


def test_an_event_is_written_so_that_it_reads_back():
    assert sse.event(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert sse.event(b"{}", "error") == b"event: error\ndata: {}\n\n"
    assert sse.data_of(sse.event(b"{}", "error")) == b"{}"
    assert sse.name_of(sse.event(b"{}", "error")) == b"error"


BYTES = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: x", b":", b"\xef\xbb\xbf", b"event"])).map(b"".join)


@given(BYTES, st.lists(st.integers(0, 60)))
def test_any_split_of_any_bytes_comes_out_unchanged(data, cuts):
    splitter = sse.EventSplitter()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    out = b"".join(splitter.feed(data[a:b]) for a, b in itertools.pairwise(edges)) + splitter.flush()
    assert out == data.removeprefix(b"\xef\xbb\xbf")


@given(BYTES)
def test_splitting_a_block_loses_no_byte(block):
    events = sse.split_events(block)
    assert b"".join(events) == block
