"""Bedrock from end to end: a conversation becomes a signed request, a binary event stream becomes an answer.

The fake recomputes every signature by the documentation and judges requests by botocore's model of the service; boto3
itself reads the fake first, so that the fake is no friend of ours alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from open_llm_auth.config.secrets_io import EnvironmentSecrets
from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.providers.bedrock import BEDROCK, prepare, read_error
from open_llm_auth.providers.spec import Sending
from open_llm_auth.testing import BEHAVIOURS, GatewayProcess, ManualClock
from open_llm_auth.testing.bedrock_server import ACCESS_KEY, SECRET_KEY, FakeBedrock
from open_llm_auth.transport import HttpTransport
from open_llm_auth.values import Credential, EgressRules, Endpoint, Outbound, Provider, Secret
from open_llm_auth.wire.bedrock_converse import DIALECT
from open_llm_auth.wire.conversation import (
    Conversation,
    Document,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.events import (
    Event,
    Failed,
    Finished,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
WORDS = "Hello from the fake provider: naïve 日本語 🦙."
CANARY = "ABSK-canary-bearer-key"
CHAIN = Credential("aws-sdk:amazon-bedrock", "amazon-bedrock", "aws-sdk", "aws-sdk")
BEARER = Credential("env:AWS_BEARER_TOKEN_BEDROCK", "amazon-bedrock", "environment", "api_key", Secret(CANARY))
WEATHER = Tool("get_weather", "Says the weather", {"type": "object", "properties": {"city": {"type": "string"}}})
SIDE = DIALECT.provider
assert SIDE is not None


@pytest.fixture
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock(keys=(CANARY,)) as bedrock:
        yield bedrock


# ---------------------------------------------------------------------------------------------- the fake


@pytest.fixture
def stranger(bedrock: FakeBedrock) -> Iterator[Any]:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=bedrock.base_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


ASK = [{"role": "user", "content": [{"text": "hi"}]}]


def test_boto3_reads_a_plain_answer_of_the_fake(stranger: Any) -> None:
    answer = stranger.converse(modelId=CLAUDE, messages=ASK)
    assert answer["output"]["message"]["content"] == [{"text": WORDS}]
    assert (answer["stopReason"], answer["usage"]["outputTokens"]) == ("end_turn", 10)


@pytest.mark.parametrize("split", ["events", "whole", "every_byte"])
def test_boto3_reads_a_stream_of_the_fake(stranger: Any, bedrock: FakeBedrock, split: Any) -> None:
    bedrock.next(replace(BEHAVIOURS["reasoning_tools"], split=split))
    spec = {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    stream = stranger.converse_stream(modelId=CLAUDE, messages=ASK, toolConfig={"tools": [{"toolSpec": spec}]})[
        "stream"
    ]
    events = list(stream)
    assert [next(iter(event)) for event in events[-2:]] == ["messageStop", "metadata"]
    pieces = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(piece["toolUse"]["input"] for piece in pieces if "toolUse" in piece) == '{"a":"sample"}'
    assert any("signature" in piece.get("reasoningContent", {}) for piece in pieces)


def test_boto3_reads_the_errors_of_the_fake(stranger: Any, bedrock: FakeBedrock) -> None:
    bedrock.next("rate_limited", "unavailable", "error_mid_stream")
    for code in ("ThrottlingException", "ServiceUnavailableException"):
        with pytest.raises(ClientError) as caught:
            stranger.converse(modelId=CLAUDE, messages=ASK)
        assert caught.value.response["Error"]["Code"] == code
    with pytest.raises(EventStreamError, match="internalServerException"):
        list(stranger.converse_stream(modelId=CLAUDE, messages=ASK)["stream"])
    with pytest.raises(ClientError, match="must start with a user message"):
        stranger.converse(modelId=CLAUDE, messages=[{"role": "assistant", "content": [{"text": "hi"}]}])


# ---------------------------------------------------------------------------------------------- the parts of the way

Send = Callable[..., Any]


@pytest.fixture
async def send(bedrock: FakeBedrock, tmp_path: Path) -> AsyncIterator[Send]:
    """`await send(conversation, …)`: the answer's events, or the fault that an error status means."""
    rules = EgressRules(allow_local_providers=frozenset({"amazon-bedrock"}))
    variables = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    transport = HttpTransport(lambda: rules, EnvironmentSecrets(variables), ManualClock())
    endpoint = Endpoint("http", "127.0.0.1", bedrock.port, "")
    provider = Provider("amazon-bedrock", BEDROCK.api, "aws-sdk", endpoint=endpoint)

    async def call(
        conversation: Conversation, *, model: str = CLAUDE, stream: bool = True, credential: Credential = CHAIN
    ) -> Any:
        body = msgspec.json.encode(SIDE.write_request(conversation, model))
        request = prepare(provider, credential, Sending("chat", model, stream, body))
        assert isinstance(request, Outbound)
        reply = await transport.send(request)
        try:
            if reply.status >= 400:
                return read_error("amazon-bedrock", reply.status, reply.headers, await reply.read(1 << 20), str)
            if not stream:
                return SIDE.read_reply(await reply.read(1 << 20))
            decoder = SIDE.decoder()
            events = [event async for chunk in reply.chunks() for event in decoder.feed(chunk)]
            return [*events, *decoder.end()]
        finally:
            await reply.aclose()

    yield call
    await transport.aclose()


