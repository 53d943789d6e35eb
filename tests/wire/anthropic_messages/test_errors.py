"""Errors in Anthropic's shape, read and written."""

import json

import pytest

from open_llm_auth.errors import (
    GatewayError,
    InvalidRequest,
    SecretUnavailable,
    UpstreamCredentialRejected,
    UpstreamHTTPError,
    UpstreamTimeout,
)
from open_llm_auth.wire.anthropic_messages import read_error, write_error, write_stream_error
from open_llm_auth.wire.events import ErrorBody


def kind(error):
    return json.loads(write_error(error, "req_1"))["error"]["type"]


def test_an_error_has_type_message_and_request_id():
    assert json.loads(write_error(InvalidRequest("'model' is empty."), "req_1")) == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "'model' is empty."},
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (501, "api_error"),
        (502, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
    ],
)
def test_the_status_decides_the_type(status, expected):
    assert kind(GatewayError("x", status=status)) == expected


@pytest.mark.parametrize("status", [503, 529])
def test_overload_is_said_of_providers_only(status):
    assert kind(UpstreamHTTPError("x", status=status)) == "overloaded_error"
    assert kind(GatewayError("x", status=status)) == "api_error"
    assert kind(SecretUnavailable("x")) == "api_error"


def test_providers_errors_keep_their_kind():
    assert kind(UpstreamTimeout("late")) == "timeout_error"
    assert kind(UpstreamCredentialRejected("no", status=401)) == "authentication_error"


def test_half_a_character_in_a_message_does_not_break_the_answer():
    assert json.loads(write_error(InvalidRequest("a\ud800b"), "r"))["error"]["message"] == "a?b"


def test_within_a_stream_it_is_an_event():
    event = write_stream_error(UpstreamHTTPError("went wrong", status=529))
    assert event.startswith(b"event: error\ndata: ")
    assert event.endswith(b"\n\n")
    assert json.loads(event.split(b"data: ")[1]) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "went wrong"},
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}, "request_id": "r"},
            ErrorBody("slow", "rate_limit_error"),
        ),
        (
            {"type": "error", "error": {"type": "e", "message": "m", "details": {"error_code": "file_expired"}}},
            ErrorBody("m", "e", "file_expired"),
        ),
        ({"type": "error", "error": {"message": "m", "details": None}}, ErrorBody("m")),
        ({"type": "error", "error": {"type": "e", "message": "m", "code": 1234}}, ErrorBody("m", "e", "1234")),
        ({"error": {"message": "m", "type": "t", "code": "c", "param": "p"}}, ErrorBody("m", "t", "c", "p")),
        ({"error": "text"}, ErrorBody("text")),
        ({"detail": "Not found"}, ErrorBody("Not found")),
    ],
    ids=str,
)
def test_a_providers_error_is_read(body, expected):
    assert read_error(json.dumps(body).encode()) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3", b"{}", b'{"type":"error"}', b"\xff", b"[" * 9999])
def test_what_is_no_error_is_none(body):
    assert read_error(body) is None
