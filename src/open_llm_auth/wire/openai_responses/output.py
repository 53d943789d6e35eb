"""The items of an answer as they are written: each knows the events that open, fill and close it."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from .. import sse
from ..events import Citation, Signature, TokenLogprob
from ..signatures import seal
from .content import NAME
from .items import REDACTED
from .tools import CustomInput, WireName

__all__ = ["CallItem", "CustomCallItem", "EventWriter", "MessageItem", "OutputItem", "ReasoningItem", "whole_item"]

_JSON: Final = msgspec.json.Encoder()
#: Where the number and the text of a delta go. It stands in no JSON.
_GAP: Final = b"\0"

Status = Literal["completed", "incomplete"]
Frame = tuple[bytes, bytes, bytes]


class EventWriter:
    """Writes events and numbers them."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0

    def say(self, kind: str, fields: dict[str, Any]) -> bytes:
        event = {"type": kind, "sequence_number": self.number, **fields}
        self.number += 1
        return sse.event(_JSON.encode(event), kind)

    def delta(self, frame: Frame, text: str) -> bytes:
        """The event that comes for every piece of an answer: all but its text and its number is made once."""
        number = self.number
        self.number = number + 1
        return b"%b%d%b%b%b" % (frame[0], number, frame[1], _JSON.encode(text), frame[2])


def _frame(kind: str, fields: dict[str, Any], more: bytes = b"") -> Frame:
    inner = _JSON.encode(fields)[1:-1]
    data = b'{"type":"%b","sequence_number":%b,%b,"delta":%b%b}' % (kind.encode(), _GAP, inner, _GAP, more)
    head, middle, tail = sse.event(data, kind).split(_GAP)
    return head, middle, tail


class OutputItem:
    """What all items have in common: an id, a place in the output, a beginning and an end."""

    __slots__ = ("_events", "_id", "_index")

    def __init__(self, events: EventWriter, item_id: str, index: int) -> None:
        self._events = events
        self._id = item_id
        self._index = index

    def _added(self, item: dict[str, Any]) -> bytes:
        return self._events.say("response.output_item.added", {"output_index": self._index, "item": item})

    def _done(self, item: dict[str, Any]) -> bytes:
        return self._events.say("response.output_item.done", {"output_index": self._index, "item": item})

    def _say(self, kind: str, fields: dict[str, Any]) -> bytes:
        """An event about this item."""
        return self._events.say(kind, {"item_id": self._id, "output_index": self._index, **fields})

    def open(self) -> bytes:
        raise NotImplementedError

    def close(self, status: Status) -> tuple[bytes, dict[str, Any]]:
        """The events that end it, and the item as it has become."""
        raise NotImplementedError


def whole_item(events: EventWriter, index: int, value: dict[str, Any]) -> bytes:
    """An item of this dialect that came as a whole."""
    item = {"output_index": index, "item": value}
    return events.say("response.output_item.added", item) + events.say("response.output_item.done", item)


