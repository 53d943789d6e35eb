"""Requests of Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages) on the hot path."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ..dialect import Fields, Request
from ..envelope import Envelope, first_byte, is_null, read_envelope, read_flag, read_model, type_of
from ..signatures import open_call_id, unseal
from .families import Family, family_of
from .reading import read_conversation
from .rules import NAME
from .thinking import lacks_thinking, origins_taken, turn_adaptive, turn_off
from .writing import LIMITS, write_request

__all__ = [
    "LIMITS",
    "given_up",
    "read_conversation",
    "read_count_request",
    "read_request",
    "rewrite",
    "without_reasoning",
    "write_request",
]

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
#: What has to be looked into when thinking is asked for otherwise, or turned off.
_ABOUT_THINKING: Final = ("thinking", "output_config", "context_management")
_THINKING: Final = ("thinking", "redacted_thinking")


def rewrite(envelope: Envelope, model: str, stream: bool) -> Fields:
    """The request for a provider of this dialect: the same fields in the same order, the model replaced.

    Thinking of other models that the gateway told this client stays behind: the provider would refuse it, and it is
    none of its business. Where that leaves a turn of tool calls without its thinking, a budget of tokens would be
    refused too (`_with_messages`).
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
    family = family_of(model)
    messages = [kept for message in given if (kept := _own_message(message, family)) is not None]
    return fields if messages == given else _with_messages(fields, messages, model)


def _with_messages(fields: Fields, messages: list[Any], model: str) -> Fields:
    """The fields with other messages. Where these lack thinking in a turn of tool calls, a model that also thinks
    adaptively does so instead of by a budget of tokens, and for one that does not, thinking is off."""
    out, family = {**fields, "messages": messages}, family_of(model)
    complete = not lacks_thinking([message for message in messages if isinstance(message, dict)])
    if complete or not _needs_thinking(fields.get("thinking"), family):
        return out
    opened: Fields = {name: _ANY.decode(out[name]) for name in _ABOUT_THINKING if name in out}
    return (turn_adaptive if family.thinking == "both" else turn_off)({**out, **opened}, family)


def _needs_thinking(raw: Raw | None, family: Family) -> bool:
    """Whether what is asked of thinking goes only with the thinking of a turn that has begun."""
    if raw is None or is_null(raw) or family.thinking == "adaptive":
        return False
    return b'"enabled"' in bytes(raw) if family.thinking == "both" else b'"disabled"' not in bytes(raw)


def given_up(envelope: Envelope, fields: Fields) -> tuple[str, ...]:
    """What `rewrite` had to give up: thinking, where it is off now and was not."""
    if "thinking" in envelope and fields.get("thinking", _OFF) == _OFF:
        return ("reasoning_budget",)
    return ()


_OFF: Final = {"type": "disabled"}


def _own_message(message: Any, family: Family) -> Any:
    """A message without what is foreign in it; None when nothing else was in it."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    origins = origins_taken(NAME, family)
    if any(_is_redacted_elsewhere(block, origins) for block in message["content"]):
        # Blocks of thinking go together or not at all, and these have a form that is not known.
        origins = frozenset({NAME})
    blocks = [kept for block in message["content"] if (kept := _own_block(block, origins)) is not None]
    if not blocks and message["content"]:
        return None
    return {**message, "content": blocks}


def _is_redacted_elsewhere(block: Any, origins: frozenset[str]) -> bool:
    if not isinstance(block, dict) or block.get("type") != "redacted_thinking":
        return False
    data = block.get("data")
    return isinstance(data, str) and unseal(data, NAME).origin in origins - {NAME}


def _own_block(block: Any, origins: frozenset[str]) -> Any:
    if not isinstance(block, dict):
        return block
    kind = block.get("type")
    if kind in _THINKING:
        return _own_thinking(block, "data" if kind == "redacted_thinking" else "signature", origins)
    for name in ("id", "tool_use_id"):
        if isinstance(block.get(name), str):
            block = {**block, name: open_call_id(block[name])[0]}
    return block


def _own_thinking(block: dict[str, Any], name: str, origins: frozenset[str]) -> dict[str, Any] | None:
    value = block.get(name)
    signature = unseal(value, NAME) if isinstance(value, str) and value else None
    return {**block, name: signature.value} if signature is not None and signature.origin in origins else None


# ---------------------------------------------------------------------------------------------- without reasoning


def without_reasoning(envelope: Envelope, model: str) -> Envelope:
    """The request without the thinking of earlier turns; the very same where there is none."""
    try:
        given = _ANY.decode(envelope.get("messages") or b"[]")
    except _NOT_JSON:
        return envelope
    messages = [kept for message in given if (kept := _without_thinking(message)) is not None]
    if messages == given:
        return envelope
    fields = _with_messages({**envelope}, messages, model)
    return {name: _encoded(value) for name, value in fields.items()}


def _encoded(value: Any) -> Raw:
    return value if isinstance(value, Raw) else Raw(msgspec.json.encode(value))


def _without_thinking(message: Any) -> Any:
    """A message without its thinking; None when nothing else was in it."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    blocks = [block for block in message["content"] if not (isinstance(block, dict) and block.get("type") in _THINKING)]
    return {**message, "content": blocks} if blocks or not message["content"] else None
