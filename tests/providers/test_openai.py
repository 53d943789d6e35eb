"""OpenAI-compatible providers: what is sent, and what an error means for the credential and for the caller."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import NotConfigured, SecretUnavailable, UpstreamCredentialRejected, UpstreamHTTPError
from open_llm_auth.providers import KINDS
from open_llm_auth.providers.openai import prepare, prepare_models, read_error, retry_after
from open_llm_auth.values import Credential, Endpoint, Provider, Secret, Timeouts

SECRET = "sk-canary-0123456789abcdef"
PROVIDER = Provider("my-llm", "openai-completions", "api-key", endpoint=Endpoint("https", "api.example", 443, "/v1"))
CREDENTIAL = Credential("my-llm:default", "my-llm", "profile", "api_key", Secret(SECRET))
NO_CREDENTIAL = Credential("none:my-llm", "my-llm", "none", "none")


def hide(text):
    return text.replace(SECRET, "[REDACTED]")


def prepared(provider=PROVIDER, credential=CREDENTIAL, operation="chat", headers=(), stream=False):
    return prepare(provider, credential, operation, b"{}", headers, Timeouts(idle=7), stream)


# ---------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(("operation", "path"), [("chat", "/v1/chat/completions"), ("embeddings", "/v1/embeddings")])
def test_a_call_goes_to_the_address_of_its_operation(operation, path):
    outbound = prepared(operation=operation)
    assert (outbound.provider, outbound.method, outbound.target) == ("my-llm", "POST", path)
    assert (str(outbound.endpoint), outbound.body, outbound.timeouts.idle) == ("https://api.example/v1", b"{}", 7)


def test_a_call_says_what_it_sends_what_it_takes_and_who_pays():
    assert dict(prepared().headers) == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"authorization": b"Bearer " + SECRET.encode(),
    }
    assert dict(prepared(stream=True).headers)[b"accept"] == b"text/event-stream"


@pytest.mark.parametrize(
    ("provider", "credential"),
    [(replace(PROVIDER, auth_header=False), CREDENTIAL), (PROVIDER, NO_CREDENTIAL)],
    ids=["authHeader false", "no credential"],
)
def test_no_credential_is_sent_where_none_is_wanted(provider, credential):
    assert b"authorization" not in dict(prepared(provider, credential).headers)


def test_a_credentials_own_address_beats_the_providers():
    own = replace(CREDENTIAL, endpoint=Endpoint("https", "other.example", 443, "/x"))
    assert prepared(credential=own).target == "/x/chat/completions"
    assert prepared(credential=own).endpoint.host == "other.example"


def test_given_headers_replace_the_gateways_own():
    headers = prepared(headers=((b"authorization", b"Key x"), (b"accept", b"text/plain"), (b"x-org", b"1"))).headers
    assert dict(headers)[b"accept"] == b"text/plain"
    assert [value for name, value in headers if name == b"authorization"] == [b"Key x"]
    assert SECRET.encode() not in dict(headers).values()


def test_of_several_headers_of_one_name_the_last_is_sent():
    """What the client sent comes first, then the provider's, then the model's."""
    given_headers = ((b"user-agent", b"Client/1"), (b"authorization", b"Key p"), (b"user-agent", b"Configured/1"),
                     (b"authorization", b"Key m"))  # fmt: skip
    headers = prepared(headers=given_headers).headers
    assert [value for name, value in headers if name == b"user-agent"] == [b"Configured/1"]
    assert [value for name, value in headers if name == b"authorization"] == [b"Key m"]


@pytest.mark.parametrize("headers", [(), ((b"x-a", b"b"),)])
def test_no_header_stands_twice_by_accident(headers):
    names = [name for name, _ in prepared(headers=headers).headers]
    assert len(names) == len(set(names))


def test_a_provider_without_an_address_says_which_setting_is_missing():
    with pytest.raises(NotConfigured, match=r"providers\.my-llm\.baseUrl"):
        prepared(replace(PROVIDER, endpoint=None))


@pytest.mark.parametrize("text", ["", " ", "a\r\nx-evil: 1", "käse", "a\x00b"])
def test_a_secret_that_can_not_stand_in_a_header_is_refused_without_being_shown(text):
    with pytest.raises(SecretUnavailable) as caught:
        prepared(credential=replace(CREDENTIAL, secret=Secret(text)))
    assert "my-llm:default" in caught.value.message
    assert not text.strip() or text not in caught.value.message


def test_a_line_ending_around_a_secret_is_dropped():
    headers = dict(prepared(credential=replace(CREDENTIAL, secret=Secret("key\n"))).headers)
    assert headers[b"authorization"] == b"Bearer key"


def test_models_are_asked_for_with_the_same_credential():
    outbound = prepare_models(PROVIDER, CREDENTIAL, ())
    assert outbound is not None
    assert (outbound.method, outbound.target, outbound.body) == ("GET", "/v1/models", b"")
    assert dict(outbound.headers)[b"authorization"] == b"Bearer " + SECRET.encode()
    assert b"content-type" not in dict(outbound.headers)


@pytest.mark.parametrize("provider", [replace(PROVIDER, lists_models=False), replace(PROVIDER, endpoint=None)])
def test_models_are_not_asked_for_where_there_is_no_list(provider):
    assert prepare_models(provider, CREDENTIAL, ()) is None


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


def test_the_kinds_are_listed_under_the_names_that_configs_use():
    assert set(KINDS) == {"openai-completions", "demo"}
    assert all(kind.api == api for api, kind in KINDS.items())
