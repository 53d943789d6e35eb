"""What Codex says when it fails."""

import pytest

from open_llm_auth.wire.codex_cli import read_error
from open_llm_auth.wire.codex_cli.errors import error_of
from open_llm_auth.wire.events import ErrorBody
from open_llm_auth.wire.program import write_ending


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("unexpected status 403 Forbidden: induced, url: http://a.example/v1/responses, request id: req_1", "403"),
        ("exceeded retry limit, last status: 429 Too Many Requests, request id: req_1", "429"),
        ("You've hit your usage limit. Upgrade to Pro or try again at 3:00 PM.", "429"),
        ("Quota exceeded. Check your plan and billing details.", "402"),
        ("Your access token could not be refreshed. Please log out and sign in again.", "401"),
        ("Codex ran out of room in the model's context window. Start a new thread.", "400"),
        ("The 'x' model is not supported when using Codex with a ChatGPT account.", "404"),
        ("We’re currently experiencing high demand, which may cause temporary errors.", "503"),
        ("stream disconnected before completion: went wrong midway", None),
        ("unexpected status 200 OK: odd", None),
    ],
)
def test_its_words_have_the_status(message, status):
    error = error_of(message)
    assert error.code == status
    assert "a.example" not in error.message
    assert "req_1" not in error.message


def test_the_apis_own_error_is_read_as_one():
    assert error_of('{"error": {"message": "induced", "type": "invalid_request_error", "code": "x"}}') == ErrorBody(
        "induced", "invalid_request_error", "x"
    )
    assert error_of("{odd").message == "{odd"


def test_a_missing_sign_in_comes_with_the_way_to_it():
    assert "`codex login`" in error_of("unexpected status 401 Unauthorized: no").message


def test_an_option_it_does_not_know_is_told():
    left = write_ending(2, b"error: unexpected argument '--no-such' found\n\nUsage: codex exec\n")
    assert read_error(left).message.endswith("error: unexpected argument '--no-such' found")


def test_an_end_with_a_reason_it_names_has_its_status():
    assert read_error(write_ending(1, b"warning\nNot logged in\n")).code == "401"


def test_what_is_no_ending_is_none():
    assert read_error(b"<html>") is None
