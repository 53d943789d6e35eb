"""A request for a response without the reasoning of earlier ones."""

import json
from typing import Any

from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.openai_responses.forgetting import without_reasoning

USER = {"type": "message", "role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "out", "id": "fco_1"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"}


def stripped(given: Any) -> Any:
    envelope = read_envelope(json.dumps({"store": False, "input": given}).encode())
    bare = without_reasoning(envelope, "m")
    return None if bare is envelope else json.loads(bytes(bare["input"]))


def test_items_of_reasoning_go_and_what_followed_them_loses_the_id_that_names_them() -> None:
    message = {"type": "message", "role": "assistant", "content": []}
    given = [USER, REASONING, {**CALL, "id": "fc_1"}, RESULT, {"type": "item_reference", "id": "rs_2"}]
    assert stripped([*given, {**message, "id": "msg_1"}]) == [USER, CALL, RESULT, message]


def test_a_compaction_stays_because_nothing_else_is_left_of_what_was_said() -> None:
    compaction = {"type": "compaction", "encrypted_content": "c2ln"}
    assert stripped([compaction, REASONING, USER]) == [compaction, USER]
    assert stripped([compaction, USER]) is None


def test_a_request_without_any_is_the_very_same() -> None:
    for given in ("a text", [USER, CALL, RESULT], [7, None, "x"], [{"type": "item_reference", "id": "msg_1"}]):
        assert stripped(given) is None
