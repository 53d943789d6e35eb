"""What Claude Code writes, as it really wrote it, however it was cut."""

import json
from pathlib import Path

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.claude_cli import StreamDecoder, read_reply
from open_llm_auth.wire.events import (
    BlockEnded,
    ErrorBody,
    Failed,
    Finished,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Usage,
)

SAMPLES = Path(__file__).parents[2] / "golden" / "replies" / "claude-cli"
UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
SUNNY = TextDelta("It is sunny in Paris.")
SIGNED = ThinkingSigned(Signature("anthropic-messages", "c2lnbmF0dXJl"))
USAGE = Usage(20, 7)

#: blocks and end of each sample
SAYS = {
    "text": ([SUNNY], Finished("stop", USAGE)),
    "unicode": ([TextDelta(UNICODE)], Finished("stop", USAGE)),
    "json": ([TextDelta('{"city":"Paris","celsius":21}')], Finished("stop", USAGE)),
    "thinking": ([ThinkingDelta("The user asks for weather."), SIGNED, SUNNY], Finished("stop", USAGE)),
    "cache_hit": ([SUNNY], Finished("stop", Usage(1200, 7, cache_read=1000, cache_write=150))),
    "stop": ([TextDelta("one two three ")], Finished("stop_sequence", USAGE, "STOP")),
    "refusal": ([TextDelta("I can't help with that.")], Finished("refusal", USAGE)),
    "length": ([TextDelta("It is")], Finished("length", USAGE)),
}
#: type, status and part of the message of each error
FAILS = {
    "error_400": ("unknown", "400", "bad request sample"),
    "error_401": ("authentication_failed", "401", "invalid key sample. Sign in with `claude auth login`"),
    "error_429": ("rate_limit", "429", "slow down sample"),
    "error_529": ("server_error", "529", "overloaded sample"),
    "stream_error": ("unknown", None, "went wrong midway"),
}


def decoded(chunks):
    decoder = StreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.end()]


def joined(events):
    """The blocks of an answer, each said in one delta."""
    blocks = []
    for event in events:
        last = blocks[-1] if blocks else None
        if isinstance(event, TextDelta | ThinkingDelta) and type(event) is type(last):
            blocks[-1] = type(event)(last.text + event.text)
        elif not isinstance(event, Started | Finished | Failed):
            blocks.append(event)
    return blocks


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def started(id_="msg_1", **usage):
    message = {"id": id_, "model": "m", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1} | usage}
    return event({"type": "message_start", "message": message})


def event(value, **fields):
    return {"type": "stream_event", "event": value, "parent_tool_use_id": None} | fields


def block(**fields):
    return event({"type": "content_block_start", "index": 0, "content_block": fields})


def delta(**fields):
    return event({"type": "content_block_delta", "index": 0, "delta": fields})


def text(said):
    return delta(type="text_delta", text=said)


def ended(reason="end_turn"):
    return event({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}})


STOPPED = event({"type": "message_stop"})
CLOSED = event({"type": "content_block_stop", "index": 0})
RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "x"}


@pytest.mark.parametrize("name", SAYS)
def test_a_sample_says_what_it_says_however_it_was_cut(name, chop):
    stream = (SAMPLES / f"{name}.jsonl").read_bytes()
    events = decoded(chop(stream))
    blocks, end = SAYS[name]
    assert events[0].id == "msg_sample"
    assert events[0].model == "sample-model"
    assert events[0].usage.input == end.usage.input
    assert joined(events) == blocks
    assert events[-1] == end


@pytest.mark.parametrize("name", SAYS)
def test_a_sample_is_read_whole_too(name):
    stream = (SAMPLES / f"{name}.jsonl").read_bytes()
    assert read_reply(stream) == decoded([stream])


@pytest.mark.parametrize("name", FAILS)
def test_a_failure_has_the_status_it_would_have_had(name, chop):
    events = decoded(chop((SAMPLES / f"{name}.jsonl").read_bytes()))
    word, code, message = FAILS[name]
    assert joined(events) == ([TextDelta("It is")] if name == "stream_error" else [])
    [failed] = [each for each in events if isinstance(each, Failed)]
    assert failed is events[-1]
    assert (failed.error.type, failed.error.code) == (word, code)
    assert message in failed.error.message


@pytest.mark.parametrize(
    ("said", "word", "code"),
    [
        ("Not logged in · Please run /login", "authentication_failed", "401"),
        ("Not logged in · Please run /login", None, "401"),
        ("Claude usage limit reached|1749924000", None, "429"),
        ("Credit balance is too low", "billing_error", "402"),
        ("There's an issue with the selected model (x).", "model_not_found", "404"),
        ("API Error: Unable to connect to API (ConnectionRefused)", "server_error", "502"),
        ("something new", "something_new", None),
    ],
)
def test_a_failure_without_a_status_is_known_by_its_word_or_its_words(said, word, code):
    synthetic = {"id": "x", "model": "<synthetic>", "content": [{"type": "text", "text": said}]}
    stream = lines(
        {"type": "assistant", "message": synthetic, "error": word},
        RESULT | {"is_error": True, "result": said, "api_error_status": None},
    )
    [failed] = decoded([stream])
    assert (failed.error.type, failed.error.code) == (word, code)
    assert failed.error.message.startswith(said.rstrip("."))


def test_a_run_that_was_ended_by_a_rule_of_its_own_is_a_failure():
    [failed] = decoded([lines({"type": "result", "subtype": "error_max_turns", "is_error": False})])
    assert failed.error.message == "Claude Code ended with error_max_turns."


