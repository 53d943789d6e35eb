"""An answer between two sides that both speak GenerateContent: relayed as the bytes it is, and watched on its way."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import GatewayError
from .. import sse
from ..envelope import first_byte
from ..events import ErrorBody, Usage
from ..openai_error import read_error
from ..relaying import EventRelay
from .errors import write_stream_error
from .usage import read_usage, usage_from

__all__ = ["StreamRelay"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")


class _Candidate(msgspec.Struct, rename="camel"):
    content: Raw = _NULL
    finish_reason: Any = None
    index: Any = 0


class _Response(msgspec.Struct, rename="camel"):
    """The part of a response that matters to a relay."""

    candidates: list[_Candidate] | None = None
    usage_metadata: Raw = _NULL
    prompt_feedback: dict[str, Raw] | None = None
    error: Raw = _NULL


class _Content(msgspec.Struct):
    parts: list[dict[str, Raw]] | None = None


_RESPONSE: Final = msgspec.json.Decoder(_Response)
_CONTENT: Final = msgspec.json.Decoder(_Content)
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: What a client does not see.
_UNSEEN: Final = frozenset({"thought", "thoughtSignature", "partMetadata"})
_EMPTY: Final = (b'""', b"null", b"{}")
_FAILED: Final = ErrorBody("The provider reported an error in the stream.")


class StreamRelay(EventRelay):
    """Watches one streamed answer go by. Nothing marks its end: it is whole when each candidate gave its reason.

    Comments stay behind: Gemini's own clients break on them. `choices` is how many candidates were asked for.
    """

    __slots__ = ("_blocked", "_choices", "_counted", "_finished", "_open", "_uncounted")

    def __init__(self, choices: int = 1) -> None:
        self._counted: Usage | None = None
        #: the last events that went by without a look, each of which counts tokens
        self._uncounted = b""
        super().__init__()
        self._choices = choices
        self._blocked = False
        self._open: set[object] = set()
        self._finished: set[object] = set()

    @property
    def usage(self) -> Usage | None:
        """The last count. Every response has one, so it is read when it is asked for."""
        if self._uncounted:
            events, self._uncounted = sse.split_events(self._uncounted), b""
            found = (read_usage(data) for event in reversed(events) if (data := sse.data_of(event)))
            self._counted = next((usage for usage in found if usage is not None), self._counted)
        return self._counted

    @usage.setter
    def usage(self, usage: Usage | None) -> None:
        self._counted = usage
        self._uncounted = b""

    def fail(self, error: GatewayError) -> bytes:
        """The error as one event, which ends the stream."""
        return write_stream_error(error)

    def _is_plain(self, block: bytes) -> bool:
        """Nothing in these events but content and counts. Inside a JSON string the quotes of a key would be escaped."""
        if (
            not block.startswith(b"data:")
            or b'"finishReason"' in block
            or b'"error"' in block
            or b'"promptFeedback"' in block
            or b"\n:" in block
            or b"\r:" in block
        ):
            return False
        if b'"usageMetadata"' in block:
            self._uncounted = block
        return True

    def _inspect(self, block: bytes) -> bytes:
        kept = []
        for event in sse.split_events(block):
            data = sse.data_of(event)
            if data is not None and self._keeps(event, b"", data.strip()):
                kept.append(event)
            if self.failure is not None:
                break
        return b"".join(kept)

    def _keeps(self, event: bytes, name: bytes, data: bytes) -> bool:  # noqa: ARG002 - events have no names here
        try:
            response = _RESPONSE.decode(data)
        except _NOT_JSON:
            # Not ours to judge: a client may know what it means. An error may come as a list of one.
            self.failure = read_error(data) if data.startswith(b"[") else None
            return self.failure is None
        if first_byte(response.error) != ord("n"):
            self.failure = read_error(data) or _FAILED
            return False
        self.usage = usage_from(response.usage_metadata) or self.usage
        if response.prompt_feedback and _says_something(response.prompt_feedback.get("blockReason")):
            self._blocked = True
        for candidate in response.candidates or ():
            self._follow(candidate)
        return True

    def _follow(self, candidate: _Candidate) -> None:
        index = candidate.index if isinstance(candidate.index, int) else 0
        self._open.add(index)
        if not self.committed and _has_content(candidate.content):
            self.committed = True
        if candidate.finish_reason:
            self._finished.add(index)

    def _is_whole(self) -> bool:
        if self._blocked and not self._open:
            return True
        return bool(self._finished) and self._open <= self._finished and len(self._finished) >= self._choices


def _says_something(raw: Raw | None) -> bool:
    return raw is not None and bytes(raw) not in _EMPTY


def _has_content(raw: Raw) -> bool:
    if first_byte(raw) != ord("{"):
        return False
    try:
        parts = _CONTENT.decode(raw).parts or ()
    except _NOT_JSON:
        return False
    return any(_says_something(value) for part in parts for name, value in part.items() if name not in _UNSEEN)
