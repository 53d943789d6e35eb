"""GenerateContentResponse objects to events (https://ai.google.dev/api/generate-content): one of them, or a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..envelope import first_byte
from ..events import (
    Citation,
    ErrorBody,
    Event,
    Failed,
    Finished,
    Opaque,
    Signature,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from ..halves import Halves
from ..openai_error import read_error
from .names import NAME
from .sources import read_citations, read_grounding, read_logprobs
from .usage import usage_from

__all__ = ["AnswerReader"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")


class _Call(msgspec.Struct):
    id: str | None = None
    name: str = ""
    args: Raw = _NULL


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    grounding_metadata: Raw = _NULL
    citation_metadata: Raw = _NULL
    logprobs_result: Raw = _NULL


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Response(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: Raw = _NULL
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: _Feedback | None = None
    error: Raw = _NULL


_RESPONSE: Final = msgspec.json.Decoder(_Response)
_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: Candidate.FinishReason. A word that is not here ends an answer like STOP, if there was one.
_REASONS: Final[Mapping[str, StopReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "IMAGE_SAFETY": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
    "IMAGE_RECITATION": "refusal",
    "MODEL_ARMOR": "refusal",
    "ESCALATION": "refusal",
    "PUP_LIMITED_DISABLED": "refusal",
}
#: The model said something that is no answer: whoever called may try again.
_BROKEN: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)
_NOTHING_BESIDE: Final = (_NULL, _NULL, _NULL)
_UNSAID: Final = "FINISH_REASON_UNSPECIFIED"
_CALL_ID_LENGTH: Final = 24


class AnswerReader:
    """Takes the responses of one answer in order. Of several candidates only the first is read.

    `over`: a `Failed` was given, and nothing comes after it.
    """

    __slots__ = (
        "_blocked",
        "_called",
        "_cited",
        "_halves",
        "_reason",
        "_reason_text",
        "_said",
        "_started",
        "_text",
        "_usage",
        "over",
    )

    def __init__(self) -> None:
        self.over = False
        self._halves = Halves()
        self._started = False
        #: whether anything was said, and whether a function was called
        self._said = False
        self._called = False
        self._blocked = False
        self._reason: str | None = None
        self._reason_text = ""
        self._usage: Raw = _NULL
        #: what the open block of text says, for offsets into it
        self._text: list[str] = []
        self._cited: set[Citation] = set()

    def take(self, data: bytes) -> list[Event]:
        """The events of one response.

        Raises:
            UpstreamInvalidResponse: it is not one.
        """
        if self.over:
            return []
        data = self._halves.mend(data)
        try:
            response = _RESPONSE.decode(data)
        except _NOT_JSON as error:
            raise UpstreamInvalidResponse("The provider's answer is not a GenerateContent response.") from error
        if first_byte(response.error) != ord("n"):
            self.over = True
            return [Failed(read_error(data) or ErrorBody("The provider reported an error."))]
        events: list[Event] = []
        if first_byte(response.usage_metadata) == ord("{"):
            self._usage = response.usage_metadata
        if not self._started and _says_something(response):
            self._started = True
            events.append(self._start(response))
        if response.prompt_feedback is not None and response.prompt_feedback.block_reason:
            self._blocked = True
        for candidate in response.candidates or ():
            if not candidate.index:
                self._candidate(candidate, data, events)
                break
        return events

    def finish(self) -> list[Event]:
        """The last event.

        Raises:
            UpstreamInvalidResponse: the answer stopped before its end.
        """
        if self.over:
            return []
        self.over = True
        usage = usage_from(self._usage)
        if self._reason is None:
            if not self._blocked:
                raise UpstreamInvalidResponse("The provider's answer stopped before it was complete.")
            return [Finished("refusal", usage)]
        reason = _REASONS.get(self._reason)
        if self._reason in _BROKEN or (reason is None and not self._said):
            return [Failed(self._failure())]
        if self._called and reason in ("stop", None):
            reason = "tool_calls"
        return [Finished(reason or "stop", usage)]

    def _start(self, response: _Response) -> Started:
        usage = usage_from(self._usage)
        known = None if usage is None else Usage(input=usage.input, cache_read=usage.cache_read)
        return Started(response.response_id or "", response.model_version or "", known)

    def _candidate(self, candidate: _Candidate, data: bytes, events: list[Event]) -> None:
        content = candidate.content
        if content is not None and content.parts:
            for number, part in enumerate(content.parts):
                self._part(part, number, data, events)
        beside = (candidate.logprobs_result, candidate.grounding_metadata, candidate.citation_metadata)
        if beside != _NOTHING_BESIDE:
            self._beside(candidate, events)
        if candidate.finish_reason and candidate.finish_reason != _UNSAID:
            self._reason = candidate.finish_reason
            self._reason_text = candidate.finish_message or ""

    def _part(self, part: _Part, number: int, data: bytes, events: list[Event]) -> None:
        text = part.text
        if part.function_call is not None:
            self._call(part.function_call, part.thought_signature, number, data, events)
        elif text is None and part.thought_signature is None:
            self._opaque(number, data, events)
        elif part.thought:
            if text:
                self._say(events, ThinkingDelta(text, summary=True))
            self._sign(part.thought_signature, events)
        else:
            if text:
                self._said = True
                self._text.append(text)
                events.append(TextDelta(text))
            self._sign(part.thought_signature, events)

    def _say(self, events: list[Event], event: Event) -> None:
        """Something that is no text, and so ends a block of it."""
        self._said = True
        self._text.clear()
        events.append(event)

    def _sign(self, signature: str | None, events: list[Event]) -> None:
        if signature:
            self._text.clear()
            events.append(ThinkingSigned(Signature(NAME, signature)))

    def _call(self, call: _Call, signature: str | None, number: int, data: bytes, events: list[Event]) -> None:
        if not call.name:
            raise UpstreamInvalidResponse("The provider's answer calls a function without a name.")
        self._called = True
        # Ids are optional here. One made from the bytes that hold the call is the same whenever it is read.
        call_id = call.id or "call_" + hashlib.sha256(b"%d %b" % (number, data)).hexdigest()[:_CALL_ID_LENGTH]
        sealed = Signature(NAME, signature) if signature else None
        self._say(events, ToolCallStarted(call_id, call.name, signature=sealed))
        arguments = _arguments(call.args)
        if arguments != "{}":
            events.append(ToolCallDelta(arguments))

    def _opaque(self, number: int, data: bytes, events: list[Event]) -> None:
        """A part of another kind: an image, code that was run, its result."""
        try:
            candidates = _ANY.decode(data)["candidates"]
        except _NOT_JSON as error:
            raise UpstreamInvalidResponse("The provider's answer holds a part that is not JSON.") from error
        first = next(candidate for candidate in candidates if not candidate.get("index"))
        value = first["content"]["parts"][number]
        if value:
            self._say(events, Opaque(NAME, value))

    def _beside(self, candidate: _Candidate, events: list[Event]) -> None:
        text = "".join(self._text)
        logprobs = _read(read_logprobs, candidate.logprobs_result)
        if logprobs is not None:
            events.append(logprobs)
        cited = _read(lambda raw: read_citations(raw, text), candidate.citation_metadata) or []
        cited += _read(lambda raw: read_grounding(raw, text), candidate.grounding_metadata) or []
        for citation in cited:
            # A stream may tell its sources again with every chunk.
            if citation not in self._cited:
                self._cited.add(citation)
                events.append(citation)

    def _failure(self) -> ErrorBody:
        why = f": {self._reason_text}" if self._reason_text else "."
        return ErrorBody(f"The model gave no answer that can be used ({self._reason}){why}", type=self._reason)


def _read(read: Callable[[Raw], Any], raw: Raw) -> Any:
    """What stands beside an answer; nonsense there is no reason to lose the answer."""
    if first_byte(raw) != ord("{"):
        return None
    try:
        return read(raw)
    except _NOT_JSON:
        return None


def _says_something(response: _Response) -> bool:
    return (
        response.candidates is not None or response.prompt_feedback is not None or response.usage_metadata is not _NULL
    )


def _arguments(raw: Raw) -> str:
    """A call's arguments on one line, however the answer was laid out."""
    if first_byte(raw) == ord("n"):
        return "{}"
    try:
        if not isinstance(_ANY.decode(raw), dict):
            raise UpstreamInvalidResponse("The provider's answer calls a function with arguments that are no object.")
    except _NOT_JSON as error:
        raise UpstreamInvalidResponse(
            "The provider's answer calls a function with arguments that are no JSON."
        ) from error
    return msgspec.json.format(bytes(raw), indent=-1).decode()
