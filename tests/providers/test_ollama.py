"""Ollama: its own addresses under whatever base it was given."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from open_llm_auth.errors import InvalidRequest, NotConfigured, UpstreamCredentialRejected
from open_llm_auth.providers.ollama import OLLAMA, adjust, prepare, prepare_models
from open_llm_auth.providers.spec import Adjusting, Sending
from open_llm_auth.testing import FakeOllama
from open_llm_auth.values import Credential, Endpoint, Model, Provider, Secret, Timeouts

PROVIDER = Provider("ollama", "ollama", "api-key", endpoint=Endpoint("http", "127.0.0.1", 11434, "/v1"))
KEYED = Credential("ollama:default", "ollama", "profile", "api_key", Secret("key"))
UNKEYED = Credential("none:ollama", "ollama", "none", "none")


def based(path):
    return replace(PROVIDER, endpoint=Endpoint("http", "127.0.0.1", 11434, path))


def prepared(provider=PROVIDER, credential=UNKEYED, operation="chat", stream=False, headers=()):
    return prepare(provider, credential, Sending(operation, "m", stream, b"{}", headers, Timeouts(idle=7)))


@pytest.mark.parametrize(
    ("base", "chat", "embeddings", "models"),
    [
        ("", "/api/chat", "/v1/embeddings", "/api/tags"),
        ("/v1", "/api/chat", "/v1/embeddings", "/api/tags"),
        ("/ollama/v1", "/ollama/api/chat", "/ollama/v1/embeddings", "/ollama/api/tags"),
        ("/v1/x", "/v1/x/api/chat", "/v1/x/v1/embeddings", "/v1/x/api/tags"),
    ],
)
def test_addresses_start_at_the_servers_root(base, chat, embeddings, models):
    assert prepared(based(base)).target == chat
    assert prepared(based(base), operation="embeddings").target == embeddings
    assert prepare_models(based(base), UNKEYED, ()).target == models


def test_a_call_says_what_it_sends_and_takes():
    outbound = prepared(headers=((b"x-team", b"blue"),))
    assert (outbound.method, outbound.body, outbound.timeouts.idle) == ("POST", b"{}", 7)
    assert dict(outbound.headers) == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"x-team": b"blue",
    }
    assert dict(prepared(stream=True).headers)[b"accept"] == b"application/x-ndjson"


def test_a_key_is_sent_where_there_is_one():
    assert dict(prepared(credential=KEYED).headers)[b"authorization"] == b"Bearer key"
    assert dict(prepare_models(PROVIDER, KEYED, ()).headers)[b"authorization"] == b"Bearer key"
    assert b"authorization" not in dict(prepared(replace(PROVIDER, auth_header=False), KEYED).headers)


def test_a_credentials_own_address_is_rooted_too():
    own = replace(KEYED, endpoint=Endpoint("https", "ollama.com", 443, "/v1"))
    assert (prepared(credential=own).endpoint.host, prepared(credential=own).target) == ("ollama.com", "/api/chat")
    assert prepare_models(PROVIDER, own, ()).endpoint.host == "ollama.com"


def test_what_it_has_not_is_refused():
    with pytest.raises(InvalidRequest, match="count_tokens"):
        prepared(operation="count_tokens")
    with pytest.raises(NotConfigured, match=r"providers\.ollama\.baseUrl"):
        prepared(replace(PROVIDER, endpoint=None))
    assert prepare_models(replace(PROVIDER, endpoint=None), UNKEYED, ()) is None
    assert prepare_models(replace(PROVIDER, lists_models=False), UNKEYED, ()) is None


def test_its_errors_are_read():
    fault = OLLAMA.read_error("ollama", 401, (), b'{"error":"unauthorized"}', str)
    assert isinstance(fault.error, UpstreamCredentialRejected)
    assert (fault.kind, fault.error.message) == ("auth", "unauthorized")
    missing = OLLAMA.read_error("ollama", 404, (), b'{"error":"model \'m\' not found"}', str)
    assert (missing.kind, missing.error.status) == ("rejected", 404)


# ---------------------------------------------------------------------------------------------- how much it thinks

#: A model, and what becomes of `think` "high", true and false; None where it is left out.
THINKING = [
    ("gpt-oss:20b", "high", True, "low"),
    ("hf.co/unsloth/gpt-oss-120b-GGUF:Q4_K_M", "high", True, "low"),
    ("qwen3.8:27b", "high", True, False),
    ("qwen3:8b", True, True, False),
    ("Qwen3-VL:8b-thinking", True, True, False),
    ("deepseek-r1", True, True, False),
    ("deepseek-v3.1:671b-cloud", True, True, False),
    ("lfm2.5-thinking:1.2b", True, True, False),
    ("qwen3:4b-instruct-2507-q4_K_M", None, None, False),
    ("qwen3-coder:30b", None, None, False),
    ("qwen2.5:14b", None, None, False),
    ("llama3.3", None, None, False),
    ("listed", True, True, False),
    ("plain", None, None, False),
]
LISTING = replace(PROVIDER, models={"listed": Model("listed", reasoning=True), "plain": Model("plain")})


def adjusted(fields, model):
    return adjust(fields, Adjusting(LISTING, model, stream=False, translated=True))


@pytest.mark.parametrize(("model", "high", "yes", "no"), THINKING)
def test_a_model_is_told_to_think_as_it_can_be(model, high, yes, no):
    sent = [adjusted({"think": think, "model": model}, model).get("think") for think in ("high", True, False)]
    assert sent == [high, yes, no]


def test_a_call_that_says_nothing_of_thinking_is_left_as_it_is():
    fields = {"model": "qwen3"}
    assert adjusted(fields, "qwen3") is fields


@pytest.mark.parametrize("think", ["low", "high", True, False])
@pytest.mark.parametrize("model", [model for model, *_ in THINKING])
def test_no_server_refuses_what_a_model_is_told(model, think):
    """An old server: levels for gpt-oss alone, and thinking for none that can't."""
    names = [name for name, *_ in THINKING]
    thoughtless = [name for name, high, *_ in THINKING if high is None]
    levelless = [name for name in names if "gpt-oss" not in name and name != "qwen3.8:27b"]
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": False}
    with FakeOllama(thoughtless=thoughtless, levelless=levelless) as server:
        answer = httpx.post(f"{server.base_url}/api/chat", json=adjusted({**body, "think": think}, model))
    assert answer.status_code == 200, answer.text
