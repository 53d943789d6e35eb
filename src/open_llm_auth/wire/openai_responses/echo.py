"""The response object around an answer: every field that strict clients want, with what the request asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..dialect import Answering
from ..envelope import first_byte, is_null

__all__ = ["response_head"]

Raw = msgspec.Raw

_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_OBJECTS: Final = msgspec.json.Decoder(list[dict[str, Raw]])
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: Raw values keep the line breaks they were laid out with; inside a JSON string there are none.
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")

#: Fields that tell what was asked for, with what they are where nothing was.
_ECHOED: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
_NO_REASONING: Final = {"effort": None, "summary": None}
_PLAIN_TEXT: Final = {"format": {"type": "text"}}
_FUNCTION: Final = {"description": None, "parameters": None, "strict": None}


def response_head(answering: Answering, model: str) -> dict[str, Any]:
    """A response that has just begun. What it says of the answer itself is replaced as the answer comes."""
    asked = answering.envelope
    head: dict[str, Any] = {
        "id": f"resp_{answering.id}",
        "object": "response",
        "created_at": answering.created,
        # Set with the end of a response that is whole.
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model or answering.model,
        "output": [],
        "previous_response_id": None,
        # The gateway keeps no responses.
        "store": False,
        "usage": None,
    }
    for name, usual in _ECHOED.items():
        raw = asked.get(name)
        head[name] = usual if raw is None or is_null(raw) else _one_line(raw)
    head["reasoning"] = _filled(asked.get("reasoning"), _NO_REASONING)
    head["text"] = _filled(asked.get("text"), _PLAIN_TEXT)
    head["tools"] = _tools(asked.get("tools"))
    return head


def _one_line(raw: Raw) -> Raw:
    data = bytes(raw)
    return Raw(data.translate(_ONE_LINE)) if b"\n" in data or b"\r" in data else raw


def _filled(raw: Raw | None, usual: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object with the fields it lacks."""
    if raw is None or first_byte(raw) != ord("{"):
        return usual
    try:
        return {**usual, **_OBJECT.decode(_one_line(raw))}
    except _NOT_JSON:
        return usual


def _tools(raw: Raw | None) -> list[Mapping[str, Any]]:
    """The tools as they were declared, functions with every field."""
    if raw is None or first_byte(raw) != ord("["):
        return []
    try:
        tools = _OBJECTS.decode(_one_line(raw))
    except _NOT_JSON:
        return []
    return [{**_FUNCTION, **tool} if bytes(tool.get("type", b"")) == b'"function"' else tool for tool in tools]
