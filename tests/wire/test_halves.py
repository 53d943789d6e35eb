"""Characters whose halves came apart: put together in one answer, whole or not, in every dialect of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire import anthropic_messages, google_genai, ollama, openai_chat, openai_responses
from open_llm_auth.wire.dialect import StreamDecoder
from open_llm_auth.wire.events import TextDelta
from open_llm_auth.wire.halves import Halves


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        ([r'"a\ud83d"', r'"\ude00b"'], ["a", "😀b"]),
        ([r'"a\uD83D"', r'""', r'"\uDE00b"'], ["a", "", "😀b"]),
        ([r'"\ud83d\ude00"'], ["😀"]),
        ([r'"\ud83dx"', r'"\ude00"'], ["\ufffdx", "\ufffd"]),
        ([r'"x\ude00"'], ["x\ufffd"]),
        ([r'"\ude00\ud83d"', r'"\ude00"'], ["\ufffd", "😀"]),
        ([r'"\\ud83d"', r'"\ude00"'], ["\\ud83d", "\ufffd"]),
        ([r'"\"\ud83d\""'], ['"\ufffd"']),
        ([r'"\u00e9\n\ud83d"'], ["é\n"]),
    ],
)
def test_halves_find_each_other(texts: list[str], meant: list[str]) -> None:
    halves = Halves()
    assert [json.loads(halves.mend(text.encode())) for text in texts] == meant


@given(st.text(st.characters(codec="utf-16", exclude_categories=("Cs",)), min_size=1), st.data())
def test_a_text_cut_between_any_two_units_is_the_same_text(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    cuts = sorted(2 * data.draw(st.integers(0, len(units) // 2)) for _ in range(3))
    pieces = [units[start:end] for start, end in zip([0, *cuts], [*cuts, len(units)], strict=True)]
    halves = Halves()
    mended = [halves.mend(json.dumps(piece.decode("utf-16-le", "surrogatepass")).encode()) for piece in pieces]
    assert "".join(json.loads(piece) for piece in mended) == text


def _sse(*documents: object) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(document).encode() for document in documents)


def _chat(*texts: str) -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    return _sse(*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"


def _messages(*texts: str) -> bytes:
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts
    ]
    return _sse(
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )


def _contents(*texts: str) -> bytes:
    said = [{"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}]} for text in texts]
    return _sse(*said, {"candidates": [{"finishReason": "STOP"}]})


def _responses(*texts: str) -> bytes:
    item = {"id": "i", "type": "message", "role": "assistant", "content": []}
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    return _sse(
        {"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *({"type": "response.output_text.delta", **place, "delta": text} for text in texts),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed", "output": []}},
    )


def _lines(*texts: str) -> bytes:
    said = [{"model": "m", "message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    done = {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    return b"".join(json.dumps(line).encode() + b"\n" for line in (*said, done))


@pytest.mark.parametrize(
    ("decoder", "told"),
    [
        pytest.param(openai_chat.StreamDecoder, _chat, id="openai_chat"),
        pytest.param(anthropic_messages.StreamDecoder, _messages, id="anthropic_messages"),
        pytest.param(google_genai.StreamDecoder, _contents, id="google_genai"),
        pytest.param(openai_responses.StreamDecoder, _responses, id="openai_responses"),
        pytest.param(ollama.StreamDecoder, _lines, id="ollama"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream_whose_provider_cuts_an_emoji(
    decoder: Callable[[], StreamDecoder], told: Callable[..., bytes], size: int
) -> None:
    stream, reading, events = told("one \ud83d", "\ude00 two", " three"), decoder(), []
    for start in range(0, len(stream), size):
        events += reading.feed(stream[start : start + size])
    events += reading.end()
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one 😀 two three"
