"""A fake of OpenAI's Responses API: a real HTTP server that behaves as documented until a test tells it otherwise.

Source: the Responses API reference (create, streaming events, errors).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from . import responses_rules
from .answers import CREATED, JSON, Asked, Call, Choice, Refused, Said, Seal, decide, pieces_of, to_json
from .behaviours import Behaviour
from .fake_server import KEY, Answered, FakeServer, Streamed, events_of
from .http_server import SeenRequest
from .openai_answers import error_body, model_entry, model_list

__all__ = ["FakeResponses"]

MODELS: Final = ("gpt-fake", "gpt-fake-mini")
_SEALED: Final = "reasoning.encrypted_content"
_CHOICES: Final[Mapping[str, Choice]] = {"none": "none", "required": "required"}
_INPUT: Final = {"type": "object", "properties": {"input": {"type": "string"}}}
#: What a tool says of itself when it is told back, where the request did not.
_DEFAULTS: Final[Mapping[str, JSON]] = {"function": {"strict": True}}
#: Created, in progress, the item and its part.
_OPENING: Final = 4


class FakeResponses(FakeServer):
    """`with FakeResponses() as provider:` serves `provider.base_url` until the block ends (see `FakeServer`).

    It answers `POST …/responses` (plain and streamed), `GET …/models` and `GET …/models/{id}`, and refuses what the API
    refuses (`responses_rules`). Reasoning is sealed where it is asked for; another `issuer` does not open it.
    """

    mount = "/v1"

    def __init__(
        self,
        *,
        keys: Collection[str] | None = (KEY,),
        models: tuple[str, ...] = MODELS,
        behaviour: Behaviour | str = "documented",
        issuer: str = "openai",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(keys=keys, models=models, behaviour=behaviour, host=host, tls=tls)
        self._seal = Seal(issuer)
        #: the responses that are kept, with the ids of the calls in them
        self._stored: dict[str, tuple[str, ...]] = {}

    def refuse_key(self, key: str | None) -> Refused:
        if key is None:
            return Refused(401, "Missing bearer or basic authentication in header")
        return Refused(401, "Incorrect API key provided: sk-fa***.", code="invalid_api_key")

    def said_to(self, document: Mapping[str, Any]) -> str:
        return _last_words(document.get("input"))

    def error(self, refused: Refused) -> JSON:
        kind = refused.kind or "invalid_request_error"
        return error_body(refused.message, kind=kind, code=refused.code, param=refused.param)

    def answer(
        self, request: SeenRequest, document: Mapping[str, Any], behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        match request.method, request.path.removeprefix(self.mount):
            case "POST", path if path.endswith("/responses"):
                responses_rules.check_call(document, self._seal, self._stored)
                return self._response(document, behaviour, number)
            case "GET", "/models":
                return Answered(model_list(self.models))
            case "GET", path if path.removeprefix("/models/") in self.models:
                return Answered(model_entry(path.removeprefix("/models/")))
        raise Refused(404, f"Invalid URL ({request.method} {request.path})")

    def _response(self, document: Mapping[str, Any], behaviour: Behaviour, number: str) -> Answered | Streamed:
        said = decide(_asked(document), number, behaviour.script)
        writing = _Writing(document, said, self._seal, shows=bool(behaviour.reasoning))
        if document.get("store") is not False:
            self._stored[f"resp_{number}"] = tuple(_call_id(said, call) for call in said.calls)
        if not document.get("stream") or behaviour.plain_for_stream:
            return Answered(writing.document(_status(said)))
        frames = list(writing.frames())
        if not behaviour.done:
            frames.pop()
        numbered = ((frame["type"], frame | {"sequence_number": place}) for place, frame in enumerate(frames))
        events = events_of(numbered, behaviour)
        return Streamed(events, _OPENING, failure=lambda refused: writing.failure(refused, behaviour.line_end))


def _asked(document: Mapping[str, Any]) -> Asked:
    choice = document.get("tool_choice")
    wanted = (document.get("text") or {}).get("format") or {}
    schemas: JSON = {"json_schema": wanted.get("schema"), "json_object": {}}
    return Asked(
        model=document["model"],
        text=_last_words(document.get("input")),
        answered=_is_answered(document.get("input")),
        tools={
            name: _INPUT if tool["type"] == "custom" else tool.get("parameters") or {}
            for name, tool in responses_rules.declared(document).items()
        },
        choice=_CHOICES.get(choice, "auto") if isinstance(choice, str) else "auto",
        forced=choice.get("name", "") if isinstance(choice, dict) else "",
        parallel=document.get("parallel_tool_calls") is not False,
        limit=document.get("max_output_tokens"),
        schema=schemas.get(str(wanted.get("type"))),
        thinks=(document.get("reasoning") or {}).get("effort", "none") != "none",
        words=sum(3 + len(text.split()) for text in _texts(document)),
    )


def _items(given: object) -> list[Mapping[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []


def _is_answered(given: object) -> bool:
    items = _items(given)
    return bool(items) and str(items[-1].get("type")).endswith("_call_output")


def _last_words(given: object) -> str:
    users = [item for item in _items(given) if item.get("role") == "user"]
    return _text_of(users[-1].get("content")) if users else ""


def _texts(document: Mapping[str, Any]) -> Iterator[str]:
    for item in _items(document.get("input")):
        yield _text_of(item.get("content"))
    if document.get("instructions"):
        yield document["instructions"]


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def _call_id(said: Said, call: Call) -> str:
    return f"call_{said.number}_{call.place}"


def _status(said: Said) -> str:
    return "incomplete" if said.finish == "length" else "completed"


class _Writing:
    """One answer in the form of this API, whole or as the events that make it up. `shows`: reasoning comes in words."""

    def __init__(self, request: Mapping[str, Any], said: Said, seal: Seal, *, shows: bool) -> None:
        reasoning = request.get("reasoning") or {}
        self._request = request
        self._said = said
        self._seal = seal
        self._tools = responses_rules.declared(request)
        self._shows = shows or reasoning.get("summary") is not None
        self._seals = _SEALED in (request.get("include") or ())
        self._obfuscates = (request.get("stream_options") or {}).get("include_obfuscation") is not False

    def document(self, status: str, output: Sequence[JSON] | None = None, error: JSON | None = None) -> JSON:
        """The response as it stands; without `output` it is whole."""
        request = self._request
        is_over = output is None
        return {
            "id": f"resp_{self._said.number}",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": False,
            "completed_at": CREATED + 1 if status == "completed" else None,
            "error": error,
            "frequency_penalty": 0.0,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": request.get("instructions"),
            "max_output_tokens": request.get("max_output_tokens"),
            "max_tool_calls": None,
            "model": self._said.model,
            "output": [item for item, _ in self._items()] if output is None else list(output),
            "parallel_tool_calls": request.get("parallel_tool_calls", True),
            "presence_penalty": 0.0,
            "previous_response_id": request.get("previous_response_id"),
            "prompt_cache_key": request.get("prompt_cache_key"),
            "reasoning": {"effort": None, "summary": None} | (request.get("reasoning") or {}),
            "safety_identifier": None,
            "service_tier": "default",
            "store": request.get("store", True),
            "temperature": request.get("temperature", 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium"} | (request.get("text") or {}),
            "tool_choice": request.get("tool_choice", "auto"),
            "tools": [_DEFAULTS.get(tool.get("type"), {}) | tool for tool in request.get("tools") or ()],
            "top_logprobs": 0,
            "top_p": request.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": self._usage() if is_over else None,
            "user": None,
            "metadata": request.get("metadata") or {},
        }

    def _usage(self) -> JSON:
        said = self._said
        return {
            "input_tokens": said.input,
            "input_tokens_details": {"cached_tokens": said.cache_read, "cache_write_tokens": said.cache_write},
            "output_tokens": said.output,
            "output_tokens_details": {"reasoning_tokens": len(said.thinking)},
            "total_tokens": said.input + said.output,
        }

    # items, each with the events between its beginning and its end

    def _items(self) -> Iterator[tuple[JSON, list[JSON]]]:
        said = self._said
        if said.thinking:
            yield self._reasoning()
        if said.text or said.refusal is not None:
            yield self._message()
        for call in said.calls:
            yield self._custom(call) if self._tools[call.name]["type"] == "custom" else self._function(call)

    def _reasoning(self) -> tuple[JSON, list[JSON]]:
        said, item_id = self._said, f"rs_{self._said.number}"
        words = "".join(said.thinking)
        summary = [{"type": "summary_text", "text": words}] if self._shows else []
        item: JSON = {"id": item_id, "type": "reasoning", "summary": summary}
        if self._seals:
            item["encrypted_content"] = self._seal.sign(item_id, words)
        at: JSON = {"item_id": item_id, "summary_index": 0}
        events: list[JSON] = [
            {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}},
            *({"type": "response.reasoning_summary_text.delta", **at, "delta": piece} for piece in said.thinking),
            {"type": "response.reasoning_summary_text.done", **at, "text": words},
            {"type": "response.reasoning_summary_part.done", **at, "part": {"type": "summary_text", "text": words}},
        ]
        return item, events if self._shows else []

    def _message(self) -> tuple[JSON, list[JSON]]:
        said, item_id = self._said, f"msg_{self._said.number}"
        refuses = said.refusal is not None
        pieces = (said.refusal,) if said.refusal is not None else said.text
        whole = "".join(pieces)
        at: JSON = {"item_id": item_id, "content_index": 0}
        kind, name = ("refusal", "refusal") if refuses else ("output_text", "text")
        more: JSON = {} if refuses else {"logprobs": []}
        part: JSON = {"type": kind, name: whole}
        if not refuses:
            part |= {"annotations": [], "logprobs": []}
        events: list[JSON] = [
            {"type": "response.content_part.added", **at, "part": part | {name: ""}},
            *({"type": f"response.{kind}.delta", **at, "delta": piece, **more, **self._padding()} for piece in pieces),
            {"type": f"response.{kind}.done", **at, name: whole, **more},
            {"type": "response.content_part.done", **at, "part": part},
        ]
        item = {"id": item_id, "type": "message", "status": _status(said), "content": [part], "role": "assistant"}
        return item, events

    def _function(self, call: Call) -> tuple[JSON, list[JSON]]:
        item = self._called(call, "function_call", "fc") | {"arguments": call.arguments}
        at = {"item_id": item["id"]}
        deltas: list[JSON] = [
            {"type": "response.function_call_arguments.delta", **at, "delta": piece, **self._padding()}
            for piece in pieces_of(call.arguments)
        ]
        done = {"type": "response.function_call_arguments.done", **at, "arguments": call.arguments}
        return item, [*deltas, done]

    def _custom(self, call: Call) -> tuple[JSON, list[JSON]]:
        text = json.loads(call.arguments)["input"]
        item = self._called(call, "custom_tool_call", "ctc") | {"input": text}
        at = {"item_id": item["id"]}
        return item, [
            {"type": "response.custom_tool_call_input.delta", **at, "delta": text},
            {"type": "response.custom_tool_call_input.done", **at, "input": text},
        ]

    def _called(self, call: Call, kind: str, prefix: str) -> JSON:
        item: JSON = {
            "id": f"{prefix}_{self._said.number}_{call.place}",
            "type": kind,
            "status": "completed",
            "call_id": _call_id(self._said, call),
            "name": call.name,
        }
        namespace = self._tools[call.name].get("namespace")
        return item if namespace is None else item | {"namespace": namespace}

    def _padding(self) -> JSON:
        return {"obfuscation": "Xq7"} if self._obfuscates else {}

    # events

    def frames(self) -> Iterator[JSON]:
        """The whole sequence, but for its numbers."""
        yield {"type": "response.created", "response": self.document("in_progress", ())}
        yield {"type": "response.in_progress", "response": self.document("in_progress", ())}
        for index, (item, events) in enumerate(self._items()):
            at = {"output_index": index}
            yield {"type": "response.output_item.added", **at, "item": _begun(item)}
            for event in events:
                yield event | at
            yield {"type": "response.output_item.done", **at, "item": item}
        status = _status(self._said)
        yield {"type": f"response.{status}", "response": self.document(status)}

    def failure(self, refused: Refused, line: str) -> bytes:
        """An error within the stream: its own event, and the response that failed of it."""
        code = str(refused.code or "server_error")
        error = {"type": "error", "code": code, "message": refused.message, "param": refused.param}
        failed = self.document("failed", (), {"code": code, "message": refused.message})
        frames = (error, {"type": "response.failed", "response": failed})
        return b"".join(
            f"event: {frame['type']}{line}data: ".encode()
            + to_json(frame | {"sequence_number": 99})
            + line.encode() * 2
            for frame in frames
        )


def _begun(item: JSON) -> JSON:
    """An item as its first event tells it: nothing said yet."""
    empty: JSON = {"content": [], "summary": [], "arguments": "", "input": "", "status": "in_progress"}
    return {name: empty.get(name, value) for name, value in item.items()}
