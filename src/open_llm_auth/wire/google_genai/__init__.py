"""Google's GenerateContent (Gemini API, v1beta), bytes to values and back (https://ai.google.dev/api/generate-content).

The model and whether to stream stand in the address: `Request.model` and `Request.stream` are for whoever knows it.
A stream is written as server-sent events; `ArrayWrapper` puts it into an array for clients without ``alt=sse``.
"""

from __future__ import annotations

from typing import Final

from ..dialect import ClientSide, Dialect, ProviderSide, Request
from .arrays import ArrayWrapper
from .counting import read_count_request, write_count, write_count_request
from .errors import read_error, write_error, write_stream_error
from .forgetting import without_reasoning
from .listing import model_entry
from .names import NAME
from .relay import StreamRelay
from .replies import read_reply, unfold, write_reply
from .requests import read_conversation, read_request, rewrite
from .streams import StreamDecoder, StreamEncoder
from .usage import read_usage
from .writing import CALL_IDS, LIMITS, TOOL_NAMES, write_request

__all__ = [
    "DIALECT",
    "ArrayWrapper",
    "StreamDecoder",
    "StreamEncoder",
    "StreamRelay",
    "model_entry",
    "read_conversation",
    "read_count_request",
    "read_error",
    "read_reply",
    "read_request",
    "read_usage",
    "rewrite",
    "unfold",
    "write_count",
    "write_count_request",
    "write_error",
    "write_reply",
    "write_request",
    "write_stream_error",
]


def _relay(request: Request) -> StreamRelay:
    return StreamRelay(request.choices)


DIALECT: Final = Dialect(
    NAME,
    client=ClientSide(
        read_request=read_request,
        read_conversation=read_conversation,
        write_reply=write_reply,
        encoder=StreamEncoder,
        write_error=write_error,
        rewrite=rewrite,
        relay=_relay,
        read_usage=read_usage,
        unfold=unfold,
        without_reasoning=without_reasoning,
        # Gemini's own clients break on a comment in the stream.
        keep_alive=None,
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
