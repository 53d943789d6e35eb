"""The servers that are measured: each as its command, its settings, and how a client has to address it."""

import getpass
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException  # noqa: TID251 (the load side; not the gateway)
from pathlib import Path

from machine import LOAD_CORE, SERVER_CORE, on_core, process_tree
from workshop import WORKSHOP

__all__ = [
    "CHAT_PATH",
    "END_LINES",
    "EXPECTED_TEXT",
    "PATHS",
    "Running",
    "Target",
    "Upstream",
    "direct",
    "gateway",
    "litellm",
    "nginx",
]

CLIENT_TOKEN = "sk-bench-client"
UPSTREAM_KEY = "sk-bench-upstream"
CHAT_PATH = "/v1/chat/completions"

#: Where a client of each dialect calls, and how the line begins that ends its streams.
PATHS = {"chat": CHAT_PATH, "messages": "/v1/messages", "responses": "/v1/responses"}
END_LINES = {
    "chat": "data: [DONE]",
    "messages": 'data: {"type":"message_stop"',
    "responses": 'data: {"type":"response.completed"',
}

#: Stands in every plain answer of the upstream.
EXPECTED_TEXT = "The quick brown fox"

START_LIMIT_S = 120.0


@dataclass(frozen=True)
class Target:
    """A server under test. `models` gives, for `plain` and `paced`, the name by which a client asks for it."""

    name: str
    port: int
    command: tuple[str, ...]
    models: Mapping[str, str]
    token: str = CLIENT_TOKEN
    environment: Mapping[str, str] = field(default_factory=dict)
    #: which dialects its clients may speak, and the prefix of a model whose provider speaks another
    surfaces: tuple[str, ...] = ("chat", "messages", "responses")
    upstreams: Mapping[str, str] = field(default_factory=dict)

    def serves(self, surface: str, upstream: str) -> bool:
        """Whether a client of one dialect can be answered by a provider of the other."""
        return surface in self.surfaces and (surface == upstream or upstream in self.upstreams)

    def body(self, kind: str, *, stream: bool, filler: int = 0, surface: str = "chat", upstream: str = "chat") -> bytes:
        """A request of about 300 bytes in the dialect `surface`, or with so many bytes of filler in it."""
        system = "You are a terse assistant that answers in one sentence."
        question = (
            "Please explain, in about fifty words, what a reverse proxy does and why somebody would put one in front "
            "of several LLM providers."
        ) + " tokens" * (filler // 7)
        messages = [{"role": "user", "content": question}]
        says: dict[str, dict[str, object]] = {
            "chat": {"messages": [{"role": "system", "content": system}, *messages], "max_tokens": 128},
            "messages": {"system": system, "messages": messages, "max_tokens": 128},
            "responses": {"instructions": system, "input": messages, "max_output_tokens": 128},
        }
        model = self.upstreams.get(upstream, "") + self.models[kind]
        request: dict[str, object] = {"model": model, **says[surface], "temperature": 0.2}
        if stream:
            request["stream"] = True
        return json.dumps(request, separators=(",", ":")).encode()


#: The kinds of provider that the gateway is put in front of, all of them the one upstream.
KINDS = {"chat": "openai-completions", "messages": "anthropic-messages", "responses": "openai-responses"}
UPSTREAM_MODELS = {"plain": "fake-model", "paced": "fake-pace5"}


class Upstream:
    """The fake provider, on the load generator's core."""

    def __init__(self, programs: Path, port: int) -> None:
        self.port = port
        with on_core(LOAD_CORE):
            self._process = subprocess.Popen([programs / "upstream", str(port), UPSTREAM_KEY])
        deadline = time.monotonic() + 5
        while True:
            try:
                self.stats()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def stats(self) -> dict[str, int]:
        """Its counters: requests, streams, bad_auth, bad_model, open, largest_body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/stats")
            counters: dict[str, int] = json.loads(connection.getresponse().read())
            return counters
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Running:
    """A started target. `cold_start_s` is the time from its start to its first good answer."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._process: subprocess.Popen[bytes] | None = None
        self.cold_start_s = 0.0
        if target.command:
            self._start()

    def _start(self) -> None:
        target = self.target
        log = WORKSHOP / "log" / f"{target.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        with log.open("wb") as output, on_core(SERVER_CORE):
            self._process = subprocess.Popen(
                target.command,
                env={**os.environ, **target.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self._wait_until_it_answers(begun, log)
        except BaseException:
            self.stop()
            raise
        self.cold_start_s = time.monotonic() - begun

    def _wait_until_it_answers(self, begun: float, log: Path) -> None:
        last = "no answer"
        while time.monotonic() - begun < START_LIMIT_S:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"{self.target.name} ended at once; its log is {log}")
            try:
                status, text = self._ask()
            except (OSError, HTTPException) as e:
                last = repr(e)
            else:
                if status == 200 and EXPECTED_TEXT in text:
                    return
                last = f"HTTP {status}: {text[:300]}"
            time.sleep(0.005)
        raise RuntimeError(f"{self.target.name} did not answer within {START_LIMIT_S:.0f} s ({last}); its log is {log}")

    def _ask(self) -> tuple[int, str]:
        target = self.target
        connection = HTTPConnection("127.0.0.1", target.port, timeout=10)
        headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", CHAT_PATH, target.body("plain", stream=False), headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()

    @property
    def pid(self) -> int:
        """The first process, or 0 where there is none (the direct call)."""
        return self._process.pid if self._process else 0

    def pids(self) -> list[int]:
        return process_tree(self.pid) if self._process else []

    def stop(self) -> None:
        if not self._process:
            return
        pids = self.pids()
        self._process.terminate()
        try:
            self._process.wait(8)
        except subprocess.TimeoutExpired:
            pass  # killed below, with whatever it has left behind
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # ended in time
        self._process.wait()
        self._process = None


def direct(upstream_port: int) -> Target:
    """No gateway at all: the client calls the upstream."""
    return Target("direct", upstream_port, (), UPSTREAM_MODELS, token=UPSTREAM_KEY)


def nginx(program: str, port: int, upstream_port: int) -> Target:
    """A bare relay: one worker, kept-alive connections, no access log, nothing parsed, the credential put in."""
    folder = WORKSHOP / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"""
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 32m;
  keepalive_requests 100000000;
  upstream provider {{
    server 127.0.0.1:{upstream_port};
    keepalive 256;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer {UPSTREAM_KEY}";
      proxy_buffering off;
    }}
  }}
}}
""")
    command = (program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf"))
    return Target("nginx", port, command, UPSTREAM_MODELS)


def litellm(program: str, port: int, upstream_port: int) -> Target:
    """LiteLLM's proxy as its own documentation starts it: one worker, a master key, no database."""
    folder = WORKSHOP / "litellm-home"
    folder.mkdir(parents=True, exist_ok=True)
    models = {"plain": "bench-model", "paced": "bench-paced"}
    rows = [
        {
            "model_name": models[kind],
            "litellm_params": {
                "model": f"openai/{UPSTREAM_MODELS[kind]}",
                "api_base": f"http://127.0.0.1:{upstream_port}/v1",
                "api_key": UPSTREAM_KEY,
            },
        }
        for kind in models
    ]
    settings = {"model_list": rows, "general_settings": {"master_key": CLIENT_TOKEN}}
    (folder / "config.yaml").write_text(json.dumps(settings, indent=2))  # JSON is YAML
    command = (program, "--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port))
    # Its price list would be fetched from the internet at start.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Target("litellm", port, command, models, environment=environment, surfaces=("chat",))


def gateway(program: Path, port: int, upstream_port: int) -> Target:
    """This gateway as a user runs it: `serve`, one process, with tokens, routing, egress, counts and request log on."""
    home = WORKSHOP / "gateway-home"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = home / "config.json"
    config.write_text(
        json.dumps(
            {
                "providers": {
                    f"bench-{surface}": {
                        "baseUrl": f"http://127.0.0.1:{upstream_port}/v1",
                        "api": api,
                        "auth": "api-key",
                        "apiKey": UPSTREAM_KEY,
                        "models": [{"id": model, "name": model} for model in UPSTREAM_MODELS.values()],
                    }
                    for surface, api in KINDS.items()
                },
                "authorization": {"tokens": {"bench": {"token": CLIENT_TOKEN, "scopes": ["read", "write"]}}},
                "egressPolicy": {"allowLocalProviders": [f"bench-{surface}" for surface in KINDS]},
            },
            indent=2,
        )
    )
    config.chmod(0o600)
    command = (str(program), "serve", "--port", str(port))
    upstreams = {surface: f"bench-{surface}/" for surface in KINDS}
    environment = {"OPEN_LLM_AUTH_HOME": str(home)}
    return Target("gateway", port, command, UPSTREAM_MODELS, environment=environment, upstreams=upstreams)
