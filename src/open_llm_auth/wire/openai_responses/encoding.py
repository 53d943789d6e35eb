"""Events as the stream, or the plain answer, that a client of this dialect expects
(https://platform.openai.com/docs/api-reference/responses-streaming)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from ...errors import GatewayError
from ..dialect import Answering
from ..events import (
    BlockEnded,
    Citation,
    Event,
    Finished,
    Logprobs,
    Opaque,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from ..signatures import seal_call_id
from .content import NAME
from .echo import response_head
from .errors import write_failure
from .output import CallItem, CustomCallItem, EventWriter, MessageItem, OutputItem, ReasoningItem, Status, whole_item
from .tools import ToolNames, WireName, names_in
from .usage import write_usage

__all__ = ["StreamEncoder"]

#: Why a response is not whole; the other reasons end one that is.
_INCOMPLETE: Final[Mapping[StopReason, str]] = {"length": "max_output_tokens", "refusal": "content_filter"}


class StreamEncoder:
    """Events to the bytes of a stream (dialect.StreamEncoder). `response` is what it has come to."""

    __slots__ = ("_answering", "_begun", "_events", "_held", "_item", "_names", "_output", "_refused", "response")

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._events = EventWriter()
        self._names: ToolNames | None = None
        self._output: list[dict[str, Any]] = []
        self._item: OutputItem | None = None
        self._begun = False
        self._refused = False
        #: proofs without words behind what was said; they are told where a call follows
        self._held: list[ThinkingSigned] = []
        self.response = response_head(answering, "")

    def feed(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            item = self._item
            if type(event) is TextDelta and type(item) is MessageItem and event.text:
                out.append(item.text(event.text))
            elif (tell := self._TELLERS.get(type(event))) is not None:
                if not self._begun:
                    out.append(self._begin(event.model if isinstance(event, Started) else ""))
                out.append(tell(self, event))
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        return write_failure(error, {**self.response, "output": self._output}, self._events.number)

    def _begin(self, model: str) -> bytes:
        self._begun = True
        if model:
            self.response["model"] = model
        head = {"response": self.response}
        return self._events.say("response.created", head) + self._events.say("response.in_progress", head)

    # ------------------------------------------------------------------------------------------ items

    def _close(self, status: Status = "completed") -> bytes:
        if self._item is None:
            return b""
        ending, value = self._item.close(status)
        self._output.append(value)
        self._item = None
        return ending

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._answering.id}{len(self._output):02x}"

    def _message(self) -> tuple[bytes, MessageItem]:
        """The message that is open; parts of text and refusals that follow each other share one."""
        if isinstance(self._item, MessageItem):
            return b"", self._item
        ending = self._close()
        item = self._item = MessageItem(self._events, self._id("msg"), len(self._output))
        return ending + item.open(), item

    def _reasoning(self) -> tuple[bytes, ReasoningItem]:
        if isinstance(self._item, ReasoningItem):
            return b"", self._item
        ending = self._close() + self._held_back()
        item = self._item = ReasoningItem(self._events, self._id("rs"), len(self._output))
        return ending + item.open(), item

    def _held_back(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(self._prove(event) for event in held)

    def _wire_name(self, flat: str) -> WireName:
        if self._names is None:
            self._names = names_in(self._answering.envelope)
        return self._names.wire(flat)

    # ------------------------------------------------------------------------------------------ events

    def _started(self, _event: Started) -> bytes:
        return b""

    def _text(self, event: TextDelta) -> bytes:
        if not event.text:
            return b""
        opening, item = self._message()
        return opening + item.text(event.text)

    def _refusal(self, event: RefusalDelta) -> bytes:
        if not event.text:
            return b""
        self._refused = True
        opening, item = self._message()
        return opening + item.refusal(event.text)

    def _citation(self, event: Citation) -> bytes:
        opening, item = self._message()
        return opening + item.cite(event)

    def _logprobs(self, event: Logprobs) -> bytes:
        opening, item = self._message()
        return opening + item.weigh(event.tokens)

    def _thinking(self, event: ThinkingDelta) -> bytes:
        if not event.text:
            return b""
        opening, item = self._reasoning()
        return opening + item.think(event.text)

    def _signed(self, event: ThinkingSigned) -> bytes:
        """Ends reasoning. A proof alone makes an item of its own, but not behind what is said, unless a call follows:
        Gemini signs its text too, and clients take the last item for the message."""
        foreign = event.signature.origin != NAME and not event.redacted
        if foreign and self._has_said() and not isinstance(self._item, ReasoningItem):
            self._held.append(event)
            return b""
        return self._prove(event)

    def _has_said(self) -> bool:
        """Whether there is anything beside reasoning."""
        return self._item is not None or any(item.get("type") != "reasoning" for item in self._output)

    def _prove(self, event: ThinkingSigned) -> bytes:
        opening, item = self._reasoning()
        item.sign(event.signature, redacted=event.redacted)
        return opening + self._close()

    def _call(self, event: ToolCallStarted) -> bytes:
        ending = self._close() + self._held_back()
        wire = self._wire_name(event.name)
        call_id = seal_call_id(event.id, event.signature)
        index = len(self._output)
        if wire.custom or event.custom:
            custom = CustomCallItem(self._events, self._id("ctc"), index, call_id, wire, wrapped=not event.custom)
            self._item = custom
            return ending + custom.open()
        call = CallItem(self._events, self._id("fc"), index, call_id, wire)
        self._item = call
        return ending + call.open()

    def _arguments(self, event: ToolCallDelta) -> bytes:
        item = self._item
        return item.fill(event.arguments) if isinstance(item, CallItem | CustomCallItem) and event.arguments else b""

    def _block_ended(self, _event: BlockEnded) -> bytes:
        return self._item.end_part() if isinstance(self._item, MessageItem) else self._close()

    def _opaque(self, event: Opaque) -> bytes:
        if event.dialect != NAME or not isinstance(event.value, dict):
            return b""
        ending = self._close() + self._held_back()
        told = whole_item(self._events, len(self._output), event.value)
        self._output.append(event.value)
        return ending + told

    def _finished(self, event: Finished) -> bytes:
        reason = None if event.reason == "refusal" and self._refused else _INCOMPLETE.get(event.reason)
        ending = self._close("completed" if reason is None else "incomplete")
        status = "completed" if reason is None else "incomplete"
        self.response |= {
            "status": status,
            "output": self._output,
            "usage": None if event.usage is None else write_usage(event.usage),
        }
        if reason is not None:
            self.response["incomplete_details"] = {"reason": reason}
        elif self._answering.now is not None:
            self.response["completed_at"] = self._answering.now()
        if event.service_tier is not None:
            self.response["service_tier"] = event.service_tier
        return ending + self._events.say(f"response.{status}", {"response": self.response})

    _TELLERS: ClassVar[Mapping[type, Callable[[StreamEncoder, Any], bytes]]] = {
        Started: _started,
        TextDelta: _text,
        RefusalDelta: _refusal,
        Citation: _citation,
        Logprobs: _logprobs,
        ThinkingDelta: _thinking,
        ThinkingSigned: _signed,
        ToolCallStarted: _call,
        ToolCallDelta: _arguments,
        BlockEnded: _block_ended,
        Opaque: _opaque,
        Finished: _finished,
    }
