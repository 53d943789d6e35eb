"""Plain answers of chat completions: a provider's to events, and events to the one that a client wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..conversation import Thinking
from ..dialect import Answering
from ..events import (
    BlockEnded,
    Citation,
    ErrorBody,
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
from ..halves import Halves
from ..openai_error import read_error
from ..signatures import seal_call_id
from .answers import ending, read_logprobs, reason_told, tell_citation, tell_logprobs
from .deltas import Delta, Deltas
from .reasoning import NAME, tell_thinking
from .relay import error_within, says_something
from .usage import usage_from, write_usage

__all__ = ["read_reply", "write_reply"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Choice(msgspec.Struct):
    message: Delta
    index: Any = 0
    finish_reason: Any = None
    logprobs: Any = None
    stop_reason: Any = None
    matched_stop: Any = None
    error: Raw = _NULL


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    id: Any = None
    model: Any = None
    created: Any = None
    usage: Raw = _NULL
    error: Raw = _NULL
    service_tier: Any = None


_REPLY: Final = msgspec.json.Decoder(_Reply)


def read_reply(body: bytes) -> list[Event]:
    """The events of a plain answer; the one `Failed` where the body is an error instead.

    Raises:
        UpstreamInvalidResponse: the body is no chat completion.
    """
    try:
        reply = _REPLY.decode(Halves().mend(body))
    except _NOT_JSON as error:
        raise UpstreamInvalidResponse("The provider's answer is not a chat completion.") from error
    if not reply.choices:
        if says_something(reply.error):
            return [Failed(read_error(body) or ErrorBody("The provider answered with an error."))]
        raise UpstreamInvalidResponse("The provider's answer holds no choices.")
    choice = reply.choices[0]
    identity = reply.id if isinstance(reply.id, str) else ""
    model = reply.model if isinstance(reply.model, str) else ""
    created = int(reply.created) if type(reply.created) in (int, float) and 0 < reply.created < 1e12 else None
    out: list[Event] = [Started(identity, model, None, created)]
    deltas = Deltas()
    deltas.identity = identity
    deltas.take(choice.message, out, whole=True)
    logprobs = read_logprobs(choice.logprobs)
    if logprobs is not None:
        deltas.say(logprobs, out)
    deltas.end(out)
    if says_something(choice.error):
        return [*out, Failed(error_within(choice.error))]
    stopped = choice.stop_reason or choice.matched_stop
    usage, tier = usage_from(reply.usage), reply.service_tier
    out.append(ending(choice.finish_reason, stopped, usage, tier, called=deltas.called, refused=deltas.refused))
    return out


# ---------------------------------------------------------------------------------------------- to a client


def write_reply(events: Sequence[Event], answering: Answering) -> bytes:
    """The chat completion that the events come to.

    Raises:
        UpstreamInvalidResponse: they are of no whole answer.
    """
    message = _Message()
    for event in events:
        _TAKE[type(event)](message, event)
    finished = message.finished
    if finished is None:
        raise UpstreamInvalidResponse("The provider's answer broke off.")
    started = message.started
    reply: dict[str, Any] = {
        "id": f"chatcmpl-{answering.id}",
        "object": "chat.completion",
        "created": answering.created if started.created is None else started.created,
        "model": started.model or answering.model,
        "choices": [
            {
                "index": 0,
                "message": message.told(),
                "logprobs": {"content": message.logprobs, "refusal": None} if message.logprobs else None,
                "finish_reason": reason_told(finished, called=bool(message.calls), refused=message.refused),
            }
        ],
    }
    if finished.usage is not None:
        reply["usage"] = write_usage(finished.usage, thought=message.thought)
    if finished.service_tier is not None:
        reply["service_tier"] = finished.service_tier
    return msgspec.json.encode(reply)


class _Message:
    """The message as it grows. Its content is one text, whatever blocks it came in."""

    def __init__(self) -> None:
        self.started = Started()
        self.finished: Finished | None = None
        self.calls: list[dict[str, Any]] = []
        self.logprobs: list[dict[str, Any]] = []
        self._content: list[str] = []
        self._refusal: list[str] = []
        self._thoughts: list[tuple[Thinking, ThinkingSigned | None]] = []
        self._annotations: list[dict[str, Any]] = []
        self._more: dict[str, Any] = {}
        #: the first character of the block of text that is open
        self._block: int | None = None
        self._thought_open = False

    @property
    def refused(self) -> bool:
        return any(self._refusal)

    @property
    def thought(self) -> bool:
        return bool(self._thoughts)

    def told(self) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if not self._content and (self.calls or self._refusal) else "".join(self._content),
            "refusal": "".join(self._refusal) if self._refusal else None,
        }
        words = "".join(thinking.text for thinking, _ in self._thoughts)
        if words:
            message["reasoning_content"] = words
        details = [
            item
            for index, (thinking, signed) in enumerate(self._thoughts)
            for item in tell_thinking(thinking.text, signed, index, summary=thinking.summary)
        ]
        if details:
            message["reasoning_details"] = details
        if self._annotations:
            message["annotations"] = self._annotations
        if self.calls:
            message["tool_calls"] = self.calls
        return message | self._more

    # ------------------------------------------------------------------------------------------ event by event

    def start(self, event: Started) -> None:
        self.started = event

    def add_text(self, event: TextDelta) -> None:
        if self._block is None:
            self._block = sum(map(len, self._content))
        self._content.append(event.text)
        self._thought_open = False

    def add_refusal(self, event: RefusalDelta) -> None:
        self.end_block(event)
        self._refusal.append(event.text)

    def add_thinking(self, event: ThinkingDelta) -> None:
        if not event.text:
            return
        self._block = None
        if self._thought_open and self._thoughts[-1][0].summary == event.summary:
            thinking, _ = self._thoughts.pop()
            self._thoughts.append((Thinking(thinking.text + event.text, summary=event.summary), None))
        else:
            self._thoughts.append((Thinking(event.text, summary=event.summary), None))
        self._thought_open = True

    def add_signed(self, event: ThinkingSigned) -> None:
        ends = self._thought_open and not event.redacted
        thinking = self._thoughts.pop()[0] if ends else Thinking()
        self._thoughts.append((thinking, event))
        self.end_block(event)

    def add_call(self, event: ToolCallStarted) -> None:
        self.end_block(event)
        kind, inner = ("custom", {"input": ""}) if event.custom else ("function", {"arguments": ""})
        call_id = seal_call_id(event.id, event.signature)
        self.calls.append({"id": call_id, "type": kind, kind: {"name": event.name, **inner}})

    def add_arguments(self, event: ToolCallDelta) -> None:
        if self.calls:
            call = self.calls[-1]
            inner = call[call["type"]]
            inner["input" if call["type"] == "custom" else "arguments"] += event.arguments

    def add_citation(self, event: Citation) -> None:
        self._thought_open = False
        end = sum(map(len, self._content))
        told = tell_citation(event, (self._block or 0, end))
        if told is not None:
            self._annotations.append(told)

    def add_logprobs(self, event: Logprobs) -> None:
        self._thought_open = False
        self.logprobs += tell_logprobs(event)

    def end_block(self, _event: object) -> None:
        self._block = None
        self._thought_open = False

    def add_opaque(self, event: Opaque) -> None:
        self._thought_open = False
        if event.dialect == NAME and isinstance(event.value, dict):
            self._more |= event.value

    def finish(self, event: Finished) -> None:
        self.finished = event
        for call in self.calls:
            if call["type"] == "function" and not call["function"]["arguments"].strip():
                call["function"]["arguments"] = "{}"

    def fail(self, _event: Failed) -> None:
        raise UpstreamInvalidResponse("The provider's answer ended with an error.")


_TAKE: Final[Mapping[type, Callable[[_Message, Any], None]]] = {
    Started: _Message.start,
    TextDelta: _Message.add_text,
    RefusalDelta: _Message.add_refusal,
    ThinkingDelta: _Message.add_thinking,
    ThinkingSigned: _Message.add_signed,
    ToolCallStarted: _Message.add_call,
    ToolCallDelta: _Message.add_arguments,
    Citation: _Message.add_citation,
    Logprobs: _Message.add_logprobs,
    BlockEnded: _Message.end_block,
    Opaque: _Message.add_opaque,
    Finished: _Message.finish,
    Failed: _Message.fail,
}
