"""Gemini's routes: the model in the path, two versions of it, and a stream in two forms."""

from __future__ import annotations

import json

import pytest

from ...ways_in import WAYS, text_in

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
GEMINI = WAYS["gemini"]
SAID = "Hello from the fake provider: naïve 日本語 🦙."


def post(upstream, verb, *, version="v1beta", query="", model=None):
    path = f"/{version}/models/{model or upstream.model}:{verb}{query}"
    return upstream.gateway.request("POST", path, body=GEMINI.body(upstream.model))


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_both_versions_answer(family, upstream, version):
    assert text_in(GEMINI.read(post(upstream, "generateContent", version=version).body)) == SAID
    streamed = post(upstream, "streamGenerateContent", version=version, query="?alt=sse")
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert text_in(GEMINI.read(streamed.body, stream=True)) == SAID


@pytest.mark.parametrize("query", ["", "?alt=json", "?$alt=json%3Benum-encoding%3Dint"])
def test_without_events_a_stream_is_one_list_that_grows(family, upstream, query):
    answer = post(upstream, "streamGenerateContent", query=query)
    assert answer.headers["content-type"] == "application/json"
    chunks = answer.json()
    parts = [part for chunk in chunks for part in chunk["candidates"][0].get("content", {}).get("parts", ())]
    assert "".join(part.get("text", "") for part in parts) == SAID
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"]["candidatesTokenCount"] > 0


def test_a_list_that_breaks_ends_with_the_error_and_is_still_json(family, upstream):
    upstream.fake.when("error_mid_stream")
    *_, last = post(upstream, "streamGenerateContent").json()
    assert last["error"]["message"] == "The server had an error while processing your request"


def test_a_name_may_have_its_collection_before_it_and_blanks_in_it(families):
    upstream = families("gemini")
    for model in (f"models/{upstream.model}", upstream.model.replace("/", "%2F"), upstream.model.upper()):
        answer = post(upstream, "generateContent", model=model)
        assert answer.status == 200, (model, answer.body)


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        ("bad_request", "INVALID_ARGUMENT"),
        ("key_refused", "UNAUTHENTICATED"),
        ("unknown_model", "NOT_FOUND"),
        ("rate_limited", "RESOURCE_EXHAUSTED"),
        ("server_error", "INTERNAL"),
        ("unavailable", "UNAVAILABLE"),
    ],
)
@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent"])
def test_errors_have_google_s_own_words_for_what_they_are(family, upstream, behaviour, status, verb):
    upstream.fake.when(behaviour)
    answer = post(upstream, verb)
    error = answer.json()["error"]
    assert (error["status"], error["code"]) == (status, answer.status)
    assert set(answer.json()) == {"error"}


def test_the_list_is_what_google_s_clients_page_through(family, upstream):
    answer = upstream.gateway.request("GET", "/v1beta/models")
    rows = {row["name"]: row for row in answer.json()["models"]}
    row = rows[f"models/{upstream.model}"]
    assert "generateContent" in row["supportedGenerationMethods"]
    assert json.dumps(row)
    headers = {"x-goog-api-client": "google-genai-sdk/3"}
    assert upstream.gateway.request("GET", "/v1/models", headers=headers).json() == answer.json()
