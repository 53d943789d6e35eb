"""JSON schemas as Anthropic's structured outputs take them: closed objects, and constraints it lacks told in words.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

__all__ = ["decoded", "strict_schema"]

#: Kept as they are.
_KEPT: Final = ("$ref", "type", "enum", "const", "title", "description", "default", "required")
#: Schemas in a mapping, and schemas in a list under the name they have there.
_MAPPINGS: Final = ("$defs", "definitions", "properties")
_LISTS: Final = (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf"))
_NOISE: Final = frozenset({"$schema", "$id", "$comment", "additionalProperties", "strict"})
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_DEPTH_LIMIT: Final = 64


class _Inexpressible(ValueError):
    pass


def decoded(schema: Any) -> Any:
    """A schema as values, whether it came as raw JSON or not."""
    return msgspec.json.decode(schema) if isinstance(schema, msgspec.Raw) else schema


def strict_schema(schema: Any) -> dict[str, Any] | None:
    """The schema in the strict form; whatever matches it matches the original. None where it has none, as with
    objects whose keys are free."""
    try:
        return _strict(schema, _DEPTH_LIMIT)
    except _Inexpressible:
        return None


def _strict(schema: Any, depth: int) -> dict[str, Any]:
    if not isinstance(schema, dict) or not schema or depth == 0:
        raise _Inexpressible
    if isinstance(schema.get("type"), list):
        return _strict({"anyOf": [{**schema, "type": kind} for kind in schema["type"]]}, depth)
    out = {key: schema[key] for key in _KEPT if key in schema}
    for key in _MAPPINGS:
        if isinstance(schema.get(key), dict):
            out[key] = {name: _strict(value, depth - 1) for name, value in schema[key].items()}
    for key, written in _LISTS:
        if isinstance(schema.get(key), list):
            out[written] = [_strict(value, depth - 1) for value in schema[key]]
    if "items" in schema:
        out["items"] = _strict(schema["items"], depth - 1)
    if schema.get("type") == "object":
        _close(schema, out)
    _tell_rest(schema, out)
    return out


def _close(schema: Mapping[str, Any], out: dict[str, Any]) -> None:
    if not schema.get("properties") and schema.get("additionalProperties") is not False:
        raise _Inexpressible
    out["additionalProperties"] = False


def _tell_rest(schema: Mapping[str, Any], out: dict[str, Any]) -> None:
    """What the API would refuse goes into the description, which the model reads."""
    written = {key for key, _ in _LISTS}
    rest: dict[str, Any] = {}
    for key, value in schema.items():
        if key in out or key in _NOISE or key in written:
            continue
        if (key == "format" and value in _FORMATS) or (key == "minItems" and value in (0, 1)):
            out[key] = value
        else:
            rest[key] = value
    if rest:
        told = msgspec.json.encode(rest).decode()
        out["description"] = f"{out['description']}\n\n{told}" if out.get("description") else told