def user(*parts: Part | str) -> Turn:
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("credential", [CHAIN, BEARER], ids=["signed", "bearer"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
async def test_a_conversation_goes_out_and_its_answer_comes_back(
    send: Send, bedrock: FakeBedrock, credential: Credential, stream: bool
) -> None:
    events = await send(Conversation((user("hi"),)), stream=stream, credential=credential)
    assert text_of(events) == WORDS
    assert isinstance(events[-1], Finished)
    assert (events[-1].reason, events[-1].usage.output) == ("stop", 10)
    (request,) = bedrock.requests
    assert request.path.startswith("/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse")
    assert [each.access_key for each in bedrock.signatures] == ([] if credential is BEARER else [ACCESS_KEY])
    assert request.key == (CANARY if credential is BEARER else None)


@pytest.mark.parametrize("split", ["events", "whole", "every_byte", "inside_characters"])
async def test_however_the_stream_is_cut_the_answer_is_the_same(send: Send, bedrock: FakeBedrock, split: Any) -> None:
    bedrock.behaviour = replace(BEHAVIOURS["reasoning"], split=split)
    events = await send(Conversation((user("hi"),)))
    assert text_of(events) == WORDS
    assert "".join(event.text for event in events if isinstance(event, ThinkingDelta)) == "Let me think"


async def test_a_turn_of_tools_with_thinking_goes_round(send: Send) -> None:
    asked = Reasoning(enabled=True, budget=2048)
    first = Conversation((user("use get_weather"),), tools=(WEATHER,), reasoning=asked, max_tokens=4000)
    events = await send(first)
    thought = "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    (sealed,) = [event for event in events if isinstance(event, ThinkingSigned)]
    (call,) = [event for event in events if isinstance(event, ToolCallStarted)]
    arguments = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
    assert (call.name, arguments, events[-1].reason) == ("get_weather", '{"city":"sample"}', "tool_calls")

    said = Turn("assistant", (Thinking(thought, sealed.signature), ToolCall(call.id, call.name, arguments)))
    result = user(ToolResult(call.id, call.name, (Text("21 C"), Image("image/png", "AA==")), is_error=True))
    second = replace(first, turns=(*first.turns, said, result))
    assert text_of(await send(second)) == WORDS
    altered = replace(
        second, turns=(*first.turns, replace(said, parts=(Thinking("else", sealed.signature), *said.parts[1:])), result)
    )
    fault = await send(altered)
    assert (fault.kind, "signature" in fault.error.message) == ("rejected", True)
    unsigned = replace(second, turns=(*first.turns, replace(said, parts=said.parts[1:]), result))
    assert not any(isinstance(event, ThinkingDelta) for event in await send(unsigned)), "thinking is off for that call"


@pytest.mark.parametrize(
    ("conversation", "reason", "words"),
    [
        (Conversation((user("hi"),), max_tokens=2), "length", "Hello from"),
        (Conversation((user("hi"),), stop=("fake",)), "stop_sequence", "Hello from the "),
        (Conversation((user("read", Document("application/pdf", "AA==", name="a.pdf")),)), "stop", WORDS),
        (
            Conversation((user("hi"),), output=OutputFormat(WEATHER.parameters)),
            "stop",
            '{"city":"sample"}',
        ),
        (
            Conversation((user("hi"),), tools=(WEATHER,), tool_choice=ToolChoice("tool", "get_weather")),
            "tool_calls",
            "",
        ),
        (Conversation((user("use get_weather"),), tools=(WEATHER,), tool_choice=ToolChoice("none")), "stop", WORDS),
    ],
)
async def test_what_is_asked_for_is_what_is_done(
    send: Send, conversation: Conversation, reason: str, words: str
) -> None:
    events = await send(conversation)
    assert (events[-1].reason, text_of(events)) == (reason, words)
    if reason == "stop_sequence":
        assert events[-1].stop_sequence == "fake"


async def test_what_came_from_a_cache_is_counted_once(send: Send, bedrock: FakeBedrock) -> None:
    bedrock.behaviour = BEHAVIOURS["cache_hit"]
    for stream in (True, False):
        usage = (await send(Conversation((user("hi"),)), stream=stream))[-1].usage
        assert (usage.input, usage.cache_read, usage.cache_write) == (4 + 1150, 1000, 150)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("rate_limited", "rate_limit"),
        ("unavailable", "overloaded"),
        ("server_error", "server"),
        ("bad_request", "rejected"),
    ],
)
async def test_refusals_are_faults_of_their_kind(send: Send, bedrock: FakeBedrock, behaviour: str, kind: str) -> None:
    bedrock.next(behaviour)
    assert (await send(Conversation((user("hi"),)))).kind == kind


