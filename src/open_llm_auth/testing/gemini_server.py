"""A fake Gemini: Google's ``generateContent`` as a real HTTP server, as documented until a test tells it otherwise.

Source: the Gemini API reference (generateContent, streamGenerateContent, countTokens, models, errors).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from . import gemini_rules
from .answers import JSON, Asked, Call, Choice, Finish, Refused, Said, Seal, decide, to_json
from .behaviours import Behaviour
from .fake_server import KEY, Answered, FakeServer, Headers, Streamed, events_of
from .http_server import SeenRequest

__all__ = ["FakeGemini"]

MODELS: Final = ("gemini-fake", "gemini-3-fake")
_STATUSES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_FINISHES: Final[Mapping[Finish, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "refusal": "SAFETY",
}
_CHOICES: Final[Mapping[str, Choice]] = {"ANY": "required", "NONE": "none"}
_KEY_INVALID: Final = "API key not valid. Please pass a valid API key."
_LIST_HEADERS: Final = (("content-type", "application/json; charset=UTF-8"),)


class FakeGemini(FakeServer):
    """`with FakeGemini() as provider:` serves `provider.base_url` until the block ends (see `FakeServer`).

    It answers `POST …/models/M:generateContent`, `:streamGenerateContent` (server-sent events with ``alt=sse``,
    else a list), `:countTokens` and `GET …/models`, and refuses what the API refuses (`gemini_rules`). Models whose
    name holds ``gemini-3`` give their calls ids and want them back with their signatures. Another `issuer` takes no
    signature.
    """

    mount = "/v1beta"

    def __init__(
        self,
        *,
        keys: Collection[str] | None = (KEY,),
        models: tuple[str, ...] = MODELS,
        behaviour: Behaviour | str = "documented",
        issuer: str = "google",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(keys=keys, models=models, behaviour=behaviour, host=host, tls=tls)
        self._seal = Seal(issuer)

    def key_of(self, request: SeenRequest) -> str | None:
        asked = parse_qs(request.target.partition("?")[2]).get("key", [None])[0]
        return request.fields.get("x-goog-api-key") or request.key or asked

    def refuse_key(self, key: str | None) -> Refused:
        if key is None:
            return Refused(
                403,
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key "
                "or other form of API consumer identity to call this API.",
            )
        return Refused(400, _KEY_INVALID)

    def said_to(self, document: Mapping[str, Any]) -> str:
        return _last_words(document)

    def error(self, refused: Refused) -> JSON:
        return _error(refused)

    def headers(self, number: str) -> Headers:
        return (("server-timing", f"gfet4t7; dur={int(number)}"),)

    def answer(
        self, request: SeenRequest, document: Mapping[str, Any], behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        # Google's SDK asks the stable version for models.
        path = request.path.removeprefix(self.mount).removeprefix("/v1")
        model, _, verb = path.removeprefix("/models/").partition(":")
        match request.method, verb:
            case "POST", "generateContent" | "streamGenerateContent":
                gemini_rules.check_call(document, model, self._seal)
                return self._generated(request, document, model, behaviour, number)
            case "POST", "countTokens":
                inner = document.get("generateContentRequest", document)
                return Answered({"totalTokens": _words(inner), "promptTokensDetails": _details(_words(inner))})
            case "GET", "" if path == "/models":
                return Answered({"models": [_entry(name) for name in self.models]})
            case "GET", "" if model in self.models:
                return Answered(_entry(model))
        raise Refused(404, f"models/{model} is not found for API version v1beta, or is not supported for {verb}.")

    def _generated(
        self, request: SeenRequest, document: Mapping[str, Any], model: str, behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        said = decide(_asked(document, model), number, behaviour.script)
        parts = list(_parts(said, self._seal))
        if ":generateContent" in request.path or behaviour.plain_for_stream:
            return Answered(_reply(said, _joined(parts), is_last=True))
        chunks = [_reply(said, [part], is_last=False) for part in parts[:-1]]
        if behaviour.done:
            chunks.append(_reply(said, parts[-1:], is_last=True))
        elif parts:
            chunks.append(_reply(said, parts[-1:], is_last=False))
        if "alt=sse" in request.target:
            events = events_of((("", chunk) for chunk in chunks), behaviour)
            return Streamed(events, opening=0, failure=lambda refused: _error_event(refused, behaviour))
        return Streamed(
            _as_list(chunks),
            opening=0,
            headers=_LIST_HEADERS,
            failure=lambda refused: b",\r\n" + to_json(_error(refused)) + b"]",
            garbage=b',\r\n{"broken": ',
        )


# ---------------------------------------------------------------------------------------------- what is asked


def _asked(document: Mapping[str, Any], model: str) -> Asked:
    request = _camels(document)
    settings = _camels(request.get("generationConfig"))
    calling = _camels(_camels(request.get("toolConfig")).get("functionCallingConfig"))
    allowed = calling.get("allowedFunctionNames") or ()
    tools = {name: schema for name, schema in _declared(request) if not allowed or name in allowed}
    wants_json = settings.get("responseMimeType") == "application/json"
    return Asked(
        model=model,
        text=_last_words(document),
        answered=_has(document["contents"][-1], "functionResponse"),
        tools=tools,
        choice=_CHOICES.get(str(calling.get("mode")), "auto"),
        limit=settings.get("maxOutputTokens"),
        stop=tuple(settings.get("stopSequences") or ()),
        schema=(settings.get("responseJsonSchema") or settings.get("responseSchema") or {}) if wants_json else None,
        thinks=bool(_camels(settings.get("thinkingConfig")).get("includeThoughts")),
        words=_words(document),
    )


def _camels(found: object) -> JSON:
    return {gemini_rules.camel(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def _declared(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tool in request.get("tools") or ():
        for declaration in map(_camels, _camels(tool).get("functionDeclarations") or ()):
            yield declaration["name"], declaration.get("parametersJsonSchema") or declaration.get("parameters") or {}


def _has(content: Mapping[str, Any], kind: str) -> bool:
    return any(kind in _camels(part) for part in content.get("parts") or ())


def _texts(content: object) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    found = parts if isinstance(parts, list) else ()
    return " ".join(str(part["text"]) for part in found if isinstance(part, dict) and "text" in part)


def _last_words(document: Mapping[str, Any]) -> str:
    contents = document.get("contents")
    for content in reversed(contents if isinstance(contents, list) else []):
        if isinstance(content, dict) and content.get("role", "user") == "user" and _texts(content):
            return _texts(content)
    return ""


def _words(document: Mapping[str, Any]) -> int:
    system = _camels(document).get("systemInstruction")
    said = [*(document.get("contents") or ()), *([system] if system else [])]
    return sum(3 + len(_texts(content).split()) for content in said)


# ---------------------------------------------------------------------------------------------- what is answered


def _parts(said: Said, seal: Seal) -> Iterator[JSON]:
    """What a stream tells, a part a chunk; a signature stands at the first call, or at the end of a text."""
    for piece in said.thinking:
        yield {"text": piece, "thought": True}
    signed = {"thoughtSignature": seal.sign(*said.thinking)}
    for piece in said.text:
        yield {"text": piece}
    if said.text and said.thinking:
        yield {"text": "", **signed}
    is_new = "gemini-3" in said.model
    for call in said.calls:
        is_signed = call.place == 1 and (is_new or said.thinking)
        yield {"functionCall": _called(said, call, is_new=is_new), **(signed if is_signed else {})}


def _called(said: Said, call: Call, *, is_new: bool) -> JSON:
    made: JSON = {"name": call.name, "args": json.loads(call.arguments)}
    return made | {"id": f"fc{said.number}{call.place}"} if is_new else made


def _joined(parts: Sequence[JSON]) -> list[JSON]:
    """The parts of a plain answer: texts of one kind in a row are one."""
    joined: list[JSON] = []
    for part in parts:
        last = joined[-1] if joined else {}
        if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
            joined[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def _reply(said: Said, parts: Sequence[JSON], *, is_last: bool) -> JSON:
    candidate: JSON = {"index": 0}
    if parts:
        candidate["content"] = {"parts": list(parts), "role": "model"}
    if is_last:
        candidate["finishReason"] = _FINISHES[said.finish]
        if said.refusal is not None:
            # What a safety system stops comes without content.
            candidate["finishMessage"] = said.refusal
            candidate["safetyRatings"] = [
                {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
            ]
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(said) if is_last else {"promptTokenCount": said.input, "totalTokenCount": said.input},
        "modelVersion": said.model,
        "responseId": f"resp{said.number}",
    }


def _usage(said: Said) -> JSON:
    counted: JSON = {
        "promptTokenCount": said.input,
        "candidatesTokenCount": said.output - len(said.thinking),
        "totalTokenCount": said.input + said.output,
        "promptTokensDetails": _details(said.input),
    }
    if said.thinking:
        counted["thoughtsTokenCount"] = len(said.thinking)
    if said.cache_read:
        counted["cachedContentTokenCount"] = said.cache_read
    return counted


def _details(count: int) -> list[JSON]:
    return [{"modality": "TEXT", "tokenCount": count}]


def _as_list(chunks: Iterable[JSON]) -> Iterator[bytes]:
    """One list, an element at a time."""
    start = b"["
    for chunk in chunks:
        yield start + to_json(chunk)
        start = b",\r\n"
    yield b"]"


def _error(refused: Refused) -> JSON:
    known = refused.kind if refused.kind in _STATUSES.values() else None
    status = known or _STATUSES.get(refused.status) or ("INTERNAL" if refused.status >= 500 else "INVALID_ARGUMENT")
    error: JSON = {"code": refused.status, "message": refused.message, "status": status}
    if refused.message == _KEY_INVALID:
        domain = {"domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}}
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", **domain}
        ]
    return {"error": error}


def _error_event(refused: Refused, behaviour: Behaviour) -> bytes:
    return b"data: " + to_json(_error(refused)) + behaviour.line_end.encode() * 2


def _entry(model: str) -> JSON:
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model.replace("-", " ").title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    }
