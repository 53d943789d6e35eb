"""The documents of an OpenAI-compatible provider, built from the request alone, so that tests can foretell them.

Source: the OpenAI API reference (chat completions, embeddings, models, errors). One piece of text counts as one token.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = [
    "CREATED",
    "EMBEDDING",
    "JSON",
    "TEXT",
    "Answer",
    "UsagePlace",
    "chat_answer",
    "chat_chunks",
    "chat_completion",
    "embeddings",
    "error_body",
    "model_entry",
    "model_list",
    "to_json",
]

JSON = dict[str, Any]

#: What the fake model says, piece by piece. It holds characters of one to four bytes, so that splits can hurt.
TEXT: Final = ("Hello", " from", " the", " fake", " provider", ":", " naïve", " 日本語", " 🦙", ".")

#: The vector of every embedding: exact in 32-bit floats, so that both encodings compare equal.
EMBEDDING: Final = (0.5, -0.25, 0.125, 1.0)

CREATED: Final = 1_767_225_600
UsagePlace = Literal["own", "finish", "none"]
_ARGUMENT_PIECE: Final = 7


def to_json(value: object) -> bytes:
    """Compact UTF-8, as providers send it: characters stand as themselves, not as escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def error_body(
    message: str, *, kind: str = "invalid_request_error", code: str | int | None = None, param: str | None = None
) -> JSON:
    """OpenAI's error document. Some servers put an integer in `code`."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def model_list(ids: Sequence[str]) -> JSON:
    return {"object": "list", "data": [model_entry(model) for model in ids]}


def model_entry(model: str) -> JSON:
    return {"id": model, "object": "model", "created": CREATED, "owned_by": "fake-provider"}


def embeddings(request: Mapping[str, Any]) -> JSON:
    """One vector an input; base64 of little-endian 32-bit floats where `encoding_format` asks for it."""
    inputs = request.get("input", "")
    count = len(inputs) if isinstance(inputs, list) and not (inputs and isinstance(inputs[0], int)) else 1
    vector: object = list(EMBEDDING)
    if request.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(EMBEDDING)}f", *EMBEDDING)).decode()
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)],
        "model": request.get("model"),
        "usage": {"prompt_tokens": 3 * count, "total_tokens": 3 * count},
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model decided to say, before it is put in a document."""

    id: str
    model: str
    text: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    refusal: str | None = None
    tool_calls: tuple[tuple[str, str, str], ...] = ()
    finish: str = "stop"
    prompt_tokens: int = 0

    @property
    def usage(self) -> JSON:
        said = len(self.text) + len(self.reasoning) + 5 * len(self.tool_calls) + bool(self.refusal)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.prompt_tokens + said,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": len(self.reasoning)},
        }


def chat_answer(
    request: Mapping[str, Any],
    *,
    answer_id: str,
    text: tuple[str, ...] = TEXT,
    reasoning: tuple[str, ...] = (),
    refusal: str | None = None,
) -> Answer:
    """Decide what to say: a forced or named tool is called, a JSON schema is filled in, and else `text` is said.

    A last user message that names a declared tool calls it; after a tool's result comes text. `max_tokens` cuts the
    text and makes the finish reason ``length``.
    """
    model = str(request.get("model", ""))
    prompt_tokens = sum(len(_text_of(message).split()) + 3 for message in request.get("messages", ()))
    calls = tuple(_tool_calls(request, answer_id))
    if calls:
        return Answer(answer_id, model, (), reasoning, None, calls, "tool_calls", prompt_tokens)
    if refusal is not None:
        return Answer(answer_id, model, (), reasoning, refusal, (), "stop", prompt_tokens)
    said = _formatted(request) or text
    limit = request.get("max_completion_tokens") or request.get("max_tokens") or len(said)
    finish = "length" if limit < len(said) else "stop"
    return Answer(answer_id, model, said[:limit], reasoning, None, (), finish, prompt_tokens)


def chat_completion(answer: Answer, *, usage: bool = True) -> JSON:
    """The plain document."""
    message: JSON = {"role": "assistant", "content": "".join(answer.text) or None, "refusal": answer.refusal}
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call, name, arguments in answer.tool_calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
    document: JSON = {"id": answer.id, "object": "chat.completion", "created": CREATED, "model": answer.model}
    document["choices"] = [choice]
    return document | ({"usage": answer.usage} if usage else {})


def chat_chunks(answer: Answer, *, usage: UsagePlace = "none", azure_first: bool = False) -> Iterator[JSON]:
    """The streamed documents.

    `usage` says where it stands: ``own`` chunk with empty choices (and null on the others, as documented),
    on the ``finish`` chunk, or ``none``. `azure_first` opens with Azure's chunk of content-filter results.
    """
    if azure_first:
        yield _chunk(answer, []) | {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    nulled = {"usage": None} if usage == "own" else {}
    for delta in _deltas(answer):
        yield _chunk(answer, [_choice(delta)]) | nulled
    final = _chunk(answer, [_choice({}, answer.finish)])
    yield final | ({"usage": answer.usage} if usage == "finish" else nulled)
    if usage == "own":
        yield _chunk(answer, []) | {"usage": answer.usage}


def _deltas(answer: Answer) -> Iterator[JSON]:
    yield {"role": "assistant", "content": None if answer.tool_calls else "", "refusal": None}
    for piece in answer.reasoning:
        yield {"reasoning_content": piece}
    for piece in answer.text:
        yield {"content": piece}
    if answer.refusal is not None:
        yield {"refusal": answer.refusal}
    for index, (call, name, arguments) in enumerate(answer.tool_calls):
        opening = {"name": name, "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call, "type": "function", "function": opening}]}
        for start in range(0, len(arguments), _ARGUMENT_PIECE):
            piece = arguments[start : start + _ARGUMENT_PIECE]
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _chunk(answer: Answer, choices: list[JSON]) -> JSON:
    return {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": answer.model,
        "choices": choices,
    }


def _choice(delta: JSON, finish: str | None = None) -> JSON:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _tool_calls(request: Mapping[str, Any], answer_id: str) -> Iterator[tuple[str, str, str]]:
    declared = {tool["function"]["name"]: tool["function"] for tool in request.get("tools") or () if "function" in tool}
    choice = request.get("tool_choice")
    last: Mapping[str, Any] = (request.get("messages") or [{}])[-1]
    if not declared or choice == "none" or last.get("role") == "tool":
        return
    if isinstance(choice, dict):
        wanted = [choice["function"]["name"]]
    else:
        wanted = [name for name in declared if name in _text_of(last)]
        if choice == "required":
            wanted = wanted or list(declared)[:1]
    for number, name in enumerate(wanted, start=1):
        arguments = to_json(_sample(declared[name].get("parameters") or {})).decode()
        yield f"call_{answer_id[-12:]}_{number}", name, arguments


def _formatted(request: Mapping[str, Any]) -> tuple[str, ...] | None:
    wanted = request.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return (to_json(_sample(wanted["json_schema"].get("schema") or {})).decode(),)
    if wanted.get("type") == "json_object":
        return ('{"ok":true}',)
    return None


_SAMPLES: Final[Mapping[str, object]] = {
    "string": "sample",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "null": None,
}


def _sample(schema: Mapping[str, Any]) -> object:
    """A value that fits a plain JSON schema: objects, enums and scalars, which is what tests declare."""
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema or schema.get("type") == "object":
        return {name: _sample(part) for name, part in schema.get("properties", {}).items()}
    kind = schema.get("type", "string")
    return _SAMPLES[kind[0] if isinstance(kind, list) else kind]


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return " ".join(part.get("text", "") for part in parts if isinstance(part, dict))
