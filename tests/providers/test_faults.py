"""What an error status means for the credential, and what the caller is told of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamCredentialRejected, UpstreamHTTPError
from open_llm_auth.providers.faults import error_reader, read_error, retry_after, told_in_stream
from open_llm_auth.wire.events import ErrorBody

SECRET = "sk-canary-0123456789abcdef"


def hide(text):
    return text.replace(SECRET, "[REDACTED]")


# ---------------------------------------------------------------------------------------------- what an error means

HTML = ((b"content-type", b"text/html; charset=UTF-8"),)


def said(code=None, kind=None, message="m"):
    return json.dumps({"error": {"message": message, "type": kind, "code": code}}).encode()


FAULTS = [
    (401, (), said("invalid_api_key"), "auth"),
    (401, (), b"", "auth"),
    (402, (), b"", "billing"),
    (402, (), said("Insufficient Balance"), "billing"),
    (403, (), b"", "denied"),
    (403, (), b"Forbidden", "denied"),
    (403, (), said("model_not_found"), "denied"),
    (403, (), said("unsupported_country_region_territory", "request_forbidden"), "denied"),
    (403, (), said(None, "permission_error"), "denied"),
    (403, (), said("invalid_api_key"), "auth"),
    (403, (), said(None, "authentication_error"), "auth"),
    (403, (), said("token_expired"), "auth"),
    (403, (), said("account_deactivated"), "auth"),
    (403, (), said("billing_not_active"), "billing"),
    (403, (), said("quota_exhausted"), "billing"),
    (403, (), said(message="your api key has no billing"), "denied"),
    (403, HTML, b"<title>Just a moment...</title>", "denied"),
    (503, HTML, b"<title>Just a moment...</title>", "denied"),
    (503, HTML, b"<h1>503 Service Temporarily Unavailable</h1>", "overloaded"),
    (429, ((b"cf-mitigated", b"challenge"),), b"", "denied"),
    (429, (), said("rate_limit_exceeded"), "rate_limit"),
    (429, (), said("insufficient_quota", "insufficient_quota"), "billing"),
    (429, (), said(None, "exceeded_current_quota_error"), "billing"),
    (429, (), b"slow down", "rate_limit"),
    (400, (), said(None, "invalid_request_error"), "rejected"),
    (400, (), said("billing_hard_limit_reached"), "billing"),
    (400, (), b'[{"error":{"code":400,"message":"m","details":[{"reason":"API_KEY_INVALID"}]}}]', "auth"),
    (400, (), said(message="the user wrote: invalid api key"), "rejected"),
    (404, (), said("model_not_found"), "rejected"),
    (408, (), b"", "rejected"),
    (422, (), b'{"detail":[]}', "rejected"),
    (500, (), said("server_error"), "server"),
    (500, (), said("insufficient_quota"), "server"),
    (502, (), b"<html>", "server"),
    (503, (), b"", "overloaded"),
    (529, (), said(None, "overloaded_error"), "overloaded"),
    (599, (), b"", "server"),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind"), FAULTS)
def test_the_status_decides_first_and_the_providers_codes_second(status, headers, body, kind):
    fault = read_error("my-llm", status, headers, body, hide)
    assert (fault.kind, fault.status, fault.error.status) == (kind, status, status)


def test_every_kind_of_fault_an_answer_can_have_has_been_seen():
    assert {kind for *_, kind in FAULTS} == {
        "auth", "billing", "denied", "overloaded", "rate_limit", "rejected", "server"
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- what the caller hears


def test_the_providers_own_message_is_passed_on_with_its_field_and_codes():
    body = b'{"error": {"message": "Too long", "type": "invalid_request_error", "param": "messages", "code": "length"}}'
    error = read_error("my-llm", 400, (), body, hide).error
    assert isinstance(error, UpstreamHTTPError)
    assert (error.message, error.param, error.code, error.status) == (
        "Too long", "messages", "upstream_http_error", 400
    )  # fmt: skip
    assert error.details == {
        "provider": "my-llm",
        "upstreamStatus": 400,
        "upstreamCode": "length",
        "upstreamType": "invalid_request_error",
    }


@pytest.mark.parametrize("body", [b"", b"<html>secret page</html>", b"plain words", b'{"x": 1}', b'{"error": {}}'])
def test_other_bodies_are_not_passed_on(body):
    error = read_error("my-llm", 503, (), body, hide).error
    assert error.message == "Upstream provider 'my-llm' returned HTTP 503"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_told_apart_from_the_callers_own(status):
    error = read_error("my-llm", status, ((b"www-authenticate", b"Bearer"),), said(), hide).error
    assert isinstance(error, UpstreamCredentialRejected)
    assert (error.code, error.status, error.headers) == ("upstream_credential_rejected", status, ())


def test_no_secret_comes_through_in_any_field():
    body = json.dumps({"error": dict.fromkeys(("message", "type", "param", "code"), f"x{SECRET}y")}).encode()
    error = read_error("my-llm", 400, (), body, hide).error
    assert SECRET not in f"{error.message}{error.param}{error.details}"
    assert error.message == "x[REDACTED]y"


def test_a_kind_reads_bodies_and_headers_of_its_own():
    def read_body(body):
        return ErrorBody(body.decode(), retry_after=7.0)

    read = error_reader(read_body, limits=lambda name: name.startswith(b"anthropic-ratelimit-"))
    headers = ((b"anthropic-ratelimit-requests-remaining", b"0"), (b"anthropic-organization-id", b"o"))
    fault = read("my-llm", 429, headers, b"slow down", hide)
    assert (fault.error.message, fault.retry_after) == ("slow down", 7.0)
    assert fault.error.headers == (("anthropic-ratelimit-requests-remaining", "0"), ("retry-after", "7"))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (((b"retry-after", b"9"),), (("retry-after", "9"),)),
        (((b"retry-after-ms", b"1200"),), (("retry-after-ms", "1200"), ("retry-after", "2"))),
        (((b"x-ratelimit-reset-requests", b"90s"),), (("x-ratelimit-reset-requests", "90s"), ("retry-after", "90"))),
        ((), ()),
    ],
)
def test_a_wait_that_was_stated_in_another_form_is_told_as_seconds_too(headers, told):
    assert read_error("my-llm", 429, headers, said(), hide).error.headers == told


def test_an_error_within_a_stream_says_when_to_come_back():
    error = told_in_stream("my-llm", 200, ErrorBody("m", "RESOURCE_EXHAUSTED", retry_after=6.2), hide).error
    assert error.headers == (("retry-after", "7"),)


# ---------------------------------------------------------------------------------------------- Google's details

QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]}


def detailed(*details):
    body = json.dumps({"error": {"code": 429, "message": "m", "details": list(details)}}).encode()
    return read_error("my-llm", 429, (), body, hide).error.details.get("upstreamDetails")


def test_what_google_says_in_detail_is_kept_and_nothing_else_is():
    assert detailed(QUOTA, "text", {"reason": "no type"}, {"@type": 7}) == [QUOTA]
    assert detailed("text") is None
    assert detailed({"@type": "t", "n": 1.5, "flag": True, "none": None}) == [
        {"@type": "t", "n": 1.5, "flag": True, "none": None}
    ]


def test_no_secret_and_no_masked_key_is_left_in_details():
    told = detailed({"@type": "t", SECRET: [{"a": f"key {SECRET}."}], "masked": "AIza***9f2"})
    assert told == [{"@type": "t", "[REDACTED]": [{"a": "key [REDACTED]."}], "masked": "[REDACTED]"}]


def test_a_secret_that_is_a_number_is_hidden_too():
    def numbers_hidden(text):
        return text.replace("1234567890", "[REDACTED]")

    body = json.dumps({"error": {"message": "m", "details": [{"@type": "t", "a": 1234567890, "b": 12}]}}).encode()
    details = read_error("my-llm", 400, (), body, numbers_hidden).error.details
    assert details["upstreamDetails"] == [{"@type": "t", "a": None, "b": 12}]


def test_details_end_where_there_is_no_room_for_more():
    long = {"@type": "t", "text": "x" * 1900}
    assert detailed(*[long] * 20) == [long] * 4
    nested: object = "deep"
    for _ in range(60):
        nested = [nested]
    assert "deep" not in str(detailed({"@type": "t", "a": nested}))


def test_a_secret_at_the_edge_of_a_long_message_is_hidden_before_the_cut():
    error = read_error("my-llm", 400, (), said(message="m" * 1990 + SECRET), hide).error
    assert len(error.message) <= 2000
    assert "sk-" not in error.message


@pytest.mark.parametrize("masked", ["sk-proj-********************abcd", "AIza***9f2", "****abcd"])
def test_a_masked_key_is_hidden_too(masked):
    error = read_error("my-llm", 401, (), said(message=f"Incorrect API key provided: {masked}. Look."), hide).error
    assert error.message.startswith("Incorrect API key provided: [REDACTED]")
    assert "abcd" not in error.message
    assert "9f2" not in error.message


def test_the_headers_that_time_the_next_try_are_carried():
    headers = (
        (b"retry-after", b"3"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-bad", b"\xff"),
        (b"set-cookie", b"a=b"),
        (b"openai-organization", b"org"),
    )
    error = read_error("my-llm", 429, headers, said(), hide).error
    assert error.headers == (("retry-after", "3"), ("x-ratelimit-remaining-requests", "0"))


# ---------------------------------------------------------------------------------------------- when to come back

DATE = (b"date", b"Mon, 23 Nov 2026 10:00:00 GMT")
MOMENT = 1795428000  # that date


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (((b"retry-after", b"3"),), 3.0),
        (((b"retry-after", b" 2.5 "),), 2.5),
        (((b"retry-after", b"0"),), 0.0),
        (((b"retry-after-ms", b"1500"), (b"retry-after", b"9")), 1.5),
        ((DATE, (b"retry-after", b"Mon, 23 Nov 2026 10:01:30 GMT")), 90.0),
        ((DATE, (b"retry-after", b"Mon, 23 Nov 2026 09:00:00 GMT")), 0.0),
        (((b"retry-after", b"Mon, 23 Nov 2026 10:01:30 GMT"),), None),
        (((b"retry-after", b"soon"),), None),
        (((b"retry-after", b"-5"),), None),
        (((b"retry-after", b"nan"),), None),
        (((b"retry-after", b"99999999"),), None),
        (((b"retry-after", b"Mon, 99 Nov 2026 10:01:30 GMT"), DATE), None),
        (((b"x-ratelimit-reset-requests", b"6m0s"),), 360.0),
        (((b"x-ratelimit-reset-tokens", b"20ms"),), 0.02),
        (((b"x-ratelimit-reset-tokens", b"1d2h3m4.5s"),), 93784.5),
        (((b"x-ratelimit-reset-tokens", b""),), None),
        (((b"x-ratelimit-reset-tokens", b"1s"), (b"x-ratelimit-reset-requests", b"2m")), 1.0),
        (
            (
                (b"x-ratelimit-reset-tokens", b"1s"),
                (b"x-ratelimit-reset-requests", b"2m"),
                (b"x-ratelimit-remaining-requests", b"0"),
            ),
            120.0,
        ),
        ((DATE, (b"x-ratelimit-reset", str(MOMENT + 30).encode())), 30.0),
        ((DATE, (b"x-ratelimit-reset", str((MOMENT + 30) * 1000).encode())), 30.0),
        (((b"x-ratelimit-reset", str(MOMENT).encode()),), None),
        ((), None),
    ],
)
def test_the_stated_wait_is_read_in_seconds(headers, seconds):
    assert retry_after(429, headers) == (seconds if seconds is None else pytest.approx(seconds))


def test_a_reset_means_nothing_where_no_limit_was_hit():
    assert retry_after(500, ((b"x-ratelimit-reset-requests", b"6m0s"),)) is None
    assert retry_after(503, ((b"retry-after", b"6"),)) == 6.0


def test_a_wait_stated_in_the_body_counts_when_no_header_says_more():
    body = b'[{"error":{"code":429,"message":"m","details":[{"retryDelay":"34s"}]}}]'
    assert read_error("my-llm", 429, (), body, hide).retry_after == 34.0
    assert read_error("my-llm", 429, ((b"retry-after", b"2"),), body, hide).retry_after == 2.0


# ---------------------------------------------------------------------------------------------- anything at all

NAMES = st.sampled_from(
    [b"retry-after", b"retry-after-ms", b"date", b"x-ratelimit-reset", b"x-ratelimit-remaining", b"content-type"]
)
VALUES = st.binary(max_size=12) | st.sampled_from([b"1e9", b"6m", DATE[1], b"text/html", b"99999999999999999999"])


@given(st.integers(400, 599), st.lists(st.tuples(NAMES, VALUES)).map(tuple), st.binary())
def test_no_answer_breaks_the_reader(status, headers, body):
    fault = read_error("my-llm", status, headers, body, hide)
    assert fault.retry_after is None or 0 <= fault.retry_after <= 30 * 86400
    assert all(text.isprintable() for field in fault.error.headers for text in field)
    assert 0 < len(fault.error.message) <= 2000
