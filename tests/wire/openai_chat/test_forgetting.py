"""A request for chat completions without proofs of earlier reasoning."""

import json
from typing import Any

from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.openai_chat.forgetting import without_reasoning

USER = {"role": "user", "content": "hi"}
SKIP = "skip_thought_signature_validator"


def stripped(messages: list[Any], model: str = "m") -> Any:
    envelope = read_envelope(json.dumps({"temperature": 0.5, "messages": messages}).encode())
    bare = without_reasoning(envelope, model)
    return None if bare is envelope else json.loads(bytes(bare["messages"]))


def test_what_proves_reasoning_goes_and_its_words_stay() -> None:
    said = {"role": "assistant", "content": "Well.", "reasoning_content": "Hm."}
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"}]
    assert stripped([USER, {**said, "reasoning_details": details}]) == [USER, said]


def test_a_thought_signature_becomes_the_mark_for_calls_of_others() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    signed = {**call, "extra_content": {"google": {"thought_signature": "c2ln"}, "other": 1}}
    (said,) = stripped([{"role": "assistant", "tool_calls": [signed, call]}])
    assert said["tool_calls"] == [{**call, "extra_content": {"google": {"thought_signature": SKIP}, "other": 1}}, call]


def test_a_call_that_lost_its_signature_gets_the_mark_for_geminis_models_only() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    (said,) = stripped([{"role": "assistant", "tool_calls": [call, call]}], "models/gemini-3-flash")
    assert said["tool_calls"] == [{**call, "extra_content": {"google": {"thought_signature": SKIP}}}, call]
    assert stripped([{"role": "assistant", "tool_calls": [call]}]) is None
    assert stripped([said], "gemini-3-flash") is None


def test_a_request_without_any_is_the_very_same() -> None:
    odd = [USER, {"role": "assistant", "content": None}, 7, None, {"role": "assistant", "tool_calls": [7]}, {}]
    assert stripped(odd) is None
