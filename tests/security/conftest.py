"""A gateway for a whole module, and a client that sends exactly the bytes it is told to."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse  # noqa: TID251 - reads what the gateway answers, and dials nothing
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.testing import FakeProvider, GatewayProcess


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer as it came: header names in lower case, repeated ones kept, in order."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By name; of repeated ones the last."""
        return dict(self.fields)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> object:
        """The error's code."""
        return self.json()["error"]["code"]

    def text(self) -> str:
        """Everything in it, for a search."""
        return "\n".join([str(self.status), *(f"{n}: {v}" for n, v in self.fields), self.body.decode("latin-1")])


RawClient = Callable[..., RawAnswer]


@pytest.fixture(scope="session")
def raw() -> RawClient:
    """`raw(port, data, method="GET")` sends bytes and reads one answer; more pieces follow as they are given.

    Raises ConnectionError when the gateway closes without an answer.
    """

    def exchange(port: int, *pieces: bytes, method: str = "GET", seconds: float = 10.0) -> RawAnswer:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has answered already, and what it said is still to be read
            response = HTTPResponse(connection, method=method)
            response.begin()
            fields = tuple((name.lower(), value) for name, value in response.getheaders())
            return RawAnswer(response.status, fields, response.read())

    return exchange


def request_bytes(
    method: str = "GET",
    target: str | bytes = "/v1/models",
    *fields: tuple[str | bytes, str | bytes],
    host: str | None = "127.0.0.1",
    token: str | None = None,
    body: bytes = b"",
    version: str = "1.1",
) -> bytes:
    """One request, in exactly these fields: `host` None sends no Host, `body` brings its Content-Length."""
    head = [method.encode() + b" " + _bytes(target) + f" HTTP/{version}".encode()]
    sent: list[tuple[str | bytes, str | bytes]] = []
    if host is not None:
        sent.append(("Host", host))
    if token is not None:
        sent.append(("Authorization", f"Bearer {token}"))
    if body:
        sent.append(("Content-Length", str(len(body))))
    head += [_bytes(name) + b": " + _bytes(value) for name, value in (*sent, *fields)]
    return b"\r\n".join([*head, b"", body])


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


@pytest.fixture(scope="session")
def written() -> Callable[..., bytes]:
    """`request_bytes`, as a fixture."""
    return request_bytes


@dataclass(slots=True)
class House:
    """A running gateway, the provider behind it, and its raw door."""

    gateway: GatewayProcess
    provider: FakeProvider
    config: dict[str, Any]
    raw: RawClient

    def ask(self, method: str, target: str | bytes, *fields: Any, **options: Any) -> RawAnswer:
        """Exactly this request; `token` is the client's unless it is given."""
        options.setdefault("token", self.gateway.token)
        return self.raw(self.gateway.port, request_bytes(method, target, *fields, **options), method=method)

    def chat(self, model: str = "fake/fake-model", *fields: Any, token: str | None = None, **body: Any) -> RawAnswer:
        """A chat call."""
        document = {"model": model, "messages": [{"role": "user", "content": "hello"}]} | body
        fields = (("Content-Type", "application/json"), *fields)
        token = self.gateway.token if token is None else token
        return self.ask("POST", "/v1/chat/completions", *fields, token=token, body=json.dumps(document).encode())

    def reload(self, **sections: Any) -> None:
        """Change these sections of the config, and wait until they are in force."""
        before = self._etag()
        self.gateway.write_config(self.config | sections)
        deadline = time.monotonic() + 3
        while self._etag() == before:
            assert time.monotonic() < deadline, "the config was not read again"
            time.sleep(0.02)

    def _etag(self) -> str:
        etag: str = self.gateway.request("GET", "/health/ready").json()["config"]["etag"]
        return etag


OpenHouse = Callable[..., House]


@pytest.fixture(scope="module")
def open_house(
    tmp_path_factory: pytest.TempPathFactory,
    provider_key: str,
    client_token: str,
    config_for: Callable[..., dict[str, Any]],
    raw: RawClient,
) -> Iterator[OpenHouse]:
    """`open_house(**sections)` starts a gateway that lives as long as the module; `environ` and `home` may be given."""
    with ExitStack() as running:

        def make(
            *, environ: Mapping[str, str] | None = None, home: Path | None = None, token: str = "", **sections: Any
        ) -> House:
            provider = running.enter_context(FakeProvider(keys=(provider_key,)))
            config = config_for(provider, **sections)
            home = home or tmp_path_factory.mktemp("house")
            home.chmod(0o700)
            gateway = GatewayProcess(home, config, token=token or client_token, environ=environ)
            return House(running.enter_context(gateway), provider, config, raw)

        yield make


@pytest.fixture(scope="module")
def house(open_house: OpenHouse) -> House:
    """One gateway with one provider for the tests of a module."""
    return open_house()
