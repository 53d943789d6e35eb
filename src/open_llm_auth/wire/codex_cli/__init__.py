"""Codex as a program: one prompt in, the lines of ``codex exec --json`` out (provider's side only).

Seen with codex-cli 0.169.0. It tells each item when it is finished, so text comes in one piece.
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
    "codex-cli",
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
