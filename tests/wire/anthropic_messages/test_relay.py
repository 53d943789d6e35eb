"""A stream between two sides of the dialect: bytes go on as they are, and a cut stream never looks whole."""

import json

import pytest

from open_llm_auth.errors import UpstreamHTTPError, UpstreamInvalidResponse
from open_llm_auth.wire.anthropic_messages import StreamRelay
from open_llm_auth.wire.events import ErrorBody, Usage


def event(kind, **fields):
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def gain(kind, **delta):
    return event("content_block_delta", index=0, delta={"type": kind, **delta})


START = event("message_start", message={"usage": {"input_tokens": 20, "output_tokens": 1}})
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
HI = gain("text_delta", text="hi")
END = event("content_block_stop", index=0)
DELTA = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
STOP = event("message_stop")
WHOLE = START + event("ping") + TEXT + HI + END + DELTA + STOP


def relayed(*chunks):
    relay = StreamRelay()
    out = b"".join(relay.feed(chunk) for chunk in chunks)
    return relay, out


def test_all_bytes_go_on(chop):
    relay, out = relayed(*chop(WHOLE))
    assert out + relay.end() == WHOLE
    assert (relay.done, relay.usage) == (True, Usage(20, 7))


@pytest.mark.parametrize(
    ("seen", "committed"),
    [
        (START + event("ping") + TEXT, False),
        (HI, True),
        (gain("text_delta", text=""), False),
        (gain("thinking_delta", thinking="hm"), True),
        (gain("input_json_delta", partial_json=""), False),
        (gain("input_json_delta", partial_json="{"), True),
        (gain("signature_delta", signature="s"), True),
        (gain("citations_delta", citation={}), False),
        (gain("citations_delta", citation={"url": "u"}), True),
        (event("content_block_start", content_block={"type": "tool_use", "id": "c"}), True),
        (event("content_block_start", content_block={"type": "redacted_thinking", "data": "d"}), True),
        (event("content_block_start", content_block={"type": "thinking", "thinking": ""}), False),
        (event("content_block_start", content_block={"type": "text", "text": "hi"}), True),
        (DELTA, False),
        (event("a_new_event", delta={"text": "a"}), False),
        (b": comment\n\n", False),
    ],
    ids=range(16),
)
def test_the_first_content_commits(seen, committed):
    assert relayed(seen)[0].committed is committed


def test_nothing_goes_on_after_the_end():
    relay, out = relayed(WHOLE, HI)
    assert out == WHOLE
    assert relay.feed(HI) == relay.end() == b""


def test_an_error_is_kept_and_told_by_us(chop):
    error = event("error", error={"type": "overloaded_error", "message": "busy"})
    relay, out = relayed(*chop(START + TEXT + HI + error + STOP))
    assert out == START + TEXT + HI
    assert (relay.failure, relay.done) == (ErrorBody("busy", "overloaded_error"), False)
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()
    assert relay.fail(UpstreamHTTPError("busy", status=529)) == (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    )


def test_an_error_without_its_name_is_one_too():
    assert (
        relayed(START, HI, b'data: {"type":"error","error":{"type":"x","message":"m"}}\n\n')[0].failure.message == "m"
    )
    assert relayed(START, HI + b'event: error\ndata: {"error":"m"}\n\n')[0].failure.message == "m"
    assert relayed(START, b"event: error\ndata: {}\n\n")[0].failure.message


@pytest.mark.parametrize(
    "stream", [b"", START, START + TEXT + HI, START + TEXT + HI + END, START + b"event: message_delta\ndata: {"]
)
def test_a_cut_stream_never_looks_whole(stream, chop):
    relay, _ = relayed(*chop(stream))
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()


def test_a_forgotten_end_mark_is_added(chop):
    relay, out = relayed(*chop(WHOLE.removesuffix(STOP)))
    assert out + relay.end() == WHOLE.replace(b'{"type": "message_stop"}', b'{"type":"message_stop"}')
    assert relay.done


def test_a_reason_that_came_is_not_taken_back():
    relay, _ = relayed(WHOLE.removesuffix(STOP), event("message_delta", delta={}, usage={"output_tokens": 9}))
    assert relay.end()
    assert relay.usage == Usage(20, 9)


def test_an_end_mark_without_its_blank_line_is_one(chop):
    relay, out = relayed(*chop(WHOLE.rstrip(b"\n")))
    assert out + relay.end() == WHOLE
    assert relay.done


@pytest.mark.parametrize(
    "odd", [b"data: nonsense\n\n", b"data: [1]\n\n", event("content_block_delta", delta="x"), b": c\n\n"]
)
def test_what_is_not_understood_goes_on(odd, chop):
    stream = START + odd + TEXT + odd + HI + odd + END + DELTA + STOP
    relay, out = relayed(*chop(stream))
    assert out + relay.end() == stream


def test_text_about_errors_is_text(chop):
    words = 'event: error\ndata: {"type":"error"}\n\nevent: message_stop\n\nevent: content_block_delta\ndata: '
    stream = START + TEXT + HI + gain("text_delta", text=words) * 3 + END + DELTA + STOP
    relay, out = relayed(*chop(stream))
    assert out + relay.end() == stream
    assert relay.failure is None


def test_an_end_in_the_same_chunk_as_content_is_seen():
    relay, out = relayed(START + TEXT + HI, HI + HI + END + DELTA + STOP + HI)
    assert relay.done
    assert out.endswith(STOP)
