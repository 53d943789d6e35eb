"""Requests for chat completions at their top level: what the gateway needs to know, and the same with another model."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..dialect import Fields, Request
from ..envelope import Envelope, first_byte, is_null, read_envelope, read_flag, read_model, type_of

__all__ = ["asking_usage", "read_request", "rewrite"]

Raw = msgspec.Raw

_ASK_USAGE: Final = Raw(b'{"include_usage":true}')
_FLAGS: Final = {True: Raw(b"true"), False: Raw(b"false")}
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_request(body: bytes) -> Request:
    """A chat completion request; what is below the top level is left to the provider.

    Raises:
        InvalidRequest: the body is not a JSON object, or `messages`, `model`, `stream` or `stream_options` is not what
            it must be; `param` names the field.
    """
    envelope = read_envelope(body)
    _check_messages(envelope.get("messages"))
    return Request(
        envelope,
        read_model(envelope),
        read_flag(envelope, "stream"),
        _read_include_usage(envelope.get("stream_options")),
        _read_choices(envelope.get("n")),
    )


def _check_messages(raw: Raw | None) -> None:
    if raw is None:
        raise InvalidRequest("'messages' is missing; send a list of messages.", param="messages")
    if first_byte(raw) != ord("["):
        raise InvalidRequest(f"'messages' must be a list, not {type_of(raw)}.", param="messages")
    head = bytes(memoryview(raw)[1:64]).lstrip()
    if (head or bytes(raw)[1:].lstrip()).startswith(b"]"):
        raise InvalidRequest("'messages' is empty; send at least one message.", param="messages")


def _read_include_usage(raw: Raw | None) -> bool:
    if raw is None or is_null(raw):
        return False
    if first_byte(raw) != ord("{"):
        raise InvalidRequest(f"'stream_options' must be an object, not {type_of(raw)}.", param="stream_options")
    try:
        return read_flag(_OBJECT.decode(raw), "include_usage")
    except InvalidRequest as error:
        raise InvalidRequest(
            "'stream_options.include_usage' must be true or false.", param="stream_options.include_usage"
        ) from error
    except _NOT_JSON as error:
        raise InvalidRequest("'stream_options' is not a readable object.", param="stream_options") from error


def _read_choices(raw: Raw | None) -> int:
    if raw is None or (len(text := bytes(memoryview(raw)[:4])) > 3) or not text.isdigit():
        return 1
    return max(1, int(text))


def rewrite(envelope: Envelope, model: str, stream: bool) -> Fields:
    """The same fields in the same order with `model` replaced, and `stream` where the client said it otherwise."""
    fields: Fields = {**envelope, "model": Raw(msgspec.json.encode(model))}
    if read_flag(envelope, "stream") != stream:
        fields["stream"] = _FLAGS[stream]
    return fields


def asking_usage(given: Any) -> Raw:
    """The `stream_options` of a request with usage asked for. `given` are its own, if it has any."""
    if not isinstance(given, Raw):
        return _ASK_USAGE if not given else Raw(msgspec.json.encode({**given, "include_usage": True}))
    if is_null(given):
        return _ASK_USAGE
    return Raw(msgspec.json.encode({**_OBJECT.decode(given), "include_usage": _FLAGS[True]}))
