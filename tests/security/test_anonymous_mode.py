"""Anonymous admin: asked for at the start, only while no token exists, ended by the first one (SPEC §2)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from open_llm_auth.testing import GatewayProcess, free_port

READER = {"reader": {"token": "anon-reader", "scopes": ["read"]}}
ON = {"OPEN_LLM_AUTH_ALLOW_ANON": "1"}


def status(gateway: GatewayProcess, token: str = "") -> int:
    return gateway.request("GET", "/v1/models", token=token).status


def becomes(gateway: GatewayProcess, wanted: int, token: str = "", seconds: float = 3.0) -> bool:
    """Whether the answer is `wanted` before the time a reload may take is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if status(gateway, token) == wanted:
            return True
        time.sleep(0.05)
    return False


def write(gateway: GatewayProcess, **sections: object) -> None:
    gateway.write_config({"providers": {}} | sections)


def test_it_ends_with_the_first_token_and_never_comes_back(make_gateway):
    """A reload brings a token: strangers are strangers. A reload takes it away: they stay so."""
    gateway = make_gateway({"providers": {}}, ON, token="")
    assert status(gateway) == 200
    assert status(gateway, "whatever a client sends by habit") == 200
    write(gateway, authorization={"tokens": READER})
    assert becomes(gateway, 401)
    assert status(gateway, "anon-reader") == 200
    assert status(gateway, "whatever a client sends by habit") == 401
    write(gateway)
    assert becomes(gateway, 401, token="anon-reader")
    assert status(gateway) == 401
    assert "No token is configured" in gateway.request("GET", "/v1/models", token="").json()["error"]["message"]


def test_foreign_pages_are_no_admins_even_then(make_gateway):
    gateway = make_gateway({"providers": {}}, ON, token="")
    for fields in ({"origin": "https://evil.example"}, {"origin": "null"}):
        assert gateway.request("POST", "/v1/chat/completions", body={}, headers=fields, token="").status == 403
    assert gateway.request("GET", "/v1/models", headers={"host": "evil.example"}, token="").status == 421


@pytest.mark.parametrize(
    "sections",
    [
        {"authorization": {"tokens": {"off": {"token": "anon-off", "admin": True, "enabled": False}}}},
        {"authorization": {"tokens": {"late": {"token": "anon-late", "admin": True, "expiresAt": 1}}}},
        {"serverToken": "anon-legacy"},
        {"serverToken": "anon-legacy", "authorization": {"legacyAdminCompatibility": False}},
        {"serverToken": "env:ANON_NOT_SET"},
        {"authorization": {"tokens": {"lost": {"token": "env:ANON_NOT_SET", "admin": True}}}},
    ],
    ids=["disabled", "expired", "legacy", "legacy, switched off", "legacy, unresolved", "unresolved"],
)
def test_any_token_at_all_keeps_it_from_beginning(make_gateway, sections):
    gateway = make_gateway({"providers": {}} | sections, ON, token="")
    assert status(gateway) == 401
    write(gateway)
    time.sleep(0.8)
    assert status(gateway) == 401, "a reload has begun anonymous mode"


def test_the_environments_token_keeps_it_from_beginning(make_gateway):
    gateway = make_gateway({"providers": {}}, {**ON, "OPEN_LLM_AUTH_TOKEN": "anon-environment"}, token="")
    assert status(gateway) == 401
    assert status(gateway, "anon-environment") == 200


def test_the_dotenvs_token_ends_it(make_gateway):
    gateway = make_gateway({"providers": {}}, ON, token="")
    assert status(gateway) == 200
    dotenv = gateway.home / ".env"
    dotenv.write_text("OPEN_LLM_AUTH_TOKEN=anon-dotenv\n")
    dotenv.chmod(0o600)
    assert becomes(gateway, 401)
    assert status(gateway, "anon-dotenv") == 200


def test_a_config_that_breaks_does_not_begin_it(make_gateway):
    gateway = make_gateway({"authorization": {"tokens": READER}}, ON, token="")
    assert status(gateway) == 401
    for text in ("{ not json", "[]", '{"authorization": {"tokens": 7}}', ""):
        gateway.config_path.write_text(text)
        time.sleep(0.7)
        assert status(gateway) == 401
        assert status(gateway, "anon-reader") == 200
    gateway.config_path.unlink()
    time.sleep(0.7)
    assert status(gateway) == 401


