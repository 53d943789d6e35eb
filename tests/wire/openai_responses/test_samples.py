"""The golden samples of this dialect: what each says, streamed and whole, and written again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.conversation import Image, Text, Thinking, ToolCall, ToolResult
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.events import (
    ErrorBody,
    Failed,
    Finished,
    RefusalDelta,
    Signature,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.openai_responses import (
    StreamDecoder,
    StreamEncoder,
    StreamRelay,
    gather,
    read_conversation,
    read_error,
    read_reply,
    read_request,
    read_usage,
    write_reply,
    write_request,
)

GOLDEN = Path(__file__).parents[2] / "golden"
REQUESTS = sorted(
    path
    for path in (GOLDEN / "requests" / "openai-responses").glob("*.json")
    if path.stem != "thinking_moved"  # what was signed elsewhere stays behind
)
REPLIES = GOLDEN / "replies" / "openai-responses"
STREAMED = [path.stem for path in sorted(REPLIES.glob("*.sse")) if path.stem != "stream_error"]
ANSWERING = Answering("ab12", 1700, "m")

UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
SIGNED = ThinkingSigned(Signature("openai-responses", "c2lnbmF0dXJl", "rs_68af4030baa48190"))
THOUGHT = [ThinkingDelta("The user asks for weather.", summary=True), SIGNED]
PARIS = [ToolCallStarted("call_paris", "get_weather"), ToolCallDelta('{"city":"Paris"}')]
BERLIN = [ToolCallStarted("call_berlin", "get_weather"), ToolCallDelta('{"city":"Berlin"}')]
SUNNY = TextDelta("It is sunny in Paris.")

SAYS = {
    "text": ([SUNNY], "stop"),
    "unicode": ([TextDelta(UNICODE)], "stop"),
    "tools": ([TextDelta("Let me look."), *PARIS], "tool_calls"),
    "parallel_tools": ([*PARIS, *BERLIN], "tool_calls"),
    "json": ([TextDelta('{"city":"Paris","celsius":21}')], "stop"),
    "thinking": ([*THOUGHT, SUNNY], "stop"),
    "thinking_tools": ([*THOUGHT, *PARIS], "tool_calls"),
    "cache_hit": ([SUNNY], "stop"),
    "stop": ([TextDelta("one two three ")], "stop"),
    "refusal": ([RefusalDelta("I can't help with that.")], "refusal"),
    "length": ([TextDelta("It is")], "length"),
}
USAGES = {"cache_hit": Usage(1200, 7, 1000, 150), "thinking": Usage(20, 7, reasoning=5)}
USAGES["thinking_tools"] = USAGES["thinking"]


def joined(events):
    """The events of a stream with every block said in one delta."""
    out = []
    for event in events:
        if (
            out
            and type(event) is type(out[-1])
            and isinstance(event, TextDelta | RefusalDelta | ThinkingDelta | ToolCallDelta)
        ):
            field = event.__struct_fields__[0]
            out[-1] = msgspec.structs.replace(event, **{field: getattr(out[-1], field) + getattr(event, field)})
        else:
            out.append(event)
    return out


def decoded(data, chop=lambda data: [data]):
    decoder = StreamDecoder()
    return [event for chunk in chop(data) for event in decoder.feed(chunk)] + decoder.end()


def test_every_sample_is_looked_at():
    assert set(STREAMED) == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_a_sample_says_the_same_streamed_and_whole(name, chop):
    said, reason = SAYS[name]
    body = (REPLIES / f"{name}.json").read_bytes()
    events = read_reply(body)
    assert events[1:-1] == said
    usage = USAGES.get(name, Usage(20, 7))
    assert events[-1] == Finished(reason, usage, service_tier="default")
    assert read_usage(body) == usage
    assert joined(decoded((REPLIES / f"{name}.sse").read_bytes(), chop)) == events


@pytest.mark.parametrize("name", SAYS)
def test_a_sample_is_relayed_as_it_is_and_gathered_to_its_whole(name, chop):
    stream = (REPLIES / f"{name}.sse").read_bytes()
    relay = StreamRelay()
    assert b"".join(relay.feed(chunk) for chunk in chop(stream)) + relay.end() == stream
    assert relay.usage == USAGES.get(name, Usage(20, 7))
    assert json.loads(gather(stream)) == json.loads((REPLIES / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", SAYS)
def test_a_sample_survives_being_written_again(name):
    events = read_reply((REPLIES / f"{name}.json").read_bytes())
    again = joined(decoded(StreamEncoder(ANSWERING).feed(events)))
    assert again[1:] == events[1:]
    assert read_reply(write_reply(events, ANSWERING))[1:] == events[1:]


def test_an_error_midway_is_told_to_decoder_and_relay(chop):
    stream = (REPLIES / "stream_error.sse").read_bytes()
    events = joined(decoded(stream, chop))
    error = ErrorBody("went wrong midway", "server_error", "server_error")
    assert events[1:] == [TextDelta("It is"), Failed(error)]
    relay = StreamRelay()
    out = b"".join(relay.feed(chunk) for chunk in chop(stream))
    assert relay.failure == error
    assert b"went wrong" not in out
    with pytest.raises(UpstreamInvalidResponse):
        relay.end()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("error_400", "bad request sample"),
        ("error_401", "invalid key sample"),
        ("error_429", "slow down sample"),
        ("error_529", "overloaded sample"),
    ],
)
def test_an_error_body_is_read(name, message):
    assert read_error((REPLIES / f"{name}.json").read_bytes()).message == message


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_a_request_is_understood_and_means_the_same_when_it_is_written_again(path):
    body = path.read_bytes()
    read_request(body)
    call = read_conversation(read_envelope(body))
    assert call.extras == ()
    again = read_conversation(read_envelope(msgspec.json.encode(write_request(call, "m"))))
    assert _without_caches(again.turns) == _without_caches(call.turns)
    assert (again.system, again.tools, again.tool_choice) == (call.system, call.tools, call.tool_choice)
    assert (again.output, again.temperature) == (call.output, call.temperature)


def _without_caches(turns):
    """Turns as a provider must get them: caches need no breakpoints, and words of reasoning are in its seal."""

    def plain(part):
        if isinstance(part, Text):
            return Text(part.text)
        return Thinking("", part.signature, summary=True) if isinstance(part, Thinking) else part

    return [(turn.role, [plain(part) for part in turn.parts]) for turn in turns]


def test_the_requests_say_what_they_are_named_for():
    calls = {path.stem: read_conversation(read_envelope(path.read_bytes())) for path in REQUESTS}
    assert calls["text"].system == (Text("You are terse."),)
    assert (calls["text"].max_tokens, calls["text"].temperature) == (100, 0.5)
    assert calls["unicode"].turns[0].parts == (Text(UNICODE),)
    assert calls["tools"].tools[0].name == "get_weather"
    history = calls["parallel_tools"].turns
    assert [type(part) for part in history[1].parts] == [Text, ToolCall, ToolCall]
    assert [part.id for part in history[2].parts if isinstance(part, ToolResult)] == ["call_paris", "call_berlin"]
    assert isinstance(calls["image"].turns[0].parts[1], Image)
    assert calls["json_schema"].output.name == "weather"
    assert calls["thinking"].reasoning.effort == "medium"
    thought = calls["thinking_tools"].turns[1].parts[0]
    assert thought == Thinking(
        "I should look.", Signature("openai-responses", "c2lnbmF0dXJl", "rs_sample"), summary=True
    )
    assert calls["cache"].turns[0].parts[0].cache is not None
    assert calls["length"].max_tokens == 2
