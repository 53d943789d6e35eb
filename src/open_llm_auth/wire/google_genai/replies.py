"""Plain GenerateContent answers to events and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from .. import sse
from ..dialect import Answering
from ..events import (
    Citation,
    Event,
    Failed,
    Finished,
    Logprobs,
    Opaque,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from .answer import AnswerReader
from .names import NAME
from .parts import Thoughts, call_part, finish_reason, signature_part
from .requests import shows_thoughts
from .sources import write_grounding, write_logprobs
from .usage import write_usage

__all__ = ["read_reply", "unfold", "write_reply"]

_WORD_LENGTH: Final = 60
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
#: JSON is laid out with line breaks that an event can't hold; inside a string there are none.
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")


def read_reply(body: bytes) -> list[Event]:
    """The events of a plain answer, each block said in one delta. A list is the stream of one answer.

    Raises:
        UpstreamInvalidResponse: the body is not an answer, or one that is of no use.
    """
    reader = AnswerReader()
    events = [event for response in _responses(body) for event in reader.take(response)] + reader.finish()
    if isinstance(events[-1], Failed):
        raise UpstreamInvalidResponse(f"The provider's answer is an error{_word(events[-1].error.type)}.")
    return _joined(events)


def _word(kind: str | None) -> str:
    """Google's own word for what went wrong; anything else might be a secret."""
    return f" ({kind})" if kind and kind.isidentifier() and kind.isupper() and len(kind) < _WORD_LENGTH else ""


def _responses(body: bytes) -> list[bytes]:
    if body.lstrip()[:1] != b"[":
        return [body]
    try:
        return [bytes(item) for item in _LIST.decode(body)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamInvalidResponse("The provider's answer is not JSON.") from error


def _joined(events: list[Event]) -> list[Event]:
    """Deltas that follow each other as one."""
    joined: list[Event] = []
    for event in events:
        before = joined[-1] if joined else None
        if isinstance(event, TextDelta) and isinstance(before, TextDelta):
            joined[-1] = TextDelta(before.text + event.text)
        elif isinstance(event, ThinkingDelta) and isinstance(before, ThinkingDelta):
            joined[-1] = ThinkingDelta(before.text + event.text, before.summary)
        else:
            joined.append(event)
    return joined


def unfold(body: bytes) -> bytes:
    """A plain answer as a stream of one event."""
    return sse.event(body.strip().translate(_ONE_LINE))


def write_reply(events: Sequence[Event], answering: Answering) -> bytes:
    """One GenerateContentResponse."""
    candidate = _Candidate(shows_thoughts(answering.envelope))
    model = answering.model
    usage: dict[str, Any] = {}
    for event in events:
        if isinstance(event, Started):
            model = event.model or model
        elif isinstance(event, Finished):
            candidate.finish(event)
            usage = {} if event.usage is None else {"usageMetadata": write_usage(event.usage)}
        else:
            candidate.take(event)
    response = {"candidates": [candidate.fields()], **usage, "modelVersion": model, "responseId": answering.id}
    return msgspec.json.encode(response)


class _Candidate:
    """The one candidate of an answer, part by part."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._parts: list[Any] = []
        #: what the last part is; parts of text and of thoughts grow
        self._growing: type[Event] | None = None
        self._call: tuple[ToolCallStarted, list[str]] | None = None
        self._thoughts = Thoughts()
        #: those that led to the open call, in their envelope, and how much was said before it
        self._led_by: str | None = None
        self._text_before = 0
        self._broken = False
        self._text: list[str] = []
        self._citations: list[Citation] = []
        self._tokens: Logprobs = Logprobs(())
        self._reason = ""

    def take(self, event: Event) -> None:
        match event:
            case ToolCallDelta(arguments=arguments):
                if self._call is not None:
                    self._call[1].append(arguments)
                return
            case Citation():
                self._citations.append(event)
                return
            case Logprobs(tokens=tokens):
                self._tokens = Logprobs(self._tokens.tokens + tokens)
                return
        self._close_call()
        self._thoughts.take(event, said=len(self._text) > self._text_before)
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                self._text.append(text)
                self._grow(type(event), {"text": text})
            case ThinkingDelta(text=text) if self._shown:
                self._grow(ThinkingDelta, {"text": text, "thought": True})
            case ThinkingSigned():
                self._sign(event)
            case ToolCallStarted():
                self._call = (event, [])
                self._led_by = self._thoughts.sealed()
                self._text_before = len(self._text)
            case Opaque(dialect=dialect, value=value) if dialect == NAME:
                self._add(value)
            case _:
                self._growing = None

    def finish(self, event: Finished) -> None:
        self._close_call()
        self._reason = finish_reason(event.reason, broken=self._broken)

    def fields(self) -> dict[str, Any]:
        content = (
            {"content": {"parts": self._parts, "role": "model"}} if self._parts else {"content": {"role": "model"}}
        )
        fields: dict[str, Any] = {**content, "finishReason": self._reason, "index": 0}
        if self._citations:
            fields["groundingMetadata"] = write_grounding(self._citations, "".join(self._text))
        if self._tokens.tokens:
            fields["logprobsResult"] = write_logprobs(self._tokens)
        return fields

    def _add(self, part: Any) -> None:
        self._parts.append(part)
        self._growing = None

    def _grow(self, kind: type[Event], part: dict[str, Any]) -> None:
        if self._growing is kind:
            self._parts[-1]["text"] += part["text"]
        elif part["text"]:
            self._parts.append(part)
            self._growing = kind

    def _sign(self, event: ThinkingSigned) -> None:
        part = signature_part(event, self._shown)
        if part is None:
            return
        if self._growing is ThinkingDelta:
            # The words and their proof are one part.
            self._parts[-1]["thoughtSignature"] = part["thoughtSignature"]
            self._growing = None
        else:
            self._add(part)

    def _close_call(self) -> None:
        if self._call is None:
            return
        started, arguments = self._call
        self._call = None
        part = call_part(started, "".join(arguments), self._led_by)
        if part is None:
            self._broken = True
        else:
            self._add(part)
