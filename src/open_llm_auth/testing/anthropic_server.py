"""A fake Anthropic: the Messages API as a real HTTP server, as documented until a test tells it otherwise.

Source: the Messages API reference (messages, streaming, token counting, models, errors).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from . import anthropic_rules
from .answers import JSON, Asked, Call, Choice, Finish, Refused, Said, Seal, decide, pieces_of, to_json
from .behaviours import Behaviour
from .fake_server import KEY, Answered, FakeServer, Headers, Streamed, events_of
from .http_server import SeenRequest

__all__ = ["FakeAnthropic"]

MODELS: Final = ("claude-fake-1", "claude-fake-small")
_KINDS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS: Final[Mapping[Finish, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "refusal": "refusal",
}
_CHOICES: Final[Mapping[str, Choice]] = {"any": "required", "none": "none"}
#: `message_start`, the first block's start, and a ping.
_OPENING: Final = 3


class FakeAnthropic(FakeServer):
    """`with FakeAnthropic() as provider:` serves `provider.base_url` until the block ends (see `FakeServer`).

    It answers `POST /v1/messages` (plain and streamed), `POST /v1/messages/count_tokens`, `GET /v1/models` and
    `GET /v1/models/{id}`, and refuses what the API refuses (`anthropic_rules`). Thinking is signed, and signatures must
    come back as they were: another `issuer` does not take them.
    """

    def __init__(
        self,
        *,
        keys: Collection[str] | None = (KEY,),
        models: tuple[str, ...] = MODELS,
        behaviour: Behaviour | str = "documented",
        issuer: str = "anthropic",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(keys=keys, models=models, behaviour=behaviour, host=host, tls=tls)
        self._seal = Seal(issuer)

    def key_of(self, request: SeenRequest) -> str | None:
        return request.fields.get("x-api-key") or request.key

    def refuse_key(self, key: str | None) -> Refused:
        return Refused(401, "x-api-key header is required" if key is None else "invalid x-api-key")

    def said_to(self, document: Mapping[str, Any]) -> str:
        return _last_words(document.get("messages"))

    def error(self, refused: Refused) -> JSON:
        return _error(refused)

    def headers(self, number: str) -> Headers:
        return (("request-id", f"req_{number}"), ("anthropic-organization-id", "org-fake"))

    def answer(
        self, request: SeenRequest, document: Mapping[str, Any], behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        version = request.fields.get("anthropic-version")
        if version is None:
            raise Refused(400, "anthropic-version: header is required")
        if version not in anthropic_rules.VERSIONS:
            raise Refused(400, f"anthropic-version: {version!r} is not a valid version")
        match request.method, request.path:
            case "POST", "/v1/messages":
                anthropic_rules.check_call(document, version, self._seal)
                return self._message(document, behaviour, number)
            case "POST", "/v1/messages/count_tokens":
                anthropic_rules.check_count(document, version, self._seal)
                return Answered({"input_tokens": _words(document)})
            case "GET", "/v1/models":
                return Answered(_listing(self.models))
            case "GET", path if path.removeprefix("/v1/models/") in self.models:
                return Answered(_entry(path.removeprefix("/v1/models/")))
            case _, path if path.startswith("/v1/models/"):
                raise Refused(404, f"model: {path.removeprefix('/v1/models/')}")
        raise Refused(404, "Not Found")

    def _message(self, document: Mapping[str, Any], behaviour: Behaviour, number: str) -> Answered | Streamed:
        said = decide(_asked(document), number, behaviour.script)
        shown = (document.get("thinking") or {}).get("display") != "omitted"
        if not document.get("stream") or behaviour.plain_for_stream:
            return Answered(_document(said, self._seal, shown=shown))
        frames = _frames(said, self._seal, shown=shown)
        whole = events_of(((frame["type"], frame) for frame in frames), behaviour)
        events = whole if behaviour.done else _all_but_last(whole)
        return Streamed(events, _OPENING, failure=lambda refused: _error_event(refused, behaviour))


# ---------------------------------------------------------------------------------------------- what is asked


def _asked(document: Mapping[str, Any]) -> Asked:
    choice = document.get("tool_choice") or {}
    thinking = document.get("thinking") or {}
    wanted = (document.get("output_config") or {}).get("format") or {}
    last = _blocks(document["messages"][-1]["content"])
    return Asked(
        model=document["model"],
        text=_last_words(document["messages"]),
        answered=any(block["type"] == "tool_result" for block in last),
        tools={tool["name"]: tool["input_schema"] for tool in document.get("tools") or () if "input_schema" in tool},
        choice=_CHOICES.get(str(choice.get("type")), "auto"),
        forced=choice.get("name", ""),
        parallel=not choice.get("disable_parallel_tool_use"),
        limit=document["max_tokens"],
        stop=tuple(document.get("stop_sequences") or ()),
        schema=wanted.get("schema"),
        thinks=thinking.get("type") in ("enabled", "adaptive"),
        words=_words(document),
    )


def _blocks(content: object) -> list[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _last_words(messages: object) -> str:
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            found = " ".join(_texts(_blocks(message.get("content"))))
            if found:
                return found
    return ""


def _texts(blocks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block.get("text"), str):
            yield block["text"]


def _words(document: Mapping[str, Any]) -> int:
    said = [_blocks(message["content"]) for message in document["messages"]]
    if document.get("system"):
        said.append(_blocks(document["system"]))
    return sum(3 + len(" ".join(_texts(blocks)).split()) for blocks in said)


# ---------------------------------------------------------------------------------------------- what is answered


def _document(said: Said, seal: Seal, *, shown: bool) -> JSON:
    return _head(said) | {
        "content": list(_content(said, seal, shown=shown)),
        "stop_reason": _STOPS[said.finish],
        "stop_sequence": said.stop_sequence,
        "stop_details": _details(said),
        "usage": _usage(said, said.output) | {"output_tokens_details": {"thinking_tokens": len(said.thinking)}},
    }


def _head(said: Said) -> JSON:
    return {"id": f"msg_{said.number}", "type": "message", "role": "assistant", "model": said.model}


def _content(said: Said, seal: Seal, *, shown: bool) -> Iterator[JSON]:
    if said.thinking:
        words = "".join(said.thinking)
        yield {"type": "thinking", "thinking": words if shown else "", "signature": seal.sign(words)}
    if said.refusal is not None:
        yield {"type": "text", "text": said.refusal}
    if said.text:
        yield {"type": "text", "text": "".join(said.text)}
    for call in said.calls:
        yield _use(said, call) | {"input": json.loads(call.arguments)}


def _use(said: Said, call: Call) -> JSON:
    return {"type": "tool_use", "id": f"toolu_{said.number}_{call.place}", "name": call.name, "input": {}}


def _details(said: Said) -> JSON | None:
    return {"type": "refusal", "category": None, "explanation": None} if said.finish == "refusal" else None


def _usage(said: Said, output: int) -> JSON:
    return {
        "input_tokens": said.prompt,
        "cache_creation_input_tokens": said.cache_write,
        "cache_read_input_tokens": said.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": said.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _frames(said: Said, seal: Seal, *, shown: bool) -> Iterator[JSON]:
    opened: JSON = {"content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    yield {"type": "message_start", "message": _head(said) | opened | {"usage": _usage(said, 1)}}
    for index, (block, deltas) in enumerate(_streamed(said, seal, shown=shown)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    counted = {
        "input_tokens": said.prompt,
        "cache_creation_input_tokens": said.cache_write,
        "cache_read_input_tokens": said.cache_read,
        "output_tokens": said.output,
        "output_tokens_details": {"thinking_tokens": len(said.thinking)},
    }
    ended = {"stop_reason": _STOPS[said.finish], "stop_sequence": said.stop_sequence, "stop_details": _details(said)}
    yield {"type": "message_delta", "delta": ended, "usage": counted}
    yield {"type": "message_stop"}


def _streamed(said: Said, seal: Seal, *, shown: bool) -> Iterator[tuple[JSON, list[JSON]]]:
    """Each block as its start says it, and its deltas."""
    if said.thinking:
        deltas: list[JSON] = [{"type": "thinking_delta", "thinking": piece} for piece in said.thinking if shown]
        deltas.append({"type": "signature_delta", "signature": seal.sign("".join(said.thinking))})
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    text = (said.refusal,) if said.refusal is not None else said.text
    if text:
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in text]
    for call in said.calls:
        pieces = ("", *pieces_of(call.arguments))
        yield _use(said, call), [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def _all_but_last(events: Iterator[bytes]) -> Iterator[bytes]:
    held: bytes | None = None
    for event in events:
        if held is not None:
            yield held
        held = event


def _error(refused: Refused) -> JSON:
    word = _KINDS.get(refused.status) or ("api_error" if refused.status >= 500 else "invalid_request_error")
    if refused.status == 500 and refused.kind in _KINDS.values():
        # Within a stream there is no status to go by.
        word = str(refused.kind)
    return {"type": "error", "error": {"type": word, "message": refused.message}, "request_id": "req_fake"}


def _error_event(refused: Refused, behaviour: Behaviour) -> bytes:
    line = behaviour.line_end.encode()
    return b"event: error" + line + b"data: " + to_json(_error(refused)) + line * 2


# ---------------------------------------------------------------------------------------------- models


def _listing(models: Sequence[str]) -> JSON:
    entries = [_entry(model) for model in models]
    ends = {"first_id": models[0] if models else None, "last_id": models[-1] if models else None}
    return {"data": entries, "has_more": False} | ends


def _entry(model: str) -> JSON:
    return {
        "type": "model",
        "id": model,
        "display_name": model.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }
