"""OpenAI's own SDK is content with the fake of the Responses API, and the fake refuses what the API refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response

from open_llm_auth.testing import FakeResponses
from open_llm_auth.testing.answers import TEXT, THINKING
from open_llm_auth.testing.fake_server import KEY

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
PATCH = {"type": "custom", "name": "apply_patch"}
SEALED = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}


@pytest.fixture
def provider() -> Iterator[FakeResponses]:
    with FakeResponses() as provider:
        yield provider


@pytest.fixture
def client(provider: FakeResponses) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0, timeout=5) as client:
        yield client


def ask(client: openai.OpenAI, said: Any = "hello", *, stream: bool = False, **fields: Any) -> Response:
    """One call, whole; of streamed ones the last event's response, once it is seen to be what the SDK put together."""
    call = {"model": "gpt-fake", "input": said} | fields
    if not stream:
        return client.responses.create(**call)
    with client.responses.stream(**call) as events:
        seen = list(events)
    numbers = [event.sequence_number for event in seen]
    assert numbers == sorted(set(numbers))
    return seen[-1].response


def post(provider: FakeResponses, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{provider.base_url}/responses", json=body, headers={"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
class TestAnswers:
    def test_text_comes_with_usage(self, client, stream):
        response = ask(client, stream=stream)
        assert (response.output_text, response.status) == ("".join(TEXT), "completed")
        assert (response.usage.input_tokens, response.usage.output_tokens) == (4, len(TEXT))

    def test_the_first_offered_tool_is_called_and_its_result_is_answered(self, client, stream):
        [call] = ask(client, "#tools", stream=stream, tools=[WEATHER]).output
        assert (call.type, call.name, call.arguments) == ("function_call", "get_weather", '{"city":"sample"}')
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        sent = call.model_dump(mode="json", exclude_none=True, include={"type", "id", "call_id", "name", "arguments"})
        history = [{"role": "user", "content": "#tools"}, sent, output]
        assert ask(client, history, stream=stream, tools=[WEATHER]).output_text == "".join(TEXT)

    def test_a_custom_tool_is_called_with_free_text(self, client, stream):
        [call] = ask(client, "use apply_patch", stream=stream, tools=[PATCH]).output
        assert (call.type, call.name, call.input) == ("custom_tool_call", "apply_patch", "sample")

    def test_two_calls_come_at_once(self, client, stream):
        output = ask(client, "#parallel_tools", stream=stream, tools=[WEATHER]).output
        assert len({call.call_id for call in output}) == 2

    def test_sealed_reasoning_comes_back(self, client, stream):
        first = ask(client, "#tools", stream=stream, tools=[WEATHER], **SEALED)
        thought, call = first.output
        assert thought.summary[0].text == "".join(THINKING)
        assert first.usage.output_tokens_details.reasoning_tokens == len(THINKING)
        history = [{"role": "user", "content": "#tools"}]
        history += [item.model_dump(mode="json", exclude_none=True, by_alias=True) for item in (thought, call)]
        for item in history[1:]:
            item.pop("parsed_arguments", None)
        history += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
        assert ask(client, history, stream=stream, tools=[WEATHER], **SEALED).output_text == "".join(TEXT)

    def test_reasoning_stays_unsaid_unless_a_summary_is_wanted(self, client, stream):
        thought, _ = ask(client, stream=stream, reasoning={"effort": "low"}).output
        assert (thought.summary, thought.encrypted_content) == ([], None)

    def test_a_refusal_is_a_part_of_its_own(self, client, stream):
        [message] = ask(client, "#refusal", stream=stream).output
        assert [(part.type, part.refusal) for part in message.content] == [("refusal", "I can't help with that.")]

    def test_a_cut_answer_is_incomplete(self, client, stream):
        response = ask(client, "#length", stream=stream)
        assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert response.output_text == "Hello from"

    def test_a_schema_is_filled_in(self, client, stream):
        schema = {"type": "object", "properties": {"celsius": {"type": "number"}}}
        wanted = {"format": {"type": "json_schema", "name": "weather", "schema": schema, "strict": False}}
        assert ask(client, stream=stream, text=wanted).output_text == '{"celsius":1.5}'

    def test_cached_input_is_part_of_the_input(self, client, stream):
        usage = ask(client, "#cache_hit", stream=stream).usage
        details = usage.input_tokens_details
        assert (usage.input_tokens, details.cached_tokens, details.cache_write_tokens) == (1154, 1000, 150)

    def test_a_stored_response_is_gone_on_with(self, client, stream):
        first = ask(client, "#tools", stream=stream, tools=[WEATHER])
        output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "sunny"}
        second = ask(client, [output], stream=stream, tools=[WEATHER], previous_response_id=first.id)
        assert second.output_text == "".join(TEXT)
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, stream=stream, previous_response_id="resp_absent")
        assert refused.value.code == "previous_response_not_found"


