"""A real llama.cpp server behind each of the three dialects it speaks, before the SDK of each dialect there is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from open_llm_auth.testing import GatewayProcess

from .sdks import WAYS, Asked, Said, Way, ways_into

pytestmark = pytest.mark.backends

#: the kinds whose dialect the server speaks itself, and the way in that is then relayed
OWN_WAY: Mapping[str, str] = {
    "openai-completions": "chat",
    "openai-responses": "responses",
    "anthropic-messages": "messages",
}
#: OpenAI's Responses API takes no smaller limit than 16.
ASKED = Asked("tiny", "hello there", most=20, temperature=0.8)


@pytest.fixture(scope="module")
def gateway(llama, client_token, tmp_path_factory) -> Iterator[GatewayProcess]:
    """The same server three times, once for each kind."""
    providers = {api: {"baseUrl": llama.base_url, "apiKey": llama.key, "api": api} for api in OWN_WAY}
    config = {
        "providers": providers,
        "egressPolicy": {"allowLocalProviders": list(providers)},
        "authorization": {"tokens": {"client": {"token": client_token, "scopes": ["read", "write"]}}},
    }
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), config, token=client_token) as gateway:
        yield gateway
        assert "Traceback" not in gateway.log()


@pytest.fixture(scope="module")
def ways(gateway) -> Iterator[Mapping[str, Way]]:
    with ways_into(gateway.url, gateway.token) as ways:
        yield ways


@pytest.fixture(scope="module")
def alone(llama) -> Mapping[str, Said]:
    """What the server says with nobody between, in each of its dialects."""
    with ways_into(llama.base_url.removesuffix("/v1"), llama.key) as ways:
        return {api: ways[way].plain(ASKED) for api, way in OWN_WAY.items()}


@pytest.fixture(params=list(OWN_WAY))
def api(request) -> str:
    return request.param


@pytest.fixture(params=WAYS)
def way(request, ways) -> Way:
    return ways[request.param]


def test_what_is_said_is_the_servers_own_plain_and_streamed(way, api, alone):
    asked = replace(ASKED, model=f"{api}/tiny")
    plain, streamed = way.plain(asked), way.streamed(asked)
    assert plain == streamed == alone[api]
    assert len(set(plain.text)) > 5, "a text like that proves nothing"
    assert plain.output == ASKED.most
    assert plain.input > 0
    assert streamed.pieces > 5


def test_the_dialects_of_the_server_differ_in_their_words_only(alone):
    assert len({said.text for said in alone.values()}) == 1
    assert len({(said.input, said.output) for said in alone.values()}) == 1


@pytest.mark.parametrize("way_in", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_every_call_is_counted(gateway, way_in, api):
    fields = {"input": "hello"} if way_in == "/v1/responses" else {"messages": [{"role": "user", "content": "hello"}]}
    body = {"model": f"{api}/tiny", "max_tokens": 16, "max_output_tokens": 16, **fields, "stream": True}
    name = f"count-{way_in.rpartition('/')[2]}-{api}"
    assert gateway.request("POST", way_in, body=body, headers={"x-request-id": name}).status == 200
    row = gateway.wait_for_row(lambda row: row["request"] == name)
    assert row["outputTokens"] == 16
    assert row["inputTokens"] > 0


SCHEMA = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}, "mood": {"enum": ["calm", "wild"]}},
    "required": ["ready", "mood"],
    "additionalProperties": False,
}
USER = [{"role": "user", "content": "hello"}]
FORMATS = {
    "/v1/chat/completions": {
        "messages": USER,
        "response_format": {"type": "json_schema", "json_schema": {"name": "state", "schema": SCHEMA, "strict": True}},
    },
    "/v1/responses": {
        "input": "hello",
        "text": {"format": {"type": "json_schema", "name": "state", "schema": SCHEMA, "strict": True}},
    },
    "/v1/messages": {"messages": USER, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "/v1beta/models/openai-completions/tiny:generateContent": {
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
    },
}


@pytest.mark.parametrize("way_in", FORMATS)
def test_a_schema_binds_the_model_whichever_way_it_came(gateway, way_in):
    """Random weights would never write JSON by themselves: the server's grammar makes them, from the schema."""
    limits = {} if "v1beta" in way_in else {"model": "openai-completions/tiny", "max_tokens": 64}
    answer = gateway.request("POST", way_in, body={**limits, **FORMATS[way_in]})
    assert answer.status == 200, answer.body
    (text,) = {found for found in texts_in(answer.json()) if found.lstrip().startswith("{")}
    said = json.loads(text)
    assert set(said) == {"ready", "mood"}
    assert said["mood"] in ("calm", "wild")


def texts_in(value: Any) -> Iterator[str]:
    """Every string in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_in(item)


@pytest.mark.parametrize("api", ["anthropic-messages"], indirect=True)
def test_tokens_are_counted_by_who_can(gateway, api):
    body = {"model": f"{api}/tiny", "messages": [{"role": "user", "content": "hello there"}]}
    answer = gateway.request("POST", "/v1/messages/count_tokens", body=body)
    assert answer.status == 200
    assert "x-gateway-estimated" not in answer.headers
    assert answer.json()["input_tokens"] > len("hello there"), "its tokens are bytes, and a template stands around them"


def test_its_own_errors_are_told_in_the_words_of_the_way_in(way, api):
    with pytest.raises(way.failure) as raised:
        way.plain(Asked(f"{api}/tiny", "x" * 200_000))
    status, words = way.read_error(raised.value)
    assert status == 400
    assert "context" in words
