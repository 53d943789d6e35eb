"""Fields of a request, read strictly and with their path; proto JSON takes `topK` and `top_k` alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...errors import InvalidRequest

__all__ = ["NO_FIELDS", "Node"]


class Node:
    """One message of a request and where it stands. Its fields go by their camelCase names; null is absent.

    Every reader raises InvalidRequest with the field's path where a value is of another type.
    """

    __slots__ = ("_fields", "path")

    def __init__(self, fields: Mapping[str, Any], path: str) -> None:
        self.path = path
        self._fields = {_camel(name): value for name, value in fields.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def names(self) -> Iterable[str]:
        """The fields that are set, in order."""
        return self._fields.keys()

    def get(self, name: str) -> Any:
        """A field of any type."""
        return self._fields.get(name)

    def plain(self) -> dict[str, Any]:
        """The message as it was said, but for the spelling of its fields."""
        return dict(self._fields)

    def where(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self.fault(name, "must be a string")

    def word(self, name: str) -> str | None:
        """The name of an enum's value, upper case."""
        value = self.text(name)
        return None if value is None else value.upper()

    def flag(self, name: str) -> bool | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.fault(name, "must be true or false")

    def integer(self, name: str) -> int | None:
        """A whole number, which proto JSON may also write as ``1.0`` or ``"1"``."""
        value = self._fields.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and len(value) < _DIGITS and value.removeprefix("-").isdecimal():
            return int(value)
        raise self.fault(name, "must be a whole number")

    def number(self, name: str) -> float | None:
        value = self._fields.get(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise self.fault(name, "must be a number")

    def node(self, name: str) -> Node | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return Node(value, self.where(name))
        raise self.fault(name, "must be an object")

    def nodes(self, name: str) -> list[Node]:
        """A list of messages; one alone stands for a list of one, as in Google's own examples."""
        value = self._fields.get(name)
        if value is None:
            return []
        if isinstance(value, dict):
            return [Node(value, self.where(name))]
        if not isinstance(value, list):
            raise self.fault(name, "must be a list")
        found = []
        for number, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.fault(f"{name}.{number}", "must be an object")
            found.append(Node(item, f"{self.where(name)}.{number}"))
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._fields.get(name)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise self.fault(name, "must be a list of strings")

    def fault(self, name: str, what: str) -> InvalidRequest:
        """The error about a field."""
        path = self.where(name)
        return InvalidRequest(f"{path!r} {what}.", param=path)


_DIGITS: Final = 20


def _camel(name: str) -> str:
    if "_" not in name:
        return name
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


NO_FIELDS: Final = Node({}, "")