class TestMisbehaviour:
    @pytest.mark.parametrize(
        ("name", "status"), [("bad_request", 400), ("key_refused", 401), ("rate_limited", 429), ("overloaded", 529)]
    )
    def test_a_refusal_has_the_apis_form(self, client, name, status):
        with pytest.raises(openai.APIStatusError) as refused:
            ask(client, f"#{name}")
        assert refused.value.status_code == status
        assert refused.value.response.headers.get("retry-after") == ("1" if name == "rate_limited" else None)

    def test_an_error_in_a_stream_comes_after_text(self, client, provider):
        provider.next("error_mid_stream")
        seen = list(client.responses.create(model="m", input="hello", stream=True))
        kinds = [event.type for event in seen]
        assert kinds[-4:] == ["response.output_text.delta"] * 2 + ["error", "response.failed"]
        assert "The server had an error" in seen[-2].message
        assert (seen[-1].response.status, seen[-1].response.error.code) == ("failed", "server_error")

    @pytest.mark.parametrize("name", ["every_byte", "inside_characters", "carriage_returns", "one_write", "comments"])
    def test_unusual_streams_say_the_same(self, client, name):
        assert ask(client, f"#{name}", stream=True).output_text == "".join(TEXT)

    def test_an_event_of_five_megabytes_is_sent(self, client):
        assert len(ask(client, "#huge_event", stream=True).output_text) > 5 << 20

    def test_a_stream_can_stop_short(self, client, provider):
        for name in ("truncated", "no_done"):
            provider.next(name)
            kinds = [event.type for event in client.responses.create(model="m", input="hello", stream=True)]
            assert "response.completed" not in kinds
            assert "response.output_text.delta" in kinds


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["gpt-fake", "gpt-fake-mini"]
    assert client.models.retrieve("gpt-fake").id == "gpt-fake"


def test_a_wrong_key_is_refused(provider):
    wrong = openai.OpenAI(base_url=provider.base_url, api_key="sk-wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError) as refused:
        ask(wrong)
    assert refused.value.code == "invalid_api_key"


def call(call_id: str = "call_1", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "get_weather", "arguments": "{}"} | fields


def output(call_id: str = "call_1", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "sunny"} | fields


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "Missing required parameter: 'model'"),
    ({"input": None}, "Missing required parameter: 'input'"),
    ({"input": []}, "Invalid 'input': empty array"),
    ({"messages": []}, "Unknown parameter: 'messages'"),
    ({"stop": ["a"]}, "Unknown parameter: 'stop'"),
    ({"max_output_tokens": 2}, "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16"),
    ({"temperature": 3}, "Invalid 'temperature': decimal above maximum value"),
    ({"reasoning": {"effort": "huge"}}, "Invalid value: 'huge'. Supported values are"),
    ({"reasoning": {"budget": 1}}, "Unknown parameter: 'reasoning.budget'"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "Missing required parameter: 'text.format.name'"),
    ({"tools": [{"type": "function", "function": {"name": "a"}}]}, "Missing required parameter: 'tools[0].name'"),
    ({"tools": [WEATHER | {"name": "a.b"}]}, "Invalid 'tools[0].name': string does not match pattern"),
    ({"tools": [WEATHER | {"parameters": {"type": "object"}}]}, "'additionalProperties' is required to be supplied"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "Tool choice 'x' not found"),
    ({"input": [user("a") | {"cache": 1}]}, "Unknown parameter: 'input[0].cache'"),
    ({"input": [{"role": "tool", "content": "a"}]}, "Invalid value: 'tool'"),
    ({"input": [user([{"type": "text", "text": "a"}])]}, "Invalid value: 'text'"),
    (
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}]},
        "Invalid value: 'input_text'",
    ),
    ({"input": [user([{"type": "input_image", "image_url": "iVBOR"}])]}, "Expected a valid URL"),
    ({"input": [user("a"), output()]}, "No tool call found for function call output with call_id call_1"),
    ({"input": [output(), call()]}, "No tool call found for function call output with call_id call_1"),
    ({"input": [user("a"), call()]}, "No tool output found for function call call_1"),
    (
        {"input": [call("c" * 65), output("c" * 65)]},
        "Expected a string with maximum length 64, but got a string with length 65",
    ),
    ({"input": [call(name="a.b"), output()]}, "Invalid 'input[0].name': string does not match pattern"),
    ({"input": [call(id="call_1"), output()]}, "Expected an ID that begins with 'fc'"),
    ({"input": [call(arguments={}), output()]}, "Invalid type for 'input[0].arguments'"),
    ({"input": [user("a"), THOUGHT | {"encrypted_content": "c2ln"}, call(), output()]}, "could not be verified"),
    ({"input": [{"type": "tool_use", "id": "a"}]}, "Invalid value: 'tool_use'"),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSALS, ids=[sentence[:60] for _, sentence in REFUSALS])
def test_what_the_api_refuses_is_refused_with_its_words(provider, fields, sentence):
    body = {"model": "m", "input": "hello"} | fields
    answer = post(provider, {name: value for name, value in body.items() if value is not None})
    assert answer.status_code == 400, answer.text
    assert sentence in answer.json()["error"]["message"]


def test_what_codex_says_of_itself_is_taken(provider):
    body = {"model": "m", "input": "hello", "client_metadata": {"x-codex-installation-id": "a"}}
    assert post(provider, body).status_code == 200


def test_reasoning_must_be_sealed_and_followed(provider):
    bare = post(provider, {"model": "m", "input": [THOUGHT, call(), output()]})
    assert (bare.status_code, "Items are not persisted" in bare.text) == (404, True)
    sealed = post(provider, {"model": "m", "input": "hi", **SEALED}).json()["output"][0]
    alone = post(provider, {"model": "m", "input": [sealed, user("a")]})
    assert "without its required following item" in alone.text


def test_another_issuer_does_not_open_what_is_sealed(provider):
    with FakeResponses(issuer="another") as other:
        sealed = post(other, {"model": "m", "input": "hi", **SEALED}).json()["output"]
    refused = post(provider, {"model": "m", "input": [user("hi"), *sealed, user("a")]})
    assert refused.json()["error"]["code"] == "invalid_encrypted_content"
