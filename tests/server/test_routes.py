"""The route table is the whole truth about what is served."""

import pytest

from open_llm_auth.errors import MethodNotAllowed, RouteNotFound
from open_llm_auth.server.openapi import describe
from open_llm_auth.server.routes import ROUTES, find_route, surface_of

PUBLIC = {"/health", "/health/ready", "/", "/docs", "/openapi.json", "/static/{path}"}


def test_only_health_and_pages_are_public():
    assert {route.path for route in ROUTES if route.scope is None} == PUBLIC


def test_only_liveness_is_exempt_from_the_host_check():
    assert [route.path for route in ROUTES if route.any_host] == ["/health"]


def test_no_row_stands_twice():
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_every_row_is_in_the_openapi_document_with_its_scope():
    paths = describe("0")["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == {
        (route.method, route.path) for route in ROUTES
    }
    for route in ROUTES:
        assert paths[route.path][route.method.lower()].get("x-scope") == route.scope


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/docs", "/openapi.json", "/static/page.css"])
def test_what_is_public_takes_head_where_it_takes_get(path):
    assert find_route("HEAD", path) == find_route("GET", path)


def test_a_model_may_hold_slashes():
    route, tail = find_route("GET", "/v1/models/openrouter/meta/llama")
    assert (route.path, tail) == ("/v1/models/{model}", "openrouter/meta/llama")


@pytest.mark.parametrize("path", ["/v1", "/v1/chat", "/v1/chat/completions/", "//v1/models", "/V1/models", "/static/"])
def test_unknown_paths_are_404(path):
    with pytest.raises(RouteNotFound):
        find_route("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models/x", "GET"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("PUT", "/static/page.css", "GET, HEAD"),
        ("HEAD", "/v1/models", "GET"),
        ("OPTIONS", "/v1/embeddings", "POST"),
    ],
)
def test_a_wrong_method_is_405_and_names_the_right_ones(method, path, allow):
    with pytest.raises(MethodNotAllowed) as caught:
        find_route(method, path)
    assert caught.value.headers == (("allow", allow),)


@pytest.mark.parametrize(
    ("path", "surface"),
    [
        ("/v1/models", "openai"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1beta/models", "gemini"),
        ("/v1/universal/tasks", "universal"),
        ("/config", "universal"),
        ("/nowhere", "universal"),
    ],
)
def test_errors_take_the_shape_of_the_path(path, surface):
    assert surface_of(path) == surface
