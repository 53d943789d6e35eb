"""A canary in every field that may hold a secret, a full run, and then a search of everything that was said."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.testing import BEHAVIOURS, FakeProvider, GatewayProcess, free_port

from .canaries import MARK, Canaries, Heard, echoes

#: Behaviours that never end, or that are only long.
ENDLESS = {"silent", "hangs_mid_body", "endless", "torrent", "huge", "huge_event", "slow"}


class Run:
    """One gateway with a canary everywhere, three providers, and what was heard of it."""

    def __init__(self, home: Path, canaries: Canaries, raw: Callable[..., Any], written: Callable[..., bytes]) -> None:
        self.home = home
        self.canaries = canaries
        self.heard = Heard()
        self._raw = raw
        self._written = written
        self.provider = FakeProvider(keys=None)
        self.gateway: GatewayProcess

    def keys(self) -> tuple[str, ...]:
        """What may reach the provider, and only it."""
        names = ("key", "token", "access", "file", "env", "caps", "dotenv", "provider", "padded", "openai")
        return tuple(self.canaries[name] for name in names)

    def ask(self, method: str, path: str, *fields: tuple[str, str], token: str | None = "token-client", **options: Any):
        credential = None if token is None else self.canaries[token]
        data = self._written(method, path, *fields, token=credential, **options)
        answer = self._raw(self.gateway.port, data, method=method)
        self.heard.note(f"{method} {path} {fields}", answer.text())
        return answer

    def chat(self, model: str, *fields: tuple[str, str], **body: Any):
        document = {"model": model, "messages": [{"role": "user", "content": "hello"}]} | body
        return self.ask("POST", "/v1/chat/completions", *fields, body=json.dumps(document).encode())

    def command(self, *words: str, home: Path | None = None, stdin: str = "") -> str:
        environ = {"PATH": os.environ["PATH"], "HOME": str(home or self.home)}
        environ |= {"OPEN_LLM_AUTH_HOME": str(home or self.home), **self.environ(), "NO_COLOR": "1", "COLUMNS": "400"}
        done = subprocess.run(
            [sys.executable, "-m", "open_llm_auth.cli", *words],
            env=environ, input=stdin, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        text = done.stdout + done.stderr
        self.heard.note(" ".join(words), text)
        return text

    def environ(self) -> dict[str, str]:
        return {
            "CANARY_ENV": self.canaries["env"],
            "CANARY_CAPS": self.canaries["caps"],
            "OPENAI_API_KEY": self.canaries["openai"],
            "OPEN_LLM_AUTH_TOKEN": self.canaries["legacy-environment"],
        }


def document(run: Run) -> dict[str, Any]:
    """Every section that may hold a secret, each with its own."""
    c, url = run.canaries, run.provider.base_url
    authority = url.removeprefix("http://")
    row = {"api": "openai-completions", "auth": "api-key"}
    models = [{"id": "m", "name": "m", "headers": {"x-model-secret": c["model-header"]}}]
    in_ms = int(time.time() * 1000)

    def profile(kind: str, **fields: Any) -> dict[str, Any]:
        return {"provider": "alpha", "type": kind, **fields}

    return {
        "authProfiles": {
            "alpha:key": profile("api_key", key=c["key"], metadata={"clientSecret": c["metadata"], "note": "mine"}),
            "alpha:token": profile("token", token=c["token"]),
            "alpha:access": profile("oauth", access=c["access"], refresh=c["refresh"], expires=in_ms + 9_999_999),
            "alpha:late": profile("oauth", access=c["late"], refresh=c["late-refresh"], expires=in_ms - 9_999_999),
            "alpha:file": profile("api_key", key=f"file:{run.home}/key.txt"),
            "alpha:env": profile("api_key", key="${CANARY_ENV}"),
            "alpha:caps": profile("api_key", key="CANARY_CAPS"),
            "alpha:dotenv": profile("api_key", key="env:CANARY_DOTENV"),
            "alpha:padded": profile("api_key", key=f"  {c['padded']}\t "),
            "alpha:lost": profile("api_key", key="env:CANARY_NOT_SET"),
            "alpha:elsewhere": profile("api_key", key=c["elsewhere"], baseUrl=f"http://me:{c['profile-url']}@{authority}"),
            "broken:newline": {
                "provider": "broken",
                "type": "api_key",
                "key": f"{c['newline']}\r\nx-more: {c['newline-more']}",
            },
            "calm:key": {"provider": "calm", "type": "api_key", "key": c["calm"]},
        },
        "providers": {
            "alpha": {"baseUrl": url, "apiKey": c["provider"], **row, "models": models,
                      "headers": {"x-secret": c["header"], "x-scheme": f"Token {c['header-scheme']}"},
                      "clientSecret": c["unknown-key"]},
            "broken": {"baseUrl": url, **row},
            "calm": {"baseUrl": url, **row},
            "userinfo": {"baseUrl": f"http://me:{c['userinfo']}@{authority}", "apiKey": c["userinfo-key"], **row},
            "query": {"baseUrl": f"{url}?key={c['query']}", "apiKey": c["query-key"], **row},
            "scheme": {"baseUrl": f"ftp://{c['scheme-host']}.example", "apiKey": c["scheme-key"], **row},
            "metadata": {"baseUrl": "http://169.254.169.254/v1", "apiKey": c["metadata-key"], **row},
            "dead": {"baseUrl": f"http://127.0.0.1:{free_port()}/v1", "apiKey": c["dead-key"], **row},
        },
        "authorization": {
            "tokens": {
                "client": {"token": c["token-client"], "scopes": ["read", "write"]},
                "admin": {"token": c["token-admin"], "admin": True},
                "off": {"token": c["token-off"], "admin": True, "enabled": False},
                "hashed": {"tokenHash": token_hash(c), "scopes": ["read"]},
            }
        },
        "serverToken": c["legacy-config"],
        "durableState": {"enabled": False, "url": f"postgresql://me:{c['database']}@127.0.0.1/state"},
        "oauth": {"openai-codex": {"clientId": "public", "clientSecret": c["client-secret"]}},
        "egressPolicy": {"allowLocalProviders": ["alpha", "broken", "calm", "userinfo", "query", "dead"]},
        "something": {"password": c["password-elsewhere"]},
    }  # fmt: skip


def token_hash(canaries: Canaries) -> str:
    return "sha256:" + hashlib.sha256(canaries["token-hashed"].encode()).hexdigest()


@pytest.fixture(scope="module")
def run(tmp_path_factory, raw, written) -> Iterator[Run]:
    home = tmp_path_factory.mktemp("canaries")
    home.chmod(0o700)
    run = Run(home, Canaries(), raw, written)
    for name, text in (("key.txt", run.canaries["file"] + "\r\n"), (".env", f"CANARY_DOTENV={run.canaries['dotenv']}")):
        (home / name).write_text(text)
        (home / name).chmod(0o600)
    with run.provider:
        gateway = GatewayProcess(home, document(run), environ=run.environ())
        run.gateway = gateway
        with gateway:
            yield run
            gateway.stop()
            # What it said while it was stopping counts too.
            run.heard.note("the log", gateway.log())
            assert run.heard.search(run.canaries, token_hash(run.canaries)) == []


@pytest.fixture(autouse=True)
def searched(run: Run) -> Iterator[None]:
    """Each step is searched at its end, so that a find names it."""
    run.provider.reset()
    run.heard.said.clear()
    yield
    run.heard.note("the log", run.gateway.log())
    assert run.heard.search(run.canaries, token_hash(run.canaries)) == []


def test_every_credential_serves_and_goes_to_its_provider_alone(run: Run):
    for name in ("key", "token", "access", "file", "env", "caps", "dotenv", "padded"):
        for stream in (False, True):
            assert run.chat("alpha/m", ("X-Auth-Profile", f"alpha:{name}"), stream=stream).status == 200, name
        assert run.provider.calls[-1].request.key == run.canaries[name]
    body = json.dumps({"model": "alpha/m", "input": "x"}).encode()
    assert run.ask("POST", "/v1/embeddings", body=body).status == 200
    for call in run.provider.calls:
        sent = dict(call.request.headers) | {"body": call.request.body.decode()}
        allowed = {"authorization", "x-secret", "x-scheme", "x-model-secret"}
        assert all(MARK not in value for name, value in sent.items() if name not in allowed)
        assert call.request.fields["x-secret"] == run.canaries["header"]


def test_profiles_that_cannot_serve_say_why_without_their_secret(run: Run):
    for name in ("late", "lost", "elsewhere", "none-such"):
        for fields in ((), ("stream",)):
            run.chat("alpha/m", ("X-Auth-Profile", f"alpha:{name}"), stream=bool(fields))
    assert run.chat("broken/m").status == 503
    seen = " ".join(repr(request) for request in run.provider.requests)
    for name in ("late", "elsewhere", "profile-url", "newline", "newline-more"):
        assert run.canaries[name] not in seen, name


@pytest.mark.parametrize("name", sorted(BEHAVIOURS.keys() - ENDLESS))
def test_no_trouble_of_a_provider_makes_the_gateway_talk(run: Run, name: str):
    for stream in (False, True):
        run.provider.behaviour = BEHAVIOURS[name]
        run.chat("alpha/m", ("X-Auth-Profile", "alpha:key"), stream=stream)
    run.provider.behaviour = BEHAVIOURS["documented"]


ECHOES = sorted(echoes(dict.fromkeys(("key", "header", "header-scheme", "model-header"), "")))


@pytest.mark.parametrize("place", ECHOES)
def test_a_provider_that_repeats_its_key_is_not_repeated(run: Run, place: str):
    behaviour = echoes({n: run.canaries[n] for n in ("key", "header", "header-scheme", "model-header")})[place]
    for stream in (False, True):
        run.provider.behaviour = behaviour
        answer = run.chat("alpha/m", ("X-Auth-Profile", "alpha:key"), stream=stream)
        assert "set-cookie" not in answer.headers
    run.provider.behaviour = BEHAVIOURS["documented"]
    # Its list of models is asked for in the background, and may say the same.
    run.ask("GET", "/v1/models")


def test_a_key_with_blanks_is_known_without_them(run: Run):
    run.provider.behaviour = BEHAVIOURS["key_echoed"]
    for name in ("padded", "file", "dotenv", "caps"):
        answer = run.chat("alpha/m", ("X-Auth-Profile", f"alpha:{name}"))
        assert answer.status in (401, 403)
    run.provider.behaviour = BEHAVIOURS["documented"]


@pytest.mark.parametrize(
    "model", ["userinfo/m", "query/m", "scheme/m", "metadata/m", "dead/m", "openai/none", "nowhere/m"]
)
def test_refused_destinations_are_told_without_what_is_secret_in_them(run: Run, model: str):
    for stream in (False, True):
        assert run.chat(model, stream=stream).status >= 400


def test_health_pages_and_the_reference_hold_nothing(run: Run):
    for path in ("/health", "/health/ready", "/", "/docs", "/openapi.json", "/v1/models", "/v1/models/alpha/m"):
        for token in (None, "token-client", "token-admin", "legacy-config", "token-hashed"):
            run.ask("GET", path, token=token)


def test_bad_requests_are_not_quoted_back_with_their_credentials(run: Run):
    for fields in (
        (("Authorization", f"Basic {run.canaries['token-client']}"),),
        (("Authorization", f"Bearer {run.canaries['token-client']}x"),),
        (("x-api-key", run.canaries["token-off"]),),
        (("Content-Encoding", "gzip"), ("Cookie", run.canaries["token-client"])),
    ):
        run.ask("POST", "/v1/chat/completions", *fields, token=None, body=b"{")
    run.ask("GET", f"/v1/models?key={run.canaries['token-client']}", token=None)


BROKEN = {
    "cut in a secret": lambda text, c: text[: text.index(c["key"]) + 20],
    "a secret that is a number": lambda text, c: text.replace(f'"{c["key"]}"', f'7{c["key"]}'),
    "a secret in a list": lambda text, c: text.replace(f'"{c["key"]}"', f'["{c["key"]}"]'),
    "a secret where a port goes": lambda text, c: text[:-1] + f', "server": {{"port": "{c["key"]}"}}}}',
    "a secret where a section goes": lambda text, c: text[:-1] + f', "server": "{c["key"]}"}}',
    "a secret for a network": lambda text, c: text[:-1] + f', "server": {{"trustedProxies": ["{c["key"]}"]}}}}',
    "a secret for a hash": lambda text, c: text.replace(token_hash(c), f"sha256:{c['token-hashed']}"),
    "a header with a line break": lambda text, c: text.replace(c["header"], c["header"] + "\\r\\nx: y"),
    "two tokens alike": lambda text, c: text.replace(c["token-off"], "x").replace(c["legacy-config"], c["token-admin"]),
    "bytes that are no text": lambda text, c: text.replace(c["key"], c["key"] + "\udcff"),
    "nothing": lambda text, c: "",
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_a_config_that_breaks_is_told_by_its_place_and_not_by_its_text(run: Run, fault: str, tmp_path: Path):
    """At run time, at the start, and by every command that reads it."""
    text = json.dumps(document(run))
    broken = BROKEN[fault](text, run.canaries).encode("utf-8", "surrogateescape")
    run.gateway.config_path.write_bytes(broken)
    try:
        deadline = time.monotonic() + 5
        while run.ask("GET", "/health/ready", token="token-admin").json()["status"] != "degraded":
            assert time.monotonic() < deadline, "the fault never showed"
            time.sleep(0.05)
        assert run.chat("calm/m").status == 200
    finally:
        run.gateway.write_config(document(run))
    (tmp_path / "config.json").write_bytes(broken)
    if fault in ("nothing", "cut in a secret", "a secret in a list"):
        said = run.command("config", "check", home=tmp_path)
    else:
        said = run.command("serve", "--port", str(free_port()), home=tmp_path)
    assert "config.json" in said
    assert "Traceback" not in said


COMMANDS = [
    ("auth", "list"),
    ("auth", "list", "--json"),
    ("tokens", "list"),
    ("tokens", "list", "--json"),
    ("config", "check"),
    ("config", "path"),
    ("doctor", "--offline"),
    ("doctor", "--offline", "--json"),
    ("models", "list"),
    ("models", "list", "--json"),
    ("auth", "add-api-key", "alpha", "--profile", "none/such/name", "--stdin"),
    ("auth", "remove", "alpha:none-such"),
    ("auth", "set-order", "alpha", "alpha:none-such"),
    ("models", "set-default", "nowhere/m"),
    ("tokens", "revoke", "none-such"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_prints_a_secret(run: Run, words: tuple[str, ...], tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps(document(run)))
    said = run.command(*words, home=tmp_path, stdin=run.canaries["typed"] + "\n")
    assert said
    assert "Traceback" not in said


def test_what_is_written_beside_the_config_is_for_its_owner_alone(run: Run, tmp_path: Path):
    config = tmp_path / "home" / "config.json"
    config.parent.mkdir(mode=0o755)
    config.write_text(json.dumps(document(run)))
    config.chmod(0o644)
    for words in (("auth", "add-api-key", "groq", "--stdin"), ("auth", "remove", "groq:default")):
        run.command(*words, home=config.parent, stdin=run.canaries["typed"] + "\n")
    for path in (config, *(config.parent / "backups").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in (config.parent, config.parent / "backups"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert any(run.canaries["typed"] in path.read_text() for path in (config.parent / "backups").iterdir())


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="NO PROCESS TESTS: this machine has no /proc")
def test_the_process_shows_nothing_that_we_did_not_give_it_ourselves(run: Run):
    process = Path("/proc") / str(run.gateway.pid)
    run.heard.note("cmdline", (process / "cmdline").read_text())
    environ = (process / "environ").read_text().split("\0")
    given = {f"{name}={value}" for name, value in run.environ().items()}
    assert [entry for entry in environ if MARK in entry and entry not in given] == []


def test_no_value_prints_what_it_keeps(run: Run):
    """Every object of a compiled snapshot, and of a call through it, in every way Python would print it."""
    from open_llm_auth.auth.health import HealthTable
    from open_llm_auth.auth.manager import ProviderManager
    from open_llm_auth.config.source import LiveConfig
    from open_llm_auth.main import SystemClock
    from open_llm_auth.policy.access import LOCAL_ADMIN
    from open_llm_auth.providers import KINDS
    from open_llm_auth.providers.spec import Sending
    from open_llm_auth.values import Call, Outbound
    from open_llm_auth.wire.dialect import Request

    environ = {"HOME": str(run.home), **run.environ()}
    config = LiveConfig(run.gateway.config_path, environ)
    snapshot = config.load()
    manager = ProviderManager(config.secrets, HealthTable(), SystemClock(), frozenset(KINDS))
    plan = manager.plan(snapshot, model="alpha/m", caller=LOCAL_ADMIN)
    outbound: list[Outbound] = [
        KINDS[attempt.provider.api].prepare(
            attempt.provider, attempt.credential, Sending("chat", "m", False, run.canaries["prompt"].encode())
        )
        for attempt in plan.attempts
    ]
    assert any(b"authorization" in dict(request.headers) for request in outbound)
    envelope = {"messages": run.canaries["prompt"]}
    request = Request(envelope, "alpha/m", stream=False)
    call = Call("call_0", "chat", "openai-chat", request, LOCAL_ADMIN)
    candidates = [config, config.secrets, manager, snapshot, plan, call, *outbound, *snapshot.providers.values()]
    candidates += [*snapshot.profiles.values(), snapshot.tokens, snapshot.egress, *plan.attempts, config.file.read()]
    for value in candidates:
        for text in (repr(value), str(value), f"{value}", f"{value!r:>10}"):
            run.heard.note(type(value).__name__, text)
