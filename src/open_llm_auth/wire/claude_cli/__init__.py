"""Claude Code as a program: one prompt in, ``--output-format stream-json`` out (provider's side only).

Seen with Claude Code 2.1.197. What it writes is its own lines around the events of Anthropic's Messages API.
"""

from __future__ import annotations

from typing import Final

from ..dialect import Dialect, ProviderSide
from ..fitting import ANY_NAME
from .errors import read_error
from .replies import read_reply
from .requests import LIMITS, Prompt, write_request
from .streams import StreamDecoder

__all__ = ["DIALECT", "Prompt", "StreamDecoder", "read_error", "read_reply", "write_request"]

DIALECT: Final = Dialect(
    "claude-cli",
    provider=ProviderSide(
        write_request=write_request,
        read_reply=read_reply,
        decoder=StreamDecoder,
        read_error=read_error,
        limits=LIMITS,
        tool_names=ANY_NAME,
        call_ids=ANY_NAME,
    ),
)
