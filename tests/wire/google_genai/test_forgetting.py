"""A GenerateContent request without thoughts and their signatures."""

import json
from typing import Any

from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.google_genai.forgetting import without_reasoning

USER = {"role": "user", "parts": [{"text": "hi"}]}
CALL = {"functionCall": {"name": "f", "args": {}}}
SKIP = {"thoughtSignature": "skip_thought_signature_validator"}


def stripped(contents: Any, model: str = "gemini-2.5-flash") -> Any:
    envelope = read_envelope(json.dumps({"contents": contents}).encode())
    bare = without_reasoning(envelope, model)
    return None if bare is envelope else json.loads(bytes(bare["contents"]))


def test_thoughts_and_signatures_go_and_what_was_said_stays() -> None:
    parts = [
        {"text": "Hm.", "thought": True},
        {"text": "Well.", "thoughtSignature": "c2ln"},
        {"text": "", "thoughtSignature": "c2ln"},
        {"thought_signature": "c2ln"},
        {**CALL, "thought_signature": "c2ln"},
    ]
    assert stripped([USER, {"role": "model", "parts": parts}]) == [
        USER,
        {"role": "model", "parts": [{"text": "Well."}, CALL]},
    ]


def test_a_content_of_nothing_but_thoughts_goes_whole() -> None:
    assert stripped([USER, {"role": "model", "parts": [{"text": "Hm.", "thought": True}]}, USER]) == [USER, USER]


def test_the_first_call_of_a_step_is_marked_where_the_model_wants_it_signed() -> None:
    lost = [USER, {"role": "model", "parts": [{"text": "Well."}, CALL, CALL]}]
    marked = [USER, {"role": "model", "parts": [{"text": "Well."}, CALL | SKIP, CALL]}]
    assert stripped(lost, "gemini-3-flash-preview") == marked
    assert stripped(marked, "gemini-3-flash-preview") is None
    assert stripped(lost) is None


def test_a_request_without_any_is_the_very_same() -> None:
    for contents in ([USER], USER, [{"parts": [{"text": ""}, {}]}], [7, {"parts": 7}, {"parts": [7, None]}]):
        assert stripped(contents) is None
