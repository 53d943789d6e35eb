"""What the deltas of one answer come to: events in order, whatever order and form a server sends them in.

Seen on the wire: calls told by index, by id or by neither; id and name in every delta or late; a call begun before the
arguments of the one before it are whole; the old `function_call` beside the new form; content as parts. A plain answer
is read the same way: its message is one delta that says everything.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..events import (
    Event,
    Opaque,
    RefusalDelta,
    Signature,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from ..sequence import Sequencer
from .answers import read_citations
from .messages import GOOGLE
from .reasoning import NAME, SUMMARY, signature_in

__all__ = ["Delta", "Deltas"]

_ANY: Final = msgspec.json.Decoder()
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
#: what goes on after calls whose arguments are not whole yet
_REST: Final = "rest"
#: how often an open call's arguments are tried for being whole
_TRIALS: Final = 64


class Delta(msgspec.Struct):
    """A piece of an answer, or a message. Types are checked where a value is used: one nonsense spoils no other."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    annotations: Any = None
    images: Any = None
    audio: Any = None


class _ToolCall:
    """One call as far as it has come."""

    __slots__ = ("_trials", "arguments", "custom", "given_id", "key", "signature", "started")

    def __init__(self, key: int, given_id: str, *, custom: bool, signature: Signature | None) -> None:
        self.key = key
        self.given_id = given_id
        self.custom = custom
        self.signature = signature
        self.started = False
        self.arguments: list[str] = []
        self._trials = 0

    def is_whole(self) -> bool:
        """Whether it can take no more arguments."""
        if self.custom or not self.started:
            return self.started
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}") or self._trials >= _TRIALS:
            return False
        self._trials += 1
        text = "".join(self.arguments)
        self.arguments = [text]
        try:
            return isinstance(_ANY.decode(text), dict)
        except _NOT_JSON:
            return False


