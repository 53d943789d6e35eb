"""Anthropic as an upstream of other clients, from end to end: an OpenAI-like conversation in, Anthropic's request out,
Anthropic's stream in, events out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest, UpstreamInvalidResponse
from open_llm_auth.providers.anthropic import ANTHROPIC
from open_llm_auth.providers.spec import Adjusting, Sending
from open_llm_auth.values import Credential, Endpoint, Outbound, Provider, Secret
from open_llm_auth.wire.anthropic_messages import DIALECT
from open_llm_auth.wire.carrying import check_carried
from open_llm_auth.wire.conversation import (
    Conversation,
    Image,
    OpaqueTool,
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
    ErrorBody,
    Event,
    Finished,
    Signature,
    Started,
    TextDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.fitting import fit
from open_llm_auth.wire.translation import Gathering, StreamTranslation, restore_names, usage_of

REPLIES = Path(__file__).parent / "golden" / "replies" / "anthropic-messages"
PROVIDER = Provider(
    "anthropic", "anthropic-messages", "api-key", endpoint=Endpoint("https", "api.anthropic.com", 443, "")
)
CREDENTIAL = Credential("anthropic:default", "anthropic", "profile", "api_key", Secret("sk-ant-api03-canary"))
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Current weather of a city.", SCHEMA)

assert DIALECT.provider is not None
SIDE = DIALECT.provider

#: As an OpenAI chat client says it: system text, a question, tools, settings of OpenAI's own.
CHAT = Conversation(
    (Turn("user", (Text("What is the weather in Paris?"), Image("image/png", "AA=="))),),
    system=(Text("You are terse."),),
    tools=(WEATHER,),
    tool_choice=ToolChoice("auto"),
    temperature=0.5,
    max_tokens=100,
    stop=("STOP",),
    seed=7,
    stream=True,
)


def sent(conversation: Conversation, model: str = "claude-sonnet-4-5") -> tuple[Outbound, dict[str, Any]]:
    """The request on the wire, and its body."""
    fitted, _ = fit(conversation, SIDE.tool_names, SIDE.call_ids)
    assert ANTHROPIC.adjust is not None
    fields = ANTHROPIC.adjust(
        SIDE.write_request(fitted, model), Adjusting(PROVIDER, model, conversation.stream, translated=True)
    )
    sending = Sending("chat", model, conversation.stream, msgspec.json.encode(fields))
    outbound = ANTHROPIC.prepare(PROVIDER, CREDENTIAL, sending)
    assert isinstance(outbound, Outbound)
    return outbound, json.loads(outbound.body)


def told(name: str, names: dict[str, str] | None = None) -> list[Event]:
    """The events of a golden stream, as a gathering takes them."""
    gathering = Gathering(SIDE.decoder(), names or {})
    gathering.feed((REPLIES / f"{name}.sse").read_bytes())
    gathering.end()
    assert gathering.done
    return gathering.events


def test_a_chat_becomes_a_message():
    outbound, body = sent(CHAT)
    assert (outbound.endpoint.host, outbound.target) == ("api.anthropic.com", "/v1/messages")
    assert dict(outbound.headers)[b"accept"] == b"text/event-stream"
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "You are terse."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is the weather in Paris?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                ],
            }
        ],
        "tools": [{"name": "get_weather", "description": "Current weather of a city.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "auto"},
        "temperature": 0.5,
        "stop_sequences": ["STOP"],
        "stream": True,
    }


def test_what_is_dropped_is_known_and_refused_to_the_strict():
    assert check_carried(CHAT, SIDE.limits, target="anthropic-messages", strict=False) == ("seed",)
    with pytest.raises(InvalidRequest) as refused:
        check_carried(CHAT, SIDE.limits, target="anthropic-messages", strict=True)
    assert refused.value.param == "seed"
    with pytest.raises(InvalidRequest):
        check_carried(replace(CHAT, choices=2), SIDE.limits, target="anthropic-messages", strict=False)


def test_a_turn_of_tools_goes_round():
    """The call that Anthropic makes comes back as history, with its result, in the shape that Anthropic wants."""
    events = told("thinking_tools")
    thinking = next(event.signature for event in events if isinstance(event, ThinkingSigned))
    call = next(event for event in events if isinstance(event, ToolCallStarted))
    arguments = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
    history = (
        *CHAT.turns,
        Turn("assistant", (Thinking("The user asks for weather.", thinking), ToolCall(call.id, call.name, arguments))),
        Turn("user", (ToolResult(call.id, call.name, (Text("21 C, sunny"),)),)),
    )
    _, body = sent(replace(CHAT, turns=history, reasoning=Reasoning(effort="low"), max_tokens=None))
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "The user asks for weather.", "signature": "c2lnbmF0dXJl"},
                {"type": "tool_use", "id": "call_paris", "name": "get_weather", "input": {"city": "Paris"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_paris", "content": "21 C, sunny"}]},
    ]
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert body["max_tokens"] > 1024
    assert "temperature" not in body


@pytest.mark.parametrize(
    "lost", [(), (Thinking("hm", Signature("openai-responses", "gAAAA", "rs_1")),), (Thinking("hm"),)]
)
@pytest.mark.parametrize(
    ("model", "kept"),
    [
        ("claude-sonnet-4-5", {"type": "disabled"}),
        ("kimi-for-coding", {"type": "disabled"}),
        # Adaptive thinking asks for no thinking of the turns before.
        ("claude-opus-4-8", {"type": "adaptive", "display": "summarized"}),
        ("claude-opus-5", {"type": "adaptive", "display": "summarized"}),
    ],
)
def test_a_call_whose_thinking_is_not_at_hand_turns_thinking_off_where_it_would_be_refused(lost, model, kept):
    history = (
        *CHAT.turns,
        Turn("assistant", (*lost, ToolCall("c", "get_weather", "{}"))),
        Turn("user", (ToolResult("c", "get_weather", (Text("sunny"),)),)),
    )
    _, body = sent(replace(CHAT, turns=history, reasoning=Reasoning(effort="high")), model)
    assert body.get("thinking", {"type": "disabled"}) == kept
    assert "gAAAA" not in json.dumps(body)
    _, fresh = sent(replace(CHAT, reasoning=Reasoning(effort="high")), model)
    assert fresh["thinking"]["type"] in ("enabled", "adaptive")


def test_names_and_ids_that_anthropic_refuses_are_made_to_fit_and_found_again():
    long = "mcp.server/" + "x" * 140
    history = (
        *CHAT.turns,
        Turn("assistant", (ToolCall("functions.look:0", long, "{}"),)),
        Turn("user", (ToolResult("functions.look:0", long, (Text("a"),)),)),
    )
    conversation = replace(CHAT, turns=history, tools=(replace(WEATHER, name=long),))
    fitted, names = fit(conversation, SIDE.tool_names, SIDE.call_ids)
    _, body = sent(conversation)
    use, result = body["messages"][1]["content"][0], body["messages"][2]["content"][0]
    assert use["name"] == body["tools"][0]["name"] == fitted.tools[0].name
    assert len(use["name"]) <= 128
    assert use["id"] == result["tool_use_id"] != "functions.look:0"
    assert restore_names([ToolCallStarted("c", use["name"])], names) == [ToolCallStarted("c", long)]


def test_a_tool_that_only_another_provider_runs_is_dropped():
    search = OpaqueTool("openai-responses", "web_search", {"type": "web_search"})
    conversation = replace(CHAT, tools=(WEATHER, search), seed=None)
    assert check_carried(conversation, SIDE.limits, target="a", strict=False) == ("provider_tool",)
    assert [tool["name"] for tool in sent(conversation)[1]["tools"]] == ["get_weather"]


def test_a_schema_is_said_where_the_model_knows_it_and_told_where_it_does_not():
    conversation = replace(CHAT, output=OutputFormat(SCHEMA, "weather", strict=True))
    assert sent(conversation)[1]["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert "JSON Schema" in sent(conversation, "MiniMax-M2.1")[1]["system"][-1]["text"]


# ---------------------------------------------------------------------------------------------- and back


def test_an_answer_comes_back_as_events():
    assert told("text") == [
        Started("msg_01Sample", "sample-model", Usage(20, 1), service_tier="default"),
        TextDelta("It is s"),
        TextDelta("unny in"),
        TextDelta(" Paris."),
        Finished("stop", Usage(20, 7), None, "default"),
    ]


def test_cached_tokens_are_counted_once():
    assert usage_of(told("cache_hit")) == Usage(1200, 7, cache_read=1000, cache_write=150)
    assert usage_of(SIDE.read_reply((REPLIES / "cache_hit.json").read_bytes())) == Usage(1200, 7, 1000, 150)


def test_calls_come_back_under_their_own_names():
    names = [
        event.name
        for event in told("parallel_tools", {"get_weather": "my.weather"})
        if isinstance(event, ToolCallStarted)
    ]
    assert names == ["my.weather", "my.weather"]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream_reaches_a_client_piece_by_piece(size):
    """Nothing waits for the end: after each delta of the provider there is one for the client."""
    assert DIALECT.client is not None
    stream = (REPLIES / "text.sse").read_bytes()
    translation = StreamTranslation(SIDE.decoder(), DIALECT.client.encoder(Answering("ab12", 1, "m")), {})
    out = [translation.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert b"".join(out).count(b"text_delta") == 3
    assert translation.committed
    assert translation.done
    assert translation.usage == Usage(20, 7)
    assert translation.end() == b""
    if size == 1:
        assert len([piece for piece in out if b"text_delta" in piece]) == 3


def test_an_error_within_the_stream_is_known_and_not_told_as_an_end():
    gathering = Gathering(SIDE.decoder(), {})
    gathering.feed((REPLIES / "stream_error.sse").read_bytes())
    gathering.end()
    assert (gathering.failure, gathering.done) == (ErrorBody("went wrong midway", "api_error"), False)
    assert TextDelta("It is") in gathering.events


@pytest.mark.parametrize("name", ["text", "tools", "thinking"])
def test_a_stream_that_is_cut_is_no_answer(name):
    stream = (REPLIES / f"{name}.sse").read_bytes()
    gathering = Gathering(SIDE.decoder(), {})
    gathering.feed(stream[: stream.index(b"event: message_delta")])
    with pytest.raises(UpstreamInvalidResponse):
        gathering.end()


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "rejected"), (401, "auth"), (429, "rate_limit"), (529, "overloaded")]
)
def test_an_error_of_anthropic_is_understood(status, kind):
    body = (REPLIES / f"error_{status}.json").read_bytes()
    fault = ANTHROPIC.read_error("anthropic", status, (), body, lambda text: text)
    assert fault.kind == kind
    assert fault.error.message.endswith(" sample")