def test_what_the_program_answers_by_itself_is_no_answer_of_a_model():
    synthetic = {"id": "x", "model": "<synthetic>", "content": [{"type": "text", "text": "Unknown command."}]}
    stream = lines({"type": "assistant", "message": synthetic}, RESULT | {"result": "Unknown command."})
    assert decoded([stream]) == [Failed(ErrorBody("Claude Code asked no model: Unknown command.", code="502"))]


def test_the_answer_is_over_at_its_limit_though_the_program_asks_for_more():
    stream = lines(started(), block(type="text", text=""), text("half"), ended("max_tokens"), STOPPED, started("msg_2"))
    events = decoded([stream + lines(text("more"))])
    assert events[-2:] == [TextDelta("half"), Finished("length", Usage(5, 3))]


def test_the_programs_own_tools_are_not_told_and_its_messages_are_parted():
    stream = lines(
        started("msg_1"),
        block(type="text", text=""),
        text("Let me look."),
        CLOSED,
        block(type="tool_use", id="t", name="Read", input={}),
        delta(type="input_json_delta", partial_json="{}"),
        CLOSED,
        ended("tool_use"),
        STOPPED,
        {"type": "user", "message": {"role": "user", "content": "a result"}, "parent_tool_use_id": None},
        event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}, parent_tool_use_id="t"),
        {"type": "assistant", "parent_tool_use_id": "t", "message": {"id": "y", "content": [{"type": "text"}]}},
        started("msg_2"),
        block(type="text", text=""),
        text("Sunny."),
        CLOSED,
        ended(),
        STOPPED,
        RESULT | {"usage": {"input_tokens": 9, "output_tokens": 8, "cache_read_input_tokens": 1}},
    )
    events = decoded([stream])
    assert joined(events) == [TextDelta("Let me look.\n\nSunny.")]
    assert events[-1] == Finished("stop", Usage(10, 8, cache_read=1))


def test_blocks_of_one_kind_are_parted_within_a_message():
    stream = lines(
        started(),
        block(type="thinking", thinking=""),
        delta(type="thinking_delta", thinking="one"),
        delta(type="signature_delta", signature="s1"),
        CLOSED,
        block(type="redacted_thinking", data="sealed"),
        CLOSED,
        block(type="text", text=""),
        text("a"),
        CLOSED,
        block(type="text", text=""),
        text("b"),
        CLOSED,
        ended(),
        STOPPED,
        RESULT,
    )
    assert decoded([stream])[1:-1] == [
        ThinkingDelta("one"),
        ThinkingSigned(Signature("anthropic-messages", "s1")),
        BlockEnded(),
        ThinkingSigned(Signature("anthropic-messages", "sealed"), redacted=True),
        TextDelta("a"),
        BlockEnded(),
        TextDelta("b"),
    ]


def test_a_release_that_writes_messages_whole_is_read_too():
    def whole(*content, **fields):
        message = {"id": "msg_1", "model": "m", "content": list(content), "usage": {"input_tokens": 5}} | fields
        return {"type": "assistant", "message": message, "parent_tool_use_id": None}

    stream = lines(
        whole({"type": "thinking", "thinking": "hm", "signature": "s"}),
        whole({"type": "text", "text": "Yes."}, stop_reason="end_turn"),
        RESULT | {"result": "Yes.", "usage": {"input_tokens": 5, "output_tokens": 2}},
    )
    assert decoded([stream]) == [
        Started("msg_1", "m", Usage(5)),
        ThinkingDelta("hm"),
        ThinkingSigned(Signature("anthropic-messages", "s")),
        TextDelta("Yes."),
        Finished("stop", Usage(5, 2)),
    ]


def test_a_result_alone_is_an_answer():
    assert decoded([lines(RESULT | {"result": "Yes."})]) == [Started(), TextDelta("Yes."), Finished("stop", Usage())]


def test_an_answer_that_begins_again_after_half_of_it_is_a_failure():
    again = {"id": "msg_2", "model": "m", "content": [{"type": "text", "text": "It is sunny."}]}
    stream = lines(started(), block(type="text", text=""), text("It is"), {"type": "assistant", "message": again})
    assert isinstance(decoded([stream])[-1], Failed)


def test_lines_that_mean_nothing_are_nothing(chop):
    stream = b"(node:1) Warning: something\r\n\n" + lines(
        {"type": "system", "subtype": "init", "message": "odd", "error": {"odd": 1}},
        {"type": "novel"},
        {"type": "stream_event"},
        {"type": "stream_event", "event": {"type": "novel", "delta": None}},
        {"type": "assistant", "message": None},
        RESULT | {"result": "Yes."},
    )
    assert joined(decoded(chop(stream))) == [TextDelta("Yes.")]


@pytest.mark.parametrize("stream", [b"", b"\n", lines(started(), text("It is"))], ids=["none", "blank", "half"])
def test_a_run_that_stops_early_is_no_answer(stream, chop):
    with pytest.raises(UpstreamInvalidResponse, match="before the answer was complete"):
        decoded(chop(stream))


@pytest.mark.parametrize(
    "rubbish",
    [
        b'{"type":\n',
        b'{"type":1}\n',
        b'{"type":"assistant","message":{"content":"x"}}\n',
        b'{"a":"\xff"}\n',
        b'{"event":[]}\n',
    ],
    ids=repr,
)
def test_rubbish_is_no_answer_and_no_traceback(rubbish, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(chop(rubbish))
