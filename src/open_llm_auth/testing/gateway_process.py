"""The gateway as its users run it: a process of its own, on a free port, with a home folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException  # noqa: TID251 - this talks to the gateway, not for it
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["GatewayAnswer", "GatewayFailed", "GatewayProcess", "free_port", "secrets_of"]

#: What the process keeps of the environment that starts it; provider keys of the machine must not reach a test.
_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START")
_SECRET_FIELDS: Final = frozenset({"key", "token", "access", "refresh", "apiKey", "serverToken", "clientSecret"})
_REFERENCES: Final = ("env:", "file:", "keyring:", "cmd:", "vault:", "${")
#: Shorter ones stand in honest text by chance.
_SHORTEST_SECRET: Final = 8
_POLL_SECONDS: Final = 0.02


class GatewayFailed(AssertionError):
    """The gateway did not start, did not stop, or leaked; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """One answer, read whole. `headers` have lower-case names; of repeated ones the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body decoded.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.body)


class GatewayProcess:
    """`with GatewayProcess(home, config, token=…) as gateway:` runs `serve` until the block ends.

    `config` is the whole document and is written to `home`; None starts without a config file. `token` is what
    `request` and clients send. `environ` is added to a nearly empty environment. When the block ends the process is
    stopped. No secret of `config` or of `secrets` may stand in its log, nor in an answer to `request`.
    """

    def __init__(
        self,
        home: Path,
        config: Mapping[str, Any] | None,
        *,
        token: str = "",
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        secrets: Sequence[str] = (),
    ) -> None:
        self.home = home
        self.token = token
        self.port = free_port()
        self.log_path = home / "gateway.log"
        self.config_path = home / "config.json"
        self._arguments = tuple(arguments)
        self._environ = dict(environ or {})
        self._secrets = {*secrets, *secrets_of(config or {}), *([token] if token else [])}
        self._process: subprocess.Popen[bytes] | None = None
        if config is not None:
            self.write_config(config)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client is given."""
        return f"{self.url}/v1"

    @property
    def pid(self) -> int:
        """The process id, while it runs."""
        return self._running().pid

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replace the config file, as an editor would."""
        fresh = self.home / "config.json.new"
        fresh.write_text(json.dumps(config, indent=2))
        fresh.chmod(0o600)
        fresh.rename(self.config_path)
        self._secrets.update(secrets_of(config))

    def log(self) -> str:
        """All it has said, on both streams."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def rows(self) -> list[dict[str, Any]]:
        """The request lines of its log, decoded; other lines are left out."""
        # Only LF ends a line, and the last one may still be on its way.
        lines = (line for line in self.log().split("\n")[:-1] if line.startswith("{"))
        return [row for row in map(json.loads, lines) if "path" in row]

    def wait_for_row(self, condition: Callable[[Mapping[str, Any]], bool], seconds: float = 5.0) -> dict[str, Any]:
        """The first request line that fits, once it is written.

        Raises:
            GatewayFailed: there is none after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for row in self.rows():
                if condition(row):
                    return row
            time.sleep(_POLL_SECONDS)
        raise GatewayFailed(f"no such line in the log after {seconds!r} seconds:\n{self.log()}")

    def start(self, seconds: float = 30.0) -> None:
        """Start it and wait until it is healthy.

        Raises:
            GatewayFailed: it ended, or is not healthy after `seconds`.
        """
        command = [sys.executable, "-m", "open_llm_auth.cli", "serve", "--port", str(self.port), *self._arguments]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours, word by word
                command,
                cwd=self.home,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + seconds
        while not self._healthy():
            if self._process.poll() is not None:
                raise GatewayFailed(f"the gateway ended with {self._process.returncode} at start:\n{self.log()}")
            if time.monotonic() > deadline:
                self._kill()
                raise GatewayFailed(f"the gateway is not healthy after {seconds!r} seconds:\n{self.log()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, seconds: float = 15.0) -> int:
        """Ask it to end, as a service manager does, and give its exit code.

        Raises:
            GatewayFailed: it still runs after `seconds` (it is killed then), or its log holds a secret.
        """
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill()
            raise GatewayFailed(f"the gateway did not end within {seconds!r} seconds:\n{self.log()}") from None
        self.check_log()
        return code

    def check_log(self) -> None:
        """See that nothing secret was said.

        Raises:
            GatewayFailed: a secret stands in the log.
        """
        self._check("the log", self.log())

    def _check(self, place: str, text: str) -> None:
        for secret in self._secrets:
            if len(secret) >= _SHORTEST_SECRET and secret in text:
                raise GatewayFailed(f"a secret stands in {place}:\n{text.replace(secret, '<<THE SECRET>>')}")

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        seconds: float = 30.0,
    ) -> GatewayAnswer:
        """One request on a connection of its own.

        `body` is sent as it is when it is bytes and as JSON otherwise. `token` replaces the usual one; "" sends none.

        Raises:
            OSError: no connection, or it broke.
            http.client.HTTPException: the answer is not HTTP.
            GatewayFailed: the answer holds a secret.
        """
        sent = self._headers(token, headers)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=seconds)) as connection:
            connection.request(method, path, body=body, headers=sent)
            with connection.getresponse() as response:
                fields = {name.lower(): value for name, value in response.getheaders()}
                answer = GatewayAnswer(response.status, fields, response.read())
        self._check("the answer", f"{fields} {answer.body.decode(errors='replace')}")
        return answer

    def _headers(self, token: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
        token = self.token if token is None else token
        authorization = {"authorization": f"Bearer {token}"} if token else {}
        return authorization | dict(headers or {})

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        else:
            self.check_log()

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        own = {"HOME": str(self.home), "OPEN_LLM_AUTH_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        return inherited | own | self._environ

    def _healthy(self) -> bool:
        try:
            return self.request("GET", "/health", token="", seconds=5).status == 200
        except (OSError, HTTPException):
            return False

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise GatewayFailed("the gateway was not started")
        return self._process

    def _kill(self) -> None:
        process = self._running()
        process.kill()
        process.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def secrets_of(config: object) -> Iterator[str]:
    """The literal secrets of a config document: the values of its secret fields that are not references."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            if name in _SECRET_FIELDS and isinstance(value, str) and value and not value.startswith(_REFERENCES):
                yield value
            else:
                yield from secrets_of(value)
    elif isinstance(config, (list, tuple)):
        for item in config:
            yield from secrets_of(item)
