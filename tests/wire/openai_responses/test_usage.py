"""Counts of tokens: what is cached and what was thought is within the rest, and nonsense counts as nothing."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.wire.events import Usage
from open_llm_auth.wire.openai_responses.usage import read_usage, write_usage


def reply(usage):
    return json.dumps({"output": [], "usage": usage}).encode()


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(20, 7), Usage(1200, 7, 1000, 150, 5), Usage(10**9, 10**9, 10**8, 10**8, 10**8)]
)
def test_counts_are_read_as_they_are_written(usage):
    assert read_usage(reply(write_usage(usage))) == usage


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 4)),
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 12}, Usage(3, 9)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(3, 4)),
        ({"input_tokens": 3, "input_tokens_details": None, "output_tokens_details": {}}, Usage(3)),
        ({"input_tokens": -3, "output_tokens": "4"}, None),
        ({"input_tokens": True}, None),
        ({}, None),
        (None, None),
        ([], None),
        ({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1e300}}, Usage(3)),
    ],
)
def test_counts_of_servers_that_leave_some_out(usage, counted):
    assert read_usage(reply(usage)) == counted


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"usage": 3}', b"\xff"])
def test_what_is_no_answer_counts_nothing(body):
    assert read_usage(body) is None
