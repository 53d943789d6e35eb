"""What an agent says is full of its tools' names: where the fakes are told to, only ``/call`` calls one of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from open_llm_auth.testing.answers import Asked, Script, decide

TOOLS = {"Bash": {"type": "object", "properties": {"command": {"type": "string"}}}, "Read": {}}
NAMED, TOLD, TWO = Script(), Script(calls="told"), Script(calls="two")


def calls(text: str, script: Script, **fields: Any) -> list[tuple[str, object]]:
    said = decide(Asked(text=text, tools=TOOLS, **fields), "1", script)
    return [(call.name, json.loads(call.arguments)) for call in said.calls]


@pytest.mark.parametrize("script", [NAMED, TOLD, TWO])
def test_what_is_told_is_called_with_its_arguments(script: Script) -> None:
    asked = 'Read this. Please /call Bash {"command": "echo {}", "n": [1]} and say so.'
    assert calls(asked, script) == [("Bash", {"command": "echo {}", "n": [1]})]


def test_a_name_alone_calls_a_tool_unless_only_what_is_told_counts() -> None:
    assert calls("Bash and Read are tools", TOLD) == []
    assert [name for name, _ in calls("Bash and Read are tools", NAMED)] == ["Bash", "Read"]


def test_after_a_result_nothing_is_called_again() -> None:
    assert calls('/call Bash {"command": "x"}', TOLD, answered=True) == []
    assert calls('/call Bash {"command": "x"}', TOLD, choice="none") == []
