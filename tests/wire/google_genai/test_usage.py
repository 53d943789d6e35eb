"""Counts: the cache is part of the prompt, thoughts are beside the answer, tools' results are input."""

from __future__ import annotations

import json

import msgspec
import pytest

from open_llm_auth.wire.events import Usage
from open_llm_auth.wire.google_genai.usage import read_usage, usage_from, write_usage


def read(**counts):
    return usage_from(msgspec.Raw(json.dumps(counts).encode()))


def test_every_count_has_its_place_and_none_is_counted_twice():
    usage = read(
        promptTokenCount=1200,
        cachedContentTokenCount=1000,
        toolUsePromptTokenCount=30,
        candidatesTokenCount=7,
        thoughtsTokenCount=5,
        totalTokenCount=1242,
    )
    assert usage == Usage(input=1230, output=12, cache_read=1000, reasoning=5)


@pytest.mark.parametrize(
    "raw", [b"null", b"1", b"{}", b'{"promptTokenCount":null}', b'{"promptTokenCount":"1"}', b"[]"]
)
def test_what_counts_nothing_is_no_count(raw):
    assert usage_from(msgspec.Raw(raw)) is None


def test_nonsense_counts_as_nothing():
    assert read(
        promptTokenCount=5, candidatesTokenCount=-1, thoughtsTokenCount=True, cachedContentTokenCount=1e30
    ) == Usage(input=5)
    assert read(candidatesTokenCount=3.0) == Usage(output=3)


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(20, 7), Usage(1200, 7, 1000), Usage(20, 12, reasoning=5), Usage(1200, 12, 1000, 0, 5)]
)
def test_what_was_written_is_read_again(usage):
    assert read(**write_usage(usage)) == usage


def test_the_total_is_the_sum():
    assert write_usage(Usage(1200, 12, 1000, 150, 5))["totalTokenCount"] == 1212


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b"[{}]", b'{"usageMetadata":[]}'])
def test_an_answer_that_counts_nothing_has_no_usage(body):
    assert read_usage(body) is None


def test_the_last_count_of_a_list_is_the_answers():
    body = b'[{"usageMetadata":{"promptTokenCount":1}},{"usageMetadata":{"promptTokenCount":2}},{}]'
    assert read_usage(body) == Usage(input=2)
