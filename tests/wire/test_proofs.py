"""Proofs of reasoning: found in what a client got and in what it sends back, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire.dialect import DialectName
from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.proofs import marks_of, proofs_in, proofs_sent
from open_llm_auth.wire.signatures import seal, seal_call_id

SIGNATURE = "RXVuV0JhcmF0aG9u+/s="
SEALED = seal(Signature("anthropic-messages", SIGNATURE))
CALL_ID = seal_call_id("call_1", Signature("google-genai", SIGNATURE))

#: dialect, a piece of an answer as a client gets it, and the field of the request that brings it back
CASES: list[tuple[DialectName, Any, str, Any]] = [
    (
        "anthropic-messages",
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": SIGNATURE}},
        "messages",
        [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}]}],
    ),
    (
        "anthropic-messages",
        {"type": "content_block_start", "content_block": {"type": "redacted_thinking", "data": SIGNATURE}},
        "messages",
        [{"role": "assistant", "content": [{"type": "redacted_thinking", "data": SIGNATURE}]}],
    ),
    (
        "openai-responses",
        {"type": "response.output_item.done", "item": {"type": "reasoning", "encrypted_content": SIGNATURE}},
        "input",
        [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SIGNATURE}],
    ),
    (
        "google-genai",
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}, "thoughtSignature": SIGNATURE}]}}]},
        "contents",
        # Clients that decode it encode it again in the other alphabet, and may leave out the padding.
        [
            {
                "role": "model",
                "parts": [{"thoughtSignature": SIGNATURE.translate(str.maketrans("+/", "-_")).rstrip("=")}],
            }
        ],
    ),
    (
        "openai-chat",
        {"choices": [{"delta": {"reasoning_details": [{"type": "reasoning.text", "signature": SEALED}]}}]},
        "messages",
        [{"role": "assistant", "reasoning_details": [{"text": "Hm.", "signature": SEALED, "type": "reasoning.text"}]}],
    ),
    (
        "openai-chat",
        {"choices": [{"delta": {"reasoning_details": [{"type": "reasoning.encrypted", "data": SEALED}]}}]},
        "messages",
        [{"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "summary": "S", "data": SEALED}]}],
    ),
    (
        "openai-chat",
        {"choices": [{"delta": {"tool_calls": [{"extra_content": {"google": {"thought_signature": SIGNATURE}}}]}}]},
        "messages",
        [{"role": "assistant", "tool_calls": [{"extra_content": {"google": {"thought_signature": SIGNATURE}}}]}],
    ),
    (
        "openai-chat",
        {"choices": [{"delta": {"tool_calls": [{"id": CALL_ID, "function": {"name": "f"}}]}}]},
        "messages",
        [{"role": "tool", "tool_call_id": CALL_ID, "content": "21 C"}],
    ),
]


@pytest.mark.parametrize(("dialect", "answer", "field", "history"), CASES)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n", " :\n ")])
def test_what_a_client_brings_back_is_what_it_got(
    dialect: DialectName, answer: Any, field: str, history: Any, separators: tuple[str, str]
) -> None:
    piece = b"data: " + json.dumps(answer, separators=(",", ":")).encode() + b"\n\n"
    assert any(mark in piece for mark in marks_of(dialect))
    (proof,) = proofs_in(piece, dialect)
    envelope = read_envelope(json.dumps({field: history}, separators=separators).encode())
    assert proofs_sent(envelope, dialect) == [proof]


def test_a_writer_that_escapes_what_needs_none_says_the_same() -> None:
    escaped = b'{"thoughtSignature":"' + SIGNATURE.replace("=", "\\u003d").replace("/", "\\/").encode() + b'"}'
    assert proofs_in(escaped, "google-genai") == proofs_in(
        json.dumps({"thoughtSignature": SIGNATURE}).encode(), "google-genai"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"signature":""}',
        b'{"signature":null}',
        b'{"signature":7}',
        b'{"signature":{"a":"b"}}',
        b'{"signature"',
        b'{"signature":"',
        b'{"signature":"abc',
        b'{"signature":"\\',
        b'{"type":"redacted_thinking"}',
        b'{"text":"\\"signature\\":\\"c2ln\\""}',
    ],
)
def test_what_is_no_proof_is_none(text: bytes) -> None:
    assert proofs_in(text, "anthropic-messages") == []


@given(st.binary(max_size=200))
def test_no_bytes_break_it(text: bytes) -> None:
    for dialect in ("openai-chat", "openai-responses", "anthropic-messages", "google-genai"):
        for before in (b"", b'{"signature":"', b'"encrypted_content" : "', b"-olla1-", b'"redacted_thinking"'):
            proofs_in(before + text, dialect)


def test_the_newest_stand_first_and_only_so_many_are_looked_for() -> None:
    each = [b'{"signature":"%d"}' % number for number in range(100)]
    (newest, *_), most = proofs_in(b"".join(each), "anthropic-messages"), 8
    assert [newest] == proofs_in(each[-1], "anthropic-messages")
    assert len(proofs_in(b"".join(each), "anthropic-messages")) == most


def test_a_request_of_another_kind_brings_none() -> None:
    envelope = read_envelope(b'{"input":"a text","messages":[]}')
    for dialect in ("openai-chat", "openai-responses", "anthropic-messages", "google-genai", "bedrock-converse"):
        assert proofs_sent(envelope, dialect) == []
