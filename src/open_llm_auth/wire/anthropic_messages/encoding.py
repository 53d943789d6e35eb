"""Streamed answers of Anthropic's Messages API, written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ...errors import GatewayError
from .. import sse
from ..conversation import CUSTOM_INPUT
from ..dialect import Answering
from ..events import (
    BlockEnded,
    Citation,
    Event,
    Finished,
    Opaque,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from .errors import write_stream_error
from .replies import call_id, is_bare_proof, signature_text, write_citation, write_usage
from .rules import NAME, STOP_WORDS

__all__ = ["StreamEncoder"]

_ENCODE: Final = msgspec.json.Encoder().encode
_END: Final = b"}}\n\n"
#: The type of a delta, and the name of what grows in it, by the kind of block.
_GROWTHS: Final = {
    "text": (b"text_delta", b"text"),
    "thinking": (b"thinking_delta", b"thinking"),
    "tool_use": (b"input_json_delta", b"partial_json"),
}
_FRESH: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
#: The arguments of a custom tool are free text; to a client of this dialect they are the one string of an object.
_CUSTOM_BEGINNING: Final = b'"{\\"%b\\":\\""' % CUSTOM_INPUT.encode()
_CUSTOM_END: Final = b'"\\"}"'


class StreamEncoder:
    """Events to the bytes of a client's stream; see `dialect.StreamEncoder`."""

    __slots__ = (
        "_answering",
        "_calls",
        "_custom",
        "_held",
        "_index",
        "_kind",
        "_prefix",
        "_said",
        "_started",
        "_told",
        "_usage",
    )

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._index = -1
        #: the kind of the open block, "" where none is
        self._kind = ""
        #: of the next delta of the open block, up to its value
        self._prefix = b""
        self._calls = 0
        self._custom = False
        #: something beside thinking has been said
        self._said = False
        #: proofs without words that came after that: what they prove belongs to a call, if one comes
        self._held: list[ThinkingSigned] = []
        self._told = False
        self._started = False
        self._usage: Usage | None = None

    def feed(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            kind = type(event)
            if kind is TextDelta and self._kind == "text":
                out += (self._prefix, _ENCODE(event.text), _END)  # type: ignore[union-attr] # `kind` says that it is one
            elif kind is ToolCallDelta and not self._custom:
                self._told = True
                out += (self._prefix, _ENCODE(event.arguments), _END)  # type: ignore[union-attr] # as above
            else:
                self._write(event, out)
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        return write_stream_error(error)

    def _write(self, event: Event, out: list[bytes]) -> None:
        if isinstance(event, Started):
            self._start(event, out)
            return
        if not self._started:
            self._start(Started(), out)
        match event:
            case TextDelta() | RefusalDelta():
                self._grow("text", event.text, out)
            case ThinkingDelta():
                self._grow("thinking", event.text, out)
            case ThinkingSigned():
                self._sign(event, out)
            case ToolCallStarted():
                self._call(event, out)
            case ToolCallDelta():
                self._custom_piece(event.arguments, out)
            case Citation():
                self._within("text", out)
                out.append(self._delta({"type": "citations_delta", "citation": write_citation(event)}))
            case BlockEnded():
                self._close(out)
            case Opaque():
                if event.dialect == NAME:
                    self._whole(event.value, out)
            case Finished():
                self._finish(event, out)

    # -- the message

    def _start(self, event: Started, out: list[bytes]) -> None:
        if self._started:
            return
        self._started = True
        self._usage = event.usage
        message: dict[str, Any] = {
            "id": f"msg_{self._answering.id}",
            "type": "message",
            "role": "assistant",
            "model": event.model or self._answering.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(event.usage, event.service_tier),
        }
        out.append(_event("message_start", {"message": message}))

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        self._close(out)
        delta = {"stop_reason": STOP_WORDS[event.reason], "stop_sequence": event.stop_sequence}
        # Counts are totals here, so that what the beginning could not know is told now.
        usage = write_usage(event.usage or self._usage, event.service_tier)
        out += (_event("message_delta", {"delta": delta, "usage": usage}), _event("message_stop", {}))

    # -- its blocks

    def _grow(self, kind: str, text: str, out: list[bytes]) -> None:
        self._within(kind, out)
        out += (self._prefix, _ENCODE(text), _END)

    def _within(self, kind: str, out: list[bytes]) -> None:
        """Opens a block of this kind, unless one is open."""
        if self._kind != kind:
            self._open(kind, _FRESH[kind], out)

    def _open(self, kind: str, block: dict[str, Any], out: list[bytes]) -> None:
        self._close(out)
        if self._held and kind != "text":
            held, self._held = self._held, []
            for event in held:
                self._prove(event, out)
        self._index += 1
        self._kind = kind
        self._said = self._said or kind != "thinking"
        if kind in _GROWTHS:
            self._prefix = (
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
                % (self._index, *_GROWTHS[kind])
            )
        out.append(_event("content_block_start", {"index": self._index, "content_block": block}))

    def _close(self, out: list[bytes]) -> None:
        if self._kind == "tool_use":
            if self._custom:
                self._custom_piece("", out)
                out += (self._prefix, _CUSTOM_END, _END)
            elif not self._told:
                out += (self._prefix, b'"{}"', _END)
        if self._kind:
            out.append(_event("content_block_stop", {"index": self._index}))
        self._kind = ""
        self._custom = False

    def _call(self, event: ToolCallStarted, out: list[bytes]) -> None:
        self._calls += 1
        made = call_id(event, self._answering, self._calls)
        self._open("tool_use", {"type": "tool_use", "id": made, "name": event.name, "input": {}}, out)
        self._custom = event.custom
        self._told = False

    def _custom_piece(self, text: str, out: list[bytes]) -> None:
        if not self._told:
            self._told = True
            out += (self._prefix, _CUSTOM_BEGINNING, _END)
        if text:
            # Without its quotes: it goes on within the string that has begun.
            out += (self._prefix, _ENCODE(_ENCODE(text)[1:-1].decode()), _END)

    def _sign(self, event: ThinkingSigned, out: list[bytes]) -> None:
        if event.redacted:
            self._whole({"type": "redacted_thinking", "data": signature_text(event.signature)}, out)
        elif self._said and self._kind != "thinking" and is_bare_proof(event):
            self._held.append(event)
        else:
            self._prove(event, out)

    def _prove(self, event: ThinkingSigned, out: list[bytes]) -> None:
        self._within("thinking", out)
        out.append(self._delta({"type": "signature_delta", "signature": signature_text(event.signature)}))
        self._close(out)

    def _whole(self, block: dict[str, Any], out: list[bytes]) -> None:
        """A block that is said at once."""
        self._open("whole", block, out)
        self._close(out)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})


def _event(name: str, fields: dict[str, Any]) -> bytes:
    return sse.event(_ENCODE({"type": name, **fields}), name)
