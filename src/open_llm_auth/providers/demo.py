"""The built-in demo provider (``api: demo``): no model, no network, the same answer every time, and it says so.

What it does, so that a client can be tried before any key exists:
- echoes the last user message, plain or word by word;
- ``/fail 429`` fails with that status, as a provider would;
- ``/tool`` or ``/tool name``, a `tool_choice` of ``"required"`` or of a function, calls a tool the client declared;
- a tool's result is echoed, a `response_format` with a schema is answered with a sample of it;
- embeddings are eight numbers made from a hash of the text.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ..errors import GatewayError, InternalError, InvalidRequest
from ..values import Credential, Headers, Operation, Outbound, Provider
from ..wire import embeddings, openai_chat, sse
from .faults import read_error
from .spec import LocalAnswer, Sending, UpstreamKind

__all__ = ["DEMO", "MODEL", "answer"]

MODEL: Final = "echo"

_LABEL: Final = "Demo provider:"
_JSON: Final[Headers] = ((b"content-type", b"application/json"),)
_EVENTS: Final[Headers] = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"))
#: Seconds before each word: slow enough to be seen, fast enough not to be felt.
_WORD_DELAY: Final = 0.02
_ECHO_LIMIT: Final = 2_000
_DIMENSIONS: Final = 8
_SCHEMA_DEPTH: Final = 8
_FAIL: Final = re.compile(r"\s*/fail(?:\s+(\d{3}))?\b")
_TOOL: Final = re.compile(r"\s*/tool\b(?:[ \t]+([\w.-]{1,64}))?")
_WORDS: Final = re.compile(r"\s*\S+\s*\Z|\s*\S+")
_ANY: Final = msgspec.json.Decoder()

#: (type, code) of a failure on demand, as OpenAI would word its kind.
_FAILURES: Final = {
    401: ("authentication_error", "invalid_api_key"),
    402: ("billing_error", "insufficient_balance"),
    403: ("permission_error", "model_not_allowed"),
    404: ("not_found_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}
_BUSY: Final = frozenset({429, 503, 529})

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is answered: text, or calls of one tool."""

    text: str | None
    tool: JsonObject | None
    finish_reason: str


def answer(operation: Operation, body: bytes, stream: bool) -> LocalAnswer:
    """The answer to one request body, errors included; the same body gives the same bytes."""
    try:
        if operation == "embeddings":
            return _embed(body)
        return _chat(body, stream)
    except InvalidRequest as error:
        return _refusal(error)
    except (OverflowError, RecursionError):
        # A schema's own values are written back, and JSON can hold what an encoder can't.
        return _refusal(InvalidRequest("A value of the request is too large or nested too deeply."))


# ---------------------------------------------------------------------------------------------- chat


def _chat(body: bytes, stream: bool) -> LocalAnswer:
    openai_chat.read_request(body)
    request = _decode(body)
    messages = request["messages"]
    if not all(isinstance(message, dict) for message in messages):
        raise InvalidRequest("Every entry of 'messages' must be an object.", param="messages")
    if request.get("model") != MODEL:
        return _failure(404, f"{_LABEL} it has the one model {MODEL!r}, not {str(request.get('model'))[:100]!r}.")
    fail = _FAIL.match(_text_of(messages[-1]))
    if fail is not None and messages[-1].get("role") == "user":
        status = int(fail[1] or 500)
        return _failure(status if 400 <= status <= 599 else 500, f"{_LABEL} failing with {status}, as it was told to.")
    turn = _turn(request, messages)
    usage = _usage(messages, turn)
    call_id = f"chatcmpl-demo-{_digest(body)}"
    if not stream:
        return LocalAnswer(200, _JSON, ((0.0, _reply(call_id, turn, usage)),))
    options = request.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    return LocalAnswer(200, _EVENTS, tuple(_pieces(call_id, turn, usage if asked else None)))


def _decode(body: bytes) -> JsonObject:
    try:
        value: JsonObject = _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("The body is not valid JSON.") from error
    return value


