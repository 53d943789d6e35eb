"""The fake provider behaves as documented, misbehaves as told, and says what it saw."""

from __future__ import annotations

import base64
import struct
import time
from collections.abc import Iterator
from dataclasses import replace

import openai
import pytest

from open_llm_auth.testing import BEHAVIOURS, Behaviour, FakeProvider
from open_llm_auth.testing.openai_answers import EMBEDDING, TEXT
from open_llm_auth.testing.provider_server import KEY

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0, timeout=5) as client:
        yield client


def ask(client: openai.OpenAI, **fields):
    return client.chat.completions.create(**{"model": "fake-model", "messages": HELLO} | fields)


def said(stream) -> str:
    return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)


class TestDocumentedAnswers:
    def test_a_plain_chat_is_answered_with_text_and_usage(self, client):
        answer = ask(client)
        assert answer.choices[0].message.content == "".join(TEXT)
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.completion_tokens == len(TEXT)

    def test_a_stream_says_the_same_and_sends_usage_only_when_asked(self, client):
        assert all(chunk.usage is None for chunk in ask(client, stream=True))
        chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
        assert said(chunks) == "".join(TEXT)
        assert chunks[-1].choices == []
        assert chunks[-1].usage.completion_tokens == len(TEXT)

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_prompt_that_names_a_tool_calls_it_and_its_result_is_answered_with_text(self, client, stream):
        messages = [{"role": "user", "content": "please call get_weather"}]
        with client.chat.completions.stream(model="fake-model", messages=messages, tools=[WEATHER]) as streamed:
            final = streamed.get_final_completion() if stream else ask(client, messages=messages, tools=[WEATHER])
        call = final.choices[0].message.tool_calls[0]
        assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"sample"}')
        assert final.choices[0].finish_reason == "tool_calls"
        messages += [final.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        assert ask(client, messages=messages, tools=[WEATHER]).choices[0].message.content == "".join(TEXT)

    def test_max_tokens_cuts_the_text_and_says_so(self, client):
        answer = ask(client, max_completion_tokens=2)
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello from", "length")

    def test_embeddings_come_as_floats_and_as_base64(self, client, provider):
        floats = client.embeddings.create(model="fake-embedding", input=["a", "b"], encoding_format="float")
        assert [item.embedding for item in floats.data] == [list(EMBEDDING)] * 2
        client.embeddings.create(model="fake-embedding", input="a")
        assert provider.requests[-1].json()["encoding_format"] == "base64"
        raw = client.embeddings.with_raw_response.create(model="fake-embedding", input="a", encoding_format="base64")
        packed = raw.http_response.json()["data"][0]["embedding"]
        assert struct.unpack("<4f", base64.b64decode(packed)) == EMBEDDING

    def test_models_are_listed_and_described(self, client):
        assert [model.id for model in client.models.list()] == ["fake-model", "fake-embedding"]
        assert client.models.retrieve("fake-model").id == "fake-model"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("absent")

    def test_a_wrong_key_gets_the_401_body(self, provider):
        wrong = openai.OpenAI(base_url=provider.base_url, api_key="sk-wrong", max_retries=0)
        with wrong, pytest.raises(openai.AuthenticationError) as refused:
            ask(wrong)
        assert refused.value.code == "invalid_api_key"


class TestMisbehaviour:
    @pytest.mark.parametrize(
        "name", [name for name, behaviour in BEHAVIOURS.items() if behaviour.status >= 400 or behaviour.body]
    )
    def test_a_named_refusal_sends_its_status_once(self, client, provider, name):
        provider.next(name)
        with pytest.raises(openai.APIStatusError) as refused:
            ask(client)
        assert refused.value.status_code == BEHAVIOURS[name].status
        assert ask(client).choices

    @pytest.mark.parametrize(
        "name", ["every_byte", "inside_characters", "carriage_returns", "one_write", "comments", "azure_first_chunk"]
    )
    def test_unusual_streams_carry_the_same_text(self, client, provider, name):
        provider.next(name)
        assert said(ask(client, stream=True)) == "".join(TEXT)

    @pytest.mark.parametrize("name", ["no_done", "usage_on_finish", "usage_unasked", "no_usage"])
    def test_usage_and_the_end_mark_stand_where_the_behaviour_puts_them(self, client, provider, name):
        provider.next(name)
        asked = {} if name == "usage_unasked" else {"stream_options": {"include_usage": True}}
        chunks = list(ask(client, stream=True, **asked))
        counted = [bool(chunk.choices) for chunk in chunks if chunk.usage]
        assert counted == {"no_usage": [], "usage_on_finish": [True]}.get(name, [False])

    def test_stream_options_can_be_refused(self, client, provider):
        provider.when("refuses_stream_options", model="fake-model")
        with pytest.raises(openai.BadRequestError, match="stream_options"):
            ask(client, stream=True, stream_options={"include_usage": True})
        assert said(ask(client, stream=True)) == "".join(TEXT)

    @pytest.mark.parametrize("name", ["error_first", "error_before_content", "error_mid_stream"])
    def test_an_error_event_stands_where_it_should(self, client, provider, name):
        provider.next(name)
        with pytest.raises(openai.APIError, match="The server had an error"):
            list(ask(client, stream=True))
        provider.wait_until(lambda: provider.exchanges[-1].events_sent == BEHAVIOURS[name].after_events + 1)

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("name", ["closes_at_once", "closes_mid_body", "closes_before_content"])
    def test_a_connection_can_be_cut_anywhere(self, client, provider, name, stream):
        provider.next(name)
        with pytest.raises(Exception, match=r"(?i)connection|peer|disconnected"):
            said(ask(client, stream=True)) if stream else ask(client)
        assert provider.exchanges[-1].outcome == "cut"

    @pytest.mark.parametrize("name", ["silent", "hangs_mid_body"])
    def test_silence_lasts_until_the_client_gives_up(self, client, provider, name):
        provider.next(name)
        with pytest.raises((openai.APITimeoutError, openai.APIConnectionError)):
            ask(client.with_options(timeout=0.2))
        provider.wait_until(lambda: provider.exchanges[-1].outcome == "client_gone")

    def test_rules_match_model_key_and_path_and_the_latest_wins(self, client, provider):
        provider.keys = ("sk-one", KEY)
        provider.when("overloaded", model="busy")
        provider.when("rate_limited", key="sk-one")
        provider.when("server_error", path="/models")
        for model, key, status in (("busy", KEY, 529), ("busy", "sk-one", 429), ("other", "sk-one", 429)):
            with pytest.raises(openai.APIStatusError) as refused:
                ask(client.with_options(api_key=key), model=model)
            assert refused.value.status_code == status
        with pytest.raises(openai.InternalServerError):
            client.models.list()
        assert ask(client, model="other").choices
        provider.reset()
        assert ask(client, model="busy").choices

    def test_the_body_and_head_are_whatever_the_test_says(self, client, provider):
        provider.next(replace(BEHAVIOURS["documented"], body=b"not json", headers=(("content-type", "text/plain"),)))
        raw = client.chat.completions.with_raw_response.create(model="m", messages=HELLO).http_response
        assert (raw.text, raw.headers["content-type"]) == ("not json", "text/plain")


def called(*ids: str) -> dict[str, object]:
    calls = [{"id": call, "type": "function", "function": {"name": "f", "arguments": "{}"}} for call in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def answered(call: str) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": call, "content": "sunny"}


class TestWhatItRefuses:
    @pytest.mark.parametrize(
        ("history", "sentence"),
        [
            ([answered("a")], "must be a response to a preceeding message with 'tool_calls'"),
            ([called("a"), answered("b")], "must be a response to a preceeding message with 'tool_calls'"),
            ([called("a", "b"), answered("a"), *HELLO], "did not have response messages: b"),
            ([called("a" * 65), answered("a" * 65)], "Expected a string with maximum length 64"),
        ],
    )
    def test_calls_are_answered_each_once_and_at_once(self, client, history, sentence):
        with pytest.raises(openai.BadRequestError, match=sentence):
            ask(client, messages=[*HELLO, *history])

    def test_calls_that_are_answered_in_any_order_are_taken(self, client):
        assert ask(client, messages=[*HELLO, called("a", "b"), answered("b"), answered("a")]).choices

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"extra_body": {"thinking": {}}}, "thinking"),
            ({"messages": [HELLO[0] | {"reasoning_content": "hm"}]}, r"messages\[0\].reasoning_content"),
            ({"messages": [*HELLO, called("a"), answered("a")]}, None),
        ],
    )
    def test_a_strict_one_takes_only_what_openai_documents(self, fields, param):
        with FakeProvider(strict=True) as strict, openai.OpenAI(base_url=strict.base_url, api_key=KEY) as client:
            if param is None:
                assert ask(client, **fields).choices
            else:
                with pytest.raises(openai.BadRequestError, match=f"Unknown parameter: '{param}'"):
                    ask(client, **fields)

    def test_a_behaviour_may_be_named_in_the_prompt(self, client):
        said = [{"role": "user", "content": "#length please"}]
        assert ask(client, messages=said).choices[0].finish_reason == "length"


