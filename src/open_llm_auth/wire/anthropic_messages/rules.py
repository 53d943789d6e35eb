"""Words, names and ids of Anthropic's Messages dialect that more than one of its files needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..dialect import DialectName
from ..events import StopReason
from ..fitting import NameRule

__all__ = ["CALL_IDS", "NAME", "READ_TIERS", "STOP_REASONS", "STOP_WORDS", "TOOL_NAMES", "WRITTEN_TIERS"]

#: Origin of the signatures that this dialect issues.
NAME: Final[DialectName] = "anthropic-messages"

_ODD: Final = re.compile(r"[^a-zA-Z0-9_-]")
TOOL_NAMES: Final = NameRule(_ODD, 128)
CALL_IDS: Final = NameRule(_ODD, 256)

#: What ends an answer, as it is read. A word that is not here is an ordinary end.
STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
#: And as it is written.
STOP_WORDS: Final[Mapping[StopReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "pause": "pause_turn",
    "refusal": "refusal",
}

#: Service tiers of answers. Between dialects they are called as OpenAI calls them.
READ_TIERS: Final[Mapping[str, str]] = {"standard": "default", "priority": "priority", "batch": "flex"}
WRITTEN_TIERS: Final[Mapping[str, str]] = {"default": "standard", "priority": "priority", "flex": "batch"}
