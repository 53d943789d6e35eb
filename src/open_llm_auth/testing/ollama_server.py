"""A fake Ollama: its own chat API and its OpenAI-compatible embeddings as a real HTTP server.

Source: Ollama's API reference and the types of its client. A chat is streamed unless the request says otherwise.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from .answers import JSON, Asked, Finish, Refused, Said, decide, to_json
from .behaviours import Behaviour
from .fake_server import Answered, FakeServer, Streamed
from .http_server import SeenRequest
from .openai_answers import embeddings

__all__ = ["FakeOllama", "check_call"]

MODELS: Final = ("fake-llama:latest", "fake-embed:latest")
_LINES: Final = (("content-type", "application/x-ndjson"),)
_FINISHES: Final[Mapping[Finish, str]] = {
    "stop": "stop",
    "length": "length",
    "stop_sequence": "stop",
    "tool_calls": "stop",
    "refusal": "stop",
}
_MOMENT: Final = "2026-01-01T00:00:00.000000Z"
_TIMES: Final = {
    "total_duration": 1_000_000_000,
    "load_duration": 1_000_000,
    "prompt_eval_duration": 100_000_000,
    "eval_duration": 800_000_000,
}


class FakeOllama(FakeServer):
    """`with FakeOllama() as provider:` serves `provider.base_url` until the block ends (see `FakeServer`).

    It answers `POST /api/chat`, `GET /api/tags`, `GET /api/version` and `POST /v1/embeddings`, and asks for no key.
    Models that `absent` names are not there, those of `thoughtless` refuse to think, and those of `levelless` to be
    told how much.
    """

    def __init__(
        self,
        *,
        keys: Collection[str] | None = None,
        models: tuple[str, ...] = MODELS,
        behaviour: Behaviour | str = "documented",
        absent: Collection[str] = (),
        thoughtless: Collection[str] = (),
        levelless: Collection[str] = (),
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(keys=keys, models=models, behaviour=behaviour, host=host, tls=tls)
        self._absent = absent
        self._thoughtless = thoughtless
        self._levelless = levelless

    def refuse_key(self, key: str | None) -> Refused:
        return Refused(401, "unauthorized" if key is None else "unauthorized: no such key")

    def said_to(self, document: Mapping[str, Any]) -> str:
        return _last_words(document)

    def error(self, refused: Refused) -> JSON:
        return {"error": refused.message}

    def answer(
        self, request: SeenRequest, document: Mapping[str, Any], behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        match request.method, request.path:
            case "POST", "/api/chat":
                self._check_chat(document)
                return _chat(document, behaviour, number)
            case "POST", "/v1/embeddings":
                return Answered(embeddings(document))
            case "GET", "/api/tags":
                return Answered({"models": [_entry(model) for model in self.models]})
            case "GET", "/api/version":
                return Answered({"version": "0.13.0"})
        raise Refused(404, "404 page not found")

    def _check_chat(self, document: Mapping[str, Any]) -> None:
        model = document.get("model")
        if not model:
            raise Refused(400, "model is required")
        if model in self._absent:
            raise Refused(404, f"model {model!r} not found")
        if document.get("think") and model in self._thoughtless:
            raise Refused(400, f'"{model}" does not support thinking')
        if isinstance(document.get("think"), str) and model in self._levelless:
            raise Refused(400, f'think value "{document["think"]}" is not supported for this model')
        check_call(document)


def _unfit(kind: str, field: str, wanted: str) -> Refused:
    """How the server's JSON reader puts it."""
    return Refused(400, f"json: cannot unmarshal {kind} into Go struct field ChatRequest.{field} of type {wanted}")