async def test_a_key_that_is_wrong_is_a_fault_of_the_credential(send: Send) -> None:
    wrong = replace(BEARER, secret=Secret("wrong"))
    fault = await send(Conversation((user("hi"),)), credential=wrong)
    assert (fault.kind, fault.status) == ("auth", 403)


async def test_trouble_in_the_middle_is_never_a_whole_answer(send: Send, bedrock: FakeBedrock) -> None:
    bedrock.next("error_mid_stream")
    events = await send(Conversation((user("hi"),)))
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "500"
    for behaviour in ("truncated", "garbage"):
        bedrock.next(behaviour)
        with pytest.raises(UpstreamInvalidResponse):
            await send(Conversation((user("hi"),)))


# ---------------------------------------------------------------------------------------------- the gateway before it

MakeGateway = Callable[..., GatewayProcess]


@pytest.fixture
def gateway(
    make_gateway: MakeGateway, config_for: Any, provider: Any, bedrock: FakeBedrock, tmp_path: Path
) -> GatewayProcess:
    config = config_for(provider)
    config["providers"]["amazon-bedrock"] = {"baseUrl": bedrock.base_url, "auth": "aws-sdk"}
    config["egressPolicy"] = {"allowLocalProviders": ["fake", "amazon-bedrock"]}
    return make_gateway(config, aws_variables(tmp_path), secrets=(SECRET_KEY,))


def aws_variables(folder: Path) -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
    }


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": f"bedrock/{CLAUDE}", "messages": [{"role": "user", "content": "hi"}], **fields}


def test_clients_of_two_dialects_are_answered_by_a_signed_call(gateway: GatewayProcess, bedrock: FakeBedrock) -> None:
    headers = {"authorization": f"Bearer {gateway.token}"}
    root = gateway.base_url.removesuffix("/v1")
    with httpx.Client(base_url=root, headers=headers, timeout=30) as client:
        plain = client.post("/v1/chat/completions", json=chat())
        assert plain.json()["choices"][0]["message"]["content"] == WORDS
        assert plain.headers["x-gateway-profile"] == "aws-sdk:amazon-bedrock"
        streamed = client.post("/v1/chat/completions", json=chat(stream=True))
        chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
        assert (
            "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]) == WORDS
        )
        assert streamed.text.endswith("data: [DONE]\n\n")
        message = client.post("/v1/messages", json=chat(max_tokens=100), headers={"anthropic-version": "2023-06-01"})
        assert [block["text"] for block in message.json()["content"] if block["type"] == "text"] == [WORDS]
    assert [signature.access_key for signature in bedrock.signatures] == [ACCESS_KEY] * 3
    assert all("client" not in exchange.request.fields.get("authorization", "") for exchange in bedrock.exchanges)


def test_the_first_words_come_while_the_provider_still_thinks_of_more(
    gateway: GatewayProcess, bedrock: FakeBedrock
) -> None:
    bedrock.next("hangs_mid_body")
    headers = {"authorization": f"Bearer {gateway.token}"}
    url = f"{gateway.base_url}/chat/completions"
    with httpx.stream("POST", url, json=chat(stream=True), headers=headers, timeout=20) as answer:
        assert next(line for line in answer.iter_lines() if "Hello" in line)


def test_a_bearer_key_comes_first_and_what_aws_finds_after_it(
    make_gateway: MakeGateway, config_for: Any, provider: Any, bedrock: FakeBedrock, tmp_path: Path
) -> None:
    config = config_for(provider)
    config["providers"]["amazon-bedrock"] = {"baseUrl": bedrock.base_url, "auth": "aws-sdk"}
    config["egressPolicy"] = {"allowLocalProviders": ["fake", "amazon-bedrock"]}
    environ = {**aws_variables(tmp_path), "AWS_BEARER_TOKEN_BEDROCK": "a-stale-bearer-key"}
    gateway = make_gateway(config, environ, secrets=("a-stale-bearer-key", SECRET_KEY))
    answer = gateway.request("POST", "/v1/chat/completions", body=chat())
    assert answer.status == 200
    assert [exchange.request.key for exchange in bedrock.exchanges] == ["a-stale-bearer-key", None]
    assert answer.headers["x-gateway-attempts"] == "2"
