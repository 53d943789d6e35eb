"""OpenAI chat completions, bytes to values and back (https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

from typing import Final

from ..dialect import ClientSide, Dialect, ProviderSide, Request
from ..events import ErrorBody, Usage
from .errors import read_error, write_error, write_error_body, write_stream_error
from .forgetting import without_reasoning
from .reading import read_conversation
from .relay import StreamRelay, stream_from_reply
from .replies import read_reply, write_reply
from .requests import asking_usage, read_request, rewrite
from .streams import StreamDecoder, StreamEncoder
from .usage import read_any_usage, read_usage, usage_from
from .writing import CALL_IDS, LIMITS, RESULT_MARK, TOOL_NAMES, write_request

__all__ = [
    "DIALECT",
    "RESULT_MARK",
    "ErrorBody",
    "Request",
    "StreamDecoder",
    "StreamEncoder",
    "StreamRelay",
    "Usage",
    "asking_usage",
    "read_any_usage",
    "read_conversation",
    "read_error",
    "read_reply",
    "read_request",
    "read_usage",
    "rewrite",
    "stream_from_reply",
    "usage_from",
    "write_error",
    "write_error_body",
    "write_reply",
    "write_request",
    "write_stream_error",
]


def _relay(request: Request) -> StreamRelay:
    return StreamRelay(hide_usage=not request.wants_usage, choices=request.choices)


DIALECT: Final = Dialect(
    "openai-chat",
    client=ClientSide(
        read_request=read_request,
        read_conversation=read_conversation,
        write_reply=write_reply,
        encoder=StreamEncoder,
        write_error=write_error,
        rewrite=rewrite,
        relay=_relay,
        read_usage=read_usage,
        unfold=stream_from_reply,
        without_reasoning=without_reasoning,
    ),
    provider=ProviderSide(
        write_request=write_request,
        read_reply=read_reply,
        decoder=StreamDecoder,
        read_error=read_error,
        limits=LIMITS,
        tool_names=TOOL_NAMES,
        call_ids=CALL_IDS,
    ),
)
