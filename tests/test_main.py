"""The composition root: what opens, what refuses to open, and what follows a change of the config."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from open_llm_auth.errors import ConfigInvalid
from open_llm_auth.main import app, open_gateway
from open_llm_auth.testing import FakeProvider


def write(home: Path, document) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document)
    fresh = home / "fresh"
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.rename(home / "config.json")


async def test_a_broken_config_opens_nothing_and_stays_as_it_is(tmp_path):
    write(tmp_path, '{"server": {"port": "eighty"}}')
    with pytest.raises(ConfigInvalid) as caught:
        async with open_gateway({"OPEN_LLM_AUTH_HOME": str(tmp_path)}, log=print):
            pass
    assert caught.value.param == "server.port"
    assert (tmp_path / "config.json").read_text() == '{"server": {"port": "eighty"}}'


async def test_the_application_says_so_when_its_server_ran_no_lifespan():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(RuntimeError, match="lifespan"):
            await client.get("/health")


async def test_without_a_token_every_call_is_401_that_says_how_to_set_one(tmp_path):
    async with open_gateway({"OPEN_LLM_AUTH_HOME": str(tmp_path)}, log=lambda _: None) as gateway:
        transport = httpx.ASGITransport(gateway.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get("/v1/models")
    assert answer.status_code == 401
    assert "open-llm-auth tokens create" in answer.json()["error"]["message"]


async def test_a_change_of_the_config_is_in_force_within_two_seconds_and_a_broken_one_is_not(tmp_path):
    token = {"authorization": {"tokens": {"ci": {"token": "tok-ci-123456", "scopes": ["read"]}}}}
    log: list[str] = []
    write(tmp_path, token)
    with FakeProvider(keys=None, models=("tiny",)) as provider:
        row = {"baseUrl": provider.base_url, "api": "openai-completions", "auth": "api-key", "authHeader": False}
        both = token | {"providers": {"mine": row}, "egressPolicy": {"allowLocalProviders": ["mine"]}}
        async with open_gateway({"OPEN_LLM_AUTH_HOME": str(tmp_path)}, log=log.append) as gateway:
            transport = httpx.ASGITransport(gateway.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                client.headers["x-api-key"] = "tok-ci-123456"

                async def listed() -> list[str]:
                    return [entry["id"] for entry in (await client.get("/v1/models")).json()["data"]]

                assert await listed() == ["demo/echo"]
                write(tmp_path, both)
                await asyncio.sleep(1.5)
                assert await listed() == ["mine/tiny"], "discovered from the provider itself"
                write(tmp_path, '{"providers": ')
                await asyncio.sleep(1.5)
                assert await listed() == ["mine/tiny"]
                ready = (await client.get("/health/ready")).json()
                assert ready["status"] == "degraded"
                assert ready["config"]["fault"]["message"]
                client.headers["x-api-key"] = "nobody"
                assert (await client.get("/health/ready")).json() == {"status": "degraded"}
                client.headers["x-api-key"] = "tok-ci-123456"
                write(tmp_path, token)
                await asyncio.sleep(1.5)
                assert await listed() == ["demo/echo"]
                assert (await client.get("/health/ready")).json()["status"] == "ready"
