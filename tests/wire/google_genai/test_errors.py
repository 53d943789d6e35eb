"""Errors in Google's form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from open_llm_auth.errors import (
    BodyTooLarge,
    ConfigConflict,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    ProviderKindNotSupported,
    Unauthenticated,
    UpstreamHTTPError,
    UpstreamTimeout,
)
from open_llm_auth.wire.events import ErrorBody
from open_llm_auth.wire.google_genai import read_error, write_error, write_stream_error

GOLDEN = Path(__file__).parents[2] / "golden/replies/google-genai"


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (InvalidRequest("m", param="contents"), 400, "INVALID_ARGUMENT"),
        (Unauthenticated("m"), 401, "UNAUTHENTICATED"),
        (ModelNotFound("m"), 404, "NOT_FOUND"),
        (ConfigConflict("m"), 409, "ABORTED"),
        (BodyTooLarge("m"), 413, "FAILED_PRECONDITION"),
        (UpstreamHTTPError("m", status=429), 429, "RESOURCE_EXHAUSTED"),
        (UpstreamHTTPError("m", status=529), 529, "INTERNAL"),
        (UpstreamHTTPError("m", status=503), 503, "UNAVAILABLE"),
        (InternalError("m"), 500, "INTERNAL"),
        (ProviderKindNotSupported("m"), 501, "UNIMPLEMENTED"),
        (UpstreamTimeout("m"), 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_an_error_says_its_code_message_and_status(error, status, word):
    assert json.loads(write_error(error, "req-1")) == {"error": {"code": status, "message": "m", "status": word}}


def test_an_error_within_a_stream_is_an_event():
    assert write_stream_error(InternalError("a\nb")).splitlines()[1:] == [b""]


def test_no_message_breaks_the_writer():
    assert json.loads(write_error(InternalError("a\ud800\x00")))["error"]["message"] == "a?\x00"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("error_400", ErrorBody("bad request sample", "INVALID_ARGUMENT", "400")),
        ("error_401", ErrorBody("invalid key sample", "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED")),
        ("error_429", ErrorBody("slow down sample", "RESOURCE_EXHAUSTED", "429", retry_after=7.0)),
        ("error_529", ErrorBody("overloaded sample", "UNAVAILABLE", "503")),
    ],
)
@pytest.mark.parametrize("listed", [False, True], ids=["alone", "in a list"])
def test_googles_errors_are_read(name, said, listed):
    body = (GOLDEN / f"{name}.json").read_bytes()
    assert read_error(b"[%b]" % body if listed else body) == said