def check_call(document: Mapping[str, Any]) -> None:
    """A chat that the server can read.

    Raises:
        Refused: it is none.
    """
    _check_messages(document.get("messages") or ())
    _check_format(document.get("format"))


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list | tuple):
        raise _unfit("object", "messages", "[]api.Message")
    for message in messages:
        if not isinstance(message, dict):
            raise _unfit("string", "messages", "api.Message")
        if message.get("role") not in ("system", "user", "assistant", "tool"):
            raise Refused(400, f"invalid role: {message.get('role')}")
        if not isinstance(message.get("content", ""), str):
            raise _unfit("array", "messages.content", "string")
        for image in message.get("images") or ():
            _check_image(image)
        for call in message.get("tool_calls") or ():
            if not isinstance(call["function"].get("arguments"), dict):
                raise _unfit("string", "messages.tool_calls.function.arguments", "map[string]interface {}")


def _check_image(image: object) -> None:
    try:
        base64.b64decode(str(image), validate=True)
    except binascii.Error:
        raise Refused(400, "illegal base64 data at input byte 4") from None


def _check_format(wanted: object) -> None:
    if wanted not in (None, "", "json") and not isinstance(wanted, dict):
        raise Refused(400, f'invalid format: {wanted!r}; expected "json" or a valid JSON Schema object')


def _last_words(document: Mapping[str, Any]) -> str:
    messages = document.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return str(message.get("content", ""))
    return ""


def _asked(document: Mapping[str, Any]) -> Asked:
    messages = document.get("messages") or [{}]
    options = document.get("options") or {}
    stop = options.get("stop") or ()
    wanted = document.get("format")
    return Asked(
        model=document["model"],
        text=_last_words(document),
        answered=messages[-1].get("role") == "tool",
        tools={
            tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in document.get("tools") or ()
        },
        limit=options.get("num_predict"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        schema=wanted if isinstance(wanted, dict) else {} if wanted == "json" else None,
        thinks=bool(document.get("think")),
        words=sum(3 + len(str(message.get("content", "")).split()) for message in messages),
    )


def _chat(document: Mapping[str, Any], behaviour: Behaviour, number: str) -> Answered | Streamed:
    said = decide(_asked(document), number, behaviour.script)
    if document.get("stream") is False or behaviour.plain_for_stream:
        whole: JSON = {"role": "assistant"}
        for message in _messages(said):
            for name, value in message.items():
                whole[name] = whole.get(name, type(value)()) + value if name != "role" else value
        return Answered(_line(said, whole) | _ending(said))
    documents = [_line(said, message) for message in _messages(said)]
    if behaviour.done:
        documents.append(_line(said, {"role": "assistant", "content": ""}) | _ending(said))
    events = (to_json(line) + b"\n" for line in documents)
    return Streamed(
        events,
        headers=_LINES,
        opening=0,
        failure=lambda refused: to_json({"error": refused.message}) + b"\n",
        garbage=b'{"broken": \n',
    )


def _messages(said: Said) -> Iterator[JSON]:
    for piece in said.thinking:
        yield {"role": "assistant", "content": "", "thinking": piece}
    for piece in (said.refusal,) if said.refusal is not None else said.text:
        yield {"role": "assistant", "content": piece}
    for call in said.calls:
        function = {"index": call.place - 1, "name": call.name, "arguments": json.loads(call.arguments)}
        made = {"id": f"call_{said.number}{call.place}", "function": function}
        yield {"role": "assistant", "content": "", "tool_calls": [made]}


def _line(said: Said, message: JSON) -> JSON:
    return {"model": said.model, "created_at": _MOMENT, "message": message, "done": False}


def _ending(said: Said) -> JSON:
    counted = {"prompt_eval_count": said.input, "eval_count": said.output}
    return {"done": True, "done_reason": _FINISHES[said.finish], **_TIMES, **counted}


def _entry(model: str) -> JSON:
    details = {"format": "gguf", "family": "llama", "parameter_size": "1B", "quantization_level": "Q4_0"}
    return {
        "name": model,
        "model": model,
        "modified_at": _MOMENT,
        "size": 1_000_000,
        "digest": "0" * 64,
        "details": {"parent_model": "", "families": ["llama"]} | details,
    }
