"""JSON schemas to and from Google's. `Schema` is its subset of OpenAPI 3.0, upper-case types included; beside it v1beta
takes plain JSON Schema in `parametersJsonSchema` and `responseJsonSchema`, which is all that is written here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

__all__ = ["read_schema", "write_parameters", "write_schema"]

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: lists and maps of schemas within a schema
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "$defs"})
_SINGLE: Final = frozenset({"items", "additionalProperties"})
#: int64 fields, which proto JSON writes as strings
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
#: they mean nothing to JSON Schema, or are read with the type
_LEFT_OUT: Final = frozenset({"nullable", "propertyOrdering", "example"})
_SPELLINGS: Final[Mapping[str, str]] = {
    "any_of": "anyOf",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "defs": "$defs",
    "ref": "$ref",
}


def read_schema(schema: Any) -> Any:
    """A `Schema` as the JSON schema that says the same."""
    if not isinstance(schema, dict):
        return schema
    fields = {_SPELLINGS.get(name, name): value for name, value in schema.items() if value is not None}
    plain = {name: _read_field(name, value) for name, value in fields.items() if name not in _LEFT_OUT}
    if plain.get("type") == "type_unspecified":
        del plain["type"]
    if plain.get("format") == "enum":
        del plain["format"]
    return _or_null(plain) if fields.get("nullable") is True else plain


def _read_field(name: str, value: Any) -> Any:
    if name == "type":
        return [_lower(item) for item in value] if isinstance(value, list) else _lower(value)
    if name in _LISTS and isinstance(value, list):
        return [read_schema(item) for item in value]
    if name in _MAPS and isinstance(value, dict):
        return {key: read_schema(item) for key, item in value.items()}
    if name in _SINGLE:
        return read_schema(value)
    if name in _COUNTS and isinstance(value, str) and value.isdecimal() and len(value) < 20:
        return int(value)
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if not isinstance(kind, str):
        return {"anyOf": [schema, {"type": "null"}]}
    allowed = {"enum": [*schema["enum"], None]} if isinstance(schema.get("enum"), list) else {}
    return {**schema, **allowed, "type": [kind, "null"]}


def write_parameters(schema: Any) -> Any:
    """A function's parameters; None where it has none, which Google wants unsaid."""
    written = write_schema(schema)
    if not isinstance(written, dict) or not written:
        return None
    return written if "type" in written else {"type": "object", **written}


def write_schema(schema: Any) -> Any:
    """A JSON schema, raw or decoded, as v1beta takes it: the dialect that it names is no keyword of it."""
    if isinstance(schema, msgspec.Raw | bytes | str):
        try:
            schema = _OBJECT.decode(schema)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return schema
    if isinstance(schema, dict) and "$schema" in schema:
        return {name: value for name, value in schema.items() if name != "$schema"}
    return schema