SPELLINGS = {
    "1": True, "true": True, "TRUE": True, "yes": True, "Yes": True, "on": True, " on ": True,
    "0": False, "false": False, "no": False, "off": False, "": False, "2": False, "y": False, "t": False,
    "enabled": False, "none": False, "null": False, "1 1": False, "-1": False, "01": False,
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS, ids=repr)
async def test_only_four_words_switch_it_on(tmp_path: Path, text):
    """The composition root itself, because each spelling would be a process."""
    (tmp_path / "config.json").write_text("{}")
    asked = await ask_in_process(tmp_path, HERE, OPEN_LLM_AUTH_ALLOW_ANON=text)
    assert asked[0]["status"] == (200 if SPELLINGS[text] else 401)


HERE = {"server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 40000)}


async def ask_in_process(home: Path, connection, **environ: str) -> list[dict[str, object]]:
    """What the composition root answers to a caller without a token, as any ASGI server would hand it on."""
    from open_llm_auth.main import open_gateway

    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v1/models", "headers": [(b"host", b"localhost")], **connection}
    environ |= {"HOME": str(home), "OPEN_LLM_AUTH_HOME": str(home)}
    async with open_gateway(environ, log=lambda _: None) as gateway:
        await gateway.application(scope, receive, send)
    return sent


CONNECTIONS = [
    ({"server": ("127.0.0.1", 80), "client": ("127.0.0.1", 5)}, 200),
    ({"server": ("127.9.9.9", 80), "client": None}, 200),
    ({"server": ("::1", 80), "client": ("::1", 5)}, 200),
    ({"server": ("::ffff:127.0.0.1", 80), "client": ("::ffff:127.0.0.1", 5)}, 200),
    ({"server": ("localhost", 80), "client": None}, 200),
    ({"server": ("/run/gateway.sock", None), "client": None}, 200),
    ({"server": None, "client": ("127.0.0.1", 5)}, 200),
    ({"server": ("192.168.1.5", 80), "client": ("192.168.1.7", 5)}, 401),
    ({"server": ("192.168.1.5", 80), "client": ("192.168.1.5", 5)}, 401),
    ({"server": ("::ffff:192.168.1.5", 80), "client": ("::ffff:192.168.1.7", 5)}, 401),
    ({"server": ("gateway.example", 80), "client": ("127.0.0.1", 5)}, 401),
    ({"server": None, "client": ("192.168.1.7", 5)}, 401),
    ({"server": None, "client": None}, 401),
    ({}, 401),
]


@pytest.mark.parametrize(("connection", "status"), CONNECTIONS, ids=str)
async def test_it_admits_nobody_from_beyond_this_machine_whichever_server_runs_it(tmp_path, connection, status):
    sent = await ask_in_process(tmp_path, connection, OPEN_LLM_AUTH_ALLOW_ANON="1")
    assert sent[0]["status"] == status
    if status == 401:
        assert b"OPEN_LLM_AUTH_ALLOW_ANON is for callers on the gateway's own machine" in sent[1]["body"]
    more = {"OPEN_LLM_AUTH_ALLOW_ANON": "1", "OPEN_LLM_AUTH_OPEN_ON_PURPOSE": "yes"}
    assert (await ask_in_process(tmp_path, connection, **more))[0]["status"] == 200


async def test_a_purpose_alone_admits_nobody(tmp_path):
    assert (await ask_in_process(tmp_path, HERE, OPEN_LLM_AUTH_OPEN_ON_PURPOSE="1"))[0]["status"] == 401


def test_it_never_listens_beyond_this_machine_by_accident(tmp_path):
    """The command refuses to start; nothing is listening afterwards."""
    import subprocess
    import sys

    (tmp_path / "config.json").write_text("{}")
    environ = {"HOME": str(tmp_path), "OPEN_LLM_AUTH_HOME": str(tmp_path), **ON}
    command = [sys.executable, "-m", "open_llm_auth.cli", "serve", "--host", "0.0.0.0", "--port", str(free_port())]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "--i-know-this-is-open" in done.stdout + done.stderr
