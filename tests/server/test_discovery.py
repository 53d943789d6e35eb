"""Models the providers say they have: asked in the background, cached, and never on a call's way."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.auth.manager import ProviderManager
from open_llm_auth.config.source import LiveConfig
from open_llm_auth.errors import UpstreamUnreachable
from open_llm_auth.main import SystemClock, open_gateway
from open_llm_auth.providers import KINDS
from open_llm_auth.server.discovery import Discovery
from open_llm_auth.testing import BEHAVIOURS, FakeProvider, free_port

TOKEN = "tok-discovery-1"


def document(providers, **sections):
    return {
        "providers": {
            name: {"api": "openai-completions", "auth": "api-key", "authHeader": False, **row}
            for name, row in providers.items()
        },
        "authorization": {"tokens": {"ci": {"token": TOKEN, "scopes": ["read", "write"]}}},
        "egressPolicy": {"allowLocalProviders": list(providers)},
        **sections,
    }


@asynccontextmanager
async def gateway(home, providers, **sections):
    (home / "config.json").write_text(json.dumps(document(providers, **sections)))
    async with open_gateway({"OPEN_LLM_AUTH_HOME": str(home)}, log=lambda _: None) as opened:
        transport = httpx.ASGITransport(opened.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            client.headers["x-api-key"] = TOKEN
            yield client


async def listed(client):
    return [entry["id"] for entry in (await client.get("/v1/models")).json()["data"]]


@pytest.fixture
def local():
    with FakeProvider(keys=None, models=("tiny-a", "tiny-b")) as provider:
        yield provider


async def test_what_a_provider_lists_is_listed_and_its_bare_ids_resolve(tmp_path, local):
    async with gateway(tmp_path, {"mine": {"baseUrl": local.base_url}}) as client:
        assert await listed(client) == ["mine/tiny-a", "mine/tiny-b"]
        assert (await client.get("/v1/models/tiny-b")).json()["id"] == "mine/tiny-b"
        assert (await client.get("/v1/models/mine/TINY-b")).json()["owned_by"] == "mine"
        missing = await client.get("/v1/models/mine/huge")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
        answer = await client.post(
            "/v1/chat/completions", json={"model": "Tiny-A", "messages": [{"role": "user", "content": "x"}]}
        )
        assert answer.headers["x-gateway-model"] == "tiny-a"


async def test_calls_and_listings_ask_nobody_again(tmp_path, local):
    async with gateway(tmp_path, {"mine": {"baseUrl": local.base_url}}) as client:
        for _ in range(5):
            await listed(client)
            await client.post(
                "/v1/chat/completions", json={"model": "mine/x", "messages": [{"role": "user", "content": "x"}]}
            )
    assert [request.path for request in local.requests].count("/v1/models") == 1


async def test_a_provider_that_is_down_or_silent_does_not_hold_the_list(tmp_path, local):
    with FakeProvider(keys=None) as silent:
        silent.when(BEHAVIOURS["silent"], path="/models")
        rows = {
            "mine": {"baseUrl": local.base_url},
            "down": {"baseUrl": f"http://127.0.0.1:{free_port()}/v1", "models": [{"id": "kept"}]},
            "silent": {"baseUrl": silent.base_url, "models": [{"id": "known"}]},
        }
        async with gateway(tmp_path, rows) as client:
            began = time.monotonic()
            first = await listed(client)
            assert time.monotonic() - began < 1.5
            began = time.monotonic()
            assert await listed(client) == first, "nobody waits for the same silence twice"
            assert time.monotonic() - began < 0.3
            assert {"down/kept", "silent/known", "mine/tiny-a", "mine/tiny-b"} == set(first)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": [{"id": 7}]}', b'{"data": null}', b"\xff"])
async def test_junk_in_a_list_is_no_list_and_no_error(tmp_path, local, body):
    local.when(BEHAVIOURS["documented"].__class__(body=body), path="/models")
    async with gateway(tmp_path, {"mine": {"baseUrl": local.base_url, "models": [{"id": "kept"}]}}) as client:
        assert await listed(client) == ["mine/kept"]


async def test_a_provider_whose_models_are_replaced_is_not_asked(tmp_path, local):
    row = {"baseUrl": local.base_url, "models": [{"id": "only"}]}
    async with gateway(tmp_path, {"mine": row}, models={"mode": "replace"}) as client:
        assert await listed(client) == ["mine/only"]
    assert not local.requests


async def test_a_change_of_the_config_is_asked_about_while_another_provider_hangs(tmp_path, local):
    with FakeProvider(keys=None) as silent:
        silent.when(BEHAVIOURS["silent"], path="/models")
        rows = {"silent": {"baseUrl": silent.base_url, "models": [{"id": "known"}]}}
        async with gateway(tmp_path, rows) as client:
            assert await listed(client) == ["silent/known"]
            rows["mine"] = {"baseUrl": local.base_url}
            (tmp_path / "config.json").write_text(json.dumps(document(rows)))
            began = time.monotonic()
            while "mine/tiny-a" not in await listed(client):
                assert time.monotonic() - began < 3, "the silence lasts five seconds"
                await asyncio.sleep(0.1)
            await listed(client)
    assert [request.path for request in silent.requests].count("/v1/models") == 1


async def test_a_provider_whose_only_credential_has_an_owner_is_asked_and_listed_to_the_owner(tmp_path):
    with FakeProvider(keys=("sk-of-ci",), models=("tiny-a",)) as provider:
        rows = {"mine": {"baseUrl": provider.base_url, "authHeader": True}}
        profile = {"provider": "mine", "type": "api_key", "key": "sk-of-ci", "owner": "ci"}
        tokens = {
            "ci": {"token": TOKEN, "scopes": ["read"]},
            "other": {"token": "tok-discovery-2", "scopes": ["read"]},
        }
        sections = {"authProfiles": {"mine:ci": profile}, "authorization": {"tokens": tokens}}
        async with gateway(tmp_path, rows, **sections) as client:
            assert await listed(client) == ["mine/tiny-a"]
            client.headers["x-api-key"] = "tok-discovery-2"
            assert "mine/tiny-a" not in await listed(client)


async def test_a_fault_that_nobody_expected_is_raised_once_and_the_question_asked_again_later(tmp_path, local):
    """Whoever runs the discovery logs it and goes on."""

    class Failing:
        asked = 0

        async def send(self, request):
            self.asked += 1
            raise RuntimeError("can't start new thread") if self.asked == 1 else UpstreamUnreachable("down")

    (tmp_path / "config.json").write_text(json.dumps(document({"mine": {"baseUrl": local.base_url}})))
    config = LiveConfig(tmp_path / "config.json", {})
    config.load()
    clock = SystemClock()
    transport = Failing()
    discovery = Discovery(
        config=config,
        manager=ProviderManager(config.secrets, HealthTable(), clock, frozenset(KINDS)),
        transport=transport,
        kinds=KINDS,
        secrets=config.secrets,
        clock=clock,
    )
    with pytest.raises(RuntimeError):
        await discovery.run()
    await discovery.refresh()
    assert transport.asked == 1, "a question that failed rests"
