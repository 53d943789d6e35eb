"""How a conversation begins: the words of its system text and of its first user, and nothing beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from open_llm_auth.wire.dialect import DialectName
from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.opening import named_in, opening_of


def opening(body: Any, dialect: DialectName) -> bytes:
    return opening_of(read_envelope(json.dumps(body).encode()), dialect)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai-chat", {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]}),
        ("openai-chat", {"messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "U"}]}),
        ("openai-responses", {"instructions": "S", "input": "U"}),
        ("openai-responses", {"input": [{"role": "developer", "content": "S"}, {"role": "user", "content": "U"}]}),
        ("anthropic-messages", {"system": "S", "messages": [{"role": "user", "content": "U"}]}),
        ("google-genai", {"systemInstruction": {"parts": [{"text": "S"}]}, "contents": {"parts": [{"text": "U"}]}}),
    ],
)
def test_the_opening_is_what_was_said_first(dialect: DialectName, body: Any) -> None:
    assert opening(body, dialect) == b"S\0U"


def test_what_comes_after_the_first_word_of_the_user_is_not_looked_at() -> None:
    messages = [{"role": "user", "content": "U"}, {"role": "system", "content": "later"}]
    assert opening({"messages": messages}, "openai-chat") == b"U"


def test_a_dialect_that_no_client_speaks_has_none() -> None:
    assert opening({"messages": [{"role": "user", "content": "U"}]}, "ollama") == b""


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, ("", "")),
        ({"prompt_cache_key": "k"}, ("k", "")),
        ({"metadata": {"user_id": "u", "other": 1}}, ("", "u")),
        ({"prompt_cache_key": None, "metadata": None}, ("", "")),
        ({"prompt_cache_key": 7, "metadata": {"user_id": ["u"]}}, ("", "")),
    ],
)
def test_the_names_in_a_body_are_its_texts(body: Any, names: tuple[str, str]) -> None:
    assert named_in(read_envelope(json.dumps(body).encode())) == names
