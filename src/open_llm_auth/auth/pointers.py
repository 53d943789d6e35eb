"""JSON pointers (RFC 6901) behind a reference's place: `file:/path#/tokens/access_token` is one text of a store."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

__all__ = ["NotJSON", "decoded", "places_in", "pointer_of", "text_at"]

_MARK: Final = "#/"
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_STRAY_TILDE: Final = re.compile(r"~(?![01])")
_BOM: Final = b"\xef\xbb\xbf"
_ANY: Final = msgspec.json.Decoder()


class NotJSON(ValueError):
    """The document does not parse as it is now. Its owner may be in the middle of writing it."""


def places_in(place: str) -> Iterator[tuple[str, str]]:
    """Every way to read `place` as a place and a pointer, "" for none, the longest place first: a path may hold the
    mark itself."""
    yield place, ""
    end = len(place)
    while (found := place.rfind(_MARK, 0, end)) >= 0:
        yield place[:found], place[found + 1 :]
        end = found + 1


def pointer_of(*steps: str | int) -> str:
    """The pointer to what stands at `steps`, with its mark, to be put behind a place."""
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def text_at(data: bytes, pointer: str) -> str:
    """The text, or the number as text, that `pointer` names in the JSON document `data`.

    Raises:
        NotJSON: it does not parse, as a file that is half written does not.
        ValueError: nothing stands there, or something that is no text. No message repeats what does.
    """
    value = decoded(data)
    for step in _steps(pointer):
        value = _within(value, step)
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    if not text:
        raise ValueError(_lack(value, pointer))
    return text


def decoded(data: bytes) -> Any:
    """The JSON document `data`, a byte order mark before it allowed.

    Raises:
        NotJSON: it is none.
    """
    try:
        return _ANY.decode(data.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotJSON("it is not JSON as it stands now, perhaps because its owner is writing it") from None


def _steps(pointer: str) -> list[str]:
    if _STRAY_TILDE.search(pointer):
        raise ValueError(f"{pointer!r} is no JSON pointer: '~' is written '~0', and '/' within a name '~1'")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _within(value: Any, step: str) -> Any:
    """What is under `step`; None where nothing is."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
        return value[int(step)]
    return None


def _lack(value: object, pointer: str) -> str:
    if value is None:
        return f"nothing stands at {pointer!r} in it"
    return f"what stands at {pointer!r} in it is {'empty' if value == '' else 'no text'}"
