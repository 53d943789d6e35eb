"""Fields of a request: either spelling, strict types, and the path of what is wrong."""

from __future__ import annotations

import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.google_genai.fields import Node


def test_both_spellings_of_a_field_are_one():
    node = Node({"max_output_tokens": 3, "topK": 4, "response_json_schema": {"a_b": 1}}, "config")
    assert node.integer("maxOutputTokens") == 3
    assert node.integer("topK") == 4
    assert node.get("responseJsonSchema") == {"a_b": 1}
    assert "max_output_tokens" not in node


def test_null_is_absent():
    node = Node({"text": None, "parts": None}, "")
    assert node.text("text") is None
    assert node.nodes("parts") == []
    assert list(node.names()) == []


@pytest.mark.parametrize(("value", "read"), [(3, 3), (3.0, 3), ("3", 3), ("-3", -3)])
def test_a_whole_number_may_be_written_as_proto_json_writes_it(value, read):
    assert Node({"seed": value}, "").integer("seed") == read


def test_a_list_of_one_message_may_be_the_message_itself():
    (part,) = Node({"parts": {"text": "hi"}}, "contents.0").nodes("parts")
    assert (part.text("text"), part.path) == ("hi", "contents.0.parts")


@pytest.mark.parametrize(
    ("read", "value", "param"),
    [
        ("text", 1, "c.x"),
        ("flag", "true", "c.x"),
        ("integer", 1.5, "c.x"),
        ("integer", True, "c.x"),
        ("integer", "1e3", "c.x"),
        ("integer", "9" * 40, "c.x"),
        ("number", "1", "c.x"),
        ("number", False, "c.x"),
        ("node", [], "c.x"),
        ("nodes", "x", "c.x"),
        ("nodes", [{}, 1], "c.x.1"),
        ("texts", "x", "c.x"),
        ("texts", ["x", 1], "c.x"),
    ],
)
def test_another_type_is_refused_by_its_path(read, value, param):
    with pytest.raises(InvalidRequest) as caught:
        getattr(Node({"x": value}, "c"), read)("x")
    assert caught.value.param == param
    assert repr(param) in caught.value.message
