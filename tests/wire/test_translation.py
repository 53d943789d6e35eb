"""A stream on its way between dialects: what is told, what is known of it, and what is no answer."""

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.events import (
    BlockEnded,
    ErrorBody,
    Event,
    Failed,
    Finished,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.translation import Gathering, StreamTranslation, restore_names, usage_of


class Scripted:
    """A decoder whose chunks are numbers of its script, and an encoder that tells what it was given."""

    def __init__(self, *script: list[Event], last: list[Event] | None = None) -> None:
        self.script = script
        self.last = last or []
        self.told: list[Event] = []

    def feed(self, given):
        if isinstance(given, bytes):
            return list(self.script[int(given)])
        self.told += given
        return b"".join(type(event).__name__.encode() + b";" for event in given)

    def end(self):
        return list(self.last)

    def fail(self, error):
        return f"failed: {error.message}".encode()


def translated(*script, last=None, names=None):
    scripted = Scripted(*script, last=last)
    return StreamTranslation(scripted, scripted, names or {}), scripted


START, END = Started("1", "m", Usage(input=5)), Finished("stop", Usage(5, 7))


def test_events_go_on_as_they_come_and_usage_is_the_last_that_was_told():
    stream, _ = translated([START], [TextDelta("a")], [TextDelta("b"), END])
    assert stream.feed(b"0") == b"Started;"
    assert (stream.committed, stream.done, stream.usage) == (False, False, Usage(input=5))
    assert stream.feed(b"1") == b"TextDelta;"
    assert stream.committed
    assert stream.feed(b"2") == b"TextDelta;Finished;"
    assert (stream.done, stream.usage) == (True, Usage(5, 7))
    assert stream.end() == b""


@pytest.mark.parametrize("event", [ThinkingDelta("hm"), ToolCallStarted("1", "f"), TextDelta("a")])
def test_whatever_a_client_would_see_commits_the_answer(event):
    stream, _ = translated([event])
    stream.feed(b"0")
    assert stream.committed


def test_what_means_nothing_yet_commits_nothing():
    stream, _ = translated([START, BlockEnded()])
    stream.feed(b"0")
    assert not stream.committed


def test_a_failure_is_kept_for_the_relay_and_nothing_goes_on_after_it():
    stream, scripted = translated([TextDelta("a"), Failed(ErrorBody("broken")), TextDelta("never")], [TextDelta("b")])
    assert stream.feed(b"0") == b"TextDelta;"
    assert stream.failure == ErrorBody("broken")
    assert stream.feed(b"1") == b""
    assert scripted.told == [TextDelta("a")]


def test_a_stream_that_ends_without_its_end_is_no_answer():
    stream, _ = translated([TextDelta("a")])
    stream.feed(b"0")
    with pytest.raises(UpstreamInvalidResponse, match="stopped before"):
        stream.end()


def test_what_only_the_close_tells_is_told_then():
    stream, _ = translated([TextDelta("a")], last=[END])
    stream.feed(b"0")
    assert stream.end() == b"Finished;"


def test_tools_go_by_the_names_their_client_gave_them():
    stream, scripted = translated([ToolCallStarted("1", "f_1234"), ToolCallDelta("{}")], names={"f_1234": "f.one"})
    stream.feed(b"0")
    assert scripted.told == [ToolCallStarted("1", "f.one"), ToolCallDelta("{}")]
    events = [ToolCallStarted("1", "f_1234"), ToolCallStarted("2", "other")]
    assert restore_names(events, {"f_1234": "f.one"}) == [ToolCallStarted("1", "f.one"), ToolCallStarted("2", "other")]


def test_a_gathered_stream_is_its_events():
    gathering = Gathering(Scripted([START, TextDelta("a")], [TextDelta("b")], last=[END]), {})
    assert gathering.feed(b"0") == gathering.feed(b"1") == gathering.end() == b""
    assert gathering.events == [START, TextDelta("a"), TextDelta("b"), END]
    assert gathering.usage == Usage(5, 7)


def test_the_usage_of_an_answer_is_its_last_count():
    assert usage_of([START, TextDelta("a")]) == Usage(input=5)
    assert usage_of([START, END]) == Usage(5, 7)
    assert usage_of([TextDelta("a")]) is None
