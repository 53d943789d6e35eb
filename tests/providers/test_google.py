"""Google in its own dialect: addresses, keys, counting, the list of models, and what an error means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from open_llm_auth.errors import NotConfigured, UpstreamCredentialRejected
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.providers.google import GOOGLE, prepare, prepare_models, read_error
from open_llm_auth.providers.spec import Sending
from open_llm_auth.values import Credential, Endpoint, Provider, Secret, Timeouts
from open_llm_auth.wire.models import ListedModel, read_models

SECRET = "AIza-canary-0123456789"
HOST = "generativelanguage.googleapis.com"
PROVIDER = Provider("google", "google-generative-ai", "api-key", endpoint=Endpoint("https", HOST, 443, "/v1beta"))
CREDENTIAL = Credential("google:default", "google", "profile", "api_key", Secret(SECRET))
NO_CREDENTIAL = Credential("none:google", "google", "none", "none")
GOLDEN = Path(__file__).parents[1] / "golden/replies/google-genai"


def sent(provider=PROVIDER, credential=CREDENTIAL, **fields):
    defaults = {"operation": "chat", "model": "gemini-2.5-flash", "stream": False, "body": b'{"contents":[]}'}
    return prepare(provider, credential, Sending(**(defaults | fields)))


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({}, "/v1beta/models/gemini-2.5-flash:generateContent"),
        ({"stream": True}, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ({"operation": "count_tokens"}, "/v1beta/models/gemini-2.5-flash:countTokens"),
        ({"operation": "embeddings"}, "/v1beta/openai/embeddings"),
        ({"model": "models/gemini-2.5-flash"}, "/v1beta/models/gemini-2.5-flash:generateContent"),
        ({"model": "tunedModels/mine-1"}, "/v1beta/tunedModels/mine-1:generateContent"),
        ({"model": "a/b?c#d:e é"}, "/v1beta/models/a%2Fb%3Fc%23d%3Ae%20%C3%A9:generateContent"),
        ({"model": ".."}, "/v1beta/models/..:generateContent"),
    ],
)
@pytest.mark.parametrize("base", ["/v1beta", "/v1beta/openai"], ids=["native base", "base for OpenAI's clients"])
def test_a_call_goes_to_the_address_of_its_model_and_operation(base, fields, target):
    provider = replace(PROVIDER, endpoint=Endpoint("https", HOST, 443, base))
    outbound = sent(provider, **fields)
    assert (outbound.provider, outbound.method, outbound.target) == ("google", "POST", target)
    assert outbound.endpoint.host == HOST


def test_a_key_has_a_header_of_its_own():
    assert dict(sent(timeouts=Timeouts(idle=7)).headers) == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"x-goog-api-key": SECRET.encode(),
    }
    assert dict(sent(stream=True).headers)[b"accept"] == b"text/event-stream"
    assert SECRET not in sent().target


@pytest.mark.parametrize("kind", ["oauth", "token"])
def test_what_a_sign_in_gave_is_a_bearer_token(kind):
    headers = dict(sent(credential=replace(CREDENTIAL, type=kind)).headers)
    assert headers[b"authorization"] == b"Bearer " + SECRET.encode()
    assert b"x-goog-api-key" not in headers


def test_vectors_are_asked_for_with_a_bearer_key():
    headers = dict(sent(operation="embeddings").headers)
    assert headers[b"authorization"] == b"Bearer " + SECRET.encode()
    assert b"x-goog-api-key" not in headers


@pytest.mark.parametrize(
    ("provider", "credential"),
    [(replace(PROVIDER, auth_header=False), CREDENTIAL), (PROVIDER, NO_CREDENTIAL)],
    ids=["authHeader false", "no credential"],
)
def test_no_credential_is_sent_where_none_is_wanted(provider, credential):
    assert SECRET.encode() not in dict(sent(provider, credential).headers).values()


def test_given_headers_replace_the_gateways_own():
    headers = sent(headers=((b"x-goog-api-key", b"other"), (b"user-agent", b"Client/1"))).headers
    assert [value for name, value in headers if name == b"x-goog-api-key"] == [b"other"]
    assert (b"user-agent", b"Client/1") in headers


def test_a_body_goes_as_it_is_but_for_a_count():
    body = b'{"contents":[{"parts":[]}],"x":1.50}'
    assert sent(body=body).body == body
    counted = json.loads(sent(operation="count_tokens", body=body).body)
    assert counted["generateContentRequest"]["model"] == "models/gemini-2.5-flash"
    assert counted["generateContentRequest"]["contents"] == [{"parts": []}]


def test_without_an_address_nothing_is_sent():
    with pytest.raises(NotConfigured):
        sent(replace(PROVIDER, endpoint=None))
    assert prepare_models(replace(PROVIDER, endpoint=None), CREDENTIAL, ()) is None


@pytest.mark.parametrize("base", ["/v1beta", "/v1beta/openai"])
def test_the_models_are_asked_for_all_at_once(base):
    asked = prepare_models(
        replace(PROVIDER, endpoint=Endpoint("https", HOST, 443, base)), CREDENTIAL, ((b"x-a", b"1"),)
    )
    assert (asked.method, asked.target) == ("GET", "/v1beta/models?pageSize=1000")
    assert dict(asked.headers) == {b"accept": b"application/json", b"x-goog-api-key": SECRET.encode(), b"x-a": b"1"}


def test_models_are_listed_by_the_names_that_calls_use():
    body = {
        "models": [
            {"name": "models/gemini-a", "inputTokenLimit": 1000, "supportedGenerationMethods": ["generateContent"]},
            {"name": "models/embed-b", "supportedGenerationMethods": ["embedContent"]},
            {"name": "models/veo-c", "supportedGenerationMethods": ["predictLongRunning"]},
        ]
    }
    assert read_models(json.dumps(body).encode()) == (ListedModel("gemini-a", 1000), ListedModel("embed-b"))


@pytest.mark.parametrize(
    ("name", "status", "kind", "wait"),
    [
        ("error_400", 400, "rejected", None),
        ("error_401", 401, "auth", None),
        ("error_429", 429, "rate_limit", 7.0),
        ("error_529", 503, "overloaded", None),
    ],
)
def test_an_error_means_what_its_status_says(name, status, kind, wait):
    fault = read_error("google", status, (), (GOLDEN / f"{name}.json").read_bytes(), lambda text: text)
    assert (fault.kind, fault.status, fault.retry_after) == (kind, status, wait)
    assert fault.error.message.endswith("sample")


def test_a_key_that_is_none_is_told_by_its_reason_whatever_the_status():
    """Google answers 400 to a key it does not know."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    error = {"code": 400, "message": f"API key {SECRET} not valid.", "status": "INVALID_ARGUMENT", "details": details}
    fault = read_error(
        "google", 400, (), json.dumps({"error": error}).encode(), lambda text: text.replace(SECRET, "***")
    )
    assert fault.kind == "auth"
    assert SECRET not in fault.error.message
    fault = read_error("google", 401, (), b"", lambda text: text)
    assert isinstance(fault.error, UpstreamCredentialRejected)


def test_googles_row_answers_gemini_clients_in_their_own_dialect():
    row = load_catalog().providers["google"]
    assert GOOGLE.api in row.also
    assert (GOOGLE.dialect, GOOGLE.counts) == ("google-genai", True)
    assert sent(row).target == "/v1beta/models/gemini-2.5-flash:generateContent"
