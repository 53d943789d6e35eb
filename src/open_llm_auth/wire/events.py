"""What happened in a model's answer, without a dialect."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ErrorBody", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the provider counted them. `input` includes cached tokens, `output` includes reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What a provider said about its own failure, unscrubbed: it may quote a credential or a prompt.

    `code` is text whatever it was on the wire. `retry_after` is seconds, where the body itself states them.
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
