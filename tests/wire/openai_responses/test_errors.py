"""Errors of the Responses dialect: what providers say, and how a stream is told to have failed."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from openai.types.responses import ResponseError

from open_llm_auth.errors import InvalidRequest, UpstreamHTTPError, UpstreamInvalidResponse
from open_llm_auth.wire.events import ErrorBody
from open_llm_auth.wire.openai_responses.errors import error_from, failure_code, read_error, write_error, write_failure


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "m", "type": "t", "param": "input", "code": "c"}}, ErrorBody("m", "t", "c", "input")),
        ({"detail": "Unsupported service_tier: flex"}, ErrorBody("Unsupported service_tier: flex")),
        (
            {"error": {"type": "usage_limit_reached", "message": "m", "plan_type": "plus", "resets_in_seconds": 90}},
            ErrorBody("m", "usage_limit_reached", retry_after=90.0),
        ),
        ({"error": {"message": "m", "resets_in_seconds": "soon"}}, ErrorBody("m")),
    ],
)
def test_a_providers_error_is_read(body, said):
    assert read_error(json.dumps(body).encode()) == said


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"output": []}', b'[{"resets_in_seconds": 3}', b"null"])
def test_what_is_no_error_is_none(body):
    assert read_error(body) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"code": "server_error", "message": "m"}, ErrorBody("m", code="server_error")),
        (
            {"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."},
            ErrorBody("Please try again in 1.5s.", code="rate_limit_exceeded", retry_after=1.5),
        ),
        (
            {"code": "rate_limit_exceeded", "message": "try again in 250ms"},
            ErrorBody("try again in 250ms", code="rate_limit_exceeded", retry_after=0.25),
        ),
        ("words", ErrorBody("The provider reported an error without a reason.")),
        (None, ErrorBody("The provider reported an error without a reason.")),
        ({"message": None, "code": "c"}, ErrorBody("The provider reported an error without a reason.", code=None)),
    ],
)
def test_an_error_within_a_stream_is_read_whatever_it_is(value, said):
    assert error_from(value) == said


def test_a_failed_stream_says_it_for_the_sdks_and_for_codex():
    error = UpstreamHTTPError("slow down", status=429)
    told = write_failure(error, {"id": "resp_1", "output": []}, 7).decode()
    first, second = [block.split("\n") for block in told.strip().split("\n\n")]
    assert [first[0], second[0]] == ["event: error", "event: response.failed"]
    event = json.loads(first[1].removeprefix("data: "))
    assert (event["sequence_number"], event["message"], event["error"]["message"]) == (7, "slow down", "slow down")
    failed = json.loads(second[1].removeprefix("data: "))
    assert failed["sequence_number"] == 8
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}


def test_a_code_that_codex_knows_is_handed_on():
    details = {"upstreamCode": "context_length_exceeded"}
    assert failure_code(UpstreamHTTPError("m", status=400, details=details)) == "context_length_exceeded"
    assert failure_code(UpstreamInvalidResponse("m")) == "server_error"


#: What the SDK's type knows (openai.types.responses.ResponseError).
DOCUMENTED = get_args(ResponseError.model_fields["code"].annotation)


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("429", 429, "rate_limit_exceeded"),
        ("500", 502, "server_error"),
        ("503", 503, "server_error"),
        ("529", 529, "server_error"),
        ("400", 400, "invalid_prompt"),
        ("401", 401, "server_error"),
        ("", 429, "rate_limit_exceeded"),
    ],
)
def test_a_number_is_no_code(code, status, told):
    assert failure_code(UpstreamHTTPError("m", status=status, details={"upstreamCode": code})) == told
    assert told in DOCUMENTED


def test_an_error_is_a_body_in_openais_shape():
    body = json.loads(write_error(InvalidRequest("m", param="input"), "req_1"))
    assert body == {
        "error": {"message": "m", "type": "invalid_request_error", "param": "input", "code": "invalid_request"}
    }
