"""Streams of samples as their events, so that a test can change one of them; and values with one place changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from open_llm_auth.testing.event_stream import event_message, exception_message
from open_llm_auth.wire import sse
from open_llm_auth.wire.bedrock_converse.eventstream import MessageSplitter

from .matrix import HERE

__all__ = ["LOST", "Frame", "Place", "altered", "frames_of", "places", "samples", "stream_of", "streams"]

#: An event's name ("" for none, with a ``!`` before that of an exception) and what it says.
Frame = tuple[str, bytes]
Place = tuple[str | int, ...]
#: In place of a value: that there is none.
LOST: Final = object()
_SUFFIXES: Final = ("sse", "jsonl", "bin")


def samples(folder: str, dialect: str, suffix: str) -> list[Path]:
    return sorted((HERE / folder / dialect).glob(f"*.{suffix}"))


def streams(dialect: str) -> list[Path]:
    """The streamed samples of a provider's dialect."""
    return [path for suffix in _SUFFIXES for path in samples("replies", dialect, suffix)]


def frames_of(path: Path) -> list[Frame]:
    """The events of a stream."""
    data = path.read_bytes()
    match path.suffix:
        case ".sse":
            found = [(sse.name_of(event).decode(), sse.data_of(event)) for event in sse.split_events(data)]
            return [(name, said.strip()) for name, said in found if said is not None]
        case ".jsonl":
            return [("", line) for line in data.splitlines() if line.strip()]
    return [
        (str(headers.get(":event-type") or f"!{headers.get(':exception-type')}"), payload)
        for headers, payload in ((message.headers, message.payload) for message in MessageSplitter().feed(data))
    ]


def stream_of(frames: list[Frame], suffix: str) -> bytes:
    """The stream that they make up."""
    match suffix:
        case ".sse":
            return b"".join(sse.event(said, name or None) for name, said in frames)
        case ".jsonl":
            return b"".join(said + b"\n" for _, said in frames)
    return b"".join(
        exception_message(name[1:], json.loads(said)) if name[:1] == "!" else event_message(name, json.loads(said))
        for name, said in frames
    )


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place in a JSON value, the whole first."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*at, name))


def altered(value: Any, at: Place, new: Any) -> Any:
    """The value with another one at that place, or without it where that is `LOST`."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(at) == 1 and new is LOST:
        del copy[at[0]]
    else:
        copy[at[0]] = altered(copy[at[0]], at[1:], new)
    return copy
