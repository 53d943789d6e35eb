"""A request for a message without the thinking of earlier turns."""

import json
from typing import Any

from open_llm_auth.wire.anthropic_messages.requests import without_reasoning
from open_llm_auth.wire.envelope import read_envelope

SAID = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "out"}]}


def stripped(messages: list[Any], model: str = "claude-sonnet-4-5", **fields: Any) -> Any:
    envelope = read_envelope(json.dumps({"max_tokens": 9, "messages": messages, **fields}).encode())
    bare = without_reasoning(envelope, model)
    return None if bare is envelope else {name: json.loads(bytes(raw)) for name, raw in bare.items()}


def test_thinking_goes_and_what_was_said_stays() -> None:
    redacted = {"type": "redacted_thinking", "data": "c2ln"}
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [SAID, redacted]}]
    well = {"type": "text", "text": "Well."}
    more = [{"role": "assistant", "content": [SAID, well]}, {"role": "user", "content": "go"}]
    thinking = {"type": "enabled", "budget_tokens": 2048}
    bare = stripped([*said, *more], thinking=thinking)
    assert bare["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [well]},
        {"role": "user", "content": "go"},
    ]
    assert bare["thinking"] == thinking


def test_thinking_is_off_where_a_turn_of_tool_calls_lost_its_own() -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [SAID, USE]}, RESULT]
    bare = stripped(messages, thinking={"type": "enabled", "budget_tokens": 2048}, output_config={"effort": "max"})
    assert bare["messages"][1]["content"] == [USE]
    assert bare.get("thinking", {"type": "disabled"}) == {"type": "disabled"}
    assert bare["output_config"] == {"effort": "high"}
    assert "thinking" not in stripped(messages)


def test_a_request_without_thinking_is_the_very_same() -> None:
    odd = [7, {"content": [7]}, {"content": []}]
    for messages in ([{"role": "user", "content": "hi"}], odd, [{"content": [USE]}]):
        assert stripped(messages) is None
