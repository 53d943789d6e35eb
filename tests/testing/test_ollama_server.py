"""Ollama's own client is content with the fake, and the fake refuses what the server refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import openai
import pytest

from open_llm_auth.testing import FakeOllama
from open_llm_auth.testing.answers import TEXT, THINKING

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def provider() -> Iterator[FakeOllama]:
    with FakeOllama(absent={"absent"}, thoughtless={"plain"}, levelless={"simple"}) as provider:
        yield provider


@pytest.fixture
def client(provider: FakeOllama) -> Iterator[ollama.Client]:
    with ollama.Client(host=provider.base_url, timeout=5) as client:
        yield client


class Answer:
    def __init__(self, lines: list[ollama.ChatResponse]) -> None:
        self.text = "".join(line.message.content or "" for line in lines)
        self.thinking = "".join(line.message.thinking or "" for line in lines)
        self.calls = [call for line in lines for call in line.message.tool_calls or ()]
        self.last = lines[-1]


def ask(client: ollama.Client, said: Any = "hello", *, stream: bool = False, **fields: Any) -> Answer:
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
    answer = client.chat("fake-llama", messages, stream=stream, **fields)
    return Answer(list(answer) if stream else [answer])


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
class TestAnswers:
    def test_text_comes_with_counts(self, client, stream):
        answer = ask(client, stream=stream)
        assert (answer.text, answer.last.done_reason) == ("".join(TEXT), "stop")
        assert (answer.last.prompt_eval_count, answer.last.eval_count) == (4, len(TEXT))

    def test_a_tool_is_called_with_an_object_and_its_result_is_answered(self, client, stream):
        [call] = ask(client, "#tools", stream=stream, tools=[WEATHER]).calls
        assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "sample"})
        history = [
            {"role": "user", "content": "#tools"},
            {"role": "assistant", "content": "", "tool_calls": [call.model_dump(exclude_none=True)]},
            {"role": "tool", "content": "sunny", "tool_name": "get_weather"},
        ]
        assert ask(client, history, stream=stream, tools=[WEATHER]).text == "".join(TEXT)

    def test_two_calls_come_at_once(self, client, stream):
        assert len(ask(client, "#parallel_tools", stream=stream, tools=[WEATHER]).calls) == 2

    def test_thinking_is_told_apart(self, client, stream):
        answer = ask(client, stream=stream, think=True)
        assert (answer.thinking, answer.text) == ("".join(THINKING), "".join(TEXT))

    @pytest.mark.parametrize(
        ("said", "fields", "reason", "text"),
        [
            ("#length", {}, "length", "Hello from"),
            ("hi", {"options": {"num_predict": 3}}, "length", "Hello from the"),
            ("#stop", {"options": {"stop": ["STOP"]}}, "stop", "one two three "),
            ("#refusal", {}, "stop", "I can't help with that."),
            ("hi", {"format": "json"}, "stop", '{"ok":true}'),
            ("hi", {"format": {"type": "object", "properties": {"a": {"type": "integer"}}}}, "stop", '{"a":1}'),
        ],
    )
    def test_every_end_has_its_reason(self, client, stream, said, fields, reason, text):
        answer = ask(client, said, stream=stream, **fields)
        assert (answer.last.done_reason, answer.text) == (reason, text)


class TestMisbehaviour:
    @pytest.mark.parametrize(("name", "status"), [("bad_request", 400), ("rate_limited", 429), ("unavailable", 503)])
    def test_a_refusal_has_the_servers_form(self, client, name, status):
        with pytest.raises(ollama.ResponseError) as refused:
            ask(client, f"#{name}")
        assert refused.value.status_code == status
        assert refused.value.error.startswith(("'temperature'", "Rate limit", "Loading"))

    def test_an_error_in_a_stream_comes_after_text(self, client, provider):
        provider.next("error_mid_stream")
        with pytest.raises(ollama.ResponseError, match="The server had an error"):
            ask(client, stream=True)
        provider.wait_until(lambda: provider.exchanges[-1].events_sent == 2 + 1)

    @pytest.mark.parametrize("name", ["every_byte", "inside_characters", "one_write"])
    def test_unusual_streams_say_the_same(self, client, name):
        assert ask(client, f"#{name}", stream=True).text == "".join(TEXT)

    def test_a_stream_can_stop_short(self, client, provider):
        for name in ("truncated", "no_done"):
            provider.next(name)
            assert not ask(client, stream=True).last.done


class TestOtherRoutes:
    def test_models_are_listed(self, client):
        assert [model.model for model in client.list().models] == ["fake-llama:latest", "fake-embed:latest"]

    def test_embeddings_are_openais(self, provider):
        with openai.OpenAI(base_url=f"{provider.base_url}/v1", api_key="none") as openai_client:
            found = openai_client.embeddings.create(model="fake-embed", input=["a", "b"], encoding_format="float")
        assert len(found.data) == 2

    def test_an_unspoken_wish_is_a_stream(self, provider):
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
        answer = httpx.post(f"{provider.base_url}/api/chat", json=body)
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert len(answer.text.splitlines()) == len(TEXT) + 1


def said(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"} | fields]}


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"model": ""}, 400, "model is required"),
    ({"model": "absent"}, 404, "model 'absent' not found"),
    ({"model": "plain", "think": True}, 400, "does not support thinking"),
    ({"model": "simple", "think": "high"}, 400, 'think value "high" is not supported for this model'),
    (said(content=[{"type": "text", "text": "a"}]), 400, "cannot unmarshal array into Go struct field"),
    (said(role="developer"), 400, "invalid role: developer"),
    (said(images=["data:image/png;base64,aaaa"]), 400, "illegal base64 data"),
    (said(tool_calls=[{"function": {"name": "a", "arguments": "{}"}}]), 400, "cannot unmarshal string into"),
    ({"format": "xml"}, 400, "invalid format"),
]


@pytest.mark.parametrize(("fields", "status", "sentence"), REFUSALS, ids=[sentence for _, _, sentence in REFUSALS])
def test_what_the_server_refuses_is_refused_with_its_words(provider, fields, status, sentence):
    answer = httpx.post(f"{provider.base_url}/api/chat", json={"model": "m"} | said() | fields)
    assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.text
