"""A real llama.cpp server behind the gateway: answers, counts, discovery, and letting go."""

from __future__ import annotations

import time
from collections.abc import Iterator

import openai
import pytest

from open_llm_auth.testing import GatewayProcess

pytestmark = pytest.mark.backends

MODEL = "llama.cpp/tiny"
EMBEDDING_MODEL = "llama-embed/tiny-embed"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def gateway(llama, llama_embedding, client_token, tmp_path_factory) -> Iterator[GatewayProcess]:
    """Two local providers, whose models nobody listed in the config."""
    providers = {
        name: {"baseUrl": server.base_url, "apiKey": server.key, "api": "openai-completions"}
        for name, server in (("llama.cpp", llama), ("llama-embed", llama_embedding))
    }
    config = {
        "providers": providers,
        "egressPolicy": {"allowLocalProviders": ["llama.cpp", "llama-embed"]},
        "authorization": {"tokens": {"client": {"token": client_token, "scopes": ["read", "write"]}}},
    }
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), config, token=client_token) as gateway:
        yield gateway


@pytest.fixture
def client(gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0, timeout=30) as client:
        yield client


def row_of(gateway, request_id):
    return gateway.wait_for_row(lambda row: row["request"] == request_id)


def test_its_models_are_discovered(client):
    deadline = time.monotonic() + 15
    while not {MODEL, EMBEDDING_MODEL} <= (listed := {model.id for model in client.models.list()}):
        assert time.monotonic() < deadline, listed
        time.sleep(0.2)
    assert client.models.retrieve(MODEL).id == MODEL


def test_a_plain_answer_is_text_with_its_usage(client, gateway):
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, extra_headers={"x-request-id": "llama-plain"}
    )
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens == 8
    assert row_of(gateway, "llama-plain")["outputTokens"] == 8


def test_a_stream_is_counted_though_the_client_did_not_ask(client, gateway):
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=8, stream=True, extra_headers={"x-request-id": "llama-stream"}
        )
    )
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    row = row_of(gateway, "llama-stream")
    assert row["outputTokens"] == 8
    assert row["inputTokens"] > 0


def test_the_same_seed_gives_the_same_text_plain_and_streamed_with_and_without_the_gateway(client, llama):
    asked = {"messages": HELLO, "max_tokens": 24, "seed": 7, "temperature": 0.7}
    with openai.OpenAI(base_url=llama.base_url, api_key=llama.key) as direct:
        alone = direct.chat.completions.create(model="tiny", **asked).choices[0].message.content
    plain = client.chat.completions.create(model=MODEL, **asked).choices[0].message.content
    chunks = client.chat.completions.create(model=MODEL, stream=True, **asked)
    streamed = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert alone == plain == streamed


def test_embeddings_are_what_the_server_says(client, llama_embedding):
    through = client.embeddings.create(model=EMBEDDING_MODEL, input=["one", "two"])
    with openai.OpenAI(base_url=llama_embedding.base_url, api_key=llama_embedding.key) as direct:
        alone = direct.embeddings.create(model="tiny-embed", input=["one", "two"], encoding_format="float")
    for got, wanted in zip(through.data, alone.data, strict=True):
        assert got.embedding == pytest.approx(wanted.embedding, abs=1e-5)


def test_its_own_errors_keep_their_words(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x" * 200_000}])
    assert raised.value.code == "upstream_http_error"
    assert "context" in raised.value.message


def test_a_client_that_leaves_frees_the_slot(client, llama):
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=30_000, stream=True)
    next(iter(stream))
    llama.wait_until(llama.busy, 5)
    stream.close()
    assert llama.wait_until(lambda: not llama.busy(), 5) < 1


def test_a_wrong_key_is_the_gateways_trouble_and_not_the_clients(make_gateway, llama, client_token):
    config = {
        "providers": {"llama.cpp": {"baseUrl": llama.base_url, "apiKey": "sk-canary-wrong-000"}},
        "authorization": {"tokens": {"client": {"token": client_token, "scopes": ["read", "write"]}}},
    }
    gateway = make_gateway(config)
    client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0)
    with client, pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model=MODEL, messages=HELLO)
    assert raised.value.code == "upstream_credential_rejected"


@pytest.mark.clients
def test_unmodified_clients_are_served_by_a_real_model(some_program, run_client, gateway):
    """Tools are left out: no grammar makes a model of random weights call one."""
    outcomes = run_client(
        some_program, gateway, "llama.cpp", MODEL, embedding_model=EMBEDDING_MODEL, without=("tools",)
    )
    assert [outcome for outcome in outcomes if not outcome.ok] == []
