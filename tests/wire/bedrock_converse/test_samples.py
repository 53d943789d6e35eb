"""The golden answers of Bedrock: what each of them says, plain and streamed. `python` on this file writes them anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.testing.event_stream import event_message, exception_message
from open_llm_auth.wire.bedrock_converse import DIALECT
from open_llm_auth.wire.events import (
    BlockEnded,
    ErrorBody,
    Event,
    Failed,
    Finished,
    Signature,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

FOLDER = Path(__file__).parents[2] / "golden" / "replies" / "bedrock-converse"
JSON = dict[str, Any]
USAGE = {"inputTokens": 20, "outputTokens": 7, "totalTokens": 27}
CACHED = {
    "inputTokens": 50,
    "outputTokens": 7,
    "totalTokens": 1207,
    "cacheReadInputTokens": 1000,
    "cacheWriteInputTokens": 150,
}
UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'

#: A block as its start, its deltas and its plain form.
Block = tuple[JSON, list[JSON], JSON]


def text(*pieces: str) -> Block:
    return {}, [{"text": piece} for piece in pieces], {"text": "".join(pieces)}


def thinking(words: str, signature: str) -> Block:
    deltas = [{"reasoningContent": {"text": words[:8]}}, {"reasoningContent": {"text": words[8:]}}]
    deltas.append({"reasoningContent": {"signature": signature}})
    return {}, deltas, {"reasoningContent": {"reasoningText": {"text": words, "signature": signature}}}


def call(call_id: str, **arguments: str) -> Block:
    use = {"toolUseId": call_id, "name": "get_weather"}
    said = json.dumps(arguments, separators=(",", ":"))
    deltas = [{"toolUse": {"input": piece}} for piece in ("", said[:6], said[6:])]
    return {"toolUse": use}, deltas, {"toolUse": use | {"input": arguments}}


SUNNY = text("It is", " sunny", " in Paris.")
LOOK = text("Let me", " look.")
PARIS, BERLIN = call("call_paris", city="Paris"), call("call_berlin", city="Berlin")
THOUGHT = thinking("The user asks for weather.", "c2lnbmF0dXJl")

#: Scenario: blocks, stop reason, and what differs from the usual rest.
ANSWERS: dict[str, tuple[list[Block], str, JSON]] = {
    "text": ([SUNNY], "end_turn", {}),
    "unicode": ([text(UNICODE[:9], UNICODE[9:16], UNICODE[16:])], "end_turn", {}),
    "tools": ([LOOK, PARIS], "tool_use", {}),
    "parallel_tools": ([PARIS, BERLIN], "tool_use", {}),
    "json": ([text('{"city":', '"Paris",', '"celsius":21}')], "end_turn", {}),
    "thinking": ([THOUGHT, SUNNY], "end_turn", {}),
    "thinking_tools": ([THOUGHT, PARIS], "tool_use", {}),
    "cache_hit": ([SUNNY], "end_turn", {"usage": CACHED}),
    "stop": (
        [text("one ", "two ", "three ")],
        "stop_sequence",
        {"additionalModelResponseFields": {"stop_sequence": "STOP"}},
    ),
    "refusal": ([text("I can't", " help", " with that.")], "content_filtered", {}),
    "length": ([text("It", " is")], "max_tokens", {}),
}
ERRORS: dict[str, JSON] = {
    "error_400": {"message": "bad request sample", "__type": "ValidationException"},
    "error_401": {"message": "invalid key sample", "__type": "UnrecognizedClientException"},
    "error_429": {"message": "slow down sample", "__type": "ThrottlingException"},
    "error_529": {"message": "overloaded sample", "__type": "ServiceUnavailableException"},
}


def plain_of(name: str) -> bytes:
    if name in ERRORS:
        return _written(ERRORS[name])
    blocks, reason, rest = ANSWERS[name]
    message = {"role": "assistant", "content": [plain for _, _, plain in blocks]}
    document = {"output": {"message": message}, "stopReason": reason, "usage": USAGE, "metrics": {"latencyMs": 42}}
    return _written(document | rest)


def _written(document: JSON) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def stream_of(name: str) -> bytes:
    if name == "stream_error":
        return b"".join(
            (
                event_message("messageStart", {"role": "assistant"}),
                event_message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "It is"}, "p": "ab"}),
                exception_message("modelStreamErrorException", {"message": "went wrong midway"}),
            )
        )
    return b"".join(event_message(kind, fields | {"p": "abcdef"}) for kind, fields in _frames(*ANSWERS[name]))


def _frames(blocks: list[Block], reason: str, rest: JSON) -> Iterator[tuple[str, JSON]]:
    extra = dict(rest)
    usage = extra.pop("usage", USAGE)
    yield "messageStart", {"role": "assistant"}
    for index, (start, deltas, _) in enumerate(blocks):
        if start:
            yield "contentBlockStart", {"start": start, "contentBlockIndex": index}
        for delta in deltas:
            yield "contentBlockDelta", {"delta": delta, "contentBlockIndex": index}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": reason, **extra}
    yield "metadata", {"usage": usage, "metrics": {"latencyMs": 42}}


FILES = {f"{name}.json": plain_of(name) for name in (*ANSWERS, *ERRORS)}
FILES |= {f"{name}.bin": stream_of(name) for name in (*ANSWERS, "stream_error")}

TOLD = Usage(input=20, output=7)
PARIS_TOLD: list[Event] = [
    ToolCallStarted("call_paris", "get_weather"),
    ToolCallDelta('{"city":"Paris"}'),
    BlockEnded(),
]
BERLIN_TOLD: list[Event] = [
    ToolCallStarted("call_berlin", "get_weather"),
    ToolCallDelta('{"city":"Berlin"}'),
    BlockEnded(),
]
THOUGHT_TOLD: list[Event] = [
    ThinkingDelta("The user asks for weather."),
    ThinkingSigned(Signature("bedrock-converse", "c2lnbmF0dXJl")),
    BlockEnded(),
]
SUNNY_TOLD: list[Event] = [TextDelta("It is sunny in Paris."), BlockEnded()]
#: What each scenario comes to, its deltas joined.
EVENTS: dict[str, list[Event]] = {
    "text": [*SUNNY_TOLD, Finished("stop", TOLD)],
    "unicode": [TextDelta(UNICODE), BlockEnded(), Finished("stop", TOLD)],
    "tools": [TextDelta("Let me look."), BlockEnded(), *PARIS_TOLD, Finished("tool_calls", TOLD)],
    "parallel_tools": [*PARIS_TOLD, *BERLIN_TOLD, Finished("tool_calls", TOLD)],
    "json": [TextDelta('{"city":"Paris","celsius":21}'), BlockEnded(), Finished("stop", TOLD)],
    "thinking": [*THOUGHT_TOLD, *SUNNY_TOLD, Finished("stop", TOLD)],
    "thinking_tools": [*THOUGHT_TOLD, *PARIS_TOLD, Finished("tool_calls", TOLD)],
    "cache_hit": [*SUNNY_TOLD, Finished("stop", Usage(input=1200, output=7, cache_read=1000, cache_write=150))],
    "stop": [TextDelta("one two three "), BlockEnded(), Finished("stop_sequence", TOLD, stop_sequence="STOP")],
    "refusal": [TextDelta("I can't help with that."), BlockEnded(), Finished("refusal", TOLD)],
    "length": [TextDelta("It is"), BlockEnded(), Finished("length", TOLD)],
    "stream_error": [TextDelta("It is"), Failed(ErrorBody("went wrong midway", "ModelStreamErrorException", "500"))],
}


def joined(events: list[Event]) -> list[Event]:
    """The events with neighbouring deltas of one kind in one."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            out[-1] = TextDelta(last.text + event.text)
        elif isinstance(event, ThinkingDelta) and isinstance(last, ThinkingDelta):
            out[-1] = ThinkingDelta(last.text + event.text)
        elif isinstance(event, ToolCallDelta) and isinstance(last, ToolCallDelta):
            out[-1] = ToolCallDelta(last.arguments + event.arguments)
        else:
            out.append(event)
    return out


