"""A canary as the credential of every kind of provider, in front of hostile ones, and a search of all that was said.

Each kind sends its credential in its own way: a bearer key, `x-api-key`, `x-goog-api-key`, a sign-in's token, AWS's
signature. Whoever gets it may say it back in errors, in streams that fail and in headers, each in its own dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.testing import (
    Behaviour,
    FakeAnthropic,
    FakeBedrock,
    FakeGemini,
    FakeOllama,
    FakeProvider,
    FakeResponses,
    GatewayProcess,
)
from open_llm_auth.testing.fake_server import FakeServer

from ..golden.frames import altered, frames_of, places, stream_of, streams
from ..golden.matrix import HERE
from ..ways_in import WAYS
from .canaries import MARK, Canaries, Heard, echoes


@dataclass(frozen=True)
class Kind:
    """A provider of one kind: the fake that stands for it, and where its credential belongs.

    `own` is the way in whose dialect it speaks, `foreign` another one.
    """

    api: str
    fake: str
    holder: str
    own: str
    foreign: str
    model: str = "m"
    auth: str = "api-key"
    profile: Mapping[str, str] = field(default_factory=dict)


#: By the id that a provider of it has here.
KINDS = {
    "as-chat": Kind("openai-completions", "chat", "authorization", "chat", "messages"),
    "as-responses": Kind("openai-responses", "responses", "authorization", "responses", "chat", "gpt-5.5"),
    "as-anthropic": Kind("anthropic-messages", "anthropic", "x-api-key", "messages", "chat", "claude-sonnet-4-6"),
    "as-gemini": Kind("google-generative-ai", "gemini", "x-goog-api-key", "gemini", "universal"),
    "as-bedrock": Kind("bedrock-converse-stream", "bedrock", "authorization", "messages", "responses"),
    "as-ollama": Kind("ollama", "ollama", "authorization", "chat", "gemini"),
    "as-copilot": Kind("github-copilot", "chat", "authorization", "chat", "gemini", auth="token"),
    "as-codex": Kind("openai-codex-responses", "responses", "authorization", "responses", "messages", auth="oauth"),
    "claude-sign-in": Kind(
        "anthropic-messages", "anthropic", "authorization", "messages", "responses", "claude-sonnet-4-6", "oauth",
        {"type": "oauth", "secret": "access"},
    ),
    "google-sign-in": Kind(
        "google-generative-ai", "gemini", "authorization", "gemini", "chat", "m", "oauth",
        {"type": "oauth", "secret": "access"},
    ),
    "setup-token": Kind(
        "anthropic-messages", "anthropic", "authorization", "messages", "gemini", "claude-sonnet-4-6", "token",
        {"type": "token", "secret": "token"},
    ),
    "amazon-bedrock": Kind("bedrock-converse-stream", "bedrock", "authorization", "messages", "chat", auth="aws-sdk"),
    "as-signing": Kind(
        "bedrock-converse-stream", "bedrock", "x-amz-security-token", "chat", "messages", auth="aws-sdk",
    ),
}  # fmt: skip
FAKES = {
    "chat": FakeProvider,
    "responses": FakeResponses,
    "anthropic": FakeAnthropic,
    "gemini": FakeGemini,
    "bedrock": FakeBedrock,
    "ollama": FakeOllama,
}
DIALECTS = {
    "chat": "openai-chat",
    "responses": "openai-responses",
    "anthropic": "anthropic-messages",
    "gemini": "google-genai",
    "bedrock": "bedrock-converse",
    "ollama": "ollama",
}


class Run:
    """One gateway, a provider of every kind, and what was heard of them."""

    def __init__(self, home: Path, fakes: Mapping[str, FakeServer]) -> None:
        self.canaries = Canaries()
        self.heard = Heard()
        self.fakes = fakes
        self._home = home
        self._read = 0
        self.gateway = GatewayProcess(home, self._document(), environ=self._environ())

    def _environ(self) -> dict[str, str]:
        c = self.canaries
        # Keys of AWS have a form of their own, which botocore does not judge.
        return {
            "AWS_BEARER_TOKEN_BEDROCK": c["amazon-bedrock"],
            "AWS_ACCESS_KEY_ID": c["access-key"],
            "AWS_SECRET_ACCESS_KEY": c["secret-key"],
            "AWS_SESSION_TOKEN": c["as-signing"],
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(self._home / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self._home / "none"),
        }

    def _document(self) -> dict[str, Any]:
        c, providers, profiles = self.canaries, {}, {}
        for name, kind in KINDS.items():
            row = {"baseUrl": self.fakes[kind.fake].base_url, "api": kind.api, "auth": kind.auth}
            row["headers"] = {"x-secret": c[f"{name} header"]}
            if kind.profile:
                kept = {kind.profile["secret"]: c[name], "refresh": c[f"{name} refresh"], "provider": name}
                profiles[f"{name}:mine"] = kept | {"type": kind.profile["type"]}
            elif kind.auth != "aws-sdk":
                row["apiKey"] = c[name]
            providers[name] = row
        for name in ("says-json", "says-text"):
            providers[name] = {"api": "claude-cli", "auth": "cli", "command": self._program(name)}
        tokens = {"client": {"token": c["token"], "scopes": ["read", "write"]}}
        return {
            "providers": providers,
            "authProfiles": profiles,
            "authorization": {"tokens": tokens},
            "egressPolicy": {"allowLocalProviders": list(KINDS)},
        }

    def _program(self, name: str) -> str:
        """A command that knows a key of another provider, and complains of it."""
        said = self._home / f"{name}.txt"
        key = self.canaries["as-chat"]
        sample = (HERE / "replies" / "claude-cli" / "error_401.jsonl").read_text()
        said.write_text(sample.replace("invalid key sample", f"bad {key}") if name == "says-json" else f"error: {key}")
        program = self._home / f"{name}.sh"
        end = f"cat '{said}'" if name == "says-json" else f"cat '{said}' >&2; exit 3"
        program.write_text(f"#!/bin/sh\ncat > /dev/null\n{end}\n")
        program.chmod(0o755)
        return str(program)

    def new_in_log(self) -> str:
        """What it has said since this was asked last; a little of what was before, which a secret may begin in."""
        log = self.gateway.log()
        new, self._read = log[max(0, self._read - 200) :], len(log)
        return new

    def ask(self, way: str, model: str, *, stream: bool = False, text: str = "hi") -> Any:
        return self.post(
            WAYS[way].target(model, stream=stream), json.dumps(WAYS[way].body(model, text, stream=stream)).encode()
        )

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Any:
        headers = {"authorization": f"Bearer {self.canaries['token']}"} if headers is None else headers
        answer = self.gateway.request("POST", path, body=body, headers=headers)
        self.heard.note(f"{path} {body[:80]!r}", f"{answer.status} {dict(answer.headers)} {answer.body!r}")
        return answer

    def sent_by(self, name: str) -> dict[str, str]:
        """All of it that a hostile provider of that id is given."""
        sent = {"key": self.canaries[name], "header": self.canaries[f"{name} header"]}
        return sent | ({"access": self.canaries["access-key"]} if name == "as-signing" else {})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Run]:
    with ExitStack() as running:
        fakes = {name: running.enter_context(fake(keys=None)) for name, fake in FAKES.items()}
        run = Run(tmp_path_factory.mktemp("kinds"), fakes)
        with run.gateway:
            yield run
            run.gateway.stop()
            run.heard.note("the log", run.gateway.log())
            assert run.heard.search(run.canaries) == []


@pytest.fixture(autouse=True)
def searched(run: Run) -> Iterator[None]:
    """Each step is searched at its end, so that a find names it."""
    for fake in run.fakes.values():
        fake.reset()
    run.heard.said.clear()
    yield
    for fake in run.fakes.values():
        fake.reset()
    run.heard.note("the log", run.new_in_log())
    assert run.heard.search(run.canaries) == []


@pytest.fixture(params=list(KINDS))
def name(request) -> str:
    return request.param


def hostile(run: Run, name: str, behaviour: Behaviour) -> list[Any]:
    """The provider behaves so, to clients of its own dialect and of another one."""
    kind = KINDS[name]
    run.fakes[kind.fake].when(behaviour)
    return [
        run.ask(way, f"{name}/{kind.model}", stream=stream)
        for way in (kind.own, kind.foreign)
        for stream in (False, True)
    ]


def test_the_credential_of_every_kind_stands_in_its_own_place_and_nowhere_else(run: Run, name: str):
    kind = KINDS[name]
    for way in WAYS:
        for stream in (False, True):
            answer = run.ask(way, f"{name}/{kind.model}", stream=stream)
            assert answer.status == 200, answer.body
    calls = run.fakes[kind.fake].calls
    assert len(calls) == 2 * len(WAYS)
    for call in calls:
        assert MARK not in call.request.target + call.request.body.decode()
        holders = {header.lower() for header, value in call.request.headers if MARK in value}
        signed = {"authorization"} if name == "as-signing" else set()
        assert holders == {kind.holder, "x-secret", *signed}
        assert run.canaries[name] in call.request.fields[kind.holder]
        assert run.canaries["secret-key"] not in repr(call.request)
        assert run.canaries["token"] not in repr(call.request)


@pytest.mark.parametrize("place", sorted(echoes(dict.fromkeys(("key", "header", "access"), ""))))
def test_a_provider_of_any_kind_that_repeats_its_key_is_not_repeated(run: Run, name: str, place: str):
    hostile(run, name, echoes(run.sent_by(name))[place])


def test_a_provider_that_repeats_all_of_its_headers_is_not_repeated(run: Run, name: str):
    def everything(headers: Mapping[str, str]) -> dict[str, Any]:
        said = " ".join(f"{each}: {value}" for each, value in headers.items())
        return {
            "error": {"message": f"Refused {said}", "type": "invalid_request_error", "code": headers.get("x-secret")}
        }

    for status in (400, 401, 403, 429, 500):
        for answer in hostile(run, name, Behaviour(status=status, body=everything)):
            assert answer.status >= 400


def filled(document: Any, words: str) -> Any:
    """Every text of it with these words at its end, but for the few that say what kind of thing it is."""
    for at in list(places(document)):
        value = document
        for part in at:
            value = value[part]
        if isinstance(value, str) and (not at or at[-1] not in ("type", "object", "role")):
            document = altered(document, at, f"{value} {words}")
    return document


@pytest.mark.parametrize("status", [400, 401, 429, 529])
def test_no_field_of_an_error_in_the_dialect_s_own_form_is_repeated(run: Run, name: str, status: int):
    sample = (HERE / "replies" / DIALECTS[KINDS[name].fake] / f"error_{status}.json").read_bytes()
    words = " ".join(run.sent_by(name).values())
    body = json.dumps(filled(json.loads(sample), words)).encode()
    for answer in hostile(run, name, Behaviour(status=status, body=body)):
        assert answer.status == status
    hostile(run, name, Behaviour(body=body))


def test_no_field_of_an_error_within_a_stream_is_repeated(run: Run, name: str):
    kind = KINDS[name]
    (path,) = (path for path in streams(DIALECTS[kind.fake]) if path.stem == "stream_error")
    words = " ".join(run.sent_by(name).values())
    kinds = {".sse": "text/event-stream", ".jsonl": "application/x-ndjson"}
    content_type = kinds.get(path.suffix, "application/vnd.amazon.eventstream")
    frames = frames_of(path)
    # The last event tells the failure; of Responses it is the last two.
    for first in range(len(frames) - (2 if kind.fake == "responses" else 1), len(frames)):
        late = [(event, json.dumps(filled(json.loads(said), words)).encode()) for event, said in frames[first:]]
        for kept in (frames[:first], []):  # after something was said, and before
            body = stream_of([*kept, *late], path.suffix)
            answers = hostile(run, name, Behaviour(body=body, headers=(("content-type", content_type),)))
            assert all(b"It is" in answer.body for answer in answers[1::2]) or not kept


def test_a_response_that_failed_half_way_is_not_repeated(run: Run):
    """Whole, with the good status, and with what had been said until then."""
    words = " ".join(run.sent_by("as-responses").values())
    for output in ([], [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It"}]}]):
        error = {"code": "server_error", "message": f"went wrong with {words}"}
        body = {"id": "resp_1", "object": "response", "status": "failed", "error": error, "output": output}
        for answer in hostile(run, "as-responses", Behaviour(body=json.dumps(body).encode())):
            assert b"went wrong with" in answer.body


def test_limits_that_hold_a_key_are_not_passed_on(run: Run, name: str):
    words = " ".join(run.sent_by(name).values())
    limits = ("x-ratelimit-key", "anthropic-ratelimit-key", "x-codex-key", "retry-after", "x-should-retry")
    headers = tuple((limit, words) for limit in (*limits, "x-request-id", "set-cookie", "x-amzn-errortype"))
    error = {"error": {"message": "slow down", "type": "rate_limit_error", "code": None}}
    hostile(run, name, Behaviour(headers=headers))
    hostile(run, name, Behaviour(status=429, body=error, headers=headers))


def test_what_counts_tokens_repeats_nothing_either(run: Run):
    for name, path in (
        ("as-anthropic", "/v1/messages/count_tokens"),
        ("as-gemini", "/v1beta/models/as-gemini/m:countTokens"),
    ):
        kind = KINDS[name]
        body = WAYS[kind.own].body(f"{name}/{kind.model}")
        for place, behaviour in echoes(run.sent_by(name)).items():
            run.fakes[kind.fake].when(behaviour)
            assert run.post(path, json.dumps(body).encode()).status, place


@pytest.mark.parametrize("command", ["says-json", "says-text"])
def test_a_program_s_complaint_is_told_without_the_keys_in_it(run: Run, command: str):
    for way in WAYS:
        for stream in (False, True):
            answer = run.ask(way, f"{command}/sonnet", stream=stream)
            assert answer.status >= 400
            assert b"[REDACTED]" in answer.body


@pytest.mark.parametrize("way", list(WAYS))
def test_the_token_of_a_client_is_not_quoted_back_on_any_way_in(run: Run, way: str):
    token = run.canaries["token"]
    path, body = WAYS[way].target("as-chat/m"), json.dumps(WAYS[way].body("as-chat/m")).encode()
    joint = "&" if "?" in path else "?"
    for target, headers in (
        (f"{path}{joint}key={token}", {}),
        (path, {"authorization": f"Basic {token}"}),
        (path, {"authorization": f"Bearer {token}x"}),
        (path, {"x-api-key": f"{token}x"}),
        (path, {"x-goog-api-key": f"{token}x"}),
        (path, {"cookie": token}),
    ):
        assert run.post(target, body, headers).status == 401
    for headers in ({"x-api-key": token}, {"x-goog-api-key": token}):
        assert run.post(path, body, headers).status == 200
        assert run.post(path, b"{" + token.encode(), headers).status == 400
