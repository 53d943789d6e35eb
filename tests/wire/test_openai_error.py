"""Errors are read in every shape they come in, and written in one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth import errors
from open_llm_auth.wire import sse
from open_llm_auth.wire.events import ErrorBody
from open_llm_auth.wire.openai_error import read_error, write_error, write_error_body, write_stream_error

SHAPES = {
    "openai": (
        {"error": {"message": "m", "type": "t", "param": "p", "code": "c"}},
        ErrorBody("m", "t", "c", "p"),
    ),
    "llama-server": ({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
                     ErrorBody("Loading model", "unavailable_error", "503")),
    "nulls": ({"error": {"message": "m", "type": None, "param": None, "code": None}}, ErrorBody("m")),
    "text": ({"error": "model not found"}, ErrorBody("model not found")),
    "xAI": ({"code": "Client specified an invalid argument", "error": "bad key"},
            ErrorBody("bad key", None, "Client specified an invalid argument")),
    "text and sentence": ({"error": "Unauthorized", "message": "Token expired."},
                          ErrorBody("Token expired.", "Unauthorized")),
    "FastAPI text": ({"detail": "Not authenticated"}, ErrorBody("Not authenticated")),
    "FastAPI object": ({"detail": {"error": {"message": "m"}}}, ErrorBody("m")),
    "FastAPI object without error": ({"detail": {"message": "m", "code": 7}}, ErrorBody("m", code="7")),
    "FastAPI validation": (
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs", "input": 1}]},
        ErrorBody("stream_options: Extra inputs", param="stream_options"),
    ),
    "message": ({"object": "error", "message": "m", "type": "BadRequestError", "param": None, "code": 400},
                ErrorBody("m", "BadRequestError", "400")),
    "errors": ({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]},
               ErrorBody("Authentication error", code="10000")),
    "Anthropic": ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
                  ErrorBody("m", "overloaded_error")),
    "Google": (
        [{"error": {"code": 429, "message": "Quota", "status": "EXHAUSTED", "details": [
            {"reason": "RATE_LIMIT_EXCEEDED"}, {"retryDelay": "34.5s"}]}}],
        ErrorBody("Quota", "EXHAUSTED", "RATE_LIMIT_EXCEEDED", retry_after=34.5),
    ),
    "without a message": ({"error": {"code": "x"}}, ErrorBody("", code="x")),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), SHAPES.values(), ids=SHAPES)
def test_an_error_is_read_whatever_its_shape(body, expected):
    assert read_error(json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"Bad Gateway", b"<html></html>", b"{}", b"[]", b"[1]", b"null", b'"x"', b'{"error": null}', b'{"error": ""}',
     b'{"detail": []}', b'{"choices": []}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_error_is_none(body):
    assert read_error(body) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "detail", "errors", "message", "code", "type", "loc", "msg", "details"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_reading_an_error_never_fails(body):
    error = read_error(body)
    assert error is None or isinstance(error.message, str)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (errors.InvalidRequest("m"), "invalid_request_error", "invalid_request"),
        (errors.Unauthenticated("m"), "authentication_error", "authentication_required"),
        (errors.InsufficientScope("m"), "permission_error", "insufficient_scope"),
        (errors.ModelNotFound("m"), "not_found_error", "model_not_found"),
        (errors.BodyTooLarge("m"), "invalid_request_error", "request_too_large"),
        (errors.HostNotAllowed("m"), "invalid_request_error", "host_not_allowed"),
        (errors.UpstreamHTTPError("m", status=429), "rate_limit_error", "upstream_http_error"),
        (errors.UpstreamHTTPError("m", status=402), "billing_error", "upstream_http_error"),
        (errors.UpstreamHTTPError("m", status=503), "api_error", "upstream_http_error"),
        (errors.UpstreamTimeout("m"), "api_error", "upstream_timeout"),
        (errors.ProviderKindNotSupported("m"), "server_error", "provider_kind_not_supported"),
        (errors.InternalError("m"), "server_error", "internal_error"),
    ],
)
def test_an_error_is_written_as_openai_writes_it(error, kind, code):
    assert json.loads(write_error(error)) == {"error": {"message": "m", "type": kind, "param": None, "code": code}}


def test_field_and_details_are_written():
    error = errors.InvalidRequest("m", param="messages", details={"candidates": ["a/b"]})
    written = json.loads(write_error(error))["error"]
    assert (written["param"], written["details"]) == ("messages", {"candidates": ["a/b"]})


def test_an_error_that_ends_a_stream_is_one_event():
    error = errors.UpstreamTimeout("The provider fell\nsilent.")
    event = write_stream_error(error)
    assert sse.split_events(event) == [event]
    assert sse.data_of(event) == write_error(error)


def test_what_a_provider_said_reads_back_as_it_was():
    said = ErrorBody("m", "t", "c", "p")
    assert read_error(write_error_body(said)) == said


@given(
    st.text(st.characters(codec=None)),
    st.dictionaries(st.text(), st.text(st.characters(codec=None)) | st.floats() | st.integers()),
)
def test_writing_an_error_never_fails(message, details):
    written = write_error(errors.InvalidRequest(message, details=details))
    assert json.loads(written)["error"]["code"] == "invalid_request"