class TestWhatItSaw:
    def test_requests_are_kept_as_they_came(self, client, provider):
        ask(client, extra_headers={"X-Mine": "1"})
        seen = provider.requests[-1]
        assert (seen.method, seen.path, seen.key) == ("POST", "/v1/chat/completions", KEY)
        assert seen.headers[0][0].lower() == "host"
        assert seen.fields["x-mine"] == "1"
        assert seen.json()["messages"] == HELLO

    def test_a_client_that_leaves_a_stream_is_noticed_with_its_time(self, client, provider):
        provider.next("endless")
        stream = ask(client, stream=True)
        next(iter(stream))
        left = time.monotonic()
        stream.close()
        provider.wait_until(lambda: provider.exchanges[-1].outcome == "client_gone")
        assert 0 <= provider.exchanges[-1].ended - left < 0.5

    def test_open_connections_are_counted(self, client, provider):
        ask(client)
        assert (provider.connections_made, provider.open_connections) == (1, 1)
        client.close()
        provider.wait_until(lambda: provider.open_connections == 0)

    def test_a_slow_reader_stops_the_flow(self, client, provider):
        provider.next("torrent")
        stream = ask(client, stream=True)
        next(iter(stream))
        provider.wait_until(lambda: provider.exchanges[-1].bytes_sent > 65_536)
        time.sleep(0.3)
        held = provider.exchanges[-1].bytes_sent
        time.sleep(0.2)
        assert provider.exchanges[-1].bytes_sent == held < 32 * 1024 * 1024
        stream.close()


def test_it_serves_tls_with_the_context_it_is_given(certificate):
    with FakeProvider(tls=certificate.server_context(), host="127.0.0.1") as provider:
        assert provider.base_url.startswith("https://")
        http = openai.DefaultHttpxClient(verify=certificate.client_context())
        with openai.OpenAI(base_url=provider.base_url, api_key=KEY, http_client=http) as client:
            assert ask(client).choices


def test_a_stopped_provider_starts_again_on_its_port():
    provider = FakeProvider(keys=None)
    for _ in range(2):
        with provider, openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=0) as client:
            assert ask(client).choices
            port = provider.port
    assert provider.port == port


def test_a_fault_of_the_fake_itself_is_raised_when_it_stops():
    broken = Behaviour(body=lambda headers: {}[headers["absent"]])
    provider = FakeProvider(behaviour=broken)
    provider.start()
    client = openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0)
    with client, pytest.raises(openai.APIConnectionError):
        ask(client)
    with pytest.raises(KeyError, match="absent"):
        provider.stop()
