"""Every route there is, with the scope it needs and the shape of its errors (SPEC §1). No row, no route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..errors import MethodNotAllowed, RouteNotFound
from ..policy.access import Scope

__all__ = ["ROUTES", "Route", "Surface", "find_route", "surface_of"]

Surface = Literal["openai", "anthropic", "gemini", "universal"]


@dataclass(frozen=True, slots=True)
class Route:
    """One row. `path` is literal, or has one `{name}` that takes the rest of the path, slashes included, up to the
    literal end that may follow it.

    `scope` None means nobody is asked who they are, and that a GET is a HEAD too (RFC 9110, section 9.3.2). `any_host`
    exempts it from the Host check (SPEC §2).
    """

    method: str
    path: str
    scope: Scope | None
    summary: str
    any_host: bool = False


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/health", None, "Liveness: the process answers", any_host=True),
    Route("GET", "/health/ready", None, "Readiness: a word, and details for callers with the read scope"),
    Route("GET", "/", None, "The first page"),
    Route("HEAD", "/", None, "Whether anybody is there, as Claude Code asks before its first call"),
    Route("GET", "/docs", None, "This reference as a page"),
    Route("GET", "/openapi.json", None, "This reference for programs"),
    Route("GET", "/static/{path}", None, "What the pages are made of"),
    Route("POST", "/v1/chat/completions", "write", "OpenAI chat completions, plain and streamed"),
    Route("POST", "/v1/embeddings", "write", "OpenAI embeddings"),
    Route("POST", "/v1/responses", "write", "OpenAI responses, plain and streamed"),
    Route("GET", "/v1/responses", "write", "Where Codex asks for a WebSocket first: answered 426, so that it posts"),
    Route("GET", "/v1/models", "read", "Models of the usable providers"),
    Route("GET", "/v1/models/{model}", "read", "One model"),
    Route("POST", "/v1/messages", "write", "Anthropic messages, plain and streamed"),
    Route("POST", "/v1/messages/count_tokens", "read", "How many tokens a message has, asked or estimated"),
    Route("GET", "/v1beta/models", "read", "Models of the usable providers, as Gemini's clients list them"),
    Route("POST", "/v1beta/models/{model}:generateContent", "write", "Gemini's generateContent"),
    Route("POST", "/v1beta/models/{model}:streamGenerateContent", "write", "The same, streamed"),
    Route("POST", "/v1beta/models/{model}:countTokens", "read", "How many tokens a request has"),
    Route("POST", "/v1/models/{model}:generateContent", "write", "The same at the address of Google's newer clients"),
    Route("POST", "/v1/models/{model}:streamGenerateContent", "write", "The same, streamed"),
    Route("POST", "/v1/models/{model}:countTokens", "read", "How many tokens a request has"),
    Route("POST", "/v1/universal", "write", "One form of call for every model, with what happened on the way"),
    Route("GET", "/config/calls/{call_id}", "admin", "Why a call got the credential it got"),
)

_EXACT: Final = {(route.method, route.path): route for route in ROUTES if "{" not in route.path}
_OPEN: Final = tuple(
    (route, route.path[: route.path.index("{")], route.path[route.path.index("}") + 1 :])
    for route in ROUTES
    if "{" in route.path
)
_PUBLIC: Final = frozenset(route.path for route in ROUTES if route.method == "GET" and route.scope is None)

#: The longest prefix that fits names the shape of errors, for routes that do not exist too.
_SURFACES: Final[tuple[tuple[str, Surface], ...]] = (
    ("/v1/messages", "anthropic"),
    ("/v1beta/", "gemini"),
    ("/v1/universal", "universal"),
    ("/v1/", "openai"),
)


#: What ends the paths of Gemini's calls, which its newer clients make under ``/v1`` too.
_GEMINI_ENDS: Final = (":generateContent", ":streamGenerateContent", ":countTokens")


def surface_of(path: str) -> Surface:
    """Whose error shape a path answers in."""
    return _EXACT_SURFACES.get(path) or _surface_of(path)


def _surface_of(path: str) -> Surface:
    if path.endswith(_GEMINI_ENDS):
        return "gemini"
    return next((surface for prefix, surface in _SURFACES if path.startswith(prefix)), "universal")


def find_route(method: str, path: str) -> tuple[Route, str]:
    """The row of a request and what its `{name}` took ("" without one). A HEAD without a row has that of a public GET.

    Raises:
        RouteNotFound: no such path.
        MethodNotAllowed: the path exists for other methods, which `Allow` names.
    """
    route = _EXACT.get((method, path))
    if route is not None:
        return route, ""
    for route, prefix, suffix in _OPEN:
        if route.method == method and _takes(prefix, suffix, path):
            return route, path[len(prefix) : len(path) - len(suffix)]
    fitting = [route for route in ROUTES if _fits(route, path)]
    allowed = sorted({route.method for route in fitting} | {"HEAD" for route in fitting if route.path in _PUBLIC})
    if method == "HEAD" and method in allowed:
        return find_route("GET", path)
    if not allowed:
        raise RouteNotFound(f"There is no route {path[:200]!r}. GET /docs lists them all.")
    raise MethodNotAllowed(
        f"{path[:200]!r} does not take {method[:20]}; it takes {', '.join(allowed)}.",
        headers=(("allow", ", ".join(allowed)),),
    )


def _fits(route: Route, path: str) -> bool:
    return route.path == path or any(row is route and _takes(prefix, suffix, path) for row, prefix, suffix in _OPEN)


def _takes(prefix: str, suffix: str, path: str) -> bool:
    if not suffix and path.endswith(_GEMINI_ENDS):
        return False  # what ends so is a call, and no name of a model
    return len(path) > len(prefix) + len(suffix) and path.startswith(prefix) and path.endswith(suffix)


_EXACT_SURFACES: Final[Mapping[str, Surface]] = {path: _surface_of(path) for _, path in _EXACT}
