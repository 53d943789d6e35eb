"""Anthropic's own SDK is content with the fake, and the fake refuses what the API refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest

from open_llm_auth.testing import FakeAnthropic
from open_llm_auth.testing.answers import TEXT, THINKING
from open_llm_auth.testing.fake_server import KEY

WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HELLO = [{"role": "user", "content": "hello"}]
THINK = {"type": "enabled", "budget_tokens": 1024}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


@pytest.fixture
def provider() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as provider:
        yield provider


@pytest.fixture
def client(provider: FakeAnthropic) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider.base_url, api_key=KEY, max_retries=0, timeout=5) as client:
        yield client


def ask(
    client: anthropic.Anthropic, said: str = "hello", *, stream: bool = False, **fields: Any
) -> anthropic.types.Message:
    """One call, whole; streamed calls are put together by the SDK."""
    call = {"model": "claude-fake-1", "max_tokens": 2048, "messages": [{"role": "user", "content": said}]} | fields
    if not stream:
        return client.messages.create(**call)
    with client.messages.stream(**call) as events:
        return events.get_final_message()


def post(provider: FakeAnthropic, body: dict[str, Any], version: str = "2023-06-01") -> httpx.Response:
    headers = {"x-api-key": KEY, "anthropic-version": version}
    return httpx.post(f"{provider.base_url}/v1/messages", json=body, headers=headers)


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
class TestAnswers:
    def test_text_comes_with_usage(self, client, stream):
        message = ask(client, stream=stream)
        assert (text_of(message), message.stop_reason) == ("".join(TEXT), "end_turn")
        assert (message.usage.input_tokens, message.usage.output_tokens) == (4, len(TEXT))

    def test_the_first_offered_tool_is_called_and_its_result_is_answered(self, client, stream):
        first = ask(client, "#tools please", stream=stream, tools=[WEATHER])
        [call] = first.content
        assert (call.type, call.name, call.input, first.stop_reason) == (
            "tool_use",
            "get_weather",
            {"city": "sample"},
            "tool_use",
        )
        history = [
            {"role": "user", "content": "#tools please"},
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]},
        ]
        assert text_of(ask(client, stream=stream, tools=[WEATHER], messages=history)) == "".join(TEXT)

    def test_two_calls_come_at_once(self, client, stream):
        message = ask(client, "#parallel_tools", stream=stream, tools=[WEATHER])
        assert [block.type for block in message.content] == ["tool_use"] * 2
        assert len({block.id for block in message.content}) == 2

    def test_thinking_is_signed_and_taken_back_with_its_signature(self, client, stream):
        first = ask(client, "#tools", stream=stream, tools=[WEATHER], thinking=THINK)
        thought, call = first.content
        assert (thought.thinking, call.type) == ("".join(THINKING), "tool_use")
        assert first.usage.output_tokens_details.thinking_tokens == len(THINKING)
        result = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]
        history = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": result}]
        assert text_of(ask(client, stream=stream, tools=[WEATHER], thinking=THINK, messages=history)) == "".join(TEXT)

    def test_hidden_thinking_is_signed_without_words(self, client, stream):
        thought, _ = ask(client, stream=stream, thinking=THINK | {"display": "omitted"}).content
        assert (thought.thinking, bool(thought.signature)) == ("", True)

    @pytest.mark.parametrize(
        ("said", "fields", "reason", "text"),
        [
            ("#refusal", {}, "refusal", "I can't help with that."),
            ("#length", {}, "max_tokens", "Hello from"),
            ("hi", {"max_tokens": 3}, "max_tokens", "Hello from the"),
            ("#stop", {"stop_sequences": ["STOP"]}, "stop_sequence", "one two three "),
        ],
    )
    def test_every_end_has_its_reason(self, client, stream, said, fields, reason, text):
        message = ask(client, said, stream=stream, **fields)
        assert (message.stop_reason, text_of(message)) == (reason, text)
        assert message.stop_sequence == ("STOP" if reason == "stop_sequence" else None)

    def test_a_schema_is_filled_in(self, client, stream):
        schema = {"type": "object", "properties": {"celsius": {"type": "number"}}, "additionalProperties": False}
        message = ask(client, stream=stream, output_config={"format": {"type": "json_schema", "schema": schema}})
        assert text_of(message) == '{"celsius":1.5}'

    def test_cached_input_is_counted_apart(self, client, stream):
        usage = ask(client, "#cache_hit", stream=stream).usage
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.input_tokens) == (1000, 150, 4)


class TestMisbehaviour:
    @pytest.mark.parametrize(
        ("name", "kind", "error"),
        [
            ("bad_request", anthropic.BadRequestError, "invalid_request_error"),
            ("key_refused", anthropic.AuthenticationError, "authentication_error"),
            ("rate_limited", anthropic.RateLimitError, "rate_limit_error"),
            ("overloaded", anthropic.APIStatusError, "overloaded_error"),
        ],
    )
    def test_a_refusal_has_the_apis_form(self, client, name, kind, error):
        with pytest.raises(kind) as refused:
            ask(client, f"#{name}")
        assert refused.value.body["error"]["type"] == error
        assert refused.value.response.headers.get("retry-after") == ("1" if name == "rate_limited" else None)

    def test_an_error_in_a_stream_comes_after_text(self, client, provider):
        provider.next("error_mid_stream")
        with pytest.raises(anthropic.APIStatusError, match="The server had an error"):
            ask(client, stream=True)
        provider.wait_until(lambda: provider.exchanges[-1].events_sent == 3 + 2 + 1)

    @pytest.mark.parametrize("name", ["every_byte", "inside_characters", "carriage_returns", "one_write", "comments"])
    def test_unusual_streams_say_the_same(self, client, name):
        assert text_of(ask(client, f"#{name}", stream=True)) == "".join(TEXT)

    def test_an_event_of_five_megabytes_is_sent(self, client):
        assert len(text_of(ask(client, "#huge_event", stream=True))) > 5 << 20

    def test_a_stream_can_stop_short_and_hold_garbage(self, client, provider):
        provider.next("truncated")
        with client.messages.stream(model="m", max_tokens=99, messages=HELLO) as events:
            kinds = [event.type for event in events]
        assert "message_stop" not in kinds
        provider.next("garbage")
        raw = post(provider, {"model": "m", "max_tokens": 9, "messages": HELLO, "stream": True}).content
        assert b'data: {"broken": \n\n' in raw
        assert raw.endswith(b'data: {"type":"message_stop"}\n\n')

    def test_silence_lasts_until_the_client_gives_up(self, client):
        with pytest.raises(anthropic.APITimeoutError):
            ask(client.with_options(timeout=0.2), "#silent")


class TestOtherRoutes:
    def test_tokens_are_counted(self, client):
        assert client.messages.count_tokens(model="m", messages=HELLO).input_tokens == 4

    def test_models_are_listed_and_described(self, client):
        assert [model.id for model in client.models.list()] == ["claude-fake-1", "claude-fake-small"]
        assert client.models.retrieve("claude-fake-1").lifecycle == "active"
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("absent")

    @pytest.mark.parametrize("given", [{"api_key": "wrong"}, {"auth_token": "wrong"}])
    def test_a_wrong_key_is_refused(self, provider, given):
        wrong = anthropic.Anthropic(base_url=provider.base_url, max_retries=0, **given)
        with wrong, pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
            ask(wrong)

    def test_a_bearer_token_is_as_good(self, provider):
        with anthropic.Anthropic(base_url=provider.base_url, max_retries=0, auth_token=KEY) as bearer:
            assert ask(bearer).content
        assert provider.requests[-1].key == KEY


def use(call_id: str = "toolu_1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "get_weather", "input": {}} | fields


def result(call_id: str = "toolu_1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": "sunny"} | fields


def talk(*contents: Any) -> list[dict[str, Any]]:
    """Messages of user and assistant in turn."""
    return [{"role": ("user", "assistant")[place % 2], "content": said} for place, said in enumerate(contents)]


CACHED = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Input should be"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": talk("a", "b")[1:]}, 'first message must use the "user" role'),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role: Input should be"),
    ({"messages": [{"role": "system", "content": "a"}, *HELLO]}, "messages.0.role: a 'system' message must come"),
    ({"messages": talk("")}, "messages.0: all messages must have non-empty content"),
    ({"messages": talk([{"type": "text", "text": ""}])}, "messages: text content blocks must be non-empty"),
    ({"messages": talk([{"type": "text", "text": " "}])}, "text content blocks must contain non-whitespace text"),
    ({"messages": talk("a", "b ")}, "final assistant content cannot end with trailing whitespace"),
    ({"messages": talk([{"type": "input_text", "text": "a"}])}, "Input tag 'input_text' found"),
    ({"messages": talk([{"type": "text", "text": "a", "id": 1}])}, "messages.0.content.0.text.id: Extra inputs"),
    (
        {"messages": talk([{"type": "image", "source": PNG | {"media_type": "image/bmp"}}])},
        "media_type: Input should be",
    ),
    ({"messages": talk("a", [use("a b")], [result("a b")])}, r"tool_use.id: String should match pattern"),
    ({"messages": talk("a", [use()], "b")}, "messages.1: `tool_use` ids were found without `tool_result`"),
    ({"messages": talk("a", [use()])}, "messages.1: `tool_use` ids were found without `tool_result`"),
    ({"messages": talk("a", [use()], [{"type": "text", "text": "b"}, result()])}, "messages.1: `tool_use` ids were"),
    ({"messages": talk("a", "b", [result()])}, "messages.2.content.0: unexpected `tool_use_id` found"),
    ({"messages": talk("a", [use(), use()], [result()])}, "`tool_use` ids must be unique"),
    ({"messages": talk("a", [use(input="{}")], [result()])}, "tool_use.input: Input should be a valid dictionary"),
    ({"messages": talk("a", [{"type": "thinking", "thinking": "b", "signature": "c2ln"}])}, "Invalid `signature` in"),
    ({"messages": talk("a", [{"type": "redacted_thinking", "data": "c2ln"}])}, "Invalid `data` in `redacted_thinking`"),
    ({"messages": talk("a", [use()], [result()]), "thinking": THINK}, "Expected `thinking` or `redacted_thinking`"),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 100}},
        "thinking.enabled.budget_tokens: Input should be greater",
    ),
    ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "`max_tokens` must be greater than"),
    ({"thinking": THINK, "temperature": 0.5}, "`temperature` may only be set to 1 when thinking is enabled"),
    ({"thinking": THINK, "top_k": 5}, "`top_k` must be unset"),
    (
        {"thinking": THINK, "tools": [WEATHER], "tool_choice": {"type": "any"}},
        "Thinking may not be enabled when tool_choice",
    ),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"stop": ["a"]}, "stop: Extra inputs are not permitted"),
    ({"stop_sequences": [" "]}, "each stop sequence must contain non-whitespace"),
    ({"metadata": {"trace": "a"}}, "metadata.trace: Extra inputs are not permitted"),
    ({"system": [{"type": "text", "text": " "}]}, "system.0: text content blocks must be non-empty"),
    ({"tools": [WEATHER, WEATHER]}, "tools: Tool names must be unique"),
    ({"tools": [WEATHER | {"name": "a.b"}]}, "tools.0.custom.name: String should match pattern"),
    ({"tools": [{"name": "a", "parameters": {}}]}, "tools.0.custom.parameters: Extra inputs are not permitted"),
    (
        {"tools": [{"name": "a", "input_schema": {"anyOf": [], "type": "object"}}]},
        "does not support oneOf, allOf, or anyOf",
    ),
    ({"tool_choice": {"type": "any"}}, "tool_choice may only be specified while providing tools"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found"),
    ({"system": [CACHED] * 5}, "A maximum of 4 blocks with cache_control may be provided. Found 5"),
    ({"output_config": {"effort": "minimal"}}, "output_config.effort: Input should be"),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        "must be explicitly set to false",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSALS, ids=[sentence[:50] for _, sentence in REFUSALS])
def test_what_the_api_refuses_is_refused_with_its_words(provider, fields, sentence):
    answer = post(provider, {"model": "m", "max_tokens": 2000, "messages": HELLO} | fields)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert sentence in error["message"]


ACCEPTED: list[dict[str, Any]] = [
    {"messages": [*talk("a"), {"role": "system", "content": "be brief"}]},
    {"messages": talk("a", [use()], [result(is_error=True), {"type": "text", "text": "b"}])},
    {"messages": [*talk("a", [use("x"), use("y")]), *talk([result("x")]), *talk([result("y")])]},
    {"messages": talk([{"type": "image", "source": PNG}, {"type": "text", "text": "a"}])},
    {"system": [CACHED] * 4, "temperature": 1, "top_p": 0.5, "top_k": 3, "service_tier": "auto"},
    {"tools": [WEATHER | {"type": "custom", "strict": True}, {"type": "web_search_20250305", "name": "web_search"}]},
    {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
    {"messages": talk("a", "The best answer is (")},
]


@pytest.mark.parametrize("fields", ACCEPTED)
def test_what_the_api_takes_is_taken(provider, fields):
    answer = post(provider, {"model": "m", "max_tokens": 2000, "messages": HELLO} | fields)
    assert answer.status_code == 200, answer.text


def test_a_version_is_needed_and_the_newest_has_no_sampling(provider):
    body = {"model": "m", "max_tokens": 9, "messages": HELLO, "temperature": 0.5}
    assert post(provider, body).status_code == 200
    assert (
        post(provider, body, "2026-10-21").json()["error"]["message"] == "temperature: Extra inputs are not permitted"
    )
    assert "not a valid version" in post(provider, body, "2020-01-01").text
    bare = httpx.post(f"{provider.base_url}/v1/messages", json=body, headers={"x-api-key": KEY})
    assert bare.json()["error"]["message"] == "anthropic-version: header is required"


@pytest.mark.parametrize("name", ["model", "messages", "max_tokens"])
def test_a_missing_field_is_named(provider, name):
    body = {"model": "m", "max_tokens": 9, "messages": HELLO}
    del body[name]
    assert post(provider, body).json()["error"]["message"] == f"{name}: Field required"


def test_thinking_of_another_issuer_is_refused(client):
    with FakeAnthropic(issuer="another") as other:
        content = ask(client.with_options(base_url=other.base_url), thinking=THINK).content
    history = [*HELLO, {"role": "assistant", "content": content}, *HELLO]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        ask(client, thinking=THINK, messages=history)
