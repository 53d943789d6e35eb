"""Amazon Bedrock's Converse and ConverseStream, as providers speak them; no client does."""

from __future__ import annotations

import re
from typing import Final

from ..dialect import Dialect, ProviderSide
from ..fitting import NameRule
from .errors import read_error
from .families import LIMITS, limits_of
from .replies import NAME, read_reply
from .requests import write_request
from .streams import StreamDecoder

__all__ = ["DIALECT", "LIMITS", "StreamDecoder", "limits_of", "read_error", "read_reply", "write_request"]

DIALECT: Final = Dialect(
    NAME,
    provider=ProviderSide(
        write_request=write_request,
        read_reply=read_reply,
        decoder=StreamDecoder,
        read_error=read_error,
        limits=LIMITS,
        limits_of=limits_of,
        tool_names=NameRule(re.compile(r"[^a-zA-Z0-9_-]"), 64),
        call_ids=NameRule(re.compile(r"[^a-zA-Z0-9_.:-]"), 64),
    ),
)