class Deltas:
    """Takes deltas, gives events. `identity` is the answer's id, from which calls without one get theirs."""

    __slots__ = ("_calls", "_last", "_open", "_sequence", "_slots", "_waits", "identity", "refused")

    def __init__(self) -> None:
        self.identity = ""
        #: the answer declines in words
        self.refused = False
        self._sequence = Sequencer()
        self._calls: list[_ToolCall] = []
        #: the call that an index, or an id where there is no index, stands for now
        self._slots: dict[object, _ToolCall] = {}
        self._last: _ToolCall | None = None
        self._open: list[_ToolCall] = []
        #: something may wait for a call to be whole
        self._waits = False

    @property
    def called(self) -> bool:
        """Whether the answer calls tools."""
        return bool(self._calls)

    def take(self, delta: Delta, out: list[Event], *, whole: bool = False) -> None:
        """Adds to `out` what can be told now. `whole`: the delta is a message, and each of its calls another.

        Raises:
            UpstreamInvalidResponse: a call goes on after it was whole.
        """
        if delta.reasoning_content or delta.reasoning or delta.reasoning_details:
            self._think(delta, out)
        content = delta.content
        if content:
            if type(content) is str:
                self.say(TextDelta(content), out)
            else:
                self._take_parts(content, out)
        if delta.refusal and isinstance(delta.refusal, str):
            self.refused = True
            self.say(RefusalDelta(delta.refusal), out)
        if delta.annotations:
            for citation in read_citations(delta.annotations):
                self.say(citation, out)
        if delta.images or delta.audio:
            self._take_media(delta, out)
        if delta.tool_calls:
            self._take_calls(delta.tool_calls, out, whole=whole)
        elif delta.function_call:
            self._take_function(delta.function_call, out)

    def say(self, event: Event, out: list[Event]) -> None:
        """Adds an event that belongs to no call."""
        if not self._open:
            out.append(event)
            return
        self._close_whole(out)
        if self._open:
            self._put(_REST, event, out)
        else:
            out.append(event)

    def end(self, out: list[Event]) -> None:
        """The answer is over: everything that still waits.

        Raises:
            UpstreamInvalidResponse: a call never got a name.
        """
        if not all(call.started for call in self._calls):
            raise UpstreamInvalidResponse("The provider's answer calls a tool without naming it.")
        self._open.clear()
        out += self._sequence.close_all()

    # ------------------------------------------------------------------------------------------ words

    def _think(self, delta: Delta, out: list[Event]) -> None:
        """Words stand in one of two fields and often once more in the details; there they are told block by block."""
        given = delta.reasoning_details
        details = [item for item in (given if isinstance(given, list) else ()) if isinstance(item, dict)]
        in_details = any(_words_of(item) for item in details)
        words = delta.reasoning_content or delta.reasoning
        if not in_details and isinstance(words, str):
            summary = any(item.get("type") == SUMMARY for item in details)
            self.say(ThinkingDelta(words, summary=summary), out)
        for item in details:
            if text := _words_of(item):
                self.say(ThinkingDelta(text, summary=item.get("type") == SUMMARY), out)
            signature = signature_in(item)
            if signature is not None:
                self.say(ThinkingSigned(signature), out)

    def _take_parts(self, content: Any, out: list[Event]) -> None:
        """Content as a list: Mistral's text and thinking."""
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, dict):
                continue
            kind, thinking = part.get("type"), part.get("thinking")
            if kind == "text" and (text := part.get("text")) and isinstance(text, str):
                self.say(TextDelta(text), out)
            elif kind == "thinking" and isinstance(thinking, str) and thinking:
                self.say(ThinkingDelta(thinking), out)
            elif kind == "thinking" and isinstance(thinking, list):
                words = "".join(_words_of(item) for item in thinking if isinstance(item, dict))
                self.say(ThinkingDelta(words), out)

    def _take_media(self, delta: Delta, out: list[Event]) -> None:
        for name in ("images", "audio"):
            value = getattr(delta, name)
            if value:
                self.say(Opaque(NAME, {name: value}), out)

    # ------------------------------------------------------------------------------------------ calls

    def _take_calls(self, items: Any, out: list[Event], *, whole: bool) -> None:
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                custom = item.get("custom")
                function = custom if isinstance(custom, dict) else item.get("function")
                self._take_call(item, function if isinstance(function, dict) else {}, out, whole=whole)

    def _take_function(self, function: Any, out: list[Event]) -> None:
        """The old form, of which there is one in an answer. llama-cpp-python sends it beside the new one."""
        if isinstance(function, dict) and (not self._calls or "function" in self._slots):
            self._take_call({"index": "function"}, function, out, whole=False)

    def _take_call(self, item: dict[str, Any], function: dict[str, Any], out: list[Event], *, whole: bool) -> None:
        given_id, name = _text(item.get("id")), _text(function.get("name"))
        slot = len(self._calls) if whole else item.get("index")
        custom = item.get("type") == "custom"
        arguments = _arguments(function.get("arguments", function.get("input")))
        call = self._find(slot, given_id, name, arguments)
        if call is None:
            call = self._begin(slot, _ToolCall(len(self._calls), given_id, custom=custom, signature=_signed(item)), out)
        call.given_id = call.given_id or given_id
        if name and not call.started:
            self._start(call, name, out)
        if arguments:
            self._go_on(call, arguments, out)

    def _find(self, slot: object, given_id: str, name: str, arguments: str) -> _ToolCall | None:
        """The call that a piece belongs to; None when it begins another."""
        if isinstance(slot, int | str):
            call = self._slots.get(slot)
        else:
            # No index: an id says which, and without one it is the same call as before.
            call = self._slots.get(given_id) if given_id else self._last
        if call is None or not name or (given_id and given_id == call.given_id):
            return call
        if given_id and call.given_id:
            # Several servers number every call 0.
            return None
        return None if arguments.strip() and call.is_whole() else call

    def _begin(self, slot: object, call: _ToolCall, out: list[Event]) -> _ToolCall:
        self._close_whole(out)
        out += self._sequence.close(_REST)
        self._calls.append(call)
        self._open.append(call)
        self._slots[slot if isinstance(slot, int | str) else call.given_id] = call
        self._last = call
        return call

    def _start(self, call: _ToolCall, name: str, out: list[Event]) -> None:
        call.started = True
        made = "_".join(filter(None, ("call", _UNFIT.sub("", self.identity)[-24:], str(call.key))))
        self._put(call.key, ToolCallStarted(call.given_id or made, name, call.custom, call.signature), out)
        for piece in call.arguments:
            self._put(call.key, ToolCallDelta(piece), out)

    def _go_on(self, call: _ToolCall, piece: str, out: list[Event]) -> None:
        if call not in self._open:
            if piece.isspace():
                return
            raise UpstreamInvalidResponse("The provider's answer adds to the arguments of a call that was whole.")
        call.arguments.append(piece)
        if call.started:
            self._put(call.key, ToolCallDelta(piece), out)
        if self._waits:
            self._close_whole(out)

    def _put(self, key: object, event: Event, out: list[Event]) -> None:
        told = self._sequence.put(key, event)
        out += told
        self._waits = self._waits or not told

    def _close_whole(self, out: list[Event]) -> None:
        for call in [call for call in self._open if call.is_whole()]:
            self._open.remove(call)
            out += self._sequence.close(call.key)
        self._waits = self._waits and bool(self._open)


def _words_of(item: dict[str, Any]) -> str:
    return _text(item.get("text")) or _text(item.get("summary"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: Any) -> str:
    """A piece of JSON text; some servers send the object itself."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return _text(value)


def _signed(item: dict[str, Any]) -> Signature | None:
    """Gemini's, as its OpenAI-compatible endpoint tells it."""
    extra = item.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    value = google.get("thought_signature") if isinstance(google, dict) else None
    return Signature(GOOGLE, value) if isinstance(value, str) and value else None
