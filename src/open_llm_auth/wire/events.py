"""What happens in a model's answer, without a dialect: one closed union, read and written by every dialect.

Order is part of the meaning. An answer is `Started`, then blocks, then `Finished` or `Failed`, which come last and
once. A block is a run of events of one kind: text (`TextDelta`, `Citation`, `Logprobs`), refusal (`RefusalDelta`),
thinking (`ThinkingDelta`, then at most one `ThinkingSigned`) or one tool call (`ToolCallStarted`, then
`ToolCallDelta`). A block ends where an event of another kind comes, where a `ToolCallStarted` comes, or at a
`BlockEnded`, which parts two blocks of the same kind. Blocks never interleave: a decoder of a dialect that lets them
(OpenAI chat's tool calls) puts them in order (`sequence.py`). A plain answer is the same list of events, each block
said in one delta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

__all__ = [
    "CONTENT",
    "UPSTREAM_DETAILS",
    "BlockEnded",
    "Citation",
    "ErrorBody",
    "Event",
    "Failed",
    "Finished",
    "Logprobs",
    "Opaque",
    "RefusalDelta",
    "Signature",
    "Started",
    "StopReason",
    "TextDelta",
    "ThinkingDelta",
    "ThinkingSigned",
    "TokenLogprob",
    "ToolCallDelta",
    "ToolCallStarted",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the provider counted them. `input` includes cached tokens, read and written; `output`
    includes reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What a provider said about its own failure, unscrubbed: it may quote a credential or a prompt.

    `code` is text whatever it was on the wire. `retry_after` is seconds, where the body itself states them. `details`
    are Google's: objects that name their ``@type``.
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    details: tuple[Mapping[str, Any], ...] = ()


#: Why an answer ended. `length` is a token limit (the context window too), `stop_sequence` one of the caller's own,
#: `refusal` a safety system, `pause` a turn that the caller is to continue (Anthropic's `pause_turn`).
StopReason = Literal["stop", "length", "tool_calls", "stop_sequence", "refusal", "pause"]


class Signature(msgspec.Struct, frozen=True):
    """Proof of reasoning, or reasoning that is sealed. Only its `origin`, the dialect that issued it, can read it.

    `value` is the text exactly as that dialect wrote it. `id` is the item's own id where the origin wants it back.
    """

    origin: str
    value: str
    id: str = ""


class Started(msgspec.Struct, frozen=True):
    """The answer begins. `usage` is what is known so far, input only. `created` is seconds since the epoch.
    `service_tier` is the one that serves it, where that is told already."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None
    created: int | None = None
    service_tier: str | None = None


class TextDelta(msgspec.Struct, frozen=True):
    text: str


class RefusalDelta(msgspec.Struct, frozen=True):
    """Words of the model that decline, where the dialect tells them from text (OpenAI). `Finished` says so too."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    """Reasoning in words. `summary` says that they are a summary of it."""

    text: str
    summary: bool = False


class ThinkingSigned(msgspec.Struct, frozen=True):
    """Ends a thinking block. Without a `ThinkingDelta` before it the block is one whose words are withheld.

    `redacted`: the value is Anthropic's `redacted_thinking` and not the signature of words.
    """

    signature: Signature
    redacted: bool = False


class ToolCallStarted(msgspec.Struct, frozen=True):
    """`custom`: the deltas are free text and not JSON (OpenAI's custom tools). `signature` is Gemini's for the call."""

    id: str
    name: str
    custom: bool = False
    signature: Signature | None = None


class ToolCallDelta(msgspec.Struct, frozen=True):
    """A piece of the arguments' JSON text. A call without any is a call with ``{}``."""

    arguments: str


class Citation(msgspec.Struct, frozen=True):
    """A source of the text block it stands in. Offsets are characters of that block's text."""

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int | None = None
    end: int | None = None


class TokenLogprob(msgspec.Struct, frozen=True):
    """One token with its natural logarithm of probability and, in `top`, its rivals."""

    token: str
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


class Logprobs(msgspec.Struct, frozen=True):
    tokens: tuple[TokenLogprob, ...]


class BlockEnded(msgspec.Struct, frozen=True):
    """The block before it is over; what comes next is another, even of the same kind."""


class Opaque(msgspec.Struct, frozen=True):
    """An item that has no meaning outside its dialect, as its JSON says it: only that dialect writes it again."""

    dialect: str
    value: Any


class Finished(msgspec.Struct, frozen=True):
    """The answer is whole. `usage` is the final count. `stop_sequence` is the one that was met, where it is known."""

    reason: StopReason
    usage: Usage | None = None
    stop_sequence: str | None = None
    service_tier: str | None = None


class Failed(msgspec.Struct, frozen=True):
    """The provider reported an error within an answer that had begun."""

    error: ErrorBody


Event = (
    Started
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | ThinkingSigned
    | ToolCallStarted
    | ToolCallDelta
    | Citation
    | Logprobs
    | BlockEnded
    | Opaque
    | Finished
    | Failed
)

#: Under what name an error of ours keeps the details of a provider's.
UPSTREAM_DETAILS: Final = "upstreamDetails"

#: What commits a stream (SPEC §5): something a client has seen.
CONTENT: Final = (TextDelta, RefusalDelta, ThinkingDelta, ThinkingSigned, ToolCallStarted, Opaque)
