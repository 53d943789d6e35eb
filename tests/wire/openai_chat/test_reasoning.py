"""Proofs of reasoning go to a client and come back whole, in whatever pieces the client kept them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire.conversation import Thinking
from open_llm_auth.wire.events import Signature, ThinkingSigned
from open_llm_auth.wire.openai_chat.reasoning import (
    read_thinking,
    signature_in,
    tell_proof,
    tell_thinking,
    write_thinking,
)
from open_llm_auth.wire.signatures import seal

OWN = Signature("openai-chat", "proof")
CLAUDE = Signature("anthropic-messages", "c2ln")
CODEX = Signature("openai-responses", "gAAA", "rs_1")
GEMINI = Signature("google-genai", "Z2Vt")


def read(details, words=None):
    return read_thinking({"reasoning_content": words, "reasoning_details": details}, "messages.0")


# ---------------------------------------------------------------------------------------------- there and back


def told(thinking, index=0):
    signed = thinking.signature and ThinkingSigned(thinking.signature, redacted=thinking.redacted)
    return tell_thinking(thinking.text, signed, index, summary=thinking.summary)


@pytest.mark.parametrize(
    "thinking",
    [
        Thinking("hm"),
        Thinking("hm", CLAUDE),
        Thinking("hm", OWN),
        Thinking("in short", summary=True),
        Thinking("in short", CODEX, summary=True),
        Thinking("", CODEX),
        Thinking("", CLAUDE),
        Thinking("", CLAUDE, redacted=True),
    ],
)
def test_what_a_client_was_told_is_read_as_it_was(thinking):
    items = told(thinking)
    assert read(items) == read(items, thinking.text or None) == (thinking,)


def test_several_blocks_of_an_answer_stay_apart():
    blocks = (
        Thinking("one", CLAUDE),
        Thinking("", CLAUDE, redacted=True),
        Thinking("two", CODEX, summary=True),
        Thinking("three", CLAUDE),
        Thinking("four"),
        Thinking("", GEMINI),
    )
    items = [item for index, block in enumerate(blocks) for item in told(block, index)]
    assert read(items, "onetwothreefour") == read(items) == blocks


def test_nothing_that_is_sealed_shows_in_what_a_client_is_told():
    shown = json.dumps(tell_proof(ThinkingSigned(CODEX), 0, summary=False))
    assert "gAAA" not in shown
    assert seal(CODEX) in shown


# ---------------------------------------------------------------------------------------------- as clients send it


@pytest.mark.parametrize(
    ("details", "words", "expected"),
    [
        (None, None, ()),
        ([], "hm", (Thinking("hm"),)),
        (None, "hm", (Thinking("hm"),)),
        # pieces of a stream, never joined
        (
            [
                {"type": "reasoning.text", "text": "h", "index": 0},
                {"type": "reasoning.text", "text": "m", "index": 0},
                {"type": "reasoning.text", "signature": "proof", "index": 0},
            ],
            "hm",
            (Thinking("hm", OWN),),
        ),
        (
            [{"type": "reasoning.text", "text": "a", "index": 0}, {"type": "reasoning.text", "text": "b", "index": 1}],
            None,
            (Thinking("a"), Thinking("b")),
        ),
        (
            [{"type": "reasoning.text", "text": "a"}, {"type": "reasoning.summary", "summary": "b"}],
            None,
            (Thinking("a"), Thinking("b", summary=True)),
        ),
        # a proof without words, and words that nobody proved
        (
            [{"type": "reasoning.encrypted", "data": seal(CLAUDE)}],
            "hm",
            (Thinking("hm"), Thinking("", CLAUDE, redacted=True)),
        ),
        (
            [{"type": "reasoning.text", "text": "a", "index": 0}, {"type": "reasoning.encrypted", "data": seal(CODEX)}],
            None,
            (Thinking("a"), Thinking("", CODEX)),
        ),
        ([{"type": "reasoning.unheard-of", "data": "x"}, {"type": "reasoning.encrypted"}], None, ()),
        # a client that joins whatever has the same index
        (
            [{"type": "reasoning.encrypted", "summary": "a", "data": seal(CODEX), "index": 0}],
            "a",
            (Thinking("a", CODEX, summary=True),),
        ),
        # proofs whose words stand beside them alone
        ([{"type": "reasoning.text", "signature": seal(CLAUDE), "index": 0}], "hm", (Thinking("hm", CLAUDE),)),
        ([{"type": "reasoning.text", "signature": seal(CLAUDE)}], "hm", (Thinking("hm", CLAUDE),)),
        # and those that are of no words, or nobody knows of which
        (
            [{"type": "reasoning.text", "signature": seal(GEMINI), "index": 1}],
            "hm",
            (Thinking("hm"), Thinking("", GEMINI)),
        ),
        (
            [
                {"type": "reasoning.text", "signature": seal(CLAUDE), "index": 0},
                {"type": "reasoning.encrypted", "data": seal(CLAUDE), "index": 1},
                {"type": "reasoning.text", "signature": seal(CLAUDE), "index": 2},
                {"type": "reasoning.text", "signature": seal(GEMINI), "index": 3},
            ],
            "hm",
            (Thinking("hm"), Thinking("", CLAUDE, redacted=True), Thinking("", GEMINI)),
        ),
    ],
)
def test_thinking_of_a_client_is_read(details, words, expected):
    assert read(details, words) == expected


def test_the_other_name_for_the_words_counts_too():
    assert read_thinking({"reasoning": "hm"}, "messages.0") == (Thinking("hm"),)


# ---------------------------------------------------------------------------------------------- a provider's own

ITEMS = [
    {"type": "reasoning.text", "text": "hm", "signature": "proof", "index": 0},
    {"type": "reasoning.text", "text": "hm", "signature": "proof", "index": 0, "format": "anthropic-claude-v1"},
    {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
]


@pytest.mark.parametrize("item", ITEMS)
def test_a_provider_gets_its_item_back_as_it_was(item):
    signature = signature_in(item)
    (again,) = write_thinking(Thinking(item.get("text", ""), signature))
    assert {"index": 0, **again} == {"index": 0, **item}


def test_a_summary_goes_back_before_its_proof():
    signature = signature_in(ITEMS[2])
    summary, proof = write_thinking(Thinking("in short", signature, summary=True))
    assert summary == {"type": "reasoning.summary", "summary": "in short"}
    assert proof == ITEMS[2]


@pytest.mark.parametrize("item", ITEMS)
def test_a_client_of_the_same_dialect_sees_the_item_itself(item):
    (shown,) = tell_thinking(item.get("text", ""), ThinkingSigned(signature_in(item)), 3, summary=False)
    assert shown == {**item, "index": 3}


@pytest.mark.parametrize("item", [{}, {"type": "reasoning.text"}, {"type": "reasoning.text", "signature": None},
                                  {"type": "reasoning.encrypted", "data": ""}, {"signature": 3}])  # fmt: skip
def test_what_proves_nothing_is_no_signature(item):
    assert signature_in(item) is None


@given(st.text(max_size=20), st.sampled_from(["", "{", '{"a":1}', "[", "{}x"]))
def test_any_value_of_our_own_origin_can_be_written(text, start):
    thinking = Thinking("words", Signature("openai-chat", start + text))
    assert json.dumps(write_thinking(thinking))
    assert json.dumps(told(thinking))
