"""How many tokens a request has: `countTokens` (https://ai.google.dev/api/tokens)."""

from __future__ import annotations

from typing import Final

import msgspec

from ...errors import InvalidRequest
from ..dialect import Request
from ..envelope import Envelope, first_byte, read_envelope, type_of
from .requests import check_contents

__all__ = ["read_count_request", "write_count", "write_count_request"]

_OBJECT: Final = msgspec.json.Decoder(Envelope)
#: the request to count, in either spelling
_WHOLE: Final = ("generateContentRequest", "generate_content_request")


def read_count_request(body: bytes) -> Request:
    """What is to be counted, as if it were to be answered: contents alone, or a whole request within the body.

    Raises:
        InvalidRequest: it is neither, or its contents are missing, empty or no list.
    """
    envelope = read_envelope(body)
    name = next((name for name in _WHOLE if name in envelope), None)
    if name is not None:
        envelope = _inner(name, envelope[name])
    check_contents(envelope, f"{name}.contents" if name else "contents")
    envelope.pop("model", None)
    return Request(envelope, None, False)


def _inner(name: str, raw: msgspec.Raw) -> Envelope:
    if first_byte(raw) != ord("{"):
        raise InvalidRequest(f"{name!r} must be an object, not {type_of(raw)}.", param=name)
    try:
        return _OBJECT.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"{name!r} is not a readable object.", param=name) from error


def write_count_request(body: bytes, model: str) -> bytes:
    """The body of a request to be counted, from that of one to be answered: Google wants the model named in it too."""
    request = {"model": msgspec.Raw(msgspec.json.encode(model)), **_OBJECT.decode(body)}
    return msgspec.json.encode({_WHOLE[0]: request})


def write_count(total: int) -> bytes:
    """The answer to a client."""
    return msgspec.json.encode({"totalTokens": total})
