"""Bedrock's errors: bodies with and without a type, and exceptions within a stream with the status they stand for."""

from __future__ import annotations

import pytest

from open_llm_auth.testing.event_stream import exception_message, write_message
from open_llm_auth.wire.bedrock_converse.errors import read_error, read_stream_error
from open_llm_auth.wire.bedrock_converse.eventstream import Message, MessageSplitter
from open_llm_auth.wire.events import ErrorBody


@pytest.mark.parametrize(
    ("body", "stated", "said"),
    [
        (b'{"message":"no"}', "", ErrorBody("no")),
        (b'{"Message":"no"}', "", ErrorBody("no")),
        (b'{"message":"no"}', "ThrottlingException", ErrorBody("no", "ThrottlingException")),
        (
            b'{"message":"no","__type":"com.amazon.coral.service#AccessDeniedException"}',
            "",
            ErrorBody("no", "AccessDeniedException"),
        ),
        (
            b'{"message":"no"}',
            "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            ErrorBody("no", "ValidationException"),
        ),
        (b"{}", "ServiceUnavailableException", ErrorBody("ServiceUnavailableException", "ServiceUnavailableException")),
        (
            b'{"message":"expired"}',
            "ExpiredTokenException",
            ErrorBody("expired", "ExpiredTokenException", "invalid_credential"),
        ),
        (
            b'{"message":"bad","__type":"UnrecognizedClientException"}',
            "",
            ErrorBody("bad", "UnrecognizedClientException", "invalid_credential"),
        ),
    ],
)
def test_a_body_says_its_message_and_its_type(body: bytes, stated: str, said: ErrorBody) -> None:
    assert read_error(body, stated) == said


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message":7}', b"\xff", b"[" * 5000])
def test_other_bodies_are_no_errors_of_bedrock(body: bytes) -> None:
    assert read_error(body) is None


def message(data: bytes) -> Message:
    (found,) = MessageSplitter().feed(data)
    return found


@pytest.mark.parametrize(
    ("kind", "document", "code"),
    [
        ("throttlingException", {"message": "m"}, "429"),
        ("serviceUnavailableException", {"message": "m"}, "503"),
        ("internalServerException", {"message": "m"}, "500"),
        ("validationException", {"message": "m"}, "400"),
        ("modelStreamErrorException", {"message": "m"}, "500"),
        ("modelStreamErrorException", {"message": "m", "originalStatusCode": 429}, "429"),
        ("modelTimeoutException", {"message": "m"}, "408"),
        ("somethingNewException", {"message": "m"}, "500"),
    ],
)
def test_an_exception_in_a_stream_has_the_status_it_would_have_had(
    kind: str, document: dict[str, object], code: str
) -> None:
    said = read_stream_error(message(exception_message(kind, document)))
    assert said == ErrorBody("m", kind[:1].upper() + kind[1:], code)


def test_an_exception_without_words_says_its_name() -> None:
    assert read_stream_error(message(exception_message("throttlingException", {}))).message == "ThrottlingException"


def test_an_error_of_the_stream_itself_is_told_in_its_headers() -> None:
    data = write_message({":message-type": "error", ":error-code": "InternalError", ":error-message": "broke"}, b"")
    assert read_stream_error(message(data)) == ErrorBody("broke", "InternalError", "500")
    data = write_message({":message-type": "error", ":error-code": "503"}, b"")
    assert read_stream_error(message(data)) == ErrorBody("The provider reported an error.", "503", "503")


def test_an_exception_whose_payload_is_nonsense_is_still_one() -> None:
    data = write_message({":message-type": "exception", ":exception-type": "throttlingException"}, b"\xff{")
    assert read_stream_error(message(data)) == ErrorBody("ThrottlingException", "ThrottlingException", "429")
