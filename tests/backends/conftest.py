"""A real llama.cpp server with a tiny random model, made on the spot and kept in .cache/llama."""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException  # noqa: TID251 - this talks to the model server under test
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.testing import free_port

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "llama"
INSTALL_SECONDS = 100


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """A running llama.cpp server. `key` is what it asks for."""

    port: int
    key: str
    model: str

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def get(self, path: str) -> tuple[int, Any]:
        """Status and document of one of its own routes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path, headers={"authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def busy(self) -> bool:
        """Whether any of its slots is generating."""
        return any(slot["is_processing"] for slot in self.get("/slots")[1])

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Seconds until `condition` held.

        Raises:
            TimeoutError: it does not hold after `seconds`.
        """
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > seconds:
                raise TimeoutError(f"llama-server: not within {seconds!r} seconds")
            time.sleep(0.01)
        return time.monotonic() - start

    def healthy(self) -> bool:
        try:
            return self.get("/health")[0] == 200
        except (OSError, HTTPException):
            return False


@pytest.fixture(scope="session")
def llama_program() -> Path:
    """The server's path: the machine's own, else unpacked into the cache; skips loudly where neither works."""
    if found := shutil.which("llama-server"):
        return Path(found)
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / "installed" / "llama-server"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _install(program.parent)
    return program


def _install(target: Path) -> None:
    fresh = target.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        subprocess.run(
            [HERE / "install_llama.sh", fresh], check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or ""
        pytest.skip(f"NO LLAMA.CPP ON THIS MACHINE, real model servers are not tested: {error} {said[-500:]}")
    fresh.rename(target)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    subprocess.run([sys.executable, HERE / "tiny_gguf.py", path], check=True)
    return path


def _serve(program: Path, model: Path, name: str, log: Path, *arguments: str) -> Iterator[LlamaServer]:
    server = LlamaServer(free_port(), f"sk-canary-llama-{secrets.token_hex(8)}", name)
    command = [str(program), "--model", str(model), "--alias", name, "--host", "127.0.0.1", "--port", str(server.port)]
    command += ["--api-key", server.key, "--threads", "1", "--no-webui", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        server.wait_until(lambda: process.poll() is not None or server.healthy(), 30)
        assert process.poll() is None, log.read_text(errors="replace")
        yield server
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def llama(llama_program: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """Chat, with two slots. Who names no seed always gets the same one: only one of its dialects has a place for it."""
    log = tmp_path_factory.mktemp("llama") / "log"
    options = ("--jinja", "--ctx-size", "65536", "--parallel", "2", "--predict", "64", "--seed", "7")
    yield from _serve(llama_program, tiny_model, "tiny", log, *options)


@pytest.fixture(scope="session")
def llama_embedding(
    llama_program: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaServer]:
    """Embeddings of the same model."""
    log = tmp_path_factory.mktemp("llama") / "log"
    yield from _serve(
        llama_program, tiny_model, "tiny-embed", log, "--ctx-size", "2048", "--embedding", "--pooling", "mean"
    )
