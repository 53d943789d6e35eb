"""A stranger reads and writes this dialect: Google's own SDK, against what is written here."""

from __future__ import annotations

import json

import pytest
from google import genai
from google.genai import errors, types

from open_llm_auth.errors import UpstreamHTTPError, UpstreamUnreachable
from open_llm_auth.testing.http_server import HttpServer
from open_llm_auth.wire.conversation import Document, Image, Text, Thinking, Tool, ToolCall, ToolResult
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.events import (
    Citation,
    Finished,
    Logprobs,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.google_genai import (
    StreamEncoder,
    model_entry,
    read_conversation,
    read_count_request,
    read_request,
    write_count,
    write_error,
    write_reply,
)

FOREIGN = Signature("anthropic-messages", "proof+/?>" * 5)
EVENTS = (
    Started(model="m-1"),
    ThinkingDelta("I should "),
    ThinkingDelta("look."),
    ThinkingSigned(FOREIGN),
    TextDelta("Let "),
    TextDelta("me look — né."),
    Citation("https://a.example", "A", "né", 14, 16),
    ToolCallStarted("c1", "look", signature=FOREIGN),
    ToolCallDelta('{"city": "Pa'),
    ToolCallDelta('ris"}'),
    ToolCallStarted("c2", "wait"),
    Finished("tool_calls", Usage(20, 12, 5, 0, 5)),
)
LOOK = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="look",
            description="Looks.",
            parameters=types.Schema(
                type="OBJECT",
                properties={"city": types.Schema(type="STRING", nullable=True)},
                required=["city"],
            ),
        )
    ]
)
THINKING = types.GenerateContentConfig(
    thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2048),
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    tools=[LOOK],
)


class Served:
    """A client of the SDK, a server that answers it, and what it asked last. `events` is what the server says."""

    def __init__(self, port: int, server: HttpServer) -> None:
        # Left alone the SDK asks v1 since its version 3; the routes are those of v1beta.
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{port}", api_version="v1beta")
        self.client = genai.Client(api_key="k", http_options=options)
        self.server = server
        self.events = EVENTS
        self.failure: Exception | None = None
        self.status = 200

    @property
    def asked(self):
        return self.server.exchanges[-1].request

    def answer(self, request) -> tuple[str, bytes]:
        if self.status >= 400:
            return "application/json", write_error(UpstreamHTTPError("no", status=self.status), "r")
        if request.path.endswith("/models"):
            entry = model_entry("google/gemini", name="Gemini", context_window=1000)
            return "application/json", json.dumps({"models": [entry]}).encode()
        if request.path.endswith(":countTokens"):
            return "application/json", write_count(12)
        answering = Answering("0123abcd", 1, "m", read_request(request.body).envelope)
        if request.path.endswith(":generateContent"):
            return "application/json", write_reply(self.events, answering)
        encoder = StreamEncoder(answering)
        if self.failure is not None:
            return "text/event-stream", encoder.feed(self.events[:-1]) + encoder.fail(self.failure)
        return "text/event-stream", encoder.feed(self.events)


@pytest.fixture
def served():
    async def handle(connection, exchange):
        kind, body = state.answer(exchange.request)
        await connection.send_head(state.status, (("content-type", kind), ("content-length", str(len(body)))))
        await connection.send(body)
        return True

    with HttpServer(handle) as server:
        state = Served(server.port, server)
        yield state


def test_a_plain_answer_is_read(served):
    answer = served.client.models.generate_content(model="gemini", contents="hi", config=THINKING)
    thought, text, look, wait = answer.candidates[0].content.parts
    assert (thought.text, thought.thought, text.text) == ("I should look.", True, "Let me look — né.")
    assert (look.function_call.name, look.function_call.args, look.function_call.id) == (
        "look",
        {"city": "Paris"},
        "c1",
    )
    assert wait.function_call.args == {}
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (20, 5)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (7, 5, 32)
    support = answer.candidates[0].grounding_metadata.grounding_supports[0]
    assert "Let me look — né.".encode()[support.segment.start_index : support.segment.end_index].decode() == "né"
    assert (answer.model_version, answer.response_id) == ("m-1", "0123abcd")


def test_a_stream_is_read_piece_by_piece(served):
    chunks = list(served.client.models.generate_content_stream(model="gemini", contents="hi", config=THINKING))
    assert served.asked.target == "/v1beta/models/gemini:streamGenerateContent?alt=sse"
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.text and part.thought) == "I should look."
    assert "".join(part.text for part in parts if part.text and not part.thought) == "Let me look — né."
    assert [part.function_call.name for part in parts if part.function_call] == ["look", "wait"]
    assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP
    assert chunks[-1].usage_metadata.thoughts_token_count == 5


def test_probabilities_are_read(served):
    tokens = (TokenLogprob("a", -0.5, (TokenLogprob("b", -1.0),)),)
    served.events = (TextDelta("a"), Logprobs(tokens), Finished("stop"))
    result = served.client.models.generate_content(model="gemini", contents="hi").candidates[0].logprobs_result
    assert (result.chosen_candidates[0].token, result.top_candidates[0].candidates[0].log_probability) == ("a", -1.0)