def _turn(request: JsonObject, messages: list[JsonObject]) -> _Turn:
    last = messages[-1]
    text = _text_of(last)
    function = _chosen_function(request, last, text)
    if function is not None:
        return _Turn(None, _tool_call(function, text), "tool_calls")
    schema = _schema_asked(request)
    if schema is not None:
        return _Turn(msgspec.json.encode(_sample(schema)).decode(), None, "stop")
    if last.get("role") in ("tool", "function"):
        said = f"{_LABEL} the tool answered: {_cut(text)}"
    else:
        said = f"{_LABEL} no model is connected yet. You said: {_cut(text)}"
    return _shortened(said, request)


def _chosen_function(request: JsonObject, last: JsonObject, text: str) -> JsonObject | None:
    """The function to call, if one is to be called.

    Raises:
        InvalidRequest: `tool_choice` asks for a function that `tools` does not declare.
    """
    choice = request.get("tool_choice")
    functions = _functions(request.get("tools"))
    if isinstance(choice, dict):
        named = choice.get("function")
        name = named.get("name") if isinstance(named, dict) else None
        return _named(functions, name)
    if choice == "required" and last.get("role") != "tool":
        return _named(functions, None)
    command = _TOOL.match(text)
    if command is None or choice == "none" or last.get("role") != "user" or not functions:
        return None
    return next((function for function in functions if function["name"] == command[1]), functions[0])


def _named(functions: list[JsonObject], name: object) -> JsonObject:
    for function in functions:
        if name is None or function["name"] == name:
            return function
    raise InvalidRequest("'tool_choice' asks for a function that 'tools' does not declare.", param="tool_choice")


def _functions(tools: object) -> list[JsonObject]:
    found = []
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            found.append(function)
    return found


def _tool_call(function: JsonObject, text: str) -> JsonObject:
    arguments = _sample(function.get("parameters"))
    encoded = msgspec.json.encode(arguments if isinstance(arguments, dict) else {}).decode()
    identity = _digest(function["name"].encode() + text.encode())
    return {
        "id": f"call_demo_{identity}",
        "type": "function",
        "function": {"name": function["name"], "arguments": encoded},
    }


def _schema_asked(request: JsonObject) -> object | None:
    form = request.get("response_format")
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_object":
        return {"type": "object", "properties": {"demo": {"const": True}}}
    wrapped = form.get("json_schema")
    return wrapped.get("schema") if form.get("type") == "json_schema" and isinstance(wrapped, dict) else None


