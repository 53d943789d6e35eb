"""The composition root: what opens, what refuses to open, and what follows a change of the config."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from open_llm_auth.errors import ConfigInvalid
from open_llm_auth.main import app, keep_running, open_gateway
from open_llm_auth.testing import FakeProvider, free_port


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


async def test_work_that_fails_is_logged_without_the_reason_in_words_and_goes_on():
    log: list[str] = []
    went_on = asyncio.Event()
    faults: list[Exception] = [RuntimeError("sk-secret"), ExceptionGroup("sk-group", [OSError("sk-inner")])]

    async def work() -> None:
        if faults:
            fault = faults.pop(0)
            raise fault
        went_on.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(keep_running(work, log.append, 0.01))
    await asyncio.wait_for(went_on.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ["RuntimeError" in log[0], "in work" in log[0]] == [True, True]
    assert ["ExceptionGroup" in log[1], "OSError" in log[1], len(log)] == [True, True, 2]
    assert "sk-" not in "".join(log)


async def test_a_fault_of_the_config_and_its_end_are_logged_and_so_is_what_the_egress_rules_noticed(tmp_path):
    log: list[str] = []
    row = {"baseUrl": "http://127.0.0.1:9/v1", "api": "openai-completions", "apiKey": "sk-1", "models": [{"id": "m"}]}
    document = {
        "providers": {"mine": row},
        "authorization": {"tokens": {"ci": {"token": "tok-ci-123456", "scopes": ["read", "write"]}}},
        "egressPolicy": {"mode": "observe"},
    }
    write(tmp_path, document)
    async with open_gateway({"OPEN_LLM_AUTH_HOME": str(tmp_path)}, log=log.append) as gateway:

        async def logged(words: str) -> None:
            for _ in range(250):
                if words in "".join(log):
                    return
                await asyncio.sleep(0.02)
            raise TimeoutError(words)

        write(tmp_path, '{"server": {"port": "eighty"}}')
        await logged("server.port")
        write(tmp_path, document)
        await logged("the config is in force again\n")
        transport = httpx.ASGITransport(gateway.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            client.headers["x-api-key"] = "tok-ci-123456"
            body = {"model": "mine/m", "messages": [{"role": "user", "content": "x"}]}
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 502
            await logged("egress observed: provider 'mine'")
            counts = (await client.get("/health/ready")).json()["counts"]
    assert counts["egressObserved"] >= 1
    assert counts["egressBlocked"] == 0


@contextmanager
def serving_into_a_pipe(home: Path, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """The gateway as a process whose standard error goes to a pipe; the end to read from."""
    reading, writing = os.pipe()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "OPEN_LLM_AUTH_HOME": str(home)}
    command = [sys.executable, "-m", "open_llm_auth.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environ, cwd=home, stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    try:
        yield process, reading
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def test_a_log_that_nobody_reads_stops_neither_the_calls_nor_the_end(tmp_path):
    port = free_port()
    with (
        serving_into_a_pipe(tmp_path, port) as (process, reading),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client,
    ):
        began = time.monotonic()
        while time.monotonic() - began < 20:
            try:
                client.get("/health")
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        for _ in range(400):
            client.get("/health", headers={"x-request-id": "x" * 128})
        for _ in range(1_000):
            with socket.create_connection(("127.0.0.1", port), 5) as raw:
                raw.sendall(b"no request at all\r\n\r\n")
                raw.settimeout(5)
                assert raw.recv(1 << 16).startswith(b"HTTP/1.1 400")
        assert client.get("/health").status_code == 200
        process.terminate()
        assert process.wait(10) is not None
        held = os.read(reading, 1 << 20)
    assert held.count(b"\n") < 1_400, "the pipe was full, or this proves nothing"


async def test_a_refused_destination_is_told_in_the_log_once_and_not_to_the_caller(tmp_path):
    row = {"baseUrl": "http://10.1.2.3/v1", "api": "openai-completions", "auth": "api-key", "apiKey": "sk-1234567890"}
    token = {"tokens": {"ci": {"token": "tok-ci-123456", "scopes": ["write"]}}}
    write(tmp_path, {"providers": {"inside": row}, "authorization": token})
    log: list[str] = []
    async with open_gateway({"OPEN_LLM_AUTH_HOME": str(tmp_path)}, log=log.append) as gateway:
        transport = httpx.ASGITransport(gateway.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            client.headers["x-api-key"] = "tok-ci-123456"
            for _ in range(3):
                body = {"model": "inside/m", "messages": [{"role": "user", "content": "x"}]}
                answer = await client.post("/v1/chat/completions", json=body)
                assert answer.status_code == 403
    lines = [line for line in "".join(log).splitlines() if line.startswith("egress blocked")]
    assert lines == ["egress blocked: provider 'inside' to '10.1.2.3': insecure_http_forbidden"]
