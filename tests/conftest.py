"""Fixtures that every suite may use: fake providers, the gateway as a real process before them, and a certificate."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import settings

from open_llm_auth.testing import (
    FakeAnthropic,
    FakeBedrock,
    FakeGemini,
    FakeOllama,
    FakeProvider,
    FakeResponses,
    GatewayProcess,
)
from open_llm_auth.testing.fake_server import FakeServer

# The same examples on every machine, however slow, and half as many as usual: a suite that fails must fail again. Run
# with `--hypothesis-profile=default` to look for new ones.
settings.register_profile("suite", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("suite")

#: Planted as secrets; no log, answer or error may ever hold one.
PROVIDER_KEY = f"sk-canary-provider-{secrets.token_hex(12)}"
CLIENT_TOKEN = f"canary-client-{secrets.token_hex(12)}"
ADMIN_TOKEN = f"canary-admin-{secrets.token_hex(12)}"

MakeGateway = Callable[..., GatewayProcess]


def gateway_config(provider: FakeServer, **sections: Any) -> dict[str, Any]:
    """A config with the provider `fake` at `provider`, a client's token and an admin's; `sections` replace or add."""
    config: dict[str, Any] = {
        "providers": {
            "fake": {
                "baseUrl": provider.base_url,
                "apiKey": PROVIDER_KEY,
                "auth": "api-key",
                "api": "openai-completions",
                "models": [{"id": name, "name": name} for name in provider.models],
            }
        },
        "authorization": {
            "tokens": {
                "client": {"token": CLIENT_TOKEN, "scopes": ["read", "write"], "admin": False, "enabled": True},
                "admin": {"token": ADMIN_TOKEN, "scopes": [], "admin": True, "enabled": True},
            }
        },
        "egressPolicy": {"allowLocalProviders": ["fake"]},
    }
    return config | sections


@pytest.fixture(scope="session")
def provider_key() -> str:
    """The canary key that `provider` accepts."""
    return PROVIDER_KEY


@pytest.fixture(scope="session")
def client_token() -> str:
    return CLIENT_TOKEN


@pytest.fixture(scope="session")
def admin_token() -> str:
    return ADMIN_TOKEN


@pytest.fixture
def provider(provider_key: str) -> Iterator[FakeProvider]:
    """A fake provider that accepts `provider_key`."""
    with FakeProvider(keys=(provider_key,)) as provider:
        yield provider


@pytest.fixture(scope="session")
def config_for() -> Callable[..., dict[str, Any]]:
    """`gateway_config`, as a fixture."""
    return gateway_config


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[MakeGateway]:
    """`make_gateway(config, environ, token=…)` starts a gateway; the end of the test stops it and reads its log."""
    with ExitStack() as running:

        def make(
            config: Mapping[str, Any] | None,
            environ: Mapping[str, str] | None = None,
            *,
            token: str = CLIENT_TOKEN,
            **options: Any,
        ) -> GatewayProcess:
            home = tmp_path / f"gateway-{secrets.token_hex(4)}"
            home.mkdir(mode=0o700)
            gateway = GatewayProcess(home, config, token=token, environ=environ, **options)
            return running.enter_context(gateway)

        yield make


@pytest.fixture
def gateway(make_gateway: MakeGateway, provider: FakeProvider) -> GatewayProcess:
    """A running gateway whose provider `fake` is `provider`; its `token` may read and write."""
    return make_gateway(gateway_config(provider))


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for localhost and 127.0.0.1, and the contexts of both sides."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Trusts this certificate alone."""
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made by the openssl command; skips loudly where there is none."""
    folder = tmp_path_factory.mktemp("certificate")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-out", str(made.certificate), "-keyout", str(made.key)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("NO TLS TESTS: the openssl command is not on this machine")
    return made


@dataclass(frozen=True, slots=True)
class Family:
    """Providers that speak one dialect: the `api` of their config, what stands in for them, and a model's name.

    The name counts where a gateway knows by it what the model can do.
    """

    api: str
    fake: Callable[..., FakeServer]
    model: str


FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        "chat": Family("openai-completions", FakeProvider, "fake-model"),
        "responses": Family("openai-responses", FakeResponses, "gpt-5.5"),
        "anthropic": Family("anthropic-messages", FakeAnthropic, "claude-sonnet-4-6"),
        "gemini": Family("google-generative-ai", FakeGemini, "gemini-2.5-flash"),
        "bedrock": Family("bedrock-converse-stream", FakeBedrock, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        "ollama": Family("ollama", FakeOllama, "fake-llama:latest"),
    }
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One family behind the gateway, and the name of a model of its."""

    family: str
    fake: FakeServer
    gateway: GatewayProcess

    @property
    def provider(self) -> str:
        return _provider(self.family)

    @property
    def model(self) -> str:
        return f"{self.provider}/{FAMILIES[self.family].model}"


