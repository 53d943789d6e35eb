"""Ollama's native dialect, ``POST /api/chat`` (provider's side only; github.com/ollama/ollama, docs/api.md)."""

from __future__ import annotations

from typing import Final

from ..dialect import Dialect, ProviderSide
from ..fitting import ANY_NAME
from .errors import read_error
from .replies import read_reply
from .requests import LIMITS, write_request
from .streams import StreamDecoder

__all__ = ["DIALECT", "StreamDecoder", "read_error", "read_reply", "write_request"]

DIALECT: Final = Dialect(
    "ollama",
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
