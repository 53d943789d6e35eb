"""The OpenAPI document: every row of the route table, with what goes in and what comes out.

Bodies are described as far as the gateway itself judges them: what it relays to a provider is the provider's to
refuse, so unknown fields are allowed wherever they are passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .routes import ROUTES, Route, surface_of

__all__ = ["describe"]

Schema = Mapping[str, Any]


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
_EVENTS: Final[Schema] = {"description": "With `stream`: events whose data are chunks of the answer, then `[DONE]`."}
_USAGE: Final = _object(prompt_tokens=_COUNT, completion_tokens=_COUNT, total_tokens=_COUNT)

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
    "Error": _object(
        ("error",),
        error=_object(("message", "code"), message=_TEXT, code=_TEXT, details={"type": "object"}),
    ),
}

_BODIES: Final = {"/v1/chat/completions": "ChatRequest", "/v1/embeddings": "EmbeddingsRequest"}
_ANSWERS: Final = {
    "/health": "Health",
    "/health/ready": "Readiness",
    "/v1/models": "ModelList",
    "/v1/models/{model}": "Model",
    "/v1/chat/completions": "ChatCompletion",
    "/v1/embeddings": "Embeddings",
}
_PAGES: Final = frozenset({"/", "/docs"})
_PARAMETERS: Final = {
    "model": ("A model reference; it may hold slashes.", "demo/echo"),
    "path": ("A file of the pages.", "page.css"),
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
        "operationId": f"{route.method.lower()}{route.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "tags": ["OpenAI-compatible" if surface_of(route.path) == "openai" else "Health and pages"],
        "responses": _responses(route),
    }
    if route.scope is not None:
        operation["x-scope"] = route.scope
        operation["security"] = [{"bearer": []}, {"x-api-key": []}, {"x-goog-api-key": []}]
    parameters = [*_path_parameters(route), *_header_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.path in _BODIES:
        operation["requestBody"] = {"required": True, "content": _json(_BODIES[route.path])}
    return operation


def _responses(route: Route) -> Mapping[str, Any]:
    if route.method == "HEAD":
        content: Schema = {}
    elif route.path in _PAGES:
        content = {"text/html": {"schema": _TEXT}}
    elif route.path in _ANSWERS:
        content = dict(_json(_ANSWERS[route.path]))
    else:
        content = {"*/*": {}}
    if route.path == "/v1/chat/completions":
        content = {**content, "text/event-stream": {"schema": _EVENTS}}
    answer: dict[str, Any] = {"description": "The answer"}
    if content:
        answer["content"] = content
    error = "OpenAIError" if surface_of(route.path) == "openai" else "Error"
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
    if route.scope != "write":
        return []
    text = "The credential profile to prefer: `provider:name`, or `name` for the provider that is called."
    return [{"name": "X-Auth-Profile", "in": "header", "required": False, "description": text, "schema": _TEXT}]
