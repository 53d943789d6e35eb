"""A body that a way in can't read is 400 in that way's own shape, and names the field that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ...ways_in import WAYS

USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TEXT = {"parts": [{"text": "hi"}]}

#: What is wrong whoever is asked, because the gateway itself reads it.
ALWAYS: list[tuple[str, dict[str, Any], str]] = [
    ("chat", {"model": 7}, "model"),
    ("chat", {"model": "a\nb"}, "model"),
    ("chat", {"messages": None}, "messages"),
    ("chat", {"messages": "hi"}, "messages"),
    ("chat", {"messages": {}}, "messages"),
    ("chat", {"messages": []}, "messages"),
    ("chat", {"stream": "yes"}, "stream"),
    ("chat", {"stream_options": 7}, "stream_options"),
    ("responses", {"model": []}, "model"),
    ("responses", {"input": None}, "input"),
    ("responses", {"input": 7}, "input"),
    ("responses", {"input": {}}, "input"),
    ("responses", {"stream": 1}, "stream"),
    ("messages", {"model": {}}, "model"),
    ("messages", {"messages": "hi"}, "messages"),
    ("messages", {"messages": []}, "messages"),
    ("messages", {"max_tokens": None}, "max_tokens"),
    ("messages", {"max_tokens": "many"}, "max_tokens"),
    ("messages", {"stream": "true"}, "stream"),
    ("gemini", {"contents": None}, "contents"),
    ("gemini", {"contents": "hi"}, "contents"),
    ("gemini", {"contents": []}, "contents"),
    ("gemini", {"generationConfig": {"candidateCount": "two"}}, "generationConfig.candidateCount"),
]

#: What is wrong where the call has to be understood; a provider of the same dialect would say so itself.
TRANSLATED: list[tuple[str, dict[str, Any], str]] = [
    ("chat", {"messages": [7]}, "messages.0"),
    ("chat", {"messages": [{"role": "pope", "content": "x"}]}, "messages.0.role"),
    ("chat", {"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
    ("chat", {"messages": [{"role": "user", "content": [7]}]}, "messages.0.content.0"),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.image_url"),
    ("chat", {"messages": [USER, {"role": "assistant", "tool_calls": 7}]}, "messages.1.tool_calls"),
    (
        "chat",
        {"messages": [USER, {"role": "assistant", "tool_calls": [{**CALL, "function": 7}]}]},
        "messages.1.tool_calls.0.function",
    ),
    ("chat", {"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
    ("chat", {"tools": {}}, "tools"),
    ("chat", {"tools": [7]}, "tools.0"),
    ("chat", {"tools": [{"type": "function"}]}, "tools.0.function"),
    ("chat", {"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
    ("chat", {"tool_choice": 7}, "tool_choice"),
    ("chat", {"temperature": "warm"}, "temperature"),
    ("chat", {"max_tokens": "many"}, "max_tokens"),
    ("chat", {"stop": {}}, "stop"),
    ("chat", {"response_format": "json"}, "response_format"),
    ("chat", {"seed": 1.5}, "seed"),
    ("responses", {"input": [7]}, "input.0"),
    ("responses", {"input": [{"role": "user", "content": 7}]}, "input.0.content"),
    ("responses", {"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
    ("responses", {"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input.0.name"),
    ("responses", {"input": [{"type": "function_call_output", "output": "x"}]}, "input.0.call_id"),
    ("responses", {"instructions": 7}, "instructions"),
    ("responses", {"tools": 7}, "tools"),
    ("responses", {"tools": [{"type": "function"}]}, "tools.0.name"),
    ("responses", {"max_output_tokens": "x"}, "max_output_tokens"),
    ("responses", {"reasoning": 7}, "reasoning"),
    ("responses", {"text": {"format": 7}}, "text.format"),
    ("messages", {"messages": [7]}, "messages.0"),
    ("messages", {"messages": [{"role": "pope", "content": "x"}]}, "messages.0.role"),
    ("messages", {"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
        "messages.0.content.0.source.data",
    ),
    (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
        "messages.0.content.0.tool_use_id",
    ),
    ("messages", {"system": 7}, "system"),
    ("messages", {"tools": [{}]}, "tools.0.name"),
    ("messages", {"tool_choice": "any"}, "tool_choice"),
    ("messages", {"thinking": 7}, "thinking"),
    ("messages", {"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
    ("messages", {"stop_sequences": "x"}, "stop_sequences"),
    ("gemini", {"contents": [7]}, "contents.0"),
    ("gemini", {"contents": [{"role": "pope", **TEXT}]}, "contents.0.role"),
    ("gemini", {"contents": [{"parts": 7}]}, "contents.0.parts"),
    ("gemini", {"contents": [{"parts": [7]}]}, "contents.0.parts.0"),
    ("gemini", {"contents": [{"parts": [{"text": 7}]}]}, "contents.0.parts.0.text"),
    ("gemini", {"contents": [{"parts": [{"functionCall": {}}]}]}, "contents.0.parts.0.functionCall.name"),
    ("gemini", {"systemInstruction": 7}, "systemInstruction"),
    ("gemini", {"tools": [7]}, "tools.0"),
    ("gemini", {"tools": [{"functionDeclarations": [{}]}]}, "tools.0.functionDeclarations.0.name"),
    ("gemini", {"generationConfig": 7}, "generationConfig"),
    ("gemini", {"generationConfig": {"temperature": "warm"}}, "generationConfig.temperature"),
    ("gemini", {"toolConfig": {"functionCallingConfig": {"mode": 7}}}, "toolConfig.functionCallingConfig.mode"),
]
#: who does not speak the dialect of the way in
FOREIGN = {"chat": "anthropic", "responses": "gemini", "messages": "chat", "gemini": "bedrock"}
OWN = {"chat": "chat", "responses": "responses", "messages": "anthropic", "gemini": "gemini"}


def names(cases: list[tuple[str, dict[str, Any], str]]) -> list[str]:
    return [f"{way} {json.dumps(change)[:60]}" for way, change, _ in cases]


def post(upstream: Any, way: str, change: dict[str, Any], *, stream: bool) -> Any:
    here = WAYS[way]
    body = here.body(upstream.model, stream=stream) | change
    return upstream.gateway.request("POST", here.target(upstream.model, stream=stream), body=body)


def check(answer: Any, way: str, field: str) -> None:
    """The shape of the way in, and the field."""
    assert answer.status == 400, answer.body
    document = answer.json()
    error = document["error"]
    assert repr(field) in error["message"], error
    match way:
        case "chat" | "responses":
            assert set(error) - {"details"} == {"message", "type", "param", "code"}
            assert (error["param"], error["code"]) == (field, "invalid_request")
        case "messages":
            assert (document["type"], error["type"]) == ("error", "invalid_request_error")
        case "gemini":
            assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(("way", "change", "field"), ALWAYS, ids=names(ALWAYS))
@pytest.mark.parametrize("sides", [OWN, FOREIGN], ids=["relayed", "translated"])
def test_what_the_gateway_reads_itself_is_refused_whoever_is_asked(families, way, change, field, sides):
    upstream = families(sides[way])
    check(post(upstream, way, change, stream=False), way, field)
    assert upstream.fake.calls == []


@pytest.mark.parametrize(("way", "change", "field"), TRANSLATED, ids=names(TRANSLATED))
@pytest.mark.parametrize("stream", [False, True])
def test_what_can_t_be_understood_is_refused_before_anything_is_sent(families, way, change, field, stream):
    upstream = families(FOREIGN[way])
    check(post(upstream, way, change, stream=stream), way, field)
    assert upstream.fake.calls == []


@pytest.mark.parametrize("way", list(OWN))
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"{", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000, b'{"messages": "\xf0\x9f\x98"}']
)
def test_what_is_no_json_object_is_refused(families, way, body):
    upstream = families(FOREIGN[way])
    answer = upstream.gateway.request("POST", WAYS[way].target(upstream.model), body=body)
    assert answer.status == 400, answer.body
    assert answer.json()["error"]["message"]
    assert upstream.fake.calls == []
