"""Looks at decoded JSON that say where it is not what it must be: the path is the `param` of the refusal."""

from __future__ import annotations

from typing import Any, Final

from ...errors import InvalidRequest

__all__ = ["flag", "found", "items", "missing", "number", "object_", "text", "text_of", "whole", "wrong"]

_TYPES: Final[dict[type, str]] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def wrong(path: str, wanted: str, value: object) -> InvalidRequest:
    """The refusal of a value of the wrong type; the value itself is not told."""
    return InvalidRequest(f"{path!r} must be {wanted}, not {_TYPES.get(type(value), 'that')}.", param=path)


def missing(path: str, repair: str) -> InvalidRequest:
    return InvalidRequest(f"{path!r} is missing; {repair}.", param=path)


def found(fields: dict[str, Any], name: str, path: str, repair: str) -> Any:
    """A value that must be there.

    Raises:
        InvalidRequest: it is absent or null.
    """
    value = fields.get(name)
    if value is None:
        raise missing(f"{path}.{name}" if path else name, repair)
    return value


def object_(value: Any, path: str) -> dict[str, Any]:
    """An object. Raises as the others here: InvalidRequest, when it is something else."""
    if not isinstance(value, dict):
        raise wrong(path, "an object", value)
    return value


def items(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong(path, "a list", value)
    return value


def text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise wrong(path, "a string", value)
    return value


def text_of(fields: dict[str, Any], name: str, path: str) -> str:
    """A string that may be absent or null: then it is empty."""
    value = fields.get(name)
    return "" if value is None else text(value, f"{path}.{name}" if path else name)


def flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(path, "true or false", value)
    return value


def number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(path, "a number", value)
    return value


def whole(value: Any, path: str) -> int:
    """A whole number; JavaScript's 100.0 is one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(path, "a whole number", value)
    return value
