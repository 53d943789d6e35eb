"""Plain answers: read as events, written from events, or put together from a stream of the same dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from .. import sse
from ..dialect import Answering
from ..envelope import first_byte
from ..events import Event
from .decoding import StreamDecoder, read_response
from .encoding import StreamEncoder
from .usage import read_usage

__all__ = ["gather", "read_reply", "read_usage", "write_reply"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_reply(body: bytes) -> list[Event]:
    """A plain answer as events.

    Raises:
        UpstreamInvalidResponse: the body is not a response, or one that is not finished.
    """
    response = read_response(body)
    if not isinstance(response.output, list) and not response.error:
        raise UpstreamInvalidResponse("The provider's answer is not a response: it has no 'output'.")
    if response.status in ("queued", "in_progress"):
        raise UpstreamInvalidResponse("The provider answered with a response that is not finished.")
    return StreamDecoder().finish(response)


def write_reply(events: Sequence[Event], answering: Answering) -> bytes:
    """A plain answer: the response that a stream of the same events would have ended with."""
    encoder = StreamEncoder(answering)
    encoder.feed(events)
    return msgspec.json.encode(encoder.response)


class _Said(msgspec.Struct):
    type: Any = None
    output_index: Any = None
    item: Raw = _NULL
    response: Raw = _NULL


_SAID: Final = msgspec.json.Decoder(_Said)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_LIST: Final = msgspec.json.Decoder(list[Raw])
_ENDINGS: Final = frozenset({"response.completed", "response.incomplete"})


def gather(stream: bytes) -> bytes:
    """The response that a whole stream ended with. Sign-ins end theirs with an empty `output`: the items that were told
    along the way are put back into it.

    Raises:
        UpstreamInvalidResponse: the stream has no such end.
    """
    items: list[tuple[int, Raw]] = []
    ending: Raw | None = None
    for event in sse.split_events(stream):
        said = _read(event)
        if said is None:
            continue
        if said.type == "response.output_item.done" and first_byte(said.item) == ord("{"):
            index = said.output_index if isinstance(said.output_index, int) else len(items)
            items.append((index, said.item))
        elif isinstance(said.type, str) and said.type in _ENDINGS and first_byte(said.response) == ord("{"):
            ending = said.response
    if ending is None:
        raise UpstreamInvalidResponse("The provider's stream stopped before the response was complete.")
    return _with_output(ending, [item for _, item in sorted(items, key=lambda pair: pair[0])])


def _read(event: bytes) -> _Said | None:
    data = sse.data_of(event)
    try:
        return None if data is None else _SAID.decode(data)
    except _NOT_JSON:
        return None


def _with_output(response: Raw, items: list[Raw]) -> bytes:
    try:
        fields = _OBJECT.decode(response)
        output = fields.get("output", _NULL)
        stated = _LIST.decode(output) if first_byte(output) == ord("[") else []
    except _NOT_JSON as error:
        raise UpstreamInvalidResponse("The provider's stream ended with something that is no response.") from error
    if stated:
        return bytes(response)
    return msgspec.json.encode({**fields, "output": items})
