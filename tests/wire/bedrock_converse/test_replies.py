"""Plain answers of Converse in their odd forms; the usual ones are golden (test_samples.py)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.bedrock_converse import read_reply
from open_llm_auth.wire.events import (
    BlockEnded,
    Citation,
    Event,
    Finished,
    Opaque,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallStarted,
    Usage,
)


def said(*content: dict[str, Any], **rest: Any) -> list[Event]:
    document = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": "end_turn",
        **rest,
    }
    return read_reply(json.dumps(document).encode())


def test_an_answer_may_be_empty_and_without_usage() -> None:
    assert said() == [Started(), Finished("stop")]
    assert said({"text": ""}) == [Started(), Finished("stop")]


def test_a_call_without_arguments_is_a_call() -> None:
    call = {"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}
    assert said(call) == [Started(), ToolCallStarted("c", "f"), BlockEnded(), Finished("tool_calls")]


def test_what_the_provider_runs_itself_is_nobody_elses_call() -> None:
    assert said({"toolUse": {"toolUseId": "c", "name": "f", "type": "server_tool_use"}}) == [
        Started(),
        Finished("stop"),
    ]


def test_cited_text_is_text_with_its_sources() -> None:
    cited = {
        "content": [{"text": "It is "}, {"text": "so."}],
        "citations": [{"title": "T", "location": {"web": {"url": "https://example.com"}}}, "odd"],
    }
    assert said({"citationsContent": cited})[1:-1] == [
        TextDelta("It is "),
        TextDelta("so."),
        Citation("https://example.com", "T"),
        BlockEnded(),
    ]


def test_reasoning_may_be_unsigned_or_sealed() -> None:
    blocks = (
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"reasoningContent": {"redactedContent": "c2Vh"}},
        {"reasoningContent": {}},
    )
    assert said(*blocks)[1:-1] == [
        ThinkingDelta("hm"),
        BlockEnded(),
        ThinkingSigned(Signature("bedrock-converse", "c2Vh"), redacted=True),
        BlockEnded(),
    ]


def test_what_has_no_meaning_elsewhere_is_kept_for_bedrock() -> None:
    video = {"video": {"format": "mp4"}}
    assert said(video, {}) == [Started(), Opaque("bedrock-converse", video), BlockEnded(), Finished("stop")]


def test_the_rest_of_an_answer_is_told_at_its_end() -> None:
    usage = {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 8}
    tier = {"type": "flex"}
    (end,) = said({"text": "x"}, usage=usage, serviceTier=tier)[-1:]
    assert end == Finished("stop", Usage(input=13, output=2, cache_read=4, cache_write=8), service_tier="flex")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b'{"output":{}}',
        b'{"output":{"message":{"content":"text"}}}',
        b'{"output":{"message":{"content":["text"]}}}',
        b'{"output":{"message":{"content":[{"toolUse":{"input":{}}}]}}}',
        b'{"output":{"message":{"content":[]}},"stopReason":"malformed_tool_use"}',
        b'{"output":{"message":{"content":[]}},"stopReason":7}',
        b'{"output":{"message":' + b"[" * 50_000,
        b'{"output":"\xff"}',
    ],
)
def test_anything_else_is_an_invalid_answer(body: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse):
        read_reply(body)
