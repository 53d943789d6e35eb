"""Requests of Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages) on the hot path."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..dialect import Fields, Request
from ..envelope import Envelope, first_byte, is_null, read_envelope, read_flag, read_model, type_of
from ..signatures import open_call_id, unseal
from .families import family_of
from .reading import read_conversation
from .rules import NAME
from .thinking import lacks_thinking, turn_off
from .writing import LIMITS, write_request

__all__ = ["LIMITS", "read_conversation", "read_count_request", "read_request", "rewrite", "write_request"]

Raw = msgspec.Raw

_INTEGER: Final = msgspec.json.Decoder(int)
_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# ---------------------------------------------------------------------------------------------- reading


def read_request(body: bytes) -> Request:
    """A request for a message; what is below the top level is left to the provider.

    Raises:
        InvalidRequest: the body is not a JSON object, or `messages`, `max_tokens`, `model` or `stream` is not what it
            must be; `param` names the field.
    """
    request = read_count_request(body)
    _check_max_tokens(request.envelope.get("max_tokens"))
    return request


def read_count_request(body: bytes) -> Request:
    """A request to count tokens: the same without a limit for the answer. Raises as `read_request`."""
    envelope = read_envelope(body)
    _check_messages(envelope.get("messages"))
    return Request(envelope, read_model(envelope), read_flag(envelope, "stream"))


def _check_messages(raw: Raw | None) -> None:
    if raw is None:
        raise InvalidRequest("'messages' is missing; send a list of messages.", param="messages")
    if first_byte(raw) != ord("["):
        raise InvalidRequest(f"'messages' must be a list, not {type_of(raw)}.", param="messages")
    head = bytes(memoryview(raw)[1:64]).lstrip()
    if (head or bytes(raw)[1:].lstrip()).startswith(b"]"):
        raise InvalidRequest("'messages' is empty; send at least one message.", param="messages")


def _check_max_tokens(raw: Raw | None) -> None:
    if raw is None or is_null(raw):
        raise InvalidRequest(
            "'max_tokens' is missing; say how many tokens the answer may have at most.", param="max_tokens"
        )
    try:
        limit = _INTEGER.decode(raw)
    except _NOT_JSON:
        limit = -1
    if limit < 0:
        raise InvalidRequest("'max_tokens' must be a whole number, 0 or more.", param="max_tokens")


# ---------------------------------------------------------------------------------------------- the same dialect on


#: How the envelope of a foreign signature begins, in a signature and in the id of a call alike.
_SEALED: Final = b"b2xsYTEA"
#: A thinking block that nobody signed, as clients of this dialect got it from a model of another; and what to look for
#: before that, because most conversations hold no signature at all.
_UNSIGNED: Final = (b'"signature":""', b'"signature": ""')
_SIGNED: Final = b'signature":'
#: What has to be looked into when thinking is turned off.
_BESIDE_THINKING: Final = ("output_config", "context_management")
_THINKING: Final = ("thinking", "redacted_thinking")


def rewrite(envelope: Envelope, model: str, stream: bool) -> Fields:
    """The request for a provider of this dialect: the same fields in the same order, the model replaced.

    Thinking of other models that the gateway told this client stays behind: the provider would refuse it, and it is
    none of its business. Where that leaves a turn of tool calls without its thinking, thinking is off for this call.
    """
    fields: Fields = {**envelope, "model": Raw(msgspec.json.encode(model))}
    if stream != read_flag(envelope, "stream"):
        fields["stream"] = stream
    messages = bytes(envelope.get("messages") or b"")
    foreign = _SEALED in messages or (_SIGNED in messages and any(unsigned in messages for unsigned in _UNSIGNED))
    return _without_foreign(fields, messages, model) if foreign else fields


def _without_foreign(fields: Fields, raw: bytes, model: str) -> Fields:
    try:
        given = _ANY.decode(raw)
    except _NOT_JSON:
        # Not ours to judge: the provider says what is wrong with it.
        return fields
    messages = [kept for message in given if (kept := _own_message(message)) is not None]
    if messages == given:
        return fields
    out = {**fields, "messages": messages}
    if not lacks_thinking([message for message in messages if isinstance(message, dict)]):
        return out
    opened: Fields = {name: _ANY.decode(out[name]) for name in _BESIDE_THINKING if name in out}
    return turn_off({**out, **opened}, family_of(model)) if _asks_thinking(fields, model) else out


def _asks_thinking(fields: Fields, model: str) -> bool:
    raw = fields.get("thinking")
    if raw is None or is_null(raw):
        return family_of(model).unasked
    return b'"disabled"' not in bytes(raw)


def _own_message(message: Any) -> Any:
    """A message without what is foreign in it; None when nothing else was in it."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    blocks = [kept for block in message["content"] if (kept := _own_block(block)) is not None]
    if not blocks and message["content"]:
        return None
    return {**message, "content": blocks}


def _own_block(block: Any) -> Any:
    if not isinstance(block, dict):
        return block
    kind = block.get("type")
    if kind in _THINKING:
        return _own_thinking(block, "data" if kind == "redacted_thinking" else "signature")
    for name in ("id", "tool_use_id"):
        if isinstance(block.get(name), str):
            block = {**block, name: open_call_id(block[name])[0]}
    return block


def _own_thinking(block: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = block.get(name)
    signature = unseal(value, NAME) if isinstance(value, str) and value else None
    return {**block, name: signature.value} if signature is not None and signature.origin == NAME else None