class MessageItem(OutputItem):
    """A message: parts of text and refusals, one after the other."""

    __slots__ = ("_annotations", "_frame", "_kind", "_length", "_logprobs", "_parts", "_pieces")

    def __init__(self, events: EventWriter, item_id: str, index: int) -> None:
        super().__init__(events, item_id, index)
        self._parts: list[dict[str, Any]] = []
        #: the part that is open
        self._kind = ""
        self._pieces: list[str] = []
        self._length = 0
        self._annotations: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []
        self._frame: Frame = (b"", b"", b"")

    def open(self) -> bytes:
        return self._added(self._item("in_progress"))

    def text(self, text: str) -> bytes:
        if self._kind == "output_text":
            self._pieces.append(text)
            return self._events.delta(self._frame, text)
        return self._begin("output_text") + self._first(text)

    def refusal(self, text: str) -> bytes:
        opening = b"" if self._kind == "refusal" else self._begin("refusal")
        return opening + self._first(text)

    def cite(self, citation: Citation) -> bytes:
        """A source, which stands where the text has come to unless it says otherwise."""
        opening = b"" if self._kind == "output_text" else self._begin("output_text")
        annotation = _annotation(citation, sum(map(len, self._pieces)))
        fields = {
            "content_index": len(self._parts),
            "annotation_index": len(self._annotations),
            "annotation": annotation,
        }
        self._annotations.append(annotation)
        return opening + self._say("response.output_text.annotation.added", fields)

    def weigh(self, tokens: tuple[TokenLogprob, ...]) -> bytes:
        """Logarithms of probability, in a delta of their own that adds no text."""
        opening = b"" if self._kind == "output_text" else self._begin("output_text")
        rows = [_logprob(token) for token in tokens]
        self._logprobs += rows
        fields = {"content_index": len(self._parts), "delta": "", "logprobs": rows}
        return opening + self._say("response.output_text.delta", fields)

    def end_part(self) -> bytes:
        if not self._kind:
            return b""
        text = "".join(self._pieces)
        part = self._part(text)
        place = {"content_index": len(self._parts)}
        said: dict[str, Any] = {"refusal": text}
        if self._kind == "output_text":
            said = {"text": text, "logprobs": self._logprobs}
        ending = self._say(f"response.{self._kind}.done", {**place, **said})
        ending += self._say("response.content_part.done", {**place, "part": part})
        self._parts.append(part)
        self._kind = ""
        return ending

    def close(self, status: Status) -> tuple[bytes, dict[str, Any]]:
        ending = self.end_part()
        item = self._item(status)
        return ending + self._done(item), item

    def _begin(self, kind: Literal["output_text", "refusal"]) -> bytes:
        ending = self.end_part()
        self._kind = kind
        self._pieces, self._annotations, self._logprobs = [], [], []
        place = {"item_id": self._id, "output_index": self._index, "content_index": len(self._parts)}
        self._frame = _frame(f"response.{kind}.delta", place, b',"logprobs":[]' if kind == "output_text" else b"")
        return ending + self._say(
            "response.content_part.added", {"content_index": len(self._parts), "part": self._part("")}
        )

    def _first(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._events.delta(self._frame, text)

    def _part(self, text: str) -> dict[str, Any]:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": self._annotations, "logprobs": self._logprobs, "text": text}

    def _item(self, status: str) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "status": status, "content": list(self._parts), "role": "assistant"}


class ReasoningItem(OutputItem):
    """Reasoning: what is told of it is a summary here, and its proof travels sealed."""

    __slots__ = ("_frame", "_pieces", "_signature")

    def __init__(self, events: EventWriter, item_id: str, index: int) -> None:
        super().__init__(events, item_id, index)
        self._pieces: list[str] = []
        self._signature = ""
        self._frame: Frame | None = None

    def open(self) -> bytes:
        return self._added(self._item("in_progress"))

    def think(self, text: str) -> bytes:
        if self._frame is not None:
            self._pieces.append(text)
            return self._events.delta(self._frame, text)
        place = {"item_id": self._id, "output_index": self._index, "summary_index": 0}
        self._frame = _frame("response.reasoning_summary_text.delta", place)
        opening = self._say("response.reasoning_summary_part.added", {"summary_index": 0, "part": _summary("")})
        self._pieces.append(text)
        return opening + self._events.delta(self._frame, text)

    def sign(self, signature: Signature, *, redacted: bool) -> None:
        if signature.origin == NAME:
            self._id = signature.id or self._id
            self._signature = signature.value
        else:
            marked = msgspec.structs.replace(signature, id=REDACTED) if redacted else signature
            self._signature = seal(marked)

    def close(self, status: Status) -> tuple[bytes, dict[str, Any]]:
        ending = b""
        if self._frame is not None:
            text = "".join(self._pieces)
            ending = self._say("response.reasoning_summary_text.done", {"summary_index": 0, "text": text})
            ending += self._say("response.reasoning_summary_part.done", {"summary_index": 0, "part": _summary(text)})
        item = self._item(status)
        return ending + self._done(item), item

    def _item(self, status: str) -> dict[str, Any]:
        summary = [_summary("".join(self._pieces))] if self._pieces else []
        item = {"id": self._id, "type": "reasoning", "status": status, "summary": summary}
        return {**item, "encrypted_content": self._signature} if self._signature else item


