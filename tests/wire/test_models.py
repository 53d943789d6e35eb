"""Model lists are read in the shapes servers give them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.models import ListedModel, read_models

LISTS = {
    "openai": ({"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b"}]}, [("a", None), ("b", None)]),
    "vLLM": ({"data": [{"id": "a", "max_model_len": 4096}]}, [("a", 4096)]),
    "OpenRouter": ({"data": [{"id": "x/a", "context_length": 8192}]}, [("x/a", 8192)]),
    "llama-server": (
        {"models": [{"name": "a.gguf"}], "object": "list", "data": [{"id": "a.gguf", "meta": {"n_ctx_train": 512}}]},
        [("a.gguf", 512)],
    ),
    "names": ({"models": [{"name": "a", "size": 1}, {"model": "b"}]}, [("a", None), ("b", None)]),
    "Google": (
        {
            "models": [
                {"name": "models/a", "inputTokenLimit": 9, "supportedGenerationMethods": ["generateContent", "x"]},
                {"name": "models/b", "supportedGenerationMethods": ["embedContent"]},
                {"name": "models/c", "supportedGenerationMethods": ["predict", 7]},
                {"name": "models/", "supportedGenerationMethods": ["generateContent"]},
            ]
        },
        [("a", 9), ("b", None)],
    ),
    "Google for OpenAI's clients": (
        {"data": [{"id": "models/a", "object": "model", "owned_by": "google"}]},
        [("a", None)],
    ),
    "a folder of that name": ({"data": [{"id": "models/a.gguf", "owned_by": "me"}]}, [("models/a.gguf", None)]),
    "bare": ([{"id": "a"}, "b"], [("a", None), ("b", None)]),
    "twice": ([{"id": "a"}, {"id": "a", "context_length": 1}], [("a", None)]),
    "nonsense rows": ([{}, 1, None, {"id": 7}, {"id": ""}, {"id": "a\n"}, {"id": "x" * 999}, "b"], [("b", None)]),
    "nonsense windows": ([{"id": "a", "context_length": "8k", "context_window": True, "meta": []}], [("a", None)]),
    "empty": ({"data": []}, []),
}


@pytest.mark.parametrize(("body", "expected"), LISTS.values(), ids=LISTS)
def test_a_list_is_read_whatever_its_shape(body, expected):
    assert read_models(json.dumps(body).encode()) == tuple(ListedModel(*row) for row in expected)


@pytest.mark.parametrize("broken", [rb"\ud800", rb"a\udc00b", b"\xff", b"caf\xe9"])
def test_an_id_that_is_no_text_costs_its_row_and_no_other(broken):
    body = b'{"data": [{"id": "a"}, {"id": "%b"}, {"id": "b", "owned_by": "%b"}]}' % (broken, broken)
    assert read_models(body) == (ListedModel("a"), ListedModel("b"))


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"data": 1}', b'"x"', b"<html>", b"[" * 100_000, b"\xff"])
def test_what_is_no_list_is_refused(body):
    with pytest.raises(UpstreamInvalidResponse):
        read_models(body)


def test_an_endless_list_is_cut():
    assert len(read_models(json.dumps([str(n) for n in range(12_000)]).encode())) == 10_000


ROWS = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "models", "id", "name", "meta"]), inner),
)


@given(st.binary() | ROWS.map(lambda value: json.dumps(value).encode()))
def test_no_list_breaks_the_reader(body):
    try:
        read_models(body)
    except UpstreamInvalidResponse:
        return
