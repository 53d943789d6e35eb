"""The top level of a JSON body: names to raw bytes, so that ten megabytes of messages are stepped over, not parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from ..errors import InvalidRequest

__all__ = [
    "Envelope",
    "check_model",
    "first_byte",
    "is_null",
    "is_object",
    "read_envelope",
    "read_flag",
    "read_model",
    "read_text",
    "type_of",
]

Envelope = dict[str, msgspec.Raw]

_BOM: Final = b"\xef\xbb\xbf"
_DECODER: Final = msgspec.json.Decoder(Envelope)
_STRING: Final = msgspec.json.Decoder(str)
_SKIMMER: Final = msgspec.json.Decoder(msgspec.Raw)
#: Half of a surrogate pair, escaped: JSON has it, and some providers cut their text so; this decoder takes whole ones.
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_TYPES: Final = {
    ord("{"): "an object",
    ord("["): "a list",
    ord('"'): "a string",
    ord("t"): "a boolean",
    ord("f"): "a boolean",
    ord("n"): "null",
}
_FLAGS: Final = {b"true": True, b"false": False, b"null": None}
_MODEL_LIMIT: Final = 512


def read_envelope(body: bytes) -> Envelope:
    """The top level of a body, in its order; of a name given twice the last one counts.

    Raises:
        InvalidRequest: it is not a JSON object in UTF-8, or nested too deeply to be one in good faith.
    """
    body = body.removeprefix(_BOM)
    if not body or body.isspace():
        raise InvalidRequest("The body is empty; send a JSON object.")
    try:
        if not body.isascii():
            # The decoder steps over strings without looking into them.
            str(body, "utf-8")
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest("The body must be a JSON object.") from error
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not valid UTF-8 (byte {error.start}).") from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply.") from error


def is_object(body: bytes) -> bool:
    """Whether a body is a JSON object from end to end. What its strings hold is not judged."""
    try:
        return first_byte(_SKIMMER.decode(body)) == ord("{")
    except (msgspec.DecodeError, RecursionError):
        mended = _SURROGATE.sub(rb"\\u0020", body)
        return mended != body and is_object(mended)


def first_byte(raw: msgspec.Raw) -> int:
    """The byte that tells the type of a JSON value, without copying the value."""
    return memoryview(raw)[0]


def is_null(raw: msgspec.Raw | None) -> bool:
    """Absent, or the literal null."""
    return raw is None or first_byte(raw) == ord("n")


def type_of(raw: msgspec.Raw) -> str:
    """The JSON type of a value, with its article."""
    return _TYPES.get(first_byte(raw), "a number")


def read_flag(envelope: Mapping[str, msgspec.Raw], name: str) -> bool:
    """A boolean field; absent and null are False.

    Raises:
        InvalidRequest: it is something else.
    """
    raw = envelope.get(name)
    if raw is None:
        return False
    if first_byte(raw) in b"tfn":
        return bool(_FLAGS[bytes(raw)])
    raise InvalidRequest(f"{name!r} must be true or false, not {type_of(raw)}.", param=name)


def read_text(envelope: Mapping[str, msgspec.Raw], name: str) -> str | None:
    """A string field; absent and null are None.

    Raises:
        InvalidRequest: it is something else.
    """
    raw = envelope.get(name)
    if raw is None:
        return None
    first = first_byte(raw)
    if first == ord('"'):
        return _STRING.decode(raw)
    if first == ord("n"):
        return None
    raise InvalidRequest(f"{name!r} must be a string, not {type_of(raw)}.", param=name)


def read_model(envelope: Mapping[str, msgspec.Raw]) -> str | None:
    """The `model` field; None when the request names none.

    Raises:
        InvalidRequest: it is not a string, or an empty, overlong or unprintable one.
    """
    model = read_text(envelope, "model")
    return None if model is None else check_model(model)


def check_model(model: str) -> str:
    """The name itself, if it can be one.

    Raises:
        InvalidRequest: it is empty, overlong or unprintable.
    """
    if not model.strip():
        raise InvalidRequest("'model' is empty; name a model, or leave it out to use the default one.", param="model")
    if len(model) > _MODEL_LIMIT:
        raise InvalidRequest(f"'model' is longer than {_MODEL_LIMIT} characters.", param="model")
    if not model.isprintable():
        raise InvalidRequest("'model' holds control characters; send the plain name.", param="model")
    return model
