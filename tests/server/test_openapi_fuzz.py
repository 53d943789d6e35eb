"""The served OpenAPI document against the served gateway: generated requests, and answers held to the description."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from open_llm_auth.server.routes import ROUTES
from open_llm_auth.testing import FakeProvider, GatewayProcess

#: For each operation and kind of data. With the seed, a failure is there again the next time.
EXAMPLES = 40
SEED = 20_251
#: What a model is called is judged by Unicode's categories, which no JSON schema can say.
LEFT_OUT = "positive_data_acceptance"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, config_for, provider_key, client_token) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("fuzz")
    home.chmod(0o700)
    with FakeProvider(keys=(provider_key,)) as provider:
        config = config_for(provider, defaultModel="fake/fake-model")
        with GatewayProcess(home, config, token=client_token) as gateway:
            yield gateway


def fuzz(gateway: GatewayProcess, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A run of schemathesis with its checks: no 5xx; statuses, types, headers and bodies as described; bad data
    refused; other methods 405, and no way in without the token."""
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{gateway.url}/openapi.json"]
    command += ["--checks", "all", "--exclude-checks", LEFT_OUT, "--continue-on-failure", "--no-color"]
    command += ["--seed", str(SEED), "--max-examples", str(EXAMPLES), "--suppress-health-check", "all", *options]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("token", ["the client's", "none"])
def test_every_answer_is_as_described_whatever_is_sent(gateway, tmp_path, token):
    """With a token that may read and write, and as a stranger."""
    credential = ["--header", f"Authorization: Bearer {gateway.token}"] if token != "none" else []
    done = fuzz(gateway, tmp_path, "--phases", "examples,coverage,fuzzing", *credential)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    operations = sum(route.method != "HEAD" for route in ROUTES)  # which it leaves out
    assert f"Selected: {operations}/{operations}" in done.stdout
    assert "Traceback" not in gateway.log()
    assert all(row["status"] < 500 for row in gateway.rows())
    assert gateway.request("GET", "/health", token="").status == 200
