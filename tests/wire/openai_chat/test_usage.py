"""Counts are read wherever a provider states them, nonsense counts as nothing, and what is written reads the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.wire.events import Usage
from open_llm_auth.wire.openai_chat import read_usage
from open_llm_auth.wire.openai_chat.usage import _Usage, read_any_usage, write_usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)

COUNTED = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, Usage(3, 4)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(10, 20, cache_read=6, reasoning=5),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}, Usage(10, 2, cache_read=8)),
        ({"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 8}, Usage(10, 2, cache_read=8)),
        (
            {**COUNTED, "prompt_tokens_details": {}, "completion_tokens_details": {}, "prompt_cache_hit_tokens": 8},
            Usage(10, 2, cache_read=8),
        ),
        (
            {
                **COUNTED,
                "prompt_tokens_details": {"cached_tokens": None},
                "completion_tokens_details": {"reasoning_tokens": None},
                "cached_tokens": 8,
                "reasoning_tokens": 1,
            },
            Usage(10, 2, cache_read=8, reasoning=1),
        ),
        (
            {
                **COUNTED,
                "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
            Usage(10, 2, cache_read=6, cache_write=3, reasoning=1),
        ),
        ({"prompt_tokens": 3.0, "completion_tokens": 4.0}, Usage(3, 4)),
        ({"prompt_tokens": 3, "completion_tokens": None, "prompt_tokens_details": None}, Usage(3)),
        ({"prompt_tokens": 3, "total_tokens": 3}, Usage(3)),
        ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 4)),
        # reasoning that is counted in the total only
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 20}, Usage(10, 10)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        ({"prompt_tokens": "3", "completion_tokens": -1}, None),
        ({"prompt_tokens": True, "completion_tokens": 1e300}, None),
        ({"prompt_tokens": 3, "completion_tokens": [], "prompt_tokens_details": [1]}, Usage(3)),
        ({}, None),
        (None, None),
        ([], None),
        ("x", None),
    ],
)
def test_usage_is_read_as_far_as_it_makes_sense(usage, expected):
    assert read_usage(json.dumps({"id": "x", "usage": usage, "choices": []}).encode()) == expected


@given(st.binary() | JSON.map(lambda value: json.dumps({"usage": value}).encode()))
def test_reading_usage_never_fails(body):
    usage = read_usage(body)
    assert usage is None or usage.input >= 0


@given(st.dictionaries(st.sampled_from(_Usage.__struct_fields__), JSON))
def test_usage_full_of_nonsense_never_fails(usage):
    read_usage(json.dumps({"usage": usage}).encode())


COUNTS = st.integers(0, 10**9)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.booleans())
def test_what_is_written_is_read_again_the_quick_way_and_the_long_one(
    given_tokens, output, read, written, reasoning, thought
):
    usage = Usage(given_tokens, output, read, written, reasoning)
    body = json.dumps({"usage": write_usage(usage, thought=thought)}).encode()
    assert read_usage(body) == read_any_usage(body) == usage
