"""The `anthropic` package reads what we write: its accumulator and its types over our bytes, on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.errors import InvalidRequest, UpstreamHTTPError
from open_llm_auth.wire.anthropic_messages import (
    StreamDecoder,
    StreamEncoder,
    read_conversation,
    read_count_request,
    read_request,
    write_count,
    write_error,
    write_reply,
    write_request,
)
from open_llm_auth.wire.conversation import (
    CacheControl,
    Conversation,
    Document,
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
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
    Event,
    Finished,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

anthropic = pytest.importorskip("anthropic", reason="NO ANTHROPIC SDK TESTS: the anthropic package is not installed")
pydantic = pytest.importorskip("pydantic")

REPLIES = Path(__file__).parents[2] / "golden" / "replies" / "anthropic-messages"
NAMES = sorted(path.stem for path in REPLIES.glob("*.json") if not path.stem.startswith("error_"))
ANSWERING = Answering("ab12", 1, "some-model")


class _Handler(BaseHTTPRequestHandler):
    answer: tuple[int, bytes, str]
    asked: list[bytes]

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["content-length"])))
        status, body, kind = self.answer
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def client(body: bytes, status: int = 200, kind: str = "text/event-stream") -> Iterator[Any]:
    """The SDK before a server that answers with `body`; `client.asked` is what it was sent."""
    asked: list[bytes] = []
    handler = type("Handler", (_Handler,), {"answer": (status, body, kind), "asked": asked})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    sdk = anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0)
    sdk.asked = asked
    try:
        yield sdk
    finally:
        sdk.close()
        server.shutdown()
        thread.join()
        server.server_close()


def message_of(stream: bytes) -> Any:
    """What the SDK makes of a stream."""
    with (
        client(stream) as sdk,
        sdk.messages.stream(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}]) as events,
    ):
        return events.get_final_message()


def reencoded(stream: bytes) -> bytes:
    decoder, encoder = StreamDecoder(), StreamEncoder(ANSWERING)
    return encoder.feed(decoder.feed(stream)) + encoder.feed(decoder.end())


def plainly(message: Any) -> Any:
    """A message as values, without what each of two answers has for itself."""
    said = message.model_dump(exclude_none=True)
    return {name: value for name, value in said.items() if name not in ("id", "usage")}


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_of_ours_comes_to_what_the_providers_did(name: str) -> None:
    stream = (REPLIES / f"{name}.sse").read_bytes()
    ours, theirs = message_of(reencoded(stream)), message_of(stream)
    assert plainly(ours) == plainly(theirs)
    for count in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
        assert getattr(ours.usage, count) == getattr(theirs.usage, count)


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_answer_of_ours_comes_to_what_the_stream_did(name: str) -> None:
    stream = (REPLIES / f"{name}.sse").read_bytes()
    decoder = StreamDecoder()
    body = write_reply(decoder.feed(stream) + decoder.end(), ANSWERING)
    with client(body, kind="application/json") as sdk:
        plain = sdk.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    assert plainly(plain) == plainly(message_of(reencoded(stream)))


def test_everything_of_other_dialects_is_a_message_too() -> None:
    events: list[Event] = [
        Started("", ""),
        ThinkingDelta("Let me"),
        ThinkingDelta(" think."),
        ThinkingSigned(Signature("openai-responses", "enc", "rs_1")),
        ThinkingSigned(Signature("bedrock-converse", "data"), redacted=True),
        TextDelta("one"),
        Citation("https://example.com", "Example", "one"),
        BlockEnded(),
        TextDelta("two"),
        ToolCallStarted("functions.look:0", "look", signature=Signature("google-genai", "sig")),
        ToolCallStarted("call_2", "sh", custom=True),
        ToolCallDelta('say "hi"'),
        ToolCallDelta(" && ls"),
        Finished("tool_calls", Usage(1200, 7, 1000, 150, 5)),
    ]
    message = message_of(StreamEncoder(ANSWERING).feed(events))
    thinking, redacted, one, two, look, shell = message.content
    assert (thinking.thinking, thinking.type) == ("Let me think.", "thinking")
    assert thinking.signature
    assert redacted.data
    assert (one.text, one.citations[0].url, two.text) == ("one", "https://example.com", "two")
    assert (look.input, shell.input) == ({}, {"input": 'say "hi" && ls'})
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 50, 7)


def test_an_error_within_a_stream_is_raised_by_its_type() -> None:
    encoder = StreamEncoder(ANSWERING)
    stream = encoder.feed([Started(), TextDelta("a")]) + encoder.fail(UpstreamHTTPError("busy now", status=529))
    with pytest.raises(anthropic.APIStatusError, match="busy now") as raised:
        message_of(stream)
    assert raised.value.body["error"]["type"] == "overloaded_error"


def test_an_error_is_raised_by_its_status() -> None:
    error = InvalidRequest("'model' is empty.")
    with (
        client(write_error(error, "req_1"), error.status, "application/json") as sdk,
        pytest.raises(anthropic.BadRequestError, match="'model' is empty") as raised,
    ):
        sdk.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    assert raised.value.body["error"]["type"] == "invalid_request_error"


def test_a_count_is_a_count() -> None:
    with client(write_count(42), kind="application/json") as sdk:
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert sdk.messages.count_tokens(**asked).input_tokens == 42
        assert read_count_request(sdk.asked[0]).model == "m"


def test_what_the_sdk_sends_is_read() -> None:
    with client((REPLIES / "text.json").read_bytes(), kind="application/json") as sdk:
        sdk.messages.create(
            model="m",
            max_tokens=5,
            system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            messages=[{"role": "user", "content": "hi"}],
            tools=[{"name": "look", "input_schema": {"type": "object"}}],
            thinking={"type": "adaptive"},
        )
        conversation = read_conversation(read_request(sdk.asked[0]).envelope)
    assert conversation.system == (Text("Be brief.", CacheControl()),)
    assert conversation.reasoning == Reasoning(True, adaptive=True)


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-8", "claude-opus-5", "glm-5.1"])
def test_what_we_write_is_what_the_sdk_may_send(model: str) -> None:
    """Checked against the SDK's own types of parameters."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    signed = Thinking("hm", Signature("anthropic-messages", "s"))
    conversation = Conversation(
        (
            Turn("user", (Text("hi"), Image("image/png", "AA=="), Document("application/pdf", "AA==", name="T"))),
            Turn("assistant", (signed, Text("Let me look."), ToolCall("c", "look", '{"city":"Paris"}'))),
            Turn("user", (ToolResult("c", "look", (Text("a"), Image(url="https://a")), is_error=True),)),
            Turn("system", (Text("Be brief."),)),
        ),
        system=(Text("You help.", CacheControl("1h")),),
        tools=(Tool("look", "Looks.", schema, strict=True), Tool("sh", custom=True)),
        tool_choice=ToolChoice("auto"),
        parallel_tool_calls=False,
        temperature=0.5,
        stop=("STOP",),
        output=OutputFormat(schema),
        reasoning=Reasoning(effort="high"),
        service_tier="default",
        user="u",
    )
    body = json.loads(json.dumps(write_request(conversation, model)))
    params = anthropic.types.message_create_params.MessageCreateParamsNonStreaming
    # Held while the lists are walked: they are checked only then, by it.
    adapter = pydantic.TypeAdapter(params)
    checked = adapter.validate_python(body)
    assert set(checked) == set(body)
    assert [len(list(message["content"])) for message in checked["messages"]] == [3, 3, 2]
    assert len(list(checked["tools"])) == 2
    assert len(list(checked["system"])) >= 1
