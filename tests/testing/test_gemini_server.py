"""Google's own SDK is content with the fake Gemini, and the fake refuses what the API refuses."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from open_llm_auth.testing import FakeGemini
from open_llm_auth.testing.answers import TEXT, THINKING
from open_llm_auth.testing.fake_server import KEY
from open_llm_auth.testing.gemini_rules import DUMMIES

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = types.Tool(function_declarations=[types.FunctionDeclaration(name="get_weather", parameters_json_schema=CITY)])
THINK = types.ThinkingConfig(include_thoughts=True)


@pytest.fixture
def provider() -> Iterator[FakeGemini]:
    with FakeGemini() as provider:
        yield provider


@pytest.fixture
def client(provider: FakeGemini) -> Iterator[genai.Client]:
    with client_of(provider) as client:
        yield client


def client_of(provider: FakeGemini, key: str = KEY) -> genai.Client:
    options = types.HttpOptions(base_url=provider.base_url.removesuffix("/v1beta"), timeout=5000)
    return genai.Client(api_key=key, http_options=options)


class Answer:
    """All that the chunks of an answer say; a plain one is a single chunk."""

    def __init__(self, chunks: list[types.GenerateContentResponse]) -> None:
        candidates = [chunk.candidates[0] for chunk in chunks]
        self.parts = [part for found in candidates for part in (found.content.parts if found.content else ())]
        self.text = "".join(part.text or "" for part in self.parts if not part.thought)
        self.thoughts = "".join(part.text or "" for part in self.parts if part.thought)
        self.calls = [part for part in self.parts if part.function_call]
        self.finish = candidates[-1].finish_reason
        self.usage = chunks[-1].usage_metadata


def ask(
    client: genai.Client, said: Any = "hello", *, stream: bool = False, model: str = "gemini-fake", **config: Any
) -> Answer:
    call = {"model": model, "contents": said, "config": types.GenerateContentConfig(**config)}
    if stream:
        return Answer(list(client.models.generate_content_stream(**call)))
    return Answer([client.models.generate_content(**call)])


def post(provider: FakeGemini, body: dict[str, Any], verb: str = "generateContent", model: str = "m") -> httpx.Response:
    url = f"{provider.base_url}/models/{model}:{verb}"
    return httpx.post(url, json=body, headers={"x-goog-api-key": KEY})


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
class TestAnswers:
    def test_text_comes_with_usage(self, client, stream):
        answer = ask(client, stream=stream)
        assert (answer.text, answer.finish) == ("".join(TEXT), types.FinishReason.STOP)
        assert (answer.usage.prompt_token_count, answer.usage.candidates_token_count) == (4, len(TEXT))

    @pytest.mark.parametrize("model", ["gemini-fake", "gemini-3-fake"])
    def test_the_first_offered_tool_is_called_and_its_result_is_answered(self, client, stream, model):
        answer = ask(client, "#tools", stream=stream, model=model, tools=[WEATHER])
        [part] = answer.parts
        assert (part.function_call.name, part.function_call.args) == ("get_weather", {"city": "sample"})
        assert bool(part.function_call.id) == bool(part.thought_signature) == (model == "gemini-3-fake")
        reply = types.FunctionResponse(name="get_weather", response={"result": "sunny"}, id=part.function_call.id)
        history = [
            types.Content(role="user", parts=[types.Part(text="#tools")]),
            types.Content(role="model", parts=[part]),
            types.Content(role="user", parts=[types.Part(function_response=reply)]),
        ]
        assert ask(client, history, stream=stream, model=model, tools=[WEATHER]).text == "".join(TEXT)

    def test_two_calls_come_at_once_and_the_first_is_signed(self, client, stream):
        calls = ask(client, "#parallel_tools", stream=stream, model="gemini-3-fake", tools=[WEATHER]).calls
        assert [bool(part.thought_signature) for part in calls] == [True, False]

    def test_thoughts_are_told_apart_and_counted(self, client, stream):
        answer = ask(client, stream=stream, thinking_config=THINK)
        assert (answer.thoughts, answer.text) == ("".join(THINKING), "".join(TEXT))
        assert answer.usage.thoughts_token_count == len(THINKING)
        assert answer.parts[-1].thought_signature

    @pytest.mark.parametrize(
        ("said", "config", "finish", "text"),
        [
            ("#refusal", {}, "SAFETY", ""),
            ("#length", {}, "MAX_TOKENS", "Hello from"),
            ("hi", {"max_output_tokens": 3}, "MAX_TOKENS", "Hello from the"),
            ("#stop", {"stop_sequences": ["STOP"]}, "STOP", "one two three "),
            (
                "hi",
                {"response_mime_type": "application/json", "response_json_schema": CITY},
                "STOP",
                '{"city":"sample"}',
            ),
        ],
    )
    def test_every_end_has_its_reason(self, client, stream, said, config, finish, text):
        answer = ask(client, said, stream=stream, **config)
        assert (answer.finish.value, answer.text) == (finish, text)

    def test_cached_input_is_part_of_the_input(self, client, stream):
        usage = ask(client, "#cache_hit", stream=stream).usage
        assert (usage.prompt_token_count, usage.cached_content_token_count) == (1154, 1000)


class TestMisbehaviour:
    @pytest.mark.parametrize(
        ("name", "code", "status"),
        [
            ("bad_request", 400, "INVALID_ARGUMENT"),
            ("key_forbidden", 403, "PERMISSION_DENIED"),
            ("rate_limited", 429, "RESOURCE_EXHAUSTED"),
            ("unavailable", 503, "UNAVAILABLE"),
        ],
    )
    def test_a_refusal_has_the_apis_form(self, client, name, code, status):
        with pytest.raises(errors.APIError) as refused:
            ask(client, f"#{name}")
        assert (refused.value.code, refused.value.status) == (code, status)

    def test_an_error_in_a_stream_comes_after_text(self, client, provider):
        provider.next("error_mid_stream")
        with pytest.raises(errors.APIError, match="The server had an error"):
            ask(client, stream=True)
        provider.wait_until(lambda: provider.exchanges[-1].events_sent == 2 + 1)

    @pytest.mark.parametrize("name", ["every_byte", "inside_characters", "carriage_returns", "one_write"])
    def test_unusual_streams_say_the_same(self, client, name):
        assert ask(client, f"#{name}", stream=True).text == "".join(TEXT)

    def test_a_stream_can_stop_short(self, client, provider):
        for name in ("truncated", "no_done"):
            provider.next(name)
            assert ask(client, stream=True).finish is None

    def test_without_the_word_for_events_a_stream_is_one_list(self, provider):
        body = {"contents": [{"parts": [{"text": "hello"}]}]}
        chunks = post(provider, body, "streamGenerateContent").json()
        assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks) == "".join(TEXT)


class TestOtherRoutes:
    def test_tokens_are_counted(self, client):
        assert client.models.count_tokens(model="gemini-fake", contents="hello").total_tokens == 4

    def test_models_are_listed_and_described(self, client):
        assert [model.name for model in client.models.list()] == ["models/gemini-fake", "models/gemini-3-fake"]
        assert client.models.get(model="gemini-fake").input_token_limit == 1_048_576
        with pytest.raises(errors.ClientError, match="is not found"):
            client.models.get(model="absent")

    def test_a_key_is_needed_and_must_be_right(self, provider):
        with client_of(provider, "wrong") as wrong, pytest.raises(errors.ClientError, match="not valid") as refused:
            ask(wrong)
        assert refused.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
        bare = httpx.post(f"{provider.base_url}/models/m:generateContent", json={})
        assert bare.json()["error"]["status"] == "PERMISSION_DENIED"
        in_query = httpx.post(f"{provider.base_url}/models/m:countTokens?key={KEY}", json={"contents": []})
        assert in_query.status_code == 200


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


HI = {"text": "hi"}
CALL = {"functionCall": {"name": "f", "args": {}}}
DONE = {"functionResponse": {"name": "f", "response": {"result": 1}}}


def offered(**declaration: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f"} | declaration]}]}


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"contents": []}, "contents is not specified"),
    ({"contents": [{"role": "assistant", "parts": [HI]}]}, "Please use a valid role: user, model."),
    ({"contents": [user()]}, "must not be empty"),
    ({"contents": [user({})]}, "required oneof field 'data' must have one initialized field"),
    ({"contents": [user(HI | CALL)]}, "oneof field 'data' is already set"),
    ({"contents": [user(HI | {"cache": 1})]}, "Unknown name \"cache\" at 'contents[0].parts[0]': Cannot find field"),
    ({"messages": []}, 'Unknown name "messages": Cannot find field'),
    ({"contents": [user(HI), model(CALL)]}, "number of function response parts is equal"),
    ({"contents": [user(HI), model(CALL, CALL), user(DONE)]}, "number of function response parts is equal"),
    ({"contents": [user(HI), model(HI), user(DONE)]}, "function response turn comes immediately after a function call"),
    ({"contents": [model(CALL), user(DONE)]}, "function call turn comes immediately after a user turn"),
    ({"contents": [user(HI), model(CALL | {"thoughtSignature": "c2ln"}), user(DONE)]}, "Corrupted thought signature"),
    ({"contents": [user(HI), model(CALL | {"thoughtSignature": "?"}), user(DONE)]}, "Base64 decoding failed"),
    ({"contents": [user({"inlineData": {"mimeType": "image/png", "data": "?"}})]}, "Base64 decoding failed"),
    (offered(parameters={"type": "object", "$schema": "x"}), 'Unknown name "$schema"'),
    (offered(parameters={"type": "object", "properties": {"a": {"const": 1}}}), 'Unknown name "const" at'),
    (offered(parameters={"type": ["string", "null"]}), "Invalid value at"),
    (offered(name="1f"), "Invalid function name"),
    (offered(strict=True), 'Unknown name "strict"'),
    ({"generationConfig": {"maxTokens": 1}}, "Unknown name \"maxTokens\" at 'generation_config'"),
    ({"generationConfig": {"temperature": 3}}, "must be in the range [0, 2]"),
    ({"generationConfig": {"responseJsonSchema": CITY}}, "only allowed with response_mime_type"),
    ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "HUGE"}}}, "(ThinkingLevel)"),
    (
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}},
        "only one of thinking budget",
    ),
    ({"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}}, "mode is ANY"),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSALS, ids=[sentence[:60] for _, sentence in REFUSALS])
def test_what_the_api_refuses_is_refused_with_its_words(provider, fields, sentence):
    answer = post(provider, {"contents": [user(HI)]} | fields)
    assert answer.status_code == 400, answer.text
    assert sentence in answer.json()["error"]["message"]


@pytest.mark.parametrize("dummy", [*DUMMIES, base64.b64encode(DUMMIES[0].encode()).decode()])
def test_the_documented_dummies_stand_for_a_signature(provider, dummy):
    body = {"contents": [user(HI), model(CALL | {"thoughtSignature": dummy}), user(DONE)]}
    assert post(provider, body, model="gemini-3-fake").status_code == 200


def test_the_newest_models_want_the_first_call_of_a_step_signed(provider):
    body = {"contents": [user(HI), model(CALL), user(DONE)]}
    assert post(provider, body).status_code == 200
    assert "missing a thought_signature" in post(provider, body, model="gemini-3-fake").text
    earlier = {"contents": [*body["contents"], model(HI), user(HI)]}
    assert post(provider, earlier, model="gemini-3-fake").status_code == 200


def test_fields_may_be_in_snake_case(provider):
    body = {"contents": [user(HI)], "generation_config": {"max_output_tokens": 2}, "system_instruction": user(HI)}
    answer = post(provider, body).json()
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
