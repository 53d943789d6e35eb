"""Values of a request's JSON, checked where they are used: a fault names its path and what should stand there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest

__all__ = [
    "as_count",
    "as_flag",
    "as_list",
    "as_number",
    "as_object",
    "as_text",
    "decode_field",
    "opt_count",
    "opt_flag",
    "opt_number",
    "opt_object",
    "opt_text",
]

_ANY: Final = msgspec.json.Decoder()
_NAMES: Final = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def decode_field(envelope: Mapping[str, msgspec.Raw], name: str) -> Any:
    """A field of the top level, decoded; None where it is absent.

    Raises:
        InvalidRequest: what stands there is not JSON in full.
    """
    raw = envelope.get(name)
    if raw is None:
        return None
    try:
        return _ANY.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{name!r} is not valid JSON: {error}.", param=name) from error
    except RecursionError as error:
        raise InvalidRequest(f"{name!r} is nested too deeply.", param=name) from error


def as_text(value: object, path: str) -> str:
    if isinstance(value, str):
        return value
    raise _wrong(value, path, "a string")


def as_object(value: object, path: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise _wrong(value, path, "an object")


def as_list(value: object, path: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise _wrong(value, path, "a list")


def as_flag(value: object, path: str) -> bool:
    if isinstance(value, bool):
        return value
    raise _wrong(value, path, "true or false")


def as_number(value: object, path: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise _wrong(value, path, "a number")


def as_count(value: object, path: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _wrong(value, path, "a whole number that is not negative")


def opt_text(value: object, path: str) -> str | None:
    return None if value is None else as_text(value, path)


def opt_object(value: object, path: str) -> dict[str, Any]:
    """The object, empty where it is null."""
    return {} if value is None else as_object(value, path)


def opt_flag(value: object, path: str) -> bool | None:
    return None if value is None else as_flag(value, path)


def opt_number(value: object, path: str) -> float | None:
    return None if value is None else as_number(value, path)


def opt_count(value: object, path: str) -> int | None:
    return None if value is None else as_count(value, path)


def _wrong(value: object, path: str, wanted: str) -> InvalidRequest:
    if value is None:
        return InvalidRequest(f"{path!r} is missing; it must be {wanted}.", param=path)
    found = _NAMES.get(type(value), "something else")
    said = f", not {found}" if found not in wanted and not isinstance(value, int) else f", not {value!r:.40}"
    return InvalidRequest(f"{path!r} must be {wanted}{said}.", param=path)
