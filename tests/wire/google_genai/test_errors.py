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

CREDENTIAL = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}
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
        (UpstreamHTTPError("m", status=529), 529, "UNAVAILABLE"),
        (UpstreamHTTPError("m", status=503), 503, "UNAVAILABLE"),
        (InternalError("m"), 500, "INTERNAL"),
        (ProviderKindNotSupported("m"), 501, "UNIMPLEMENTED"),
        (UpstreamTimeout("m"), 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_an_error_says_its_code_message_and_status(error, status, word):
    assert json.loads(write_error(error, "req-1")) == {"error": {"code": status, "message": "m", "status": word}}


QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}


def details_of(**fields):
    return json.loads(write_error(UpstreamHTTPError("m", status=429, **fields)))["error"].get("details")


def test_what_google_said_in_detail_is_kept():
    """gemini-cli finds out there whether waiting helps."""
    assert details_of(details={"upstreamDetails": [QUOTA, RETRY]}, headers=(("retry-after", "9"),)) == [QUOTA, RETRY]
    assert details_of(details={"upstreamDetails": [QUOTA]}, headers=(("retry-after", "7"),)) == [QUOTA, RETRY]
    assert details_of(details={"upstreamDetails": "none"}) is None


@pytest.mark.parametrize(
    ("given", "told"), [("7", "7s"), ("0.5", "0.5s"), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None)]
)
def test_when_to_come_back_is_told_as_google_does(given, told):
    details = details_of(headers=(("retry-after", given),))
    assert details == (None if told is None else [{**RETRY, "retryDelay": told}])


def test_an_error_within_a_stream_is_an_event():
    assert write_stream_error(InternalError("a\nb")).splitlines()[1:] == [b""]


def test_no_message_breaks_the_writer():
    assert json.loads(write_error(InternalError("a\ud800\x00")))["error"]["message"] == "a?\x00"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("error_400", ErrorBody("bad request sample", "INVALID_ARGUMENT", "400")),
        (
            "error_401",
            ErrorBody("invalid key sample", "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED", details=(CREDENTIAL,)),
        ),
        (
            "error_429",
            ErrorBody("slow down sample", "RESOURCE_EXHAUSTED", "429", retry_after=7.0, details=(RETRY,)),
        ),
        ("error_529", ErrorBody("overloaded sample", "UNAVAILABLE", "503")),
    ],
)
@pytest.mark.parametrize("listed", [False, True], ids=["alone", "in a list"])
def test_googles_errors_are_read(name, said, listed):
    body = (GOLDEN / f"{name}.json").read_bytes()
    assert read_error(b"[%b]" % body if listed else body) == said
