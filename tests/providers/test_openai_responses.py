"""Providers that speak Responses: where a call goes, what it carries, and what an error means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from open_llm_auth.errors import InvalidRequest, NotConfigured, SecretUnavailable
from open_llm_auth.providers.openai_responses import OPENAI_RESPONSES, prepare, prepare_models
from open_llm_auth.providers.spec import Sending
from open_llm_auth.values import Credential, Endpoint, Provider, Secret, Timeouts

SECRET = "sk-canary-0123456789abcdef"
PROVIDER = Provider("my-llm", "openai-responses", "api-key", endpoint=Endpoint("https", "api.example", 443, "/v1"))
CREDENTIAL = Credential("my-llm:default", "my-llm", "profile", "api_key", Secret(SECRET))


def sent(provider=PROVIDER, credential=CREDENTIAL, **sending):
    fields = {
        "operation": "chat",
        "model": "m",
        "stream": False,
        "body": b"{}",
        "timeouts": Timeouts(idle=7),
        **sending,
    }
    return prepare(provider, credential, Sending(**fields))


def fault(status, body, *headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OPENAI_RESPONSES.read_error("my-llm", status, headers, data, lambda text: text.replace(SECRET, "[REDACTED]"))


@pytest.mark.parametrize(("operation", "path"), [("chat", "/v1/responses"), ("embeddings", "/v1/embeddings")])
def test_a_call_goes_to_the_address_of_its_operation(operation, path):
    outbound = sent(operation=operation)
    assert (outbound.method, outbound.target, str(outbound.endpoint)) == ("POST", path, "https://api.example/v1")
    assert (outbound.body, outbound.timeouts.idle) == (b"{}", 7)


def test_tokens_are_not_counted():
    with pytest.raises(InvalidRequest) as caught:
        sent(operation="count_tokens")
    assert caught.value.param == "model"


def test_a_call_says_what_it_sends_what_it_takes_and_who_pays():
    assert dict(sent().headers) == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"authorization": b"Bearer " + SECRET.encode(),
    }
    assert dict(sent(stream=True).headers)[b"accept"] == b"text/event-stream"


def test_further_headers_replace_our_own():
    headers = sent(headers=((b"user-agent", b"codex_exec/1"), (b"accept", b"*/*"))).headers
    assert dict(headers)[b"user-agent"] == b"codex_exec/1"
    assert [value for name, value in headers if name == b"accept"] == [b"*/*"]


def test_no_credential_is_sent_where_none_is_wanted():
    assert b"authorization" not in dict(sent(provider=replace(PROVIDER, auth_header=False)).headers)


def test_without_an_address_or_a_usable_secret_nothing_is_sent():
    with pytest.raises(NotConfigured):
        sent(provider=replace(PROVIDER, endpoint=None))
    with pytest.raises(SecretUnavailable):
        sent(credential=replace(CREDENTIAL, secret=Secret("two\nlines")))


def test_models_are_listed_beside_it():
    outbound = prepare_models(PROVIDER, CREDENTIAL, ())
    assert (outbound.method, outbound.target) == ("GET", "/v1/models")
    assert dict(outbound.headers)[b"authorization"] == b"Bearer " + SECRET.encode()
    assert prepare_models(replace(PROVIDER, lists_models=False), CREDENTIAL, ()) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "m", "type": "invalid_request_error", "param": "input", "code": None}}, "rejected"),
        (401, {"error": {"message": "m", "code": "invalid_api_key"}}, "auth"),
        (429, {"error": {"message": "m", "code": "insufficient_quota"}}, "billing"),
        (429, {"error": {"message": "m", "code": "rate_limit_exceeded"}}, "rate_limit"),
        (422, {"detail": [{"loc": ["body", "client_metadata"], "msg": "Extra inputs"}]}, "rejected"),
        (503, b"<html>", "overloaded"),
    ],
)
def test_an_error_says_who_is_to_blame(status, body, kind):
    assert fault(status, body).kind == kind


def test_the_providers_words_are_passed_on_without_the_key():
    error = fault(400, {"error": {"message": f"no {SECRET}", "param": "input"}}).error
    assert (error.message, error.param) == ("no [REDACTED]", "input")
