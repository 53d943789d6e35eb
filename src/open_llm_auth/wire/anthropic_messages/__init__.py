"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), for clients and providers."""

from __future__ import annotations

from typing import Final

from ..dialect import ClientSide, Dialect, ProviderSide, Request
from .errors import read_error, write_error, write_stream_error
from .relay import StreamRelay
from .replies import read_count, read_reply, read_usage, write_count, write_reply
from .requests import (
    given_up,
    read_conversation,
    read_count_request,
    read_request,
    rewrite,
    without_reasoning,
    write_request,
)
from .rules import CALL_IDS, NAME, TOOL_NAMES
from .streams import StreamDecoder, StreamEncoder
from .writing import LIMITS, limits_of

__all__ = [
    "DIALECT",
    "StreamDecoder",
    "StreamEncoder",
    "StreamRelay",
    "read_conversation",
    "read_count",
    "read_count_request",
    "read_error",
    "read_reply",
    "read_request",
    "read_usage",
    "rewrite",
    "write_count",
    "write_error",
    "write_reply",
    "write_request",
    "write_stream_error",
]


def _relay(_: Request) -> StreamRelay:
    return StreamRelay()


DIALECT: Final = Dialect(
    NAME,
    client=ClientSide(
        read_request=read_request,
        read_conversation=read_conversation,
        write_reply=write_reply,
        encoder=StreamEncoder,
        write_error=write_error,
        rewrite=rewrite,
        given_up=given_up,
        relay=_relay,
        read_usage=read_usage,
        without_reasoning=without_reasoning,
    ),
    provider=ProviderSide(
        write_request=write_request,
        read_reply=read_reply,
        decoder=StreamDecoder,
        read_error=read_error,
        limits=LIMITS,
        limits_of=limits_of,
        tool_names=TOOL_NAMES,
        call_ids=CALL_IDS,
    ),
)
