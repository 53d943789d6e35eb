"""Schemas: Google's subset becomes JSON Schema for everybody, and JSON Schema goes to Google as it is."""

from __future__ import annotations

import json

import msgspec
import pytest

from open_llm_auth.wire.google_genai.schema import read_schema, write_parameters, write_schema


def test_googles_schema_is_read_as_json_schema():
    schema = {
        "type": "OBJECT",
        "description": "What to look for",
        "properties": {
            "city": {"type": "STRING", "nullable": True},
            "unit": {"type": "STRING", "format": "enum", "enum": ["c", "f"]},
            "days": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1", "maxItems": "3"},
            "either": {"anyOf": [{"type": "STRING"}, {"type": "NULL"}]},
            "anything": {"type": "TYPE_UNSPECIFIED"},
        },
        "required": ["city"],
        "propertyOrdering": ["city", "unit"],
    }
    assert read_schema(schema) == {
        "type": "object",
        "description": "What to look for",
        "properties": {
            "city": {"type": ["string", "null"]},
            "unit": {"type": "string", "enum": ["c", "f"]},
            "days": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "anything": {},
        },
        "required": ["city"],
    }


def test_a_nullable_enum_allows_null():
    schema = {"type": "STRING", "enum": ["a"], "nullable": True}
    assert read_schema(schema) == {"type": ["string", "null"], "enum": ["a", None]}


def test_a_nullable_schema_without_a_type_becomes_one_of_two():
    assert read_schema({"nullable": True, "any_of": [{"type": "STRING"}]}) == {
        "anyOf": [{"anyOf": [{"type": "string"}]}, {"type": "null"}]
    }


def test_names_of_properties_are_the_callers_own():
    schema = {"type": "OBJECT", "properties": {"min_items": {"type": "STRING"}, "type": {"type": "STRING"}}}
    assert list(read_schema(schema)["properties"]) == ["min_items", "type"]


PLAIN = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": False}


@pytest.mark.parametrize("given", [PLAIN, msgspec.Raw(json.dumps(PLAIN).encode())], ids=["decoded", "raw"])
def test_the_name_of_the_schemas_dialect_stays_behind_and_nothing_else(given):
    written = json.loads(msgspec.json.encode(write_schema(given)))
    assert written == {"type": "object", "additionalProperties": False}


def test_parameters_are_of_an_object_and_none_are_unsaid():
    assert write_parameters({"properties": {"a": {}}}) == {"type": "object", "properties": {"a": {}}}
    assert write_parameters(None) is None
    assert write_parameters({}) is None
    assert write_parameters(msgspec.Raw(b"null")) is None
