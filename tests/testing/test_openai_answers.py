"""The documents can be foretold from the request, and a stream says what the plain answer says."""

from __future__ import annotations

from typing import Any

import pytest

from open_llm_auth.testing.openai_answers import TEXT, chat_answer, chat_chunks, chat_completion, embeddings

HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}


def tool(name: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"size": {"enum": ["big", "small"]}, "count": {"type": "integer"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def rebuilt(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message a client puts together from the deltas of a stream."""
    message: dict[str, Any] = {"content": "", "reasoning": "", "refusal": "", "tools": {}}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning"] += delta.get("reasoning_content") or ""
            message["refusal"] += delta.get("refusal") or ""
            message["finish"] = choice["finish_reason"]
            for call in delta.get("tool_calls", ()):
                made = message["tools"].setdefault(call["index"], {"name": "", "arguments": ""})
                made["name"] += call["function"].get("name", "")
                made["arguments"] += call["function"]["arguments"]
    return message


@pytest.mark.parametrize(
    ("request_fields", "said"),
    [
        ({}, {}),
        ({"max_tokens": 3}, {}),
        ({}, {"reasoning": ("let", " me")}),
        ({}, {"refusal": "no"}),
        ({"tools": [tool("a"), tool("b")], "tool_choice": "required"}, {}),
        ({"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": "a"}}}, {}),
        ({"response_format": {"type": "json_object"}}, {}),
    ],
    ids=["text", "cut", "reasoning", "refusal", "required tool", "forced tool", "json"],
)
def test_a_stream_says_what_the_plain_answer_says(request_fields, said):
    answer = chat_answer(HELLO | request_fields, answer_id="chatcmpl-1", **said)
    [choice] = chat_completion(answer)["choices"]
    message = rebuilt(list(chat_chunks(answer)))
    assert message["content"] == (choice["message"]["content"] or "")
    assert message["reasoning"] == choice["message"].get("reasoning_content", "")
    assert message["refusal"] == (choice["message"]["refusal"] or "")
    assert message["finish"] == choice["finish_reason"]
    calls = [call["function"] for call in choice["message"].get("tool_calls", ())]
    assert list(message["tools"].values()) == calls


@pytest.mark.parametrize(("place", "where"), [("own", [False]), ("finish", [True]), ("none", [])])
def test_usage_stands_in_its_place(place, where):
    chunks = list(chat_chunks(chat_answer(HELLO, answer_id="x"), usage=place))
    assert [bool(chunk["choices"]) for chunk in chunks if chunk.get("usage")] == where


def test_usage_counts_pieces():
    usage = chat_answer(HELLO, answer_id="x", reasoning=("a", "b")).usage
    assert usage["completion_tokens"] == len(TEXT) + 2
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 2}


@pytest.mark.parametrize(
    "last", [{"role": "tool", "content": "a"}, {"role": "user", "content": "nothing named"}], ids=["result", "other"]
)
def test_a_tool_is_called_only_when_it_is_named(last):
    assert chat_answer({"model": "m", "messages": [last], "tools": [tool("weather")]}, answer_id="x").text == TEXT


def test_two_named_tools_are_both_called_with_arguments_that_fit():
    messages = [{"role": "user", "content": [{"type": "text", "text": "sunrise and sunset"}]}]
    answer = chat_answer(
        {"model": "m", "messages": messages, "tools": [tool("sunrise"), tool("sunset")]}, answer_id="x"
    )
    assert [(name, arguments) for _, name, arguments in answer.tool_calls] == [
        ("sunrise", '{"size":"big","count":1}'),
        ("sunset", '{"size":"big","count":1}'),
    ]


@pytest.mark.parametrize(("inputs", "count"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1], [2]], 2)])
def test_embeddings_are_counted_by_input_texts_or_token_lists(inputs, count):
    assert len(embeddings({"model": "m", "input": inputs})["data"]) == count