def test_a_failure_within_a_stream_is_raised(served):
    served.failure = UpstreamUnreachable("gone")
    stream = served.client.models.generate_content_stream(model="gemini", contents="hi")
    with pytest.raises(errors.ServerError, match="gone") as caught:
        list(stream)
    assert caught.value.code == 502


@pytest.mark.parametrize(
    ("status", "kind"), [(400, errors.ClientError), (401, errors.ClientError), (503, errors.ServerError)]
)
def test_an_error_is_raised_with_its_code(served, status, kind):
    served.status = status
    with pytest.raises(kind, match="no") as caught:
        served.client.models.generate_content(model="gemini", contents="hi")
    assert caught.value.code == status


def test_counts_and_models_are_read(served):
    assert served.client.models.count_tokens(model="gemini", contents="hi").total_tokens == 12
    assert read_conversation(read_count_request(served.asked.body).envelope).turns[0].parts == (Text("hi"),)
    (model,) = served.client.models.list()
    assert (model.name, model.display_name, model.input_token_limit) == ("models/google/gemini", "Gemini", 1000)


# ---------------------------------------------------------------------------------------------- what it sends


def test_a_chat_brings_everything_back(served):
    """Thoughts, calls and signatures that came in a stream, as the SDK keeps them and sends them again."""
    chat = served.client.chats.create(model="gemini", config=THINKING)
    list(chat.send_message_stream("Weather?"))
    results = [
        types.Part.from_function_response(name="look", response={"output": "21 C"}),
        types.Part.from_function_response(name="wait", response={"error": "no time"}),
    ]
    list(chat.send_message_stream(results))
    call = read_conversation(read_request(served.asked.body).envelope)
    asked, said, answered = call.turns
    assert asked.parts == (Text("Weather?"),)
    assert said.role == "assistant"
    assert said.parts == (
        Thinking("I should look.", FOREIGN, summary=True),
        Text("Let me look — né."),
        ToolCall("c1", "look", '{"city":"Paris"}', signature=FOREIGN),
        ToolCall("c2", "wait", "{}"),
    )
    assert answered.parts == (
        ToolResult("c1", "look", (Text("21 C"),)),
        ToolResult("c2", "wait", (Text("no time"),), is_error=True),
    )


def test_what_the_sdk_sends_is_read(served):
    config = types.GenerateContentConfig(
        system_instruction="be terse",
        temperature=0.5,
        top_k=40,
        max_output_tokens=100,
        stop_sequences=["STOP"],
        seed=7,
        response_logprobs=True,
        logprobs=2,
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
        tools=[LOOK, types.Tool(google_search=types.GoogleSearch())],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["look"])
        ),
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="OFF")],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    contents = [
        types.Part.from_bytes(data=b"\xff\xfe\xfd", mime_type="image/png"),
        types.Part.from_bytes(data=b"%PDF", mime_type="application/pdf"),
        "What is this?",
    ]
    served.client.models.generate_content(model="gemini", contents=contents, config=config)
    call = read_conversation(read_request(served.asked.body).envelope)
    assert call.turns[0].parts == (
        Image("image/png", "//79"),
        Document("application/pdf", "JVBERg=="),
        Text("What is this?"),
    )
    assert (call.system, call.temperature, call.top_k, call.max_tokens) == ((Text("be terse"),), 0.5, 40, 100)
    assert (call.stop, call.seed, call.logprobs, call.reasoning.effort) == (("STOP",), 7, 2, "low")
    search, look = sorted(call.tools, key=lambda tool: isinstance(tool, Tool))
    assert look.parameters == {
        "type": "object",
        "properties": {"city": {"type": ["string", "null"]}},
        "required": ["city"],
    }
    assert (search.what, call.tool_choice.name) == ("googleSearch", "look")
    assert call.extras == ("safetySettings",)


def test_a_schema_for_the_answer_is_read(served):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    config = {"response_mime_type": "application/json", "response_json_schema": schema}
    served.client.models.generate_content(model="gemini", contents="hi", config=config)
    assert read_conversation(read_request(served.asked.body).envelope).output.schema == schema


@pytest.mark.parametrize("events", [EVENTS, (TextDelta("Yes."), Finished("stop"))], ids=["calls", "text"])
def test_a_chat_keeps_what_was_streamed_in_its_history(served, events):
    """The SDK leaves an answer out of it where any response has no part that it takes."""
    served.events = events
    chat = served.client.chats.create(model="gemini", config=THINKING)
    assert [chunk.candidates[0].content.parts for chunk in chat.send_message_stream("hi")]
    asked, *kept = chat.get_history(curated=True)
    assert (asked.role, kept[-1].role) == ("user", "model")
    assert [part.function_call.name for content in kept for part in content.parts if part.function_call] == [
        event.name for event in events if isinstance(event, ToolCallStarted)
    ]