@pytest.fixture
def side() -> Any:
    return DIALECT.provider


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_are_what_this_module_writes(name: str) -> None:
    assert (FOLDER / name).read_bytes() == FILES[name], f"run: python {Path(__file__).name}"


def test_there_are_no_other_files() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", sorted(set(EVENTS) - {"stream_error"}))
def test_a_plain_answer_says_what_the_scenario_says(name: str, side: Any) -> None:
    assert side.read_reply((FOLDER / f"{name}.json").read_bytes()) == [Started(), *EVENTS[name]]


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_streamed_answer_says_what_the_scenario_says_however_it_is_cut(name: str, side: Any, chop: Any) -> None:
    decoder = side.decoder()
    told = [event for chunk in chop((FOLDER / f"{name}.bin").read_bytes()) for event in decoder.feed(chunk)]
    assert joined(told) == [Started(), *EVENTS[name]]
    assert decoder.end() == []


@pytest.mark.parametrize(("name", "message"), [(name, document["message"]) for name, document in ERRORS.items()])
def test_an_error_says_what_the_scenario_says(name: str, message: str, side: Any) -> None:
    said = side.read_error((FOLDER / f"{name}.json").read_bytes())
    assert (said.message, said.type) == (message, ERRORS[name]["__type"])


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file_name, content in FILES.items():
        (FOLDER / file_name).write_bytes(content)
