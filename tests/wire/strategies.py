"""Answers and calls made up by Hypothesis: as varied as a dialect can say them, and never more."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from open_llm_auth.wire.conversation import (
    Conversation,
    Image,
    OutputFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.dialect import DialectName
from open_llm_auth.wire.events import (
    BlockEnded,
    Event,
    Finished,
    RefusalDelta,
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
from open_llm_auth.wire.signatures import open_call_id, unseal

__all__ = ["ABILITIES", "Ability", "answers", "conversations", "cuts", "normal", "signed_answers"]


@dataclass(frozen=True, slots=True)
class Ability:
    """What a dialect can say of an answer. `ordered`: kinds of blocks may come in any order, and more than once."""

    reasons: tuple[StopReason, ...]
    ordered: bool = True
    refuses_in_words: bool = False
    cache_writes: bool = True
    #: what its own thinking is: in full, or a summary
    summary: bool = False


ABILITIES: dict[DialectName, Ability] = {
    "openai-chat": Ability(("stop", "length", "refusal"), ordered=False, refuses_in_words=True),
    "openai-responses": Ability(("stop", "length"), refuses_in_words=True, summary=True),
    "anthropic-messages": Ability(("stop", "length", "stop_sequence", "refusal", "pause")),
    "google-genai": Ability(("stop", "length", "refusal"), cache_writes=False, summary=True),
}

#: Text as models write it, and as they should not: every plane, control characters, nothing that JSON can't hold.
words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
_names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,20}", fullmatch=True)
_scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words
)
_objects = st.dictionaries(
    words, st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4
)
_proofs = st.binary(min_size=1, max_size=40).map(lambda raw: base64.b64encode(raw).decode())


def cut(text: str, cuts: Sequence[int]) -> list[str]:
    """The text in pieces, none of them empty."""
    places = sorted({0, len(text), *(place % (len(text) + 1) for place in cuts)})
    return [text[start:end] for start, end in itertools.pairwise(places)]


pieces = st.builds(cut, words, st.lists(st.integers(0, 99), max_size=3))


@st.composite
def usages(draw: st.DrawFn, *, cache_writes: bool) -> Usage:
    read, written = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6)) if cache_writes else 0
    reasoning = draw(st.integers(0, 10**6))
    plain, said = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    return Usage(plain + read + written, said + reasoning, read, written, reasoning)


@st.composite
def thinking_blocks(draw: st.DrawFn, origin: str, *, summary: bool) -> list[Event]:
    block: list[Event] = [ThinkingDelta(piece, summary) for piece in draw(pieces)]
    return [*block, ThinkingSigned(Signature(origin, draw(_proofs)))]


text_blocks = pieces.map(lambda found: [TextDelta(piece) for piece in found])
refusal_blocks = pieces.map(lambda found: [RefusalDelta(piece) for piece in found])


@st.composite
def call_blocks(draw: st.DrawFn, number: int) -> list[Event]:
    arguments = json.dumps(draw(_objects), ensure_ascii=draw(st.booleans()))
    deltas = cut(arguments, draw(st.lists(st.integers(0, 99), max_size=3)))
    return [ToolCallStarted(f"call_{number}", draw(_names)), *map(ToolCallDelta, deltas)]


@st.composite
def answers(draw: st.DrawFn, dialect: DialectName) -> list[Event]:
    """An answer that `dialect` can say, signed by it."""
    able = ABILITIES[dialect]
    kinds = draw(_orders(able))
    events: list[Event] = [Started("id", "sample-model")]
    for number, kind in enumerate(kinds):
        match kind:
            case "thinking":
                events += draw(thinking_blocks(dialect, summary=able.summary))
            case "text":
                events += draw(text_blocks)
            case "refusal":
                events += draw(refusal_blocks)
            case "call":
                events += draw(call_blocks(number))
        events.append(BlockEnded())
    reason: StopReason = (
        "tool_calls" if "call" in kinds else "refusal" if "refusal" in kinds else draw(st.sampled_from(able.reasons))
    )
    met = "STOP" if reason == "stop_sequence" else None
    usage = draw(usages(cache_writes=able.cache_writes))
    return [*events, Finished(reason, usage, met)]


@st.composite
def signed_answers(draw: st.DrawFn, origin: str) -> list[Event]:
    """Thinking that `origin` signed, and the call it led to; every dialect can hand both on."""
    thinking = draw(thinking_blocks(origin, summary=False))
    call = draw(call_blocks(1))
    return [Started("id", "sample-model"), *thinking, *call, Finished("tool_calls", Usage(1, 1))]


def _orders(able: Ability) -> st.SearchStrategy[list[str]]:
    """Which kinds of blocks come after each other; no two of one kind in a row but calls, which are never joined."""
    calls = st.lists(st.just("call"), max_size=3)
    said = st.sampled_from(["text", "refusal"] if able.refuses_in_words else ["text"])
    plain = st.tuples(st.sampled_from([[], ["thinking"]]), said.map(lambda kind: [kind]), calls)
    in_order = plain.map(lambda parts: [kind for part in parts for kind in part])
    if not able.ordered:
        return in_order
    mixed = st.lists(st.sampled_from(["thinking", "text", "call"]), min_size=1, max_size=5)
    return in_order | mixed.map(_without_repeats)


def _without_repeats(kinds: list[str]) -> list[str]:
    return [kind for place, kind in enumerate(kinds) if kind == "call" or place == 0 or kinds[place - 1] != kind]


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """The data in chunks."""

    def chunks(places: list[int]) -> list[bytes]:
        bounds = sorted({0, len(data), *places})
        return [data[start:end] for start, end in itertools.pairwise(bounds)]

    return st.lists(st.integers(0, len(data)), max_size=12).map(chunks)


def normal(events: Iterable[Event], dialect: DialectName) -> list[tuple[Any, ...]]:
    """The blocks of an answer, each whole, and its end. Envelopes are opened as if a client of `dialect` sent them."""
    blocks: list[tuple[Any, ...]] = []
    is_open = False
    for event in events:
        match event:
            case TextDelta() | RefusalDelta() | ThinkingDelta():
                kind = type(event).__name__
                if is_open and blocks[-1][0] == kind:
                    blocks[-1] = (kind, blocks[-1][1] + event.text)
                else:
                    blocks.append((kind, event.text))
                is_open = True
            case ThinkingSigned():
                signature = unseal(event.signature.value, dialect)
                blocks.append(("signed", signature.origin, signature.value))
            case ToolCallStarted():
                blocks.append(("call", open_call_id(event.id)[0], event.name, ""))
            case ToolCallDelta():
                blocks[-1] = (*blocks[-1][:3], blocks[-1][3] + event.arguments)
            case BlockEnded():
                is_open = False
            case Finished():
                blocks.append(("finished", event.reason, event.usage, event.stop_sequence))
    return [(*block[:3], json.loads(block[3] or "{}")) if block[0] == "call" else block for block in blocks]


# ---------------------------------------------------------------------------------------------- calls

_parameters = st.dictionaries(_names, st.sampled_from(["string", "number", "boolean"]), min_size=1, max_size=3).map(
    lambda fields: {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in fields.items()},
        "required": sorted(fields),
    }
)
_images = _proofs.map(lambda data: Image("image/png", data))
#: No dialect keeps white space alone.
_sayings = words.filter(str.strip)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A call that every dialect can carry: turns, tools with calls and results in order, and the usual settings."""
    tools = draw(st.lists(st.builds(Tool, _names, _sayings, _parameters), max_size=3, unique_by=lambda tool: tool.name))
    turns: list[Turn] = [Turn("user", tuple(draw(_user_parts())))]
    for number in range(draw(st.integers(0, 3))):
        turns += draw(_exchanges(number, [tool.name for tool in tools]))
    choice = draw(st.none() | st.sampled_from(["auto", "none", "required"])) if tools else None
    return Conversation(
        tuple(turns),
        system=tuple(Text(text) for text in draw(st.lists(_sayings, max_size=1))),
        tools=tuple(tools),
        tool_choice=ToolChoice(choice) if choice else None,
        max_tokens=draw(st.integers(2048, 8192)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.5, 1.0])),
        output=draw(st.none() | st.just(OutputFormat(_CLOSED, "weather"))) if not tools else None,
    )


_CLOSED = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@st.composite
def _user_parts(draw: st.DrawFn) -> list[Text | Image]:
    found: list[Text | Image] = [Text(draw(_sayings))]
    return found + draw(st.lists(_images, max_size=1))


@st.composite
def _exchanges(draw: st.DrawFn, number: int, tools: list[str]) -> list[Turn]:
    """What the assistant says, what it calls and gets, and what the user says next."""
    called = draw(st.lists(st.sampled_from(tools), max_size=2)) if tools else []
    parts: list[Text | ToolCall] = [Text(draw(_sayings))]
    results: list[ToolResult] = []
    for place, name in enumerate(called):
        call_id = f"call_{number}_{place}"
        parts.append(ToolCall(call_id, name, json.dumps(draw(_objects))))
        results.append(ToolResult(call_id, name, (Text(draw(_sayings)),)))
    said = [Turn("assistant", tuple(parts))]
    if results:
        said += [Turn("user", tuple(results)), Turn("assistant", (Text(draw(_sayings)),))]
    return [*said, Turn("user", tuple(draw(_user_parts())))]
