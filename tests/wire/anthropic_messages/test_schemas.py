"""JSON schemas in the strict form: never wider than the original, and refused where they can't be."""

import json

import msgspec
import pytest

from open_llm_auth.wire.anthropic_messages.schemas import decoded, strict_schema

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_objects_are_closed_at_every_depth():
    schema = {"type": "object", "properties": {"places": {"type": "array", "items": CITY}}, "$defs": {"c": CITY}}
    strict = strict_schema(schema)
    assert strict["additionalProperties"] is False
    assert strict["properties"]["places"]["items"] == {**CITY, "additionalProperties": False}
    assert strict["$defs"]["c"]["additionalProperties"] is False


def test_constraints_that_the_api_lacks_are_told_in_words():
    number = {"type": "integer", "description": "A count.", "minimum": 1, "maximum": 10}
    strict = strict_schema({"type": "object", "properties": {"n": number}})["properties"]["n"]
    assert set(strict) == {"type", "description"}
    assert strict["description"] == 'A count.\n\n{"minimum":1,"maximum":10}'


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"type": "string", "format": "date"}, {"format": "date"}),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, {"minItems": 1}),
        ({"enum": ["a", "b"]}, {"enum": ["a", "b"]}),
        ({"const": 3}, {"const": 3}),
        ({"$ref": "#/$defs/c"}, {"$ref": "#/$defs/c"}),
    ],
)
def test_what_the_api_knows_is_kept(given, kept):
    assert kept.items() <= strict_schema(given).items()


def test_what_it_does_not_know_of_formats_is_told():
    assert "format" not in strict_schema({"type": "string", "format": "iban"})
    assert '"format":"iban"' in strict_schema({"type": "string", "format": "iban"})["description"]


def test_several_types_become_alternatives():
    assert strict_schema({"type": ["string", "null"]}) == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert strict_schema({"oneOf": [{"type": "string"}, CITY]})["anyOf"][1]["additionalProperties"] is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": True}},
        {},
        True,
        None,
        "string",
    ],
    ids=str,
)
def test_free_keys_have_no_strict_form(schema):
    assert strict_schema(schema) is None


def test_a_schema_without_bottom_has_no_strict_form():
    schema = {"type": "string"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    assert strict_schema(schema) is None


def test_the_original_is_left_alone():
    before = json.dumps(CITY)
    strict_schema(CITY)
    assert json.dumps(CITY) == before


def test_raw_json_is_a_schema_too():
    assert decoded(msgspec.Raw(b'{"type":"string"}')) == {"type": "string"} == decoded({"type": "string"})
