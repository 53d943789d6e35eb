"""OpenAI's own Python SDK, at its strictest, reads what is written here and nothing is missing or of a wrong type."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import msgspec
import openai
import pytest
from pydantic import BaseModel

from open_llm_auth.errors import UpstreamHTTPError
from open_llm_auth.wire.dialect import Answering
from open_llm_auth.wire.events import (
    Citation,
    Finished,
    Logprobs,
    RefusalDelta,
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
from open_llm_auth.wire.openai_responses import StreamEncoder, read_request, write_error, write_reply

GOLDEN = Path(__file__).parents[2] / "golden" / "requests" / "openai-responses"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"type": "function", "name": "get_weather", "description": "d", "parameters": WEATHER, "strict": True}
TOOLS = [
    FUNCTION,
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "mcp__x__", "description": "d", "tools": [{"type": "function", "name": "go"}]},
]
USAGE = Usage(20, 7, 3, 2, 5)
EVERYTHING = [
    Started("theirs", "up-model"),
    ThinkingDelta("The user asks "),
    ThinkingDelta("for weather."),
    ThinkingSigned(Signature("anthropic-messages", "c2ln")),
    TextDelta("Let me "),
    TextDelta("look."),
    Logprobs((TokenLogprob("Let", -0.1, (TokenLogprob("I", -1.0),)),)),
    Citation("https://x", "X"),
    RefusalDelta("Not that."),
    ToolCallStarted("call_paris", "get_weather"),
    ToolCallDelta('{"city":'),
    ToolCallDelta('"Paris"}'),
    ToolCallStarted("call_x", "mcp__x__go"),
    ToolCallStarted("call_patch", "patch"),
    ToolCallDelta('{"input":"*** Begin"}'),
    Finished("tool_calls", USAGE, service_tier="default"),
]


class Weather(BaseModel):
    city: str
    celsius: float


def client_of(answer, **headers):
    """A strict client whose every request is answered by `answer`, which is given its body."""

    def handle(request):
        status, body, kind = answer(request.content)
        return httpx.Response(status, content=body, headers={"content-type": kind, **headers})

    return openai.OpenAI(
        api_key="sk-test",
        base_url="http://gateway.test/v1",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(handle)),
        _strict_response_validation=True,
    )


def answering(body):
    return Answering("ab12cd", 1700, "asked", read_request(body).envelope)


def streaming(*events):
    return lambda body: (200, StreamEncoder(answering(body)).feed(events), "text/event-stream")


def plain(*events):
    return lambda body: (200, write_reply(events, answering(body)), "application/json")


def test_a_plain_answer_passes_strict_validation():
    response = client_of(plain(*EVERYTHING)).responses.create(model="m", input="hi", tools=TOOLS, temperature=0.5)
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "custom_tool_call",
    ]
    assert (response.output_text, response.model, response.status) == ("Let me look.", "up-model", "completed")
    assert response.usage.input_tokens_details.cache_write_tokens == 2
    assert response.usage.output_tokens_details.reasoning_tokens == 5
    assert response.output[3].namespace == "mcp__x__"
    assert response.output[4].input == "*** Begin"


def test_every_event_of_a_stream_passes_strict_validation():
    stream = client_of(streaming(*EVERYTHING)).responses.create(model="m", input="hi", tools=TOOLS, stream=True)
    events = list(stream)
    assert not [event for event in events if type(event).__name__ in ("dict", "BaseModel")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Let me look."
    assert events[-1].response.usage.total_tokens == 27


def test_the_sdks_own_helper_puts_a_stream_together():
    client = client_of(streaming(*EVERYTHING))
    with client.responses.stream(model="m", input="hi", tools=[FUNCTION]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds.count("response.function_call_arguments.done") == 3
    assert final.output[2].parsed_arguments == {"city": "Paris"}
    assert final.output_text == "Let me look."


def test_a_schemas_answer_is_parsed_into_its_type():
    events = [Started(), TextDelta('{"city":"Paris",'), TextDelta('"celsius":21}'), Finished("stop", USAGE)]
    response = client_of(plain(*events)).responses.parse(model="m", input="hi", text_format=Weather)
    assert response.output_parsed == Weather(city="Paris", celsius=21)
    with client_of(streaming(*events)).responses.stream(model="m", input="hi", text_format=Weather) as stream:
        assert stream.get_final_response().output_parsed == Weather(city="Paris", celsius=21)


def test_an_answer_that_was_cut_passes_strict_validation():
    events = [Started(), TextDelta("It is"), Finished("length", USAGE)]
    (*_, last) = client_of(streaming(*events)).responses.create(model="m", input="hi", stream=True)
    assert (last.type, last.response.incomplete_details.reason) == ("response.incomplete", "max_output_tokens")


def test_an_error_midway_is_raised_with_its_words():
    def answer(body):
        encoder = StreamEncoder(answering(body))
        told = encoder.feed([Started(), TextDelta("It is")])
        return 200, told + encoder.fail(UpstreamHTTPError("went wrong midway", status=503)), "text/event-stream"

    stream = client_of(answer).responses.create(model="m", input="hi", stream=True)
    seen = [next(stream).type for _ in range(5)]
    with pytest.raises(openai.APIError, match="went wrong midway") as caught:
        next(stream)
    assert seen[-1] == "response.output_text.delta"
    assert caught.value.code == "upstream_http_error"


def test_an_error_body_is_raised_as_its_kind():
    error = UpstreamHTTPError("slow down", status=429)
    client = client_of(lambda _: (429, write_error(error, "req_1"), "application/json"), **{"x-request-id": "req_1"})
    with pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model="m", input="hi")
    assert (caught.value.body["message"], caught.value.request_id) == ("slow down", "req_1")


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_the_echo_of_every_golden_request_passes_strict_validation(path):
    events = [Started(), TextDelta('{"city":"Paris","celsius":21}'), Finished("stop", USAGE)]
    response = client_of(plain(*events)).responses.create(**json.loads(path.read_text()))
    assert msgspec.json.decode(response.output_text) == {"city": "Paris", "celsius": 21}
