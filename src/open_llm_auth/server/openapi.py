"""The OpenAPI document: every row of the route table, with what goes in and what comes out.

Bodies are described as far as the gateway itself judges them: what it relays to a provider is the provider's to
refuse, so unknown fields are allowed wherever they are passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from .routes import ROUTES, Route, Surface, surface_of

__all__ = ["describe"]

Schema = Mapping[str, Any]

_NO_WORD: Final = re.compile(r"[^A-Za-z0-9]+")


def _object(required: tuple[str, ...] = (), *, more: bool = True, **properties: Schema) -> Schema:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": more}
    if required:
        schema["required"] = list(required)
    return schema


_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_MODEL: Final[Schema] = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 512,
    "description": "`provider/model`, `provider:profile/model`, or a bare model id that one usable provider has. "
    "Left out, the configured default model answers.",
    "examples": ["demo/echo"],
}
_EVENTS: Final[Schema] = {"description": "With `stream`: events, as the dialect of the route has them."}
_USAGE: Final = _object(prompt_tokens=_COUNT, completion_tokens=_COUNT, total_tokens=_COUNT)

_MESSAGES: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {"description": "An object with `role` and `content`."},
    "examples": [[{"role": "user", "content": "Hello"}]],
}
_CONTENTS: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object"},
    "examples": [[{"role": "user", "parts": [{"text": "Hello"}]}]],
}

_SCHEMAS: Final[Mapping[str, Schema]] = {
    "ChatRequest": _object(
        ("messages",),
        model=_MODEL,
        messages={
            "type": "array",
            "minItems": 1,
            "items": {"description": "An object with `role` and `content`. It goes to the provider as it is."},
            "examples": [[{"role": "user", "content": "Hello"}]],
        },
        stream={"type": ["boolean", "null"]},
        stream_options={
            "anyOf": [_object(include_usage={"type": ["boolean", "null"]}), {"type": "null"}],
        },
    ),
    "ResponsesRequest": _object(
        ("input",),
        model=_MODEL,
        input={
            "anyOf": [_TEXT, {"type": "array", "items": {"type": "object"}}],
            "description": "A text, or a list of items. Nothing is stored, so all of the conversation stands here.",
            "examples": ["Hello"],
        },
        stream={"type": ["boolean", "null"]},
    ),
    "Response": _object(
        ("output",), id=_TEXT, object={"const": "response"}, output={"type": "array", "items": {"type": "object"}}
    ),
    "MessagesRequest": _object(
        ("messages", "max_tokens"),
        model=_MODEL,
        messages=_MESSAGES,
        max_tokens={"type": "integer", "minimum": 0, "examples": [100]},
        stream={"type": ["boolean", "null"]},
    ),
    "Message": _object(
        ("content",), id=_TEXT, type={"const": "message"}, content={"type": "array", "items": {"type": "object"}}
    ),
    "CountRequest": _object(("messages",), model=_MODEL, messages=_MESSAGES),
    "Count": _object(("input_tokens",), input_tokens=_COUNT),
    "GenerateRequest": _object(("contents",), contents=_CONTENTS),
    "Generated": _object((), candidates={"type": "array", "items": {"type": "object"}}, modelVersion=_TEXT),
    "GeminiCountRequest": _object((), contents=_CONTENTS),
    "GeminiCount": _object(("totalTokens",), totalTokens=_COUNT),
    "GeminiModels": _object(("models",), models={"type": "array", "items": {"type": "object"}}),
    "UniversalRequest": _object(
        (),
        model=_MODEL,
        input=_MESSAGES,
        task={"anyOf": [_object(("objective",), objective=_TEXT), {"type": "null"}]},
        options={
            "anyOf": [{"type": "object"}, {"type": "null"}],
            "description": "What else a chat completion takes.",
        },
        stream={"type": ["boolean", "null"]},
        authProfile={"type": ["string", "null"], "description": "As the header X-Auth-Profile."},
    ),
    "UniversalResponse": _object(
        ("object", "provider", "model", "response"),
        object={"const": "universal.response"},
        provider=_TEXT,
        model=_TEXT,
        profile=_TEXT,
        auth_source=_TEXT,
        fallback={"type": "object"},
        output_text=_TEXT,
        response={"type": "object"},
    ),
    "ChatCompletion": _object(
        ("choices",),
        id=_TEXT,
        object={"const": "chat.completion"},
        model=_TEXT,
        choices={"type": "array", "items": {"type": "object"}},
        usage=_USAGE,
    ),
    "EmbeddingsRequest": _object(
        ("input",),
        model=_MODEL,
        input={
            "anyOf": [
                _TEXT,
                {"type": "array", "minItems": 1, "description": "Texts, tokens, or lists of tokens."},
            ],
            "examples": ["Hello"],
        },
        encoding_format={"description": "`float` or `base64`, as far as the provider takes it."},
    ),
    "Embeddings": _object(
        ("data",),
        object={"const": "list"},
        model=_TEXT,
        data={"type": "array", "items": {"type": "object"}},
        usage=_USAGE,
    ),
    "Model": _object(
        ("id", "object", "created", "owned_by"),
        id=_TEXT,
        object={"const": "model"},
        created=_COUNT,
        owned_by=_TEXT,
    ),
    "ModelList": _object(
        ("object", "data"),
        object={"const": "list"},
        data={"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
    ),
    "CallTrace": _object(
        ("object", "id", "outcome", "candidates", "passedOver", "attempts"),
        object={"const": "gateway.call"},
        id=_TEXT,
        at={"type": "string", "format": "date-time"},
        subject=_TEXT,
        surface=_TEXT,
        requested=_TEXT,
        resolved={**_TEXT, "description": "The provider and model that were asked for first."},
        outcome={"enum": ["answered", "failed", "refused", "open"]},
        served={"type": "object", "description": "Provider, model, profile and billing of who answered."},
        candidates={"type": "array", "items": {"type": "object"}},
        passedOver={"type": "array", "items": _object(("candidate", "reason"), candidate=_TEXT, reason=_TEXT)},
        attempts={"type": "array", "items": {"type": "object"}},
        code={**_TEXT, "description": "The code of the error that the caller got."},
        dropped={**_TEXT, "description": "What of the request was left out on the way."},
    ),
    "Health": _object(("status",), status={"enum": ["ok"]}),
    "Readiness": _object(("status",), status={"enum": ["ready", "degraded"]}),
    "OpenAIError": _object(
        ("error",),
        error=_object(
            ("message", "type", "code"),
            message=_TEXT,
            type=_TEXT,
            param={"type": ["string", "null"]},
            code={"type": ["string", "null"]},
            details={"type": "object"},
        ),
    ),
    "AnthropicError": _object(
        ("type", "error"),
        type={"const": "error"},
        error=_object(("type", "message"), type=_TEXT, message=_TEXT),
        request_id=_TEXT,
    ),
    "GeminiError": _object(
        ("error",),
        error=_object(("code", "message", "status"), code=_COUNT, message=_TEXT, status=_TEXT),
    ),
    "Error": _object(
        ("error",),
        error=_object(("message", "code"), message=_TEXT, code=_TEXT, details={"type": "object"}),
    ),
}

_BODIES: Final = {
    "/v1/chat/completions": "ChatRequest",
    "/v1/embeddings": "EmbeddingsRequest",
    "/v1/responses": "ResponsesRequest",
    "/v1/messages": "MessagesRequest",
    "/v1/messages/count_tokens": "CountRequest",
    **{
        f"{version}/models/{{model}}:{verb}": schema
        for version in ("/v1", "/v1beta")
        for verb, schema in (
            ("generateContent", "GenerateRequest"),
            ("streamGenerateContent", "GenerateRequest"),
            ("countTokens", "GeminiCountRequest"),
        )
    },
    "/v1/universal": "UniversalRequest",
}
_ANSWERS: Final = {
    "/health": "Health",
    "/health/ready": "Readiness",
    "/v1/models": "ModelList",
    "/v1/models/{model}": "Model",
    "/v1/chat/completions": "ChatCompletion",
    "/v1/embeddings": "Embeddings",
    "/v1/responses": "Response",
    "/v1/messages": "Message",
    "/v1/messages/count_tokens": "Count",
    "/v1beta/models": "GeminiModels",
    **{
        f"{version}/models/{{model}}:{verb}": schema
        for version in ("/v1", "/v1beta")
        for verb, schema in (("generateContent", "Generated"), ("countTokens", "GeminiCount"))
    },
    "/v1/universal": "UniversalResponse",
    "/config/calls/{call_id}": "CallTrace",
}
_STREAMED: Final = frozenset(
    {
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/models/{model}:streamGenerateContent",
        "/v1beta/models/{model}:streamGenerateContent",
        "/v1/universal",
    }
)
_TAGS: Final[Mapping[Surface, str]] = {
    "openai": "OpenAI-compatible",
    "anthropic": "Anthropic-compatible",
    "gemini": "Gemini-compatible",
    "universal": "Universal",
}
_ERRORS: Final[Mapping[Surface, str]] = {
    "openai": "OpenAIError",
    "anthropic": "AnthropicError",
    "gemini": "GeminiError",
    "universal": "Error",
}
_PAGES: Final = frozenset({"/", "/docs"})
_PARAMETERS: Final = {
    "model": ("A model reference; it may hold slashes.", "demo/echo"),
    "path": ("A file of the pages.", "page.css"),
    "call_id": ("What `x-gateway-call-id` said.", "call_0123456789abcdef01234567"),
}


def describe(version: str) -> Mapping[str, Any]:
    """The whole document, ready for JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Open LLM Auth",
            "version": version,
            "description": "One URL in front of every provider key, subscription and local model.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
            },
        },
    }


