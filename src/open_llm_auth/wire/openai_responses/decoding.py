"""Answers of a provider, streamed or whole, as events (https://platform.openai.com/docs/api-reference/responses-streaming).

Servers leave out much of what OpenAI sends: numbers of events, indices, ids, even every delta. So an event belongs to
the item that its id or its index names, else to the one that was opened last, and whatever no delta said is taken from
the whole item, or from the whole response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, TypeGuard

import msgspec

from ...errors import UpstreamInvalidResponse
from .. import sse
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
    Signature,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
)
from ..halves import Halves
from ..sequence import Sequencer
from .content import NAME
from .errors import error_from
from .tools import ToolNames
from .usage import usage_from

__all__ = ["Response", "StreamDecoder", "read_response"]

Raw = msgspec.Raw

_NULL: Final = Raw(b"null")
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NO_NAMES: Final = ToolNames(())
_PARAGRAPH: Final = "\n\n"
#: what no honest offset or logarithm comes near
_OFFSET_LIMIT: Final = 2**31
#: the kind of a part that is reasoning
_THOUGHT: Final = "thought"


class _Said(msgspec.Struct):
    """One event of a stream: the fields that any of them may carry."""

    type: Any = None
    delta: Any = None
    item_id: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None
    logprobs: Any = None
    annotation: Any = None
    item: Any = None
    response: Raw = _NULL
    error: Any = None
    message: Any = None
    code: Any = None


class Response(msgspec.Struct):
    """A whole response, or what is known of one. What echoes the request is stepped over."""

    id: Any = None
    model: Any = None
    created_at: Any = None
    status: Any = None
    output: Any = None
    usage: Raw = _NULL
    error: Any = None
    incomplete_details: Any = None
    service_tier: Any = None
    object: Any = None


_SAID: Final = msgspec.json.Decoder(_Said)
_RESPONSE: Final = msgspec.json.Decoder(Response)

#: Why an answer is not whole, as `incomplete_details.reason` says it; other words are limits of some kind.
_INCOMPLETE: Final[Mapping[str, StopReason]] = {"max_output_tokens": "length", "content_filter": "refusal"}


class _Item:
    """One item of the output: what kind it is, and how much of it has been told."""

    __slots__ = ("called", "closed", "key", "name", "place", "said", "sealed", "type")

    def __init__(self, key: int, name: str) -> None:
        self.key = key
        #: its id, where it has one
        self.name = name
        self.type: object = None
        #: the part that was told last: its kind and index
        self.place: tuple[str, int] | None = None
        #: the indices of the parts of which something has been told, by kind
        self.said: set[tuple[str, int]] = set()
        self.called = False
        self.sealed = False
        self.closed = False


def read_response(body: bytes) -> Response:
    """A response as JSON says it.

    Raises:
        UpstreamInvalidResponse: it is no JSON object.
    """
    try:
        return _RESPONSE.decode(Halves().mend(body))
    except _NOT_JSON as error:
        raise UpstreamInvalidResponse("The provider's answer is not a response in JSON.") from error


class StreamDecoder:
    """A provider's stream as events (dialect.StreamDecoder)."""

    __slots__ = (
        "_by_id",
        "_by_index",
        "_calls",
        "_halves",
        "_items",
        "_last",
        "_over",
        "_refused",
        "_sequence",
        "_splitter",
        "_started",
    )

    def __init__(self) -> None:
        self._splitter = sse.EventSplitter()
        self._halves = Halves()
        self._sequence = Sequencer()
        self._items: list[_Item] = []
        self._by_id: dict[str, _Item] = {}
        self._by_index: dict[int, _Item] = {}
        self._last: _Item | None = None
        self._started = False
        self._calls = False
        self._refused = False
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self._over:
            return []
        return self._read_block(self._splitter.feed(chunk))

    def end(self) -> list[Event]:
        if self._over:
            return []
        rest = self._splitter.flush()
        # An end without a blank line is common; half an event is not JSON.
        events = self._read_block(rest + b"\n\n") if rest.strip().endswith(b"}") else []
        if not (events and isinstance(events[-1], Finished | Failed)):
            raise UpstreamInvalidResponse("The provider's stream stopped before the response was complete.")
        return events

    def _read_block(self, block: bytes) -> list[Event]:
        events: list[Event] = []
        for event in sse.split_events(block):
            data = sse.data_of(event)
            if data is not None and not self._over:
                events += self._read(self._halves.mend(data))
        return events

    def _read(self, data: bytes) -> list[Event]:
        try:
            said = _SAID.decode(data)
        except _NOT_JSON as error:
            if data.strip() in (b"", b"[DONE]"):
                return []
            raise UpstreamInvalidResponse("The provider's stream holds an event that is not JSON.") from error
        kind = said.type if isinstance(said.type, str) else ""
        tell = self._HOT.get(kind)
        if tell is not None and self._started:
            return tell(self, said)
        return self._read_rest(said, kind)

    def _read_rest(self, said: _Said, kind: str) -> list[Event]:
        if kind in ("error", "response.error") or (said.error and not kind):
            return self._fail(error_from(said.error or {"message": said.message, "code": said.code}))
        response = self._response_of(said) if kind in _ABOUT_ALL else None
        events = self._start(response)
        if response is not None:
            return events + (self.finish(response) if kind in _ENDINGS else [])
        tell = self._HOT.get(kind) or self._COLD.get(kind)
        return events + tell(self, said) if tell is not None else events

    def _response_of(self, said: _Said) -> Response:
        response = read_response(bytes(said.response))
        if said.type == "response.failed":
            response.status = "failed"
        elif said.type == "response.incomplete":
            response.status = "incomplete"
        return response

    def _start(self, response: Response | None) -> list[Event]:
        if self._started:
            return []
        self._started = True
        if response is None:
            return [Started()]
        created = response.created_at
        stamp = int(created) if isinstance(created, int | float) and 0 <= created < 1e12 else None
        tier = _text(response.service_tier) or None
        return [Started(_text(response.id), _text(response.model), created=stamp, service_tier=tier)]

    # ------------------------------------------------------------------------------------------ items

    def _item_of(self, said: _Said) -> _Item:
        """An id that was announced names its item; some providers write another id into every event, others have no
        indices, or the same for all."""
        name = _text(said.item_id)
        item = self._by_id.get(name) if name else None
        if item is None and isinstance(said.output_index, int):
            item = self._by_index.get(said.output_index)
        elif item is None and (not name or (self._last is not None and not self._last.name)):
            item = self._last
        return item if item is not None and not item.closed else self._open(name, said.output_index)

    def _open(self, name: str, index: object) -> _Item:
        item = _Item(len(self._items), name)
        self._items.append(item)
        self._last = item
        if name:
            self._by_id[name] = item
        if isinstance(index, int):
            self._by_index[index] = item
        return item

    def _close(self, item: _Item) -> list[Event]:
        item.closed = True
        return self._sequence.close(item.key)

    def _put(self, item: _Item, events: Iterator[Event] | list[Event]) -> list[Event]:
        return [told for event in events for told in self._sequence.put(item.key, event)]

    def _added(self, said: _Said) -> list[Event]:
        value = said.item
        if not isinstance(value, dict):
            return []
        name = _text(value.get("id"))
        item = self._by_id.get(name) if name else None
        if item is None or item.closed:
            item = self._open(name, said.output_index)
        item.type = value.get("type")
        return self._put(item, self._call_begun(item, value))

    def _done(self, said: _Said) -> list[Event]:
        value = said.item
        if not isinstance(value, dict):
            return []
        said.item_id = value.get("id")
        item = self._item_of(said)
        return self._whole(item, value)

    def _whole(self, item: _Item, value: dict[str, Any]) -> list[Event]:
        """What no delta has said of an item that is whole now; then its end."""
        item.type = value.get("type")
        if isinstance(item.type, str):
            rest = self._REST.get(item.type)
            events = self._put(item, [Opaque(NAME, value)] if rest is None else rest(self, item, value))
            return events + self._close(item)
        return self._close(item)

    # ------------------------------------------------------------------------------------------ parts

    def _part(self, item: _Item, kind: str, index: object, event: Event) -> list[Event]:
        """An event of one part of an item: another part of the same kind is another block."""
        place = (kind, index if isinstance(index, int) else 0)
        if place == item.place:
            return self._sequence.put(item.key, event)
        parted = self._follows(item, kind)
        item.place = place
        item.said.add(place)
        return self._put(item, [BlockEnded(), event] if parted else [event])

    def _follows(self, item: _Item, kind: str) -> bool:
        """Whether a block of this kind would come right after another of its kind, and run into it."""
        before = next((one for one in self._items[item.key :: -1] if one.place is not None or one.called), None)
        return before is not None and not before.called and before.place is not None and before.place[0] == kind

    def _text_delta(self, said: _Said) -> list[Event]:
        item = self._item_of(said)
        events = self._part(item, "text", said.content_index, TextDelta(said.delta)) if _is_text(said.delta) else []
        if said.logprobs and (tokens := _logprobs(said.logprobs)):
            events += self._part(item, "text", said.content_index, Logprobs(tokens))
        return events

    def _refusal_delta(self, said: _Said) -> list[Event]:
        if not _is_text(said.delta):
            return []
        self._refused = True
        return self._part(self._item_of(said), "refusal", said.content_index, RefusalDelta(said.delta))

    def _summary_delta(self, said: _Said) -> list[Event]:
        return self._thinking(said, said.summary_index, summary=True)

    def _reasoning_delta(self, said: _Said) -> list[Event]:
        return self._thinking(said, said.content_index, summary=False)

    def _thinking(self, said: _Said, index: object, *, summary: bool) -> list[Event]:
        """All the words of one item are one block, because one signature is for them all."""
        if not _is_text(said.delta):
            return []
        item = self._item_of(said)
        place = (_THOUGHT, index if isinstance(index, int) else 0)
        delta = ThinkingDelta(said.delta, summary=summary)
        if item.place == place:
            return self._sequence.put(item.key, delta)
        events: list[Event] = [delta]
        if item.place is not None:
            events = [ThinkingDelta(_PARAGRAPH, summary=summary), delta]
        elif self._follows(item, _THOUGHT):
            events = [BlockEnded(), delta]
        item.place = place
        item.said.add(place)
        return self._put(item, events)

    def _call_delta(self, said: _Said) -> list[Event]:
        item = self._item_of(said)
        # A call without a name is told when it is whole.
        if not item.called or not _is_text(said.delta):
            return []
        item.said.add(("arguments", 0))
        return self._sequence.put(item.key, ToolCallDelta(said.delta))

    def _annotation(self, said: _Said) -> list[Event]:
        citation = _citation(said.annotation)
        if citation is None:
            return []
        item = self._item_of(said)
        index = said.content_index if isinstance(said.content_index, int) else 0
        item.said.add(("citation", index))
        return self._part(item, "text", index, citation)

    # ------------------------------------------------------------------------------------------ whole items

    def _call_begun(self, item: _Item, value: dict[str, Any]) -> Iterator[Event]:
        if item.type not in ("function_call", "custom_tool_call") or item.called or not _is_text(value.get("name")):
            return
        item.called = True
        self._calls = True
        call_id = value.get("call_id") or value.get("id")
        name = _NO_NAMES.flat(_text(value.get("namespace")), value["name"])
        yield ToolCallStarted(_text(call_id) or f"call_{item.key}", name, item.type == "custom_tool_call")

    def _rest_of_call(self, item: _Item, value: dict[str, Any]) -> Iterator[Event]:
        yield from self._call_begun(item, value)
        arguments = value.get("input" if item.type == "custom_tool_call" else "arguments")
        if item.called and _is_text(arguments) and ("arguments", 0) not in item.said:
            yield ToolCallDelta(arguments)

    def _rest_of_message(self, item: _Item, value: dict[str, Any]) -> Iterator[Event]:
        content = value.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                yield from self._rest_of_part(item, index, part)

    def _rest_of_part(self, item: _Item, index: int, part: dict[str, Any]) -> Iterator[Event]:
        kind = "refusal" if part.get("type") == "refusal" else "text"
        words = part.get(kind)
        if _is_text(words) and (kind, index) not in item.said:
            if self._follows(item, kind):
                yield BlockEnded()
            item.place = (kind, index)
            if kind == "refusal":
                self._refused = True
                yield RefusalDelta(words)
            else:
                yield TextDelta(words)
                if tokens := _logprobs(part.get("logprobs")):
                    yield Logprobs(tokens)
        # A source of a block that is over can't be told any more.
        if ("citation", index) not in item.said and item.place == ("text", index):
            annotations = part.get("annotations")
            found = (_citation(row) for row in (annotations if isinstance(annotations, list) else ()))
            yield from (citation for citation in found if citation is not None)

    def _rest_of_reasoning(self, item: _Item, value: dict[str, Any]) -> Iterator[Event]:
        content, summary = _words(value.get("content")), _words(value.get("summary"))
        if not item.said and (content or summary):
            if self._follows(item, _THOUGHT):
                yield BlockEnded()
            item.place = (_THOUGHT, 0)
            yield ThinkingDelta(content or summary, summary=not content)
        sealed = value.get("encrypted_content")
        if _is_text(sealed) and not item.sealed:
            item.sealed = True
            yield ThinkingSigned(Signature(NAME, sealed, _text(value.get("id"))))

    # ------------------------------------------------------------------------------------------ the end

    def _fail(self, error: ErrorBody) -> list[Event]:
        self._over = True
        events: list[Event] = self._start(None)
        return [*events, *self._sequence.close_all(), Failed(error)]

    def finish(self, response: Response) -> list[Event]:
        """What is left to tell of a response that has ended; all of it, where nothing was streamed."""
        events = self._start(response)
        if response.status in ("failed", "cancelled") or (response.error and not response.output):
            cancelled = {"message": "The provider cancelled the response.", "code": "cancelled"}
            return events + self._fail(error_from(response.error or cancelled))
        output = response.output if isinstance(response.output, list) else []
        for number, value in enumerate(output):
            item = self._items[number] if number < len(self._items) else self._open("", None)
            if isinstance(value, dict) and not item.closed:
                events += self._whole(item, value)
        self._over = True
        tier = response.service_tier
        ending = Finished(
            self._reason(response), usage_from(response.usage), service_tier=tier if isinstance(tier, str) else None
        )
        return [*events, *self._sequence.close_all(), ending]

    def _reason(self, response: Response) -> StopReason:
        if response.status == "incomplete":
            details = response.incomplete_details
            return _INCOMPLETE.get(_text(details.get("reason")) if isinstance(details, dict) else "", "length")
        if self._calls:
            return "tool_calls"
        return "refusal" if self._refused else "stop"

    #: What comes in great numbers.
    _HOT: ClassVar[Mapping[str, Callable[[StreamDecoder, _Said], list[Event]]]] = {
        "response.output_text.delta": _text_delta,
        "response.refusal.delta": _refusal_delta,
        "response.reasoning_summary_text.delta": _summary_delta,
        "response.reasoning_text.delta": _reasoning_delta,
        #: an early name of it, which vLLM still has
        "response.reasoning.delta": _reasoning_delta,
        "response.function_call_arguments.delta": _call_delta,
        "response.custom_tool_call_input.delta": _call_delta,
    }
    _COLD: ClassVar[Mapping[str, Callable[[StreamDecoder, _Said], list[Event]]]] = {
        "response.output_item.added": _added,
        "response.output_item.done": _done,
        "response.output_text.annotation.added": _annotation,
    }
    #: What is left to tell of a whole item, by its type.
    _REST: ClassVar[Mapping[str, Callable[[StreamDecoder, _Item, dict[str, Any]], Iterator[Event]]]] = {
        "message": _rest_of_message,
        "reasoning": _rest_of_reasoning,
        "function_call": _rest_of_call,
        "custom_tool_call": _rest_of_call,
    }


_ENDINGS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}
)
_ABOUT_ALL: Final = _ENDINGS | {"response.created", "response.in_progress", "response.queued"}


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _words(rows: object) -> str:
    found = (row.get("text") for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict))
    return _PARAGRAPH.join(text for text in found if isinstance(text, str) and text)


def _citation(value: object) -> Citation | None:
    """A source on the web, or a file by its name."""
    if not isinstance(value, dict):
        return None
    title = _text(value.get("title")) or _text(value.get("filename"))
    url = _text(value.get("url"))
    if not url and not title:
        return None
    return Citation(url, title, "", _offset(value.get("start_index")), _offset(value.get("end_index")))


def _offset(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < _OFFSET_LIMIT else None


def _logprobs(rows: object) -> tuple[TokenLogprob, ...]:
    found = []
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not isinstance(row.get("token"), str):
            continue
        logprob = row.get("logprob")
        if isinstance(logprob, int | float) and abs(logprob) < _OFFSET_LIMIT:
            found.append(TokenLogprob(row["token"], float(logprob), _logprobs(row.get("top_logprobs"))))
    return tuple(found)
