"""Counting: a request within a request, and the number."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.conversation import Text
from open_llm_auth.wire.google_genai import (
    read_conversation,
    read_count_request,
    rewrite,
    write_count,
    write_count_request,
)

HELLO = [{"role": "user", "parts": [{"text": "hi"}]}]
WHOLE = {"model": "models/x", "contents": HELLO, "systemInstruction": {"parts": [{"text": "be terse"}]}}


@pytest.mark.parametrize(
    "body",
    [
        {"contents": HELLO},
        {"generateContentRequest": {"contents": HELLO}},
        {"generate_content_request": {"model": "models/x", "contents": HELLO}},
    ],
)
def test_what_is_to_be_counted_is_read_from_either_form(body):
    request = read_count_request(json.dumps(body).encode())
    assert (request.model, request.stream) == (None, False)
    assert read_conversation(request.envelope).turns[0].parts == (Text("hi"),)


def test_a_whole_request_is_counted_with_its_instructions():
    request = read_count_request(json.dumps({"generateContentRequest": WHOLE}).encode())
    assert read_conversation(request.envelope).system == (Text("be terse"),)


def test_google_is_asked_about_the_whole_request_by_the_models_own_name():
    request = read_count_request(json.dumps({"generateContentRequest": WHOLE}).encode())
    fields = rewrite(request.envelope, "gemini", False)
    sent = write_count_request(
        json.dumps({name: json.loads(bytes(raw)) for name, raw in fields.items()}).encode(), "models/gemini"
    )
    assert json.loads(sent) == {"generateContentRequest": WHOLE | {"model": "models/gemini"}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": "x"}, "contents"),
        ({"generateContentRequest": []}, "generateContentRequest"),
        ({"generateContentRequest": {}}, "generateContentRequest.contents"),
        ({"generateContentRequest": {"contents": []}}, "generateContentRequest.contents"),
    ],
)
def test_what_can_not_be_counted_is_refused_by_its_field(body, param):
    with pytest.raises(InvalidRequest) as caught:
        read_count_request(json.dumps(body).encode())
    assert caught.value.param == param


def test_a_count_is_written():
    assert write_count(12) == b'{"totalTokens":12}'