def _operation(route: Route) -> Mapping[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.method.lower() + _NO_WORD.sub("_", route.path).rstrip("_"),
        "tags": [_tag(route)],
        "responses": _responses(route),
    }
    if route.scope is not None:
        operation["x-scope"] = route.scope
        operation["security"] = [{"bearer": []}, {"x-api-key": []}, {"x-goog-api-key": []}]
    parameters = [*_path_parameters(route), *_header_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.method == "POST":
        operation["requestBody"] = {"required": True, "content": _json(_BODIES[route.path])}
    return operation


def _tag(route: Route) -> str:
    if route.path.startswith("/v1"):
        return _TAGS[surface_of(route.path)]
    return "Config and admin" if route.path.startswith("/config") else "Health and pages"


def _responses(route: Route) -> Mapping[str, Any]:
    if route.method == "HEAD":
        content: Schema = {}
    elif route.path in _PAGES:
        content = {"text/html": {"schema": _TEXT}}
    elif route.path in _ANSWERS and (route.method == "POST" or route.path not in _BODIES):
        content = dict(_json(_ANSWERS[route.path]))
    else:
        content = {"*/*": {}}
    if route.path in _STREAMED and route.method == "POST":
        content = {**content, "text/event-stream": {"schema": _EVENTS}}
    answer: dict[str, Any] = {"description": "The answer"}
    if content:
        answer["content"] = content
    error = _ERRORS[surface_of(route.path)]
    return {"200": answer, "default": {"description": "An error", "content": _json(error)}}


def _json(schema: str) -> Mapping[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _path_parameters(route: Route) -> list[Mapping[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "description": text, "schema": _TEXT, "example": example}
        for name, (text, example) in _PARAMETERS.items()
        if f"{{{name}}}" in route.path
    ]


def _header_parameters(route: Route) -> list[Mapping[str, Any]]:
    if route.path not in _BODIES or route.method != "POST":
        return []
    text = "The credential profile to prefer: `provider:name`, or `name` for the provider that is called."
    return [{"name": "X-Auth-Profile", "in": "header", "required": False, "description": text, "schema": _TEXT}]