class CallItem(OutputItem):
    """A call of a function."""

    __slots__ = ("_call_id", "_frame", "_pieces", "_wire")

    def __init__(self, events: EventWriter, item_id: str, index: int, call_id: str, wire: WireName) -> None:
        super().__init__(events, item_id, index)
        self._call_id = call_id
        self._wire = wire
        self._pieces: list[str] = []
        place = {"item_id": item_id, "output_index": index}
        self._frame = _frame("response.function_call_arguments.delta", place)

    def open(self) -> bytes:
        return self._added(self._item("in_progress", ""))

    def fill(self, piece: str) -> bytes:
        self._pieces.append(piece)
        return self._events.delta(self._frame, piece)

    def close(self, status: Status) -> tuple[bytes, dict[str, Any]]:
        ending = b"" if self._pieces else self.fill("{}")
        arguments = "".join(self._pieces)
        fields = {"name": self._wire.name, "arguments": arguments}
        ending += self._say("response.function_call_arguments.done", fields)
        item = self._item(status, arguments)
        return ending + self._done(item), item

    def _item(self, status: str, arguments: str) -> dict[str, Any]:
        item = {
            "id": self._id,
            "type": "function_call",
            "status": status,
            "arguments": arguments,
            "call_id": self._call_id,
            "name": self._wire.name,
        }
        return {**item, "namespace": self._wire.namespace} if self._wire.namespace else item


class CustomCallItem(OutputItem):
    """A call of a custom tool: free text, which other dialects carry as the one string of a function."""

    __slots__ = ("_call_id", "_frame", "_pieces", "_unwrapping", "_wire")

    def __init__(
        self, events: EventWriter, item_id: str, index: int, call_id: str, wire: WireName, *, wrapped: bool
    ) -> None:
        super().__init__(events, item_id, index)
        self._call_id = call_id
        self._wire = wire
        self._unwrapping = CustomInput() if wrapped else None
        self._pieces: list[str] = []
        place = {"item_id": item_id, "output_index": index}
        self._frame = _frame("response.custom_tool_call_input.delta", place)

    def open(self) -> bytes:
        return self._added(self._item("in_progress", ""))

    def fill(self, piece: str) -> bytes:
        text = piece if self._unwrapping is None else self._unwrapping.feed(piece)
        return self._told(text)

    def close(self, status: Status) -> tuple[bytes, dict[str, Any]]:
        rest, whole = self._unwrapping.end() if self._unwrapping is not None else ("", "".join(self._pieces))
        ending = self._told(rest) + self._say("response.custom_tool_call_input.done", {"input": whole})
        item = self._item(status, whole)
        return ending + self._done(item), item

    def _told(self, text: str) -> bytes:
        if not text:
            return b""
        self._pieces.append(text)
        return self._events.delta(self._frame, text)

    def _item(self, status: str, text: str) -> dict[str, Any]:
        item = {
            "id": self._id,
            "type": "custom_tool_call",
            "status": status,
            "call_id": self._call_id,
            "input": text,
            "name": self._wire.name,
        }
        return {**item, "namespace": self._wire.namespace} if self._wire.namespace else item


def _summary(text: str) -> dict[str, str]:
    return {"type": "summary_text", "text": text}


def _annotation(citation: Citation, length: int) -> dict[str, Any]:
    end = length if citation.end is None else citation.end
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or citation.quote,
        "start_index": min(citation.start or 0, end),
        "end_index": end,
    }


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    top = [{"token": one.token, "bytes": list(one.token.encode()), "logprob": one.logprob} for one in token.top]
    return {
        "token": token.token,
        "bytes": list(token.token.encode()),
        "logprob": token.logprob,
        "top_logprobs": top,
    }
