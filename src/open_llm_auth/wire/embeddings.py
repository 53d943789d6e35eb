"""OpenAI embeddings, bytes to values and back (https://platform.openai.com/docs/api-reference/embeddings)."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from ..errors import InvalidRequest
from .envelope import Envelope, first_byte, is_null, read_envelope, read_model, read_text, type_of
from .events import ErrorBody, Usage
from .openai_chat import read_any_usage as read_usage
from .openai_error import read_error, write_error

__all__ = [
    "EmbeddingsRequest",
    "ErrorBody",
    "Usage",
    "adapt_reply",
    "asked_encoding",
    "read_error",
    "read_request",
    "read_usage",
    "rewrite",
    "write_error",
]

Raw = msgspec.Raw

_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_ITEMS: Final = msgspec.json.Decoder(list[dict[str, Raw]])
_FLOATS: Final = msgspec.json.Decoder(list[float])
_STRING: Final = msgspec.json.Decoder(str)
_VECTOR: Final = re.compile(rb'"embedding"\s*:\s*(["\[])')


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """An embeddings call as it was asked for. `encoding_format` is what the client expects; None means floats."""

    envelope: Envelope
    model: str | None
    encoding_format: str | None


def read_request(body: bytes) -> EmbeddingsRequest:
    """An embeddings request; what is inside `input` is left to the provider.

    Raises:
        InvalidRequest: the body is not a JSON object, or `input`, `model` or `encoding_format` is not what it must be;
            `param` names the field.
    """
    envelope = read_envelope(body)
    _check_input(envelope.get("input"))
    return EmbeddingsRequest(envelope, read_model(envelope), read_text(envelope, "encoding_format"))


def _check_input(raw: Raw | None) -> None:
    if raw is None:
        raise InvalidRequest("'input' is missing; send a string or a list.", param="input")
    if first_byte(raw) not in b'"[':
        raise InvalidRequest(f"'input' must be a string or a list, not {type_of(raw)}.", param="input")
    head = bytes(memoryview(raw)[1:64]).lstrip()
    if first_byte(raw) == ord("[") and (head or bytes(raw)[1:].lstrip()).startswith(b"]"):
        raise InvalidRequest("'input' is empty; send at least one text.", param="input")


def asked_encoding(envelope: Mapping[str, Raw]) -> str | None:
    """The `encoding_format` of a request that was read."""
    return read_text(envelope, "encoding_format")


def rewrite(envelope: Mapping[str, Raw], model: str) -> dict[str, Raw]:
    """The request to send: the same fields with `model` replaced, and without an `encoding_format` of null."""
    fields = {**envelope, "model": Raw(msgspec.json.encode(model))}
    if is_null(fields.get("encoding_format")):
        fields.pop("encoding_format", None)
    return fields


def adapt_reply(body: bytes, asked: str | None) -> bytes:
    """The answer with its vectors in the form the client asked for: ``"base64"`` of little-endian float32, or floats.

    Many providers ignore `encoding_format`, and clients believe what they asked for. Bytes that need no change, and
    those that are no embeddings, come back untouched.
    """
    found = _VECTOR.search(body)
    wanted = b'"' if asked == "base64" else b"["
    if found is None or found[1] == wanted or asked not in (None, "float", "base64"):
        return body
    try:
        reply = _OBJECT.decode(body)
        items = _ITEMS.decode(reply.get("data", Raw(b"[]")))
        adapted = [_adapt(item, to_base64=asked == "base64") for item in items]
        return msgspec.json.encode({**reply, "data": adapted})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError):
        return body


def _adapt(item: dict[str, Raw], *, to_base64: bool) -> dict[str, Raw]:
    vector = item.get("embedding")
    if vector is None or (first_byte(vector) == ord('"')) == to_base64:
        return item
    text = _to_base64(_FLOATS.decode(vector)) if to_base64 else _to_floats(_STRING.decode(vector))
    return {**item, "embedding": Raw(msgspec.json.encode(text))}


def _to_base64(numbers: list[float]) -> str:
    packed = array("f", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode("ascii")


def _to_floats(text: str) -> list[float]:
    packed = array("f", base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()