def _provider(family: str) -> str:
    """The id of its provider: no id, and no alias, of the catalog's."""
    return f"fake-{family}"


@pytest.fixture(scope="session")
def every_fake(provider_key: str) -> Iterator[Mapping[str, FakeServer]]:
    """One fake of each family, in order."""
    with ExitStack() as running:
        yield {
            name: running.enter_context(family.fake(keys=(provider_key,), models=(family.model,)))
            for name, family in FAMILIES.items()
        }


@pytest.fixture(scope="session")
def gateway_of_all(
    every_fake: Mapping[str, FakeServer],
    provider_key: str,
    client_token: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GatewayProcess]:
    """A gateway that has them all."""
    entries = {
        _provider(name): {
            "baseUrl": fake.base_url,
            "apiKey": provider_key,
            "auth": "api-key",
            "api": FAMILIES[name].api,
            "models": [{"id": model, "name": model} for model in fake.models],
        }
        for name, fake in every_fake.items()
    }
    config = gateway_config(every_fake["chat"], providers=entries, egressPolicy={"allowLocalProviders": list(entries)})
    with GatewayProcess(tmp_path_factory.mktemp("families"), config, token=client_token) as gateway:
        yield gateway


@pytest.fixture
def families(
    every_fake: Mapping[str, FakeServer], gateway_of_all: GatewayProcess
) -> Iterator[Callable[[str], Upstream]]:
    """`families("gemini")` is the upstream of that family, with good manners and an empty record."""
    used: list[FakeServer] = []

    def upstream_of(family: str) -> Upstream:
        fake = every_fake[family]
        fake.reset()
        used.append(fake)
        return Upstream(family, fake, gateway_of_all)

    yield upstream_of
    for fake in used:
        fake.reset()


@pytest.fixture
def upstream(family: str, families: Callable[[str], Upstream]) -> Upstream:
    """The upstream of this family."""
    return families(family)


