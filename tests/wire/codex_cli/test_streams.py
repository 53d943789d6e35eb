"""What Codex writes, as it really wrote it, however it was cut."""

import json
from pathlib import Path

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.codex_cli import StreamDecoder, read_reply
from open_llm_auth.wire.events import BlockEnded, Failed, Finished, Started, TextDelta, ThinkingDelta, Usage

SAMPLES = Path(__file__).parents[2] / "golden" / "replies" / "codex-cli"
UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
SUNNY = TextDelta("It is sunny in Paris.")
USAGE = Usage(20, 7)

#: what each sample says
SAYS = {
    "text": ([SUNNY], USAGE),
    "unicode": ([TextDelta(UNICODE)], USAGE),
    "json": ([TextDelta('{"city":"Paris","celsius":21}')], USAGE),
    "thinking": ([ThinkingDelta("The user asks for weather.", summary=True), SUNNY], Usage(20, 7, reasoning=5)),
    "cache_hit": ([SUNNY], Usage(1200, 7, cache_read=1000, cache_write=150)),
}
#: type, status and part of the message of each error
FAILS = {
    "error_400": ("invalid_request_error", None, "bad request sample"),
    "error_401": (None, "401", "invalid key sample. Sign in with `codex login`"),
    "error_429": (None, "429", "exceeded retry limit"),
    "error_529": (None, "529", "overloaded sample"),
    "stream_error": (None, None, "went wrong midway"),
}


def decoded(chunks):
    decoder = StreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*events, *decoder.end()]


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def item(kind, text, stage="completed"):
    return {"type": f"item.{stage}", "item": {"id": "item_1", "type": kind, "text": text}}


DONE = {"type": "turn.completed", "usage": None}


@pytest.mark.parametrize("name", SAYS)
def test_a_sample_says_what_it_says_however_it_was_cut(name, chop):
    stream = (SAMPLES / f"{name}.jsonl").read_bytes()
    blocks, usage = SAYS[name]
    events = decoded(chop(stream))
    assert isinstance(events[0], Started)
    assert events[1:] == [*blocks, Finished("stop", usage)]
    assert read_reply(stream) == events


@pytest.mark.parametrize("name", FAILS)
def test_a_failure_has_the_status_it_would_have_had(name, chop):
    events = decoded(chop((SAMPLES / f"{name}.jsonl").read_bytes()))
    word, code, message = FAILS[name]
    _, failed = events
    assert (failed.error.type, failed.error.code) == (word, code)
    assert message in failed.error.message


def test_messages_and_thoughts_are_parted_and_its_own_work_is_not_told():
    stream = lines(
        item("reasoning", "one"),
        item("reasoning", "two"),
        item("agent_message", "not yet", "started"),
        item("agent_message", "Let me look."),
        {"type": "item.completed", "item": {"type": "command_execution", "command": "ls", "exit_code": 0}},
        {"type": "item.completed", "item": {"type": "error", "message": "a warning"}},
        item("agent_message", ""),
        item("agent_message", "Sunny."),
        DONE,
    )
    assert decoded([stream]) == [
        Started(),
        ThinkingDelta("one", summary=True),
        BlockEnded(),
        ThinkingDelta("two", summary=True),
        TextDelta("Let me look."),
        TextDelta("\n\n"),
        TextDelta("Sunny."),
        Finished("stop"),
    ]


def test_a_new_try_of_its_own_is_no_failure():
    stream = lines({"type": "error", "message": "Reconnecting... 2/5"}, item("agent_message", "Yes."), DONE)
    assert decoded([stream])[1:] == [TextDelta("Yes."), Finished("stop")]


def test_a_failure_without_words_is_one():
    [failed] = decoded([lines({"type": "turn.failed"})])
    assert isinstance(failed, Failed)
    assert failed.error.message


def test_lines_that_mean_nothing_are_nothing(chop):
    stream = b"WARNING: something\r\n\n" + lines({"type": "novel"}, {"type": "item.completed"}, DONE)
    assert decoded(chop(stream)) == [Started(), Finished("stop")]


@pytest.mark.parametrize("stream", [b"", b"\n", lines(item("agent_message", "It is"))], ids=["none", "blank", "half"])
def test_a_run_that_stops_early_is_no_answer(stream, chop):
    with pytest.raises(UpstreamInvalidResponse, match="before the answer was complete"):
        decoded(chop(stream))


@pytest.mark.parametrize("rubbish", [b'{"type":\n', b'{"type":1}\n', b'{"item":"x"}\n', b'{"type":"\xff"}\n'], ids=repr)
def test_rubbish_is_no_answer_and_no_traceback(rubbish, chop):
    with pytest.raises(UpstreamInvalidResponse):
        decoded(chop(rubbish))
