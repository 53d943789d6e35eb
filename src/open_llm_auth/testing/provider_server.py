"""A fake OpenAI-compatible provider: a real HTTP server that behaves as documented until a test tells it otherwise."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from .answers import Refused, decide
from .behaviours import Behaviour
from .fake_server import KEY, Answered, FakeServer, Streamed, events_of
from .http_server import Exchange, SeenRequest
from .openai_answers import (
    UsagePlace,
    answer_of,
    chat_asked,
    chat_chunks,
    chat_completion,
    embeddings,
    error_body,
    model_entry,
    model_list,
)

__all__ = ["KEY", "MODELS", "Exchange", "FakeProvider", "SeenRequest", "check_calls", "check_fields"]

MODELS: Final = ("fake-model", "fake-embedding")
_ID_LIMIT: Final = 64


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What OpenAI itself takes; those who only speak its dialect differ.
_FIELDS: Final = _names(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens "
    "max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key "
    "prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier "
    "stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity "
    "web_search_options"
)
_MESSAGE: Final = _names("role content name refusal audio function_call tool_calls tool_call_id")
_CALL: Final = _names("id type function custom")


class FakeProvider(FakeServer):
    """`with FakeProvider() as provider:` serves `provider.base_url` until the block ends (see `FakeServer`).

    It answers `POST …/chat/completions` (plain and streamed, with tools, JSON schemas and usage), `POST …/embeddings`,
    `GET …/models` and `GET …/models/{id}`. Without one of `keys` as a bearer key the answer is OpenAI's 401. A `strict`
    one takes the fields that OpenAI itself documents, and no others.
    """

    mount = "/v1"
    writes_as_openai = True

    def __init__(
        self,
        *,
        keys: Collection[str] | None = (KEY,),
        models: tuple[str, ...] = MODELS,
        behaviour: Behaviour | str = "documented",
        strict: bool = False,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(keys=keys, models=models, behaviour=behaviour, host=host, tls=tls)
        self._strict = strict

    def refuse_key(self, key: str | None) -> Refused:
        if key is None:
            return Refused(401, "You didn't provide an API key.")
        return Refused(401, "Incorrect API key provided: sk-fa***.", code="invalid_api_key")

    def said_to(self, document: Mapping[str, Any]) -> str:
        messages = document.get("messages")
        return chat_asked(document).text if _are_messages(messages) else ""

    def error(self, refused: Refused) -> Mapping[str, Any]:
        kind = refused.kind or "invalid_request_error"
        return error_body(refused.message, kind=kind, code=refused.code, param=refused.param)

    def answer(
        self, request: SeenRequest, document: Mapping[str, Any], behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        if "stream_options" in document and behaviour.refuse_stream_options:
            message = "Unrecognized request argument supplied: stream_options"
            raise Refused(behaviour.refuse_stream_options, message, param="stream_options")
        match request.method, request.path.removeprefix("/v1"):
            case "POST", "/chat/completions":
                if self._strict:
                    check_fields(document)
                return _chat(document, behaviour, number)
            case "POST", "/embeddings":
                return Answered(embeddings(document))
            case "GET", "/models":
                return Answered(model_list(self.models))
            case "GET", path if path.startswith("/models/") and path.removeprefix("/models/") in self.models:
                return Answered(model_entry(path.removeprefix("/models/")))
        raise Refused(404, f"Invalid URL ({request.method} {request.path})")


def _chat(document: Mapping[str, Any], behaviour: Behaviour, number: str) -> Answered | Streamed:
    if not _are_messages(document.get("messages")):
        raise Refused(400, "Missing required parameter: 'messages'.", param="messages")
    check_calls(document["messages"])
    answer = answer_of(f"chatcmpl-{number}", decide(chat_asked(document), number, behaviour.script))
    if not document.get("stream") or behaviour.plain_for_stream:
        return Answered(chat_completion(answer, usage=behaviour.usage != "never"))
    chunks = chat_chunks(answer, usage=_usage_place(document, behaviour), azure_first=behaviour.azure_first)
    return Streamed(_events(chunks, behaviour))


def _events(chunks: Iterable[Mapping[str, Any]], behaviour: Behaviour) -> Iterator[bytes]:
    yield from events_of((("", chunk) for chunk in chunks), behaviour)
    if behaviour.done:
        yield b"data: [DONE]" + behaviour.line_end.encode() * 2


def _usage_place(request: Mapping[str, Any], behaviour: Behaviour) -> UsagePlace:
    asked = bool((request.get("stream_options") or {}).get("include_usage"))
    places: dict[str, UsagePlace] = {
        "when_asked": "own" if asked else "none",
        "never": "none",
        "always": "own",
        "on_finish": "finish",
    }
    return places[behaviour.usage]


def _are_messages(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(message, dict) for message in value)


def check_fields(document: Mapping[str, Any]) -> None:
    """What stands in a request is what OpenAI documents.

    Raises:
        Refused: something is not.
    """
    _only(document, _FIELDS, "")
    for place, message in enumerate(document.get("messages") or ()):
        _only(message, _MESSAGE, f"messages[{place}].")
        for number, call in enumerate(message.get("tool_calls") or ()):
            _only(call, _CALL, f"messages[{place}].tool_calls[{number}].")


def _only(found: Mapping[str, Any], fields: Collection[str], place: str) -> None:
    for name in found:
        if name not in fields:
            param = f"{place}{name}"
            raise Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def check_calls(messages: list[Mapping[str, Any]]) -> None:
    """Every tool's message answers a call of the assistant's message before it, and every call is answered.

    Raises:
        Refused: it is not so.
    """
    open_calls: list[str] = []
    for place, message in enumerate(messages):
        if message.get("role") == "tool":
            _check_answer(place, message, open_calls)
            continue
        if open_calls:
            raise Refused(
                400,
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                "'tool_call_id'. The following tool_call_ids did not have response messages: " + ", ".join(open_calls),
                param=f"messages.[{place}].role",
            )
        open_calls = [_checked_id(place, call) for call in message.get("tool_calls") or ()]


def _check_answer(place: int, message: Mapping[str, Any], open_calls: list[str]) -> None:
    answered = message.get("tool_call_id")
    if answered not in open_calls:
        raise Refused(
            400,
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
            param=f"messages.[{place}].role",
        )
    open_calls.remove(answered)


def _checked_id(place: int, call: Mapping[str, Any]) -> str:
    found = str(call.get("id"))
    if len(found) > _ID_LIMIT:
        raise Refused(
            400,
            f"Invalid 'messages[{place}].tool_calls[0].id': string too long. Expected a string with maximum length "
            f"{_ID_LIMIT}, but got a string with length {len(found)} instead.",
            param=f"messages[{place}].tool_calls[0].id",
            code="string_above_max_length",
        )
    return found
