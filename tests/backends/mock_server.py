"""A mock of every provider's wire that other people wrote (@copilotkit/aimock), scripted by `aimock_fixtures.json`."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection  # noqa: TID251 - this talks to the mock
from pathlib import Path
from typing import Any, Final

from open_llm_auth.testing import free_port

__all__ = ["WIRES", "MockServer", "Wire", "mock_server"]

HERE: Final = Path(__file__).parent
#: More than it takes on a machine with two busy cores.
START_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider's API on the mock: the kind that speaks it, where it begins, and a model it is known by."""

    api: str
    path: str
    model: str
    #: how this wire lets a count be scripted; the mock says 0 where there is no way
    counted: bool = True
    #: whether the mock can think, and can be cut short, in this wire's own words
    complete: bool = True
    #: whether the mock's refusals have this wire's form, so that their words may be passed on
    refuses: bool = True


WIRES: Final[Mapping[str, Wire]] = {
    "chat": Wire("openai-completions", "/v1", "gpt-5.5"),
    "responses": Wire("openai-responses", "/v1", "gpt-5.5"),
    "anthropic": Wire("anthropic-messages", "", "claude-sonnet-4-6"),
    "gemini": Wire("google-generative-ai", "/v1beta", "gemini-2.5-flash"),
    "bedrock": Wire("bedrock-converse-stream", "", "anthropic.claude-sonnet-4-5-20250929-v1:0", refuses=False),
    "ollama": Wire("ollama", "", "qwen3:8b", counted=False, complete=False),
}


@dataclass(frozen=True, slots=True)
class MockServer:
    """A running mock. `key` is what it asks for, on every wire."""

    port: int
    key: str
    log_path: Path

    def providers(self, key: str | None = None, prefix: str = "mock") -> dict[str, dict[str, Any]]:
        """Entries of a config: one provider a wire."""
        return {
            f"{prefix}-{name}": {
                "baseUrl": f"http://127.0.0.1:{self.port}{wire.path}",
                "apiKey": key or self.key,
                "auth": "api-key",
                "api": wire.api,
                "models": [{"id": wire.model, "name": wire.model}],
            }
            for name, wire in WIRES.items()
        }

    def last_seen(self) -> Any:
        """The last request it was sent, as it read it: put into the words of chat completions, from whatever wire."""
        (entry,) = self._get("/__aimock/journal")
        return entry["body"]

    def started(self) -> bool:
        try:
            self._get("/__aimock/journal")
        except ConnectionError:
            return False
        return True

    def _get(self, path: str) -> Any:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path, headers={"authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            body = answer.read()
        assert answer.status == 200, body
        return json.loads(body)


@contextmanager
def mock_server(folder: Path, home: Path, key: str, *options: str, seed: int = 1) -> Iterator[MockServer]:
    """The mock that is installed in `folder`, until the block ends. It has the same luck on every run."""
    server = MockServer(free_port(), key, home / "mock.log")
    program = folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    command = ["node", "--import", (HERE / "seeded.mjs").as_uri(), str(program)]
    command += ["--host", "127.0.0.1", "--port", str(server.port), "--fixtures", str(HERE / "aimock_fixtures.json")]
    command += ["--chunk-size", "5", "--journal-max", "1", "--validate-on-load", *options]
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "AIMOCK_API_KEYS": key, "SEED": str(seed)}
    with server.log_path.open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started():
            said = server.log_path.read_text(errors="replace")
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(10)
