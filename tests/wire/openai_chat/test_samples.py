"""The golden samples: what each request and each answer says without its dialect, plain and however it was cut."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from open_llm_auth.wire import sse
from open_llm_auth.wire.conversation import (
    CacheControl,
    Conversation,
    Image,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.events import (
    BlockEnded,
    ErrorBody,
    Failed,
    Finished,
    RefusalDelta,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.openai_chat import DIALECT, StreamDecoder, StreamEncoder, read_conversation, read_reply

GOLDEN = Path(__file__).parents[2] / "golden"
REQUESTS = GOLDEN / "requests" / "openai-chat"
REPLIES = GOLDEN / "replies" / "openai-chat"
ANSWERING = Answering(id="ab12", created=1, model="sample-model")

UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
SYSTEM = (Text("You are terse."),)
ASK = Turn("user", (Text("What is the weather in Paris?"),))
PARIS, BERLIN = '{"city":"Paris"}', '{"city":"Berlin"}'
TOOL = Tool(
    "get_weather",
    "The weather in a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)
CALL_PARIS = ToolCall("call_paris", "get_weather", PARIS)
SIGNATURE = Signature("openai-chat", "c2lnbmF0dXJl")


def result(call_id, text):
    return Turn("user", (ToolResult(call_id, "get_weather", (Text(text),)),))


CONVERSATIONS = {
    "text": Conversation((ASK,), SYSTEM, max_tokens=100, temperature=0.5),
    "unicode": Conversation((Turn("user", (Text(UNICODE),)),)),
    "tools": Conversation((ASK,), tools=(TOOL,), tool_choice=ToolChoice("auto")),
    "parallel_tools": Conversation(
        (
            Turn("user", (Text("What is the weather in Paris and in Berlin?"),)),
            Turn("assistant", (Text("Let me look."), CALL_PARIS, ToolCall("call_berlin", "get_weather", BERLIN))),
            result("call_paris", "21 C, sunny"),
            result("call_berlin", "17 C, rain"),
            Turn("user", (Text("And tomorrow?"),)),
        ),
        tools=(TOOL,),
    ),
    "tool_error": Conversation(
        (ASK, Turn("assistant", (CALL_PARIS,)), result("call_paris", "Error: no such city")), tools=(TOOL,)
    ),
    "json_schema": Conversation(
        (Turn("user", (Text("Weather in Paris as JSON"),)),),
        output=OutputFormat(
            {
                "type": "object",
                "properties": {"city": {"type": "string"}, "celsius": {"type": "number"}},
                "required": ["city", "celsius"],
                "additionalProperties": False,
            },
            "weather",
            strict=True,
        ),
    ),
    "thinking": Conversation((ASK,), reasoning=Reasoning(effort="medium")),
    "thinking_tools": Conversation(
        (
            ASK,
            Turn("assistant", (Thinking("I should look.", SIGNATURE), CALL_PARIS)),
            result("call_paris", "21 C, sunny"),
        ),
        tools=(TOOL,),
        reasoning=Reasoning(effort="medium"),
    ),
    "cache": Conversation((ASK,), (Text("You are terse.", CacheControl()),), max_tokens=100, temperature=0.5),
    "stop": Conversation((ASK,), stop=("STOP",)),
    "length": Conversation((ASK,), max_tokens=2),
}


def conversation(name):
    return read_conversation(read_envelope((REQUESTS / f"{name}.json").read_bytes()))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_sample_request_says(name):
    assert conversation(name) == replace(CONVERSATIONS[name], caches=True)


def test_a_sample_image_is_read_out_of_its_url():
    text, image = conversation("image").turns[0].parts
    assert (text, image.media_type, image.url) == (Text("What is this?"), "image/png", "")
    assert isinstance(image, Image)
    assert image.data.startswith("iVBORw0KGgo")


def test_every_sample_request_has_been_read():
    signed_elsewhere = {"thinking_moved"}
    assert {path.stem for path in REQUESTS.iterdir()} == {*CONVERSATIONS, "image"} | signed_elsewhere


@pytest.mark.parametrize("name", sorted({*CONVERSATIONS, "image"} - {"cache"}))
def test_a_sample_request_is_written_as_it_was_read(name):
    """But for cache control, which few servers take."""
    sample = json.loads((REQUESTS / f"{name}.json").read_bytes())
    written = DIALECT.provider.write_request(conversation(name), "sample-model")
    for message in sample["messages"]:
        message.pop("reasoning_content", None)
    assert json.loads(json.dumps(written)) == sample


# ---------------------------------------------------------------------------------------------- answers

STARTED = Started("chatcmpl-sample", "sample-model", None, 1700000000)
COUNTED = Usage(20, 7)
REASONED = Usage(20, 7, reasoning=5)
SUNNY = TextDelta("It is sunny in Paris.")
THOUGHT = [ThinkingDelta("The user asks for weather."), ThinkingSigned(SIGNATURE)]
CALL = [ToolCallStarted("call_paris", "get_weather"), ToolCallDelta(PARIS)]

ANSWERS = {
    "text": [SUNNY, Finished("stop", COUNTED)],
    "unicode": [TextDelta(UNICODE), Finished("stop", COUNTED)],
    "tools": [TextDelta("Let me look."), *CALL, Finished("tool_calls", COUNTED)],
    "parallel_tools": [
        *CALL,
        ToolCallStarted("call_berlin", "get_weather"),
        ToolCallDelta(BERLIN),
        Finished("tool_calls", COUNTED),
    ],
    "json": [TextDelta('{"city":"Paris","celsius":21}'), Finished("stop", COUNTED)],
    "thinking": [*THOUGHT, SUNNY, Finished("stop", REASONED)],
    "thinking_tools": [*THOUGHT, *CALL, Finished("tool_calls", REASONED)],
    "cache_hit": [SUNNY, Finished("stop", Usage(1200, 7, cache_read=1000, cache_write=150))],
    "stop": [TextDelta("one two three "), Finished("stop", COUNTED)],
    "refusal": [RefusalDelta("I can't help with that."), Finished("refusal", COUNTED)],
    "length": [TextDelta("It is"), Finished("length", COUNTED)],
}
FIELDS = {TextDelta: "text", RefusalDelta: "text", ThinkingDelta: "text", ToolCallDelta: "arguments"}


def joined(events):
    """The events with the deltas of one block in one."""
    out = []
    for event in events:
        field = FIELDS.get(type(event))
        if field and out and type(out[-1]) is type(event):
            out[-1] = type(event)(getattr(out[-1], field) + getattr(event, field))
        elif type(event) is not BlockEnded:
            out.append(event)
    return out


def decoded(chunks):
    decoder = StreamDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.end()


def sample(name, form):
    return (REPLIES / f"{name}.{form}").read_bytes()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_plain_sample_says(name):
    assert read_reply(sample(name, "json")) == [STARTED, *ANSWERS[name]]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_streamed_sample_says_the_same_however_it_was_cut(name, chop):
    assert joined(decoded(chop(sample(name, "sse")))) == [STARTED, *ANSWERS[name]]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_streamed_sample_comes_in_pieces(name):
    pieces = [event for event in decoded([sample(name, "sse")]) if type(event) in FIELDS]
    assert len(pieces) > len([event for event in ANSWERS[name] if type(event) in FIELDS])


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_client_is_told_says_the_same_again(name):
    events = [STARTED, *ANSWERS[name]]
    plain = read_reply(DIALECT.client.write_reply(events, ANSWERING))
    streamed = joined(decoded([StreamEncoder(ANSWERING).feed(events)]))
    assert plain[1:] == streamed[1:] == ANSWERS[name]
    assert plain[0] == streamed[0] == Started("chatcmpl-ab12", "sample-model", None, 1700000000)


@pytest.mark.parametrize("name", ANSWERS)
def test_openais_own_library_finds_nothing_wrong_with_what_a_client_is_told(name):
    events = [STARTED, *ANSWERS[name]]
    plain = DIALECT.client.write_reply(events, ANSWERING)
    ChatCompletion.model_validate(json.loads(plain), strict=True)
    ChatCompletion.model_validate(json.loads(sample(name, "json")), strict=True)
    *chunks, done = sse.split_events(StreamEncoder(ANSWERING).feed(events))
    assert done == sse.DONE
    for chunk in chunks:
        ChatCompletionChunk.model_validate(json.loads(sse.data_of(chunk)), strict=True)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_plain_sample_is_written_as_it_was_read(name):
    given = json.loads(sample(name, "json"))
    assert json.loads(DIALECT.client.write_reply(read_reply(sample(name, "json")), ANSWERING)) == {
        **given,
        "id": "chatcmpl-ab12",
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ErrorBody("bad request sample", "invalid_request_error")),
        (401, ErrorBody("invalid key sample", "invalid_request_error", "invalid_api_key")),
        (429, ErrorBody("slow down sample", "requests", "rate_limit_exceeded")),
        (529, ErrorBody("overloaded sample", "server_error", "overloaded")),
    ],
)
def test_a_sample_error_says(status, error):
    assert DIALECT.provider.read_error(sample(f"error_{status}", "json")) == error


def test_a_sample_that_fails_midway_says_so_last(chop):
    failed = Failed(ErrorBody("went wrong midway", "server_error"))
    assert decoded(chop(sample("stream_error", "sse"))) == [STARTED, TextDelta("It is"), failed]


def test_every_sample_answer_has_been_read():
    assert {path.stem for path in REPLIES.iterdir() if not path.stem.startswith("error_")} == {*ANSWERS, "stream_error"}
