"""The golden samples of this dialect: each says what its name says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from open_llm_auth.wire.conversation import (
    Conversation,
    Image,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from open_llm_auth.wire.events import (
    Finished,
    Signature,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from open_llm_auth.wire.google_genai import DIALECT, read_conversation, read_reply, read_request, write_request

GOLDEN = Path(__file__).parents[2] / "golden"
REQUESTS = sorted((GOLDEN / "requests/google-genai").glob("*.json"))
UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
OWN = Signature("google-genai", "c2lnbmF0dXJl")


def asked(name: str) -> Conversation:
    return read_conversation(read_request((GOLDEN / f"requests/google-genai/{name}.json").read_bytes()).envelope)


def replied(name: str):
    return read_reply((GOLDEN / f"replies/google-genai/{name}.json").read_bytes())[1:]


def test_the_requests_say_what_their_names_say():
    names = "text unicode tools parallel_tools tool_error image json_schema thinking thinking_tools cache stop length"
    assert {path.stem for path in REQUESTS} == {*names.split(" "), "thinking_moved"}
    text = asked("text")
    assert (text.system, text.max_tokens, text.temperature) == ((Text("You are terse."),), 100, 0.5)
    assert text.turns[0].parts == (Text("What is the weather in Paris?"),)
    assert asked("unicode").turns[0].parts == (Text(UNICODE),)
    assert asked("tools").tool_choice == ToolChoice("auto")
    assert asked("tools").tools[0].parameters["required"] == ["city"]
    assert isinstance(asked("image").turns[0].parts[1], Image)
    assert asked("json_schema").output == OutputFormat(asked("json_schema").output.schema)
    assert asked("thinking").reasoning == Reasoning(enabled=True, budget=2048, shown=True)
    assert asked("stop").stop == ("STOP",)
    assert asked("length").max_tokens == 2
    assert asked("cache") == text


def test_the_histories_say_what_their_names_say():
    _, said, answered, last = asked("parallel_tools").turns
    assert [part.id for part in said.parts[1:]] == ["call_paris", "call_berlin"]
    assert answered.parts[0] == ToolResult("call_paris", "get_weather", (Text("21 C, sunny"),))
    assert last.parts == (Text("And tomorrow?"),)
    assert asked("tool_error").turns[2].parts[0].is_error
    thought, call = asked("thinking_tools").turns[1].parts
    assert thought == Thinking("I should look.", summary=True)
    assert call == ToolCall("call_paris", "get_weather", '{"city":"Paris"}', signature=OWN)
    moved = Thinking("I should look.", Signature("bedrock-converse", OWN.value))
    assert asked("thinking_moved").turns[1].parts == (moved, replace(call, signature=None))


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_a_request_written_again_says_the_same(path):
    """But for what goes back to nobody: thoughts without a signature."""
    said = read_conversation(read_request(path.read_bytes()).envelope)
    body = msgspec.json.encode(write_request(said, "gemini-2.5-flash"))
    again = read_conversation(read_request(body).envelope)
    unsigned = tuple(
        replace(turn, parts=tuple(part for part in turn.parts if not isinstance(part, Thinking))) for turn in said.turns
    )
    joined = [part for turn in unsigned for part in turn.parts]
    assert [part for turn in again.turns for part in turn.parts] == joined
    assert replace(again, turns=()) == replace(said, turns=())


CALLS = {
    city: [ToolCallStarted(f"call_{city.lower()}", "get_weather"), ToolCallDelta(f'{{"city":"{city}"}}')]
    for city in ("Paris", "Berlin")
}
USAGE = Usage(20, 7)
THOUGHT = Usage(20, 7, reasoning=5)
ANSWER = TextDelta("It is sunny in Paris.")


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("text", [ANSWER, Finished("stop", USAGE)]),
        ("unicode", [TextDelta(UNICODE), Finished("stop", USAGE)]),
        ("tools", [TextDelta("Let me look."), *CALLS["Paris"], Finished("tool_calls", USAGE)]),
        ("parallel_tools", [*CALLS["Paris"], *CALLS["Berlin"], Finished("tool_calls", USAGE)]),
        ("json", [TextDelta('{"city":"Paris","celsius":21}'), Finished("stop", USAGE)]),
        (
            "thinking",
            [
                ThinkingDelta("The user asks for weather.", summary=True),
                ANSWER,
                ThinkingSigned(OWN),
                Finished("stop", THOUGHT),
            ],
        ),
        (
            "thinking_tools",
            [
                ThinkingDelta("The user asks for weather.", summary=True),
                ToolCallStarted("call_paris", "get_weather", signature=OWN),
                CALLS["Paris"][1],
                Finished("tool_calls", THOUGHT),
            ],
        ),
        ("cache_hit", [ANSWER, Finished("stop", Usage(1200, 7, 1000))]),
        ("stop", [TextDelta("one two three "), Finished("stop", USAGE)]),
        ("refusal", [TextDelta("I can't help with that."), Finished("refusal", USAGE)]),
        ("length", [TextDelta("It is"), Finished("length", USAGE)]),
    ],
)
def test_the_replies_say_what_their_names_say(name, events):
    assert replied(name) == events


def test_the_dialect_never_says_anything_in_a_silence():
    assert DIALECT.client.keep_alive is None