PROGRAMS = Path(__file__).parent / "clients" / "programs"
CLIENTS = ("openai_python.py", "openai_node.mjs", "llm_command.py", "curl_command.py")
CACHE = Path(__file__).parents[1] / ".cache"
OUTCOMES = pytest.StashKey[list["Outcome"]]()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one client made of one case against one upstream."""

    client: str
    upstream: str
    case: str
    ok: bool
    seen: str


RunClient = Callable[..., list[Outcome]]


@pytest.fixture(scope="session")
def npm_folder() -> Callable[..., Path]:
    """`npm_folder("node", manifest)` gives `.cache/node` with what the manifest pins; skips loudly where that fails."""

    def install(name: str, manifest: Path, *, seconds: float = 100) -> Path:
        if not (shutil.which("node") and shutil.which("npm")):
            pytest.skip(f"NO TESTS WITH {manifest.name}: node and npm are not on this machine")
        folder = CACHE / name
        folder.mkdir(parents=True, exist_ok=True)
        wanted = manifest.read_text()
        stamp = folder / "installed.json"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists() or stamp.read_text() != wanted:
                (folder / "package.json").write_text(wanted)
                command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
                try:
                    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=seconds)
                except subprocess.SubprocessError as error:
                    pytest.skip(f"NO TESTS WITH {manifest.name}, npm failed: {error} {getattr(error, 'stderr', '')}")
                stamp.write_text(wanted)
        return folder

    return install


@pytest.fixture(scope="session")
def node_folder(npm_folder: Callable[..., Path]) -> Path:
    """A folder with the pinned Node SDKs installed; skips loudly where node or the registry is missing."""
    return npm_folder("node", PROGRAMS.parent / "package.json")


@pytest.fixture
def run_client(request: pytest.FixtureRequest, tmp_path: Path) -> RunClient:
    """`run_client("openai_python.py", gateway, upstream, model)` drives a client and gives its outcomes.

    `embedding_model` is the other model it may use; `without` names cases that this upstream can't serve, which are
    run and not counted; `environ` is added to what the program gets.
    """

    def run(
        program: str,
        gateway: GatewayProcess,
        upstream: str,
        model: str,
        *,
        embedding_model: str = "",
        without: tuple[str, ...] = (),
        arguments: tuple[str, ...] = (),
        environ: Mapping[str, str] = {},
    ) -> list[Outcome]:
        settings = {"BASE_URL": gateway.base_url, "API_KEY": gateway.token}
        settings |= {"MODEL": model, "EMBEDDING_MODEL": embedding_model or model, "HOME": str(tmp_path)}
        command = [sys.executable, str(PROGRAMS / program)]
        if program == "curl_command.py" and not shutil.which("curl"):
            pytest.skip("NO CURL TESTS: curl is not on this machine")
        if program.endswith(".mjs"):
            folder: Path = request.getfixturevalue("node_folder")
            # Node looks for modules beside the program.
            command = ["node", shutil.copy(PROGRAMS / program, folder)]
        command += arguments
        variables = os.environ | settings | environ
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        cases = [json.loads(line) for line in done.stdout.splitlines()]
        client = program.rpartition(".")[0]
        outcomes = [Outcome(client, upstream, **case) for case in cases if case["case"] not in without]
        request.config.stash.setdefault(OUTCOMES, []).extend(outcomes)
        return outcomes

    return run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`program` is every client in turn; `some_program` stands for them all, unless a full table is asked for. The
    `family` of `upstream` is each of those that a file names in `UPSTREAMS`, or every one where a full table is."""
    full = metafunc.config.getoption("--client-table")
    if {"family", "upstream"} <= set(metafunc.fixturenames):
        metafunc.parametrize("family", list(FAMILIES) if full else metafunc.module.UPSTREAMS)
    for name, programs in (("program", CLIENTS), ("some_program", CLIENTS if full else CLIENTS[:1])):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, programs)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--client-table", action="store_true", help="run every client on every upstream; print a table")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of clients and upstreams."""
    outcomes = config.stash.get(OUTCOMES, [])
    if not outcomes or not config.getoption("--client-table"):
        return
    upstreams = sorted({outcome.upstream for outcome in outcomes})
    rows = sorted({(outcome.client, outcome.case) for outcome in outcomes})
    marks = {(o.client, o.case, o.upstream): "ok" if o.ok else "FAILED" for o in outcomes}
    terminalreporter.section("clients and upstreams")
    wide = 2 + max(len(client) for client, _ in rows)
    terminalreporter.write_line(f"{'client':<{wide}}{'case':<16}" + "".join(f"{name:>12}" for name in upstreams))
    for client, case in rows:
        cells = "".join(f"{marks.get((client, case, name), '·'):>12}" for name in upstreams)
        terminalreporter.write_line(f"{client:<{wide}}{case:<16}{cells}")
    for outcome in outcomes:
        if not outcome.ok:
            terminalreporter.write_line(f"{outcome.client} {outcome.case} on {outcome.upstream}: {outcome.seen}")
