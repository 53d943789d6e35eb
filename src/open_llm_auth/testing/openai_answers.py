"""The documents of an OpenAI-compatible provider, built from the request alone, so that tests can foretell them.

Source: the OpenAI API reference (chat completions, embeddings, models, errors). One piece of text counts as one token.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from .answers import CREATED, JSON, TEXT, Asked, Finish, Said, Script, decide, pieces_of, to_json

__all__ = [
    "CREATED",
    "EMBEDDING",
    "JSON",
    "TEXT",
    "Answer",
    "UsagePlace",
    "answer_of",
    "chat_answer",
    "chat_asked",
    "chat_chunks",
    "chat_completion",
    "embeddings",
    "error_body",
    "model_entry",
    "model_list",
    "to_json",
]

#: The vector of every embedding: exact in 32-bit floats, so that both encodings compare equal.
EMBEDDING: Final = (0.5, -0.25, 0.125, 1.0)

UsagePlace = Literal["own", "finish", "none"]


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
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def usage(self) -> JSON:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": len(self.reasoning)},
        }


def chat_answer(request: Mapping[str, Any], *, answer_id: str, **script: Any) -> Answer:
    """Decide what to say (`answers.decide`); `script` are fields of a `Script`, by name."""
    number = answer_id.removeprefix("chatcmpl-")
    return answer_of(answer_id, decide(chat_asked(request), number, Script(**script)))


#: How the words of an answer's end are in this dialect: it does not tell a refusal from any other end.
_FINISHES: Final[Mapping[Finish, str]] = {
    "stop": "stop",
    "length": "length",
    "stop_sequence": "stop",
    "tool_calls": "tool_calls",
    "refusal": "stop",
}


def answer_of(answer_id: str, said: Said) -> Answer:
    """What was decided, in the words of this dialect."""
    calls = tuple((f"call_{answer_id[-12:]}_{call.place}", call.name, call.arguments) for call in said.calls)
    return Answer(
        answer_id,
        said.model,
        said.text,
        said.thinking,
        said.refusal,
        calls,
        _FINISHES[said.finish],
        said.input,
        said.output,
        said.cache_read,
    )


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
        for piece in pieces_of(arguments):
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


def chat_asked(request: Mapping[str, Any]) -> Asked:
    """What a chat completion request comes to."""
    messages: Sequence[Mapping[str, Any]] = request.get("messages") or ()
    choice = request.get("tool_choice")
    stop = request.get("stop") or ()
    users = [message for message in messages if message.get("role") == "user"]
    return Asked(
        model=str(request.get("model", "")),
        text=_text_of(users[-1]) if users else "",
        answered=bool(messages) and messages[-1].get("role") == "tool",
        tools={
            tool["function"]["name"]: tool["function"].get("parameters") or {}
            for tool in request.get("tools") or ()
            if "function" in tool
        },
        choice=choice if choice in ("none", "required") else "auto",
        forced=choice.get("function", {}).get("name", "") if isinstance(choice, dict) else "",
        parallel=request.get("parallel_tool_calls") is not False,
        limit=request.get("max_completion_tokens") or request.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        schema=_schema(request.get("response_format") or {}),
        words=sum(len(_text_of(message).split()) + 3 for message in messages),
    )


def _schema(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if wanted.get("type") == "json_schema":
        found: Mapping[str, Any] = wanted["json_schema"].get("schema") or {}
        return found
    return {} if wanted.get("type") == "json_object" else None


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return " ".join(part.get("text", "") for part in parts if isinstance(part, dict))
