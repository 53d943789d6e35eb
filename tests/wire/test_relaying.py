"""What every relay of server-sent events does alike: whole events go on, unfinished ones wait, ends are judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.events import ErrorBody
from open_llm_auth.wire.relaying import EventRelay

EVENT = b'event: say\ndata: {"text":"hello"}\n\n'
HIDDEN = b"event: secret\ndata: {}\n\n"
COMMENT = b": still here\n\n"
END = b"event: end\ndata: {}\n\n"


class Relay(EventRelay):
    """A dialect of three events: `say` is content, `end` the end, `error` a failure; `secret` stays here."""

    __slots__ = ("looked",)

    def __init__(self) -> None:
        super().__init__()
        self.looked = 0

    def _is_plain(self, block: bytes) -> bool:
        return block.startswith(b"event: say\n") and block.count(b"event: ") == 1

    def _keeps(self, event: bytes, name: bytes, data: bytes) -> bool:
        self.looked += 1
        self.committed = self.committed or name == b"say"
        self.done = name == b"end"
        if name == b"error":
            self.failure = ErrorBody(data.decode())
        return name not in (b"secret", b"error")

    def _is_whole(self) -> bool:
        return False


@given(st.lists(st.integers(1, 40), max_size=30))
def test_however_the_stream_is_cut_the_same_bytes_go_on(cuts):
    stream = COMMENT + EVENT + HIDDEN + EVENT * 2 + END
    relay, out, at = Relay(), b"", 0
    for size in [*cuts, len(stream)]:
        out += relay.feed(stream[at : at + size])
        at += size
    assert out + relay.end() == COMMENT + EVENT * 3 + END
    assert relay.done


def test_an_unfinished_event_waits_for_its_end():
    relay = Relay()
    assert relay.feed(EVENT[:-1]) == b""
    assert relay.feed(EVENT[-1:]) == EVENT


def test_plain_content_passes_without_a_look_once_the_answer_is_committed():
    relay = Relay()
    for _ in range(5):
        assert relay.feed(EVENT) == EVENT
    assert relay.looked == 1


def test_nothing_goes_on_after_a_failure():
    relay = Relay()
    assert relay.feed(EVENT + b"event: error\ndata: broken\n\n" + EVENT) == EVENT
    assert relay.failure == ErrorBody("broken")
    assert relay.feed(EVENT) == b""
    with pytest.raises(UpstreamInvalidResponse, match="ended with an error"):
        relay.end()


@pytest.mark.parametrize("stream", [b"", COMMENT, EVENT, EVENT + END[:-5]])
def test_a_stream_that_stops_before_its_end_is_no_answer(stream):
    relay = Relay()
    relay.feed(stream)
    with pytest.raises(UpstreamInvalidResponse, match="stopped before"):
        relay.end()


def test_a_last_event_without_its_blank_line_still_counts():
    relay = Relay()
    assert relay.feed(EVENT + END.rstrip()) == EVENT
    assert relay.end() == END
    assert relay.done
