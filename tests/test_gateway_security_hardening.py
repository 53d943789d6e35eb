"""What an attacker tries, told as a story; tests/security holds the tables behind each chapter.

One gateway on this machine, one provider behind it, and somebody who wants the key, the neighbour's calls, or the
machine's metadata: a page the user has open, a program with a small token, a provider that has turned hostile, and a
person who reads over the shoulder.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from open_llm_auth.testing import Behaviour, FakeProvider, GatewayAnswer, GatewayProcess

KEY, OTHER_KEY = "story-provider-key-0001", "story-other-key-0002"
READER, WRITER, SMALL = "story-reader", "story-writer", "story-small"
CHAT = {"model": "fake/fake-model", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(keys=(KEY,)) as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, provider: FakeProvider) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("story")
    home.chmod(0o700)
    row = {"auth": "api-key", "api": "openai-completions"}
    config = {
        "providers": {
            "fake": {"baseUrl": provider.base_url, "apiKey": KEY, **row},
            "cloud": {"baseUrl": "http://169.254.169.254/v1", "apiKey": OTHER_KEY, **row},
        },
        "authorization": {
            "tokens": {
                "reader": {"token": READER, "scopes": ["read"]},
                "writer": {"token": WRITER, "scopes": ["read", "write"]},
                "small": {"token": SMALL, "scopes": ["read", "write"], "models": ["fake/tiny"]},
            }
        },
        "egressPolicy": {"allowLocalProviders": ["fake", "cloud"]},
        "server": {"corsOrigins": ["https://app.example"]},
    }
    with GatewayProcess(home, config, token=WRITER) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def quiet(gateway: GatewayProcess, provider: FakeProvider) -> Iterator[None]:
    """After every chapter the gateway lives, and its log holds neither a key nor a token nor a traceback."""
    provider.reset()
    yield
    assert gateway.request("GET", "/health", token="").status == 200
    log = gateway.log()
    assert not [secret for secret in (KEY, OTHER_KEY, READER, WRITER, SMALL, "Traceback") if secret in log]


def chat(gateway: GatewayProcess, model: str = "fake/fake-model", **options: object) -> GatewayAnswer:
    body = CHAT | {"model": model}
    return gateway.request("POST", "/v1/chat/completions", body=body, **options)  # type: ignore[arg-type]


def code(answer: GatewayAnswer) -> str:
    return answer.json()["error"]["code"]


def test_a_stranger_gets_nothing_but_the_way_to_ask(gateway, provider):
    answer = chat(gateway, token="")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert chat(gateway, token="guess").status == 401
    assert gateway.request("GET", "/health/ready", token="").json() == {"status": "ready"}
    assert provider.calls == []


def test_a_program_does_what_its_token_says_and_no_more(gateway, provider):
    assert gateway.request("GET", "/v1/models", token=READER).status == 200
    refused = chat(gateway, token=READER)
    assert (refused.status, code(refused)) == (403, "insufficient_scope")
    assert refused.json()["error"]["details"]["required"] == "write"
    refused = chat(gateway, token=SMALL)
    assert (refused.status, code(refused)) == (403, "model_not_allowed")
    assert provider.calls == []
    assert chat(gateway, "fake/tiny", token=SMALL).status == 200


def test_a_page_the_user_has_open_can_neither_call_nor_read(gateway, provider):
    """Rebinding needs a name of its own; a plain cross-origin call has an Origin of its own."""
    rebound = {"host": f"evil.example:{gateway.port}"}
    assert chat(gateway, headers=rebound).status == 421
    for origin in ("https://evil.example", "null", f"http://localhost:{gateway.port + 1}"):
        answer = chat(gateway, headers={"origin": origin})
        assert (answer.status, code(answer)) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers
    assert provider.calls == []
    invited = chat(gateway, headers={"origin": "https://app.example"})
    assert (invited.status, invited.headers["access-control-allow-origin"]) == (200, "https://app.example")


def test_a_client_never_sees_the_key_and_a_provider_never_sees_the_token(gateway, provider):
    answer = chat(gateway)
    assert answer.status == 200
    assert KEY not in repr(answer)
    (call,) = provider.calls
    assert call.request.key == KEY
    assert WRITER not in repr(call.request)


def test_a_provider_that_turns_hostile_can_not_hand_the_key_on(gateway, provider):
    """It repeats the key in its words, in its headers, where a text is cut, and in the middle of a stream."""
    error = {"error": {"message": "x" * 1990 + KEY, "type": KEY, "param": KEY, "code": "y" * 190 + KEY}}
    headers = (("x-ratelimit-key", KEY), ("retry-after", KEY), ("set-cookie", KEY))
    for behaviour in (
        Behaviour(status=400, body=error, headers=headers),
        Behaviour(headers=headers),
        Behaviour(trouble="error_event", after_events=3, error=error),
        Behaviour(status=502, body=f"<html>{KEY}</html>".encode()),
        Behaviour(body=f"no JSON {KEY}".encode(), headers=(("content-encoding", KEY),)),
    ):
        for stream in (False, True):
            provider.next(*[behaviour] * 2)
            answer = gateway.request("POST", "/v1/chat/completions", body=CHAT | {"stream": stream})
            assert KEY[:16] not in repr(answer)
            provider.reset()


def test_nobody_reaches_the_metadata_address_and_no_redirect_leads_there(gateway, provider):
    """Not even a provider that may be local."""
    refused = chat(gateway, "cloud/m")
    assert (refused.status, code(refused)) == (403, "egress_destination_blocked")
    assert OTHER_KEY not in repr(refused)
    provider.next("redirect", "redirect")
    answer = chat(gateway)
    assert (answer.status, code(answer)) == (502, "upstream_invalid_response")
    assert "location" not in answer.headers


def test_a_models_name_can_not_write_a_header_or_a_line_of_the_log(gateway, provider):
    for name in ("fake/a\r\nset-cookie: a=b", 'fake/a\n{"path": "/forged"}', "fake/\x1b[2J", "fake/\ud800"):
        answer = chat(gateway, name)
        assert (answer.status, code(answer)) == (400, "invalid_request")
        assert "set-cookie" not in answer.headers
    assert provider.calls == []
    assert "/forged" not in {row["path"] for row in gateway.rows()}


def test_a_flood_is_refused_before_it_is_kept(gateway, provider):
    deep = b'{"messages": ' + b"[" * 100_000
    answer = gateway.request("POST", "/v1/chat/completions", body=deep)
    assert (answer.status, code(answer)) == (400, "invalid_request")
    large = {"content-length": str(34 << 20)}
    answer = gateway.request("POST", "/v1/chat/completions", body=b"{", headers=large)
    assert (answer.status, code(answer)) == (413, "request_too_large")
    assert provider.calls == []


def test_a_revoked_token_is_out_within_two_seconds_and_a_broken_config_lets_nobody_in(gateway):
    before = gateway.config_path.read_text()
    config = json.loads(before)
    config["authorization"]["tokens"]["small"]["enabled"] = False
    gateway.write_config(config)
    deadline = time.monotonic() + 2
    while gateway.request("GET", "/v1/models", token=SMALL).status != 401:
        assert time.monotonic() < deadline, "it is still let in"
        time.sleep(0.02)
    gateway.config_path.write_text(before[: before.index(KEY) + 8])
    time.sleep(0.8)
    assert gateway.request("GET", "/v1/models", token=SMALL).status == 401
    assert gateway.request("GET", "/v1/models", token="").status == 401
    assert chat(gateway).status == 200
    ready = gateway.request("GET", "/health/ready")
    assert ready.json()["status"] == "degraded"
    assert KEY[:8] not in repr(ready)
    gateway.write_config(json.loads(before))


def test_who_looks_over_the_shoulder_learns_nothing(gateway):
    """Commands, the process list, and the files beside the config."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(gateway.home), "OPEN_LLM_AUTH_HOME": str(gateway.home)}
    for words in (("auth", "list", "--json"), ("tokens", "list", "--json"), ("doctor", "--offline", "--json")):
        command = [sys.executable, "-m", "open_llm_auth.cli", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
        said = done.stdout + done.stderr
        assert said
        assert not [secret for secret in (KEY, OTHER_KEY, READER, WRITER, SMALL) if secret in said]
    assert stat.S_IMODE(gateway.config_path.stat().st_mode) == 0o600