def _sample(schema: object, depth: int = 0) -> object:
    """A value of a JSON Schema's type: the first allowed one, else a plain one."""
    if not isinstance(schema, dict) or depth > _SCHEMA_DEPTH:
        return {}
    if "const" in schema:
        return schema["const"]
    options = schema.get("enum") or schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list) and options:
        return options[0] if "enum" in schema else _sample(options[0], depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    properties = schema.get("properties")
    if isinstance(properties, dict):
        return {name: _sample(part, depth + 1) for name, part in properties.items()}
    plain = {"string": "demo", "integer": 1, "number": 1.5, "boolean": True, "null": None, "array": []}
    return plain.get(kind, {}) if isinstance(kind, str) else {}


def _shortened(text: str, request: JsonObject) -> _Turn:
    """`max_tokens` counts words here."""
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    words = _WORDS.findall(text)
    if isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit < len(words):
        return _Turn("".join(words[:limit]), None, "length")
    return _Turn(text, None, "stop")


def _text_of(message: JsonObject) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return " ".join(_part_text(part) for part in parts if isinstance(part, dict))


def _part_text(part: JsonObject) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else f"[{str(part.get('type'))[:40]}]"


def _cut(text: str) -> str:
    return text if len(text) <= _ECHO_LIMIT else f"{text[:_ECHO_LIMIT]} … ({len(text)} characters in all)"


def _usage(messages: list[JsonObject], turn: _Turn) -> JsonObject:
    """Words, not tokens: there is no tokenizer behind this."""
    given = sum(len(_text_of(message).split()) for message in messages)
    said = turn.text if turn.text is not None else str(turn.tool)
    answered = len(said.split())
    return {
        "prompt_tokens": given,
        "completion_tokens": answered,
        "total_tokens": given + answered,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _reply(call_id: str, turn: _Turn, usage: JsonObject) -> bytes:
    message: JsonObject = {"role": "assistant", "content": turn.text}
    if turn.tool is not None:
        message["tool_calls"] = [turn.tool]
    choice = {"index": 0, "message": message, "finish_reason": turn.finish_reason}
    return msgspec.json.encode(_head(call_id, "chat.completion", [choice]) | {"usage": usage})


def _pieces(call_id: str, turn: _Turn, usage: JsonObject | None) -> Iterator[tuple[float, bytes]]:
    def chunk(delta: JsonObject, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return sse.event(msgspec.json.encode(_head(call_id, "chat.completion.chunk", [choice])))

    yield 0.0, chunk({"role": "assistant", "content": None if turn.tool else ""})
    if turn.tool is not None:
        opening = {"index": 0, **turn.tool, "function": {**turn.tool["function"], "arguments": ""}}
        yield 0.0, chunk({"tool_calls": [opening]})
        arguments = {"index": 0, "function": {"arguments": turn.tool["function"]["arguments"]}}
        yield _WORD_DELAY, chunk({"tool_calls": [arguments]})
    for word in _WORDS.findall(turn.text or ""):
        yield _WORD_DELAY, chunk({"content": word})
    yield 0.0, chunk({}, turn.finish_reason)
    if usage is not None:
        yield 0.0, sse.event(msgspec.json.encode(_head(call_id, "chat.completion.chunk", []) | {"usage": usage}))
    yield 0.0, sse.DONE


def _head(call_id: str, kind: str, choices: list[JsonObject]) -> JsonObject:
    # No clock behind this, so that the same request gives the same bytes.
    return {"id": call_id, "object": kind, "created": 0, "model": MODEL, "choices": choices}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


# ---------------------------------------------------------------------------------------------- embeddings


def _embed(body: bytes) -> LocalAnswer:
    request = embeddings.read_request(body)
    given = _decode(body)["input"]
    if request.model != MODEL:
        return _failure(404, f"{_LABEL} it has the one model {MODEL!r}, not {str(request.model)[:100]!r}.")
    items = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    if not all(isinstance(item, str | list) for item in items):
        raise InvalidRequest("'input' must hold strings or lists of tokens.", param="input")
    rows = []
    for index, item in enumerate(items):
        vector = _vector(item if isinstance(item, str) else str(item))
        form = _packed(vector) if request.encoding_format == "base64" else vector
        rows.append({"object": "embedding", "index": index, "embedding": form})
    counted = sum(len(item.split()) if isinstance(item, str) else 1 for item in items)
    usage = {"prompt_tokens": counted, "total_tokens": counted}
    reply = {"object": "list", "data": rows, "model": MODEL, "usage": usage}
    return LocalAnswer(200, _JSON, ((0.0, msgspec.json.encode(reply)),))


def _vector(text: str) -> list[float]:
    """A unit vector made from a hash: equal texts agree, and nothing else means anything."""
    numbers = struct.unpack(f"<{_DIMENSIONS}i", hashlib.sha256(text.encode()).digest())
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    # Rounded to what a float32 holds, so that both encodings say the same.
    return [struct.unpack("<f", struct.pack("<f", number / length))[0] for number in numbers]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


# ---------------------------------------------------------------------------------------------- errors and the rest


def _refusal(error: GatewayError) -> LocalAnswer:
    return LocalAnswer(error.status, _JSON, ((0.0, openai_chat.write_error(error)),))


def _failure(status: int, message: str) -> LocalAnswer:
    kind, code = _FAILURES.get(status, ("server_error", None) if status >= 500 else ("invalid_request_error", None))
    body = msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})
    headers = (*_JSON, (b"retry-after", b"1")) if status in _BUSY else _JSON
    return LocalAnswer(status, headers, ((0.0, body),))


def _prepare(provider: Provider, credential: Credential, sending: Sending) -> Outbound:  # noqa: ARG001 - see below
    raise InternalError("The demo provider answers in process; nothing of it is ever sent.")


DEMO: Final = UpstreamKind(
    api="demo",
    dialect="openai-chat",
    prepare=_prepare,
    prepare_models=None,
    read_error=read_error,
    answer=answer,
)
