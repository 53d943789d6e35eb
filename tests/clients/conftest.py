"""One gateway a file for the clients: a process for each test would take most of the suite's time.

`provider` and `gateway` stand in for the fixtures of the same names: shared, and reset before each test. A test that
leaves a mark in the gateway makes its own with `make_gateway`.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import openai
import pytest

from open_llm_auth.testing import FakeProvider, GatewayProcess

CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="session")
def agents(npm_folder: Any) -> Path:
    """The folder with the commands of the pinned agents."""
    folder: Path = npm_folder("agents", Path(__file__).parent / "agents.json", seconds=400)
    return folder / "node_modules" / ".bin"


#: It takes no newer Python.
AIDER: Final = "aider-chat==0.86.2"
_PYTHONS: Final = ("python3.12", "python3.11", "python3.10")


@pytest.fixture(scope="session")
def aider() -> Path:
    """The command, in an environment of its own; skips loudly where it can't be installed. 690 MB."""
    folder = CACHE / "aider"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != AIDER:
            shutil.rmtree(folder / "venv", ignore_errors=True)
            _install_aider(folder / "venv")
            stamp.write_text(AIDER)
    return folder / "venv" / "bin" / "aider"


def _install_aider(venv: Path) -> None:
    python = _python_for_aider()
    if python is None:
        pytest.skip(f"NO AIDER TESTS: {AIDER} wants one of {', '.join(_PYTHONS)}, and none runs here")
    commands = ([python, "-m", "venv", venv], [venv / "bin" / "pip", "install", "--quiet", AIDER])
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=400)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"NO AIDER TESTS, it can't be installed: {error} {str(getattr(error, 'stderr', ''))[-500:]}")


def _python_for_aider() -> str | None:
    """An interpreter that it takes; a version manager's shim may exist and still fail."""
    if sys.version_info < (3, 13):
        return sys.executable
    for name in _PYTHONS:
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
            return found
    return None


@pytest.fixture(scope="module")
def shared_provider(provider_key: str) -> Iterator[FakeProvider]:
    with FakeProvider(keys=(provider_key,)) as provider:
        yield provider


@pytest.fixture(scope="module")
def shared_gateway(
    shared_provider: FakeProvider, config_for, client_token: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(home, config_for(shared_provider), token=client_token) as gateway:
        yield gateway


@pytest.fixture
def provider(shared_provider: FakeProvider, provider_key: str) -> FakeProvider:
    """The file's fake provider, with good manners and an empty record."""
    shared_provider.reset()
    shared_provider.keys = (provider_key,)
    return shared_provider


@pytest.fixture
def gateway(shared_gateway: GatewayProcess) -> GatewayProcess:
    """The file's gateway in front of `provider`."""
    return shared_gateway


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    """The SDK before `gateway`, without retries."""
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0, timeout=20) as client:
        yield client
