"""The ports a browser comes back to: the first that is free, and what is done about the one who has it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from open_llm_auth.cli.listeners import holder_of
from open_llm_auth.cli.person import AtTerminal
from open_llm_auth.errors import SignInFailed
from open_llm_auth.testing import free_port

PATH = "/auth/callback"

#: What the Codex program does while it waits for a sign-in.
_CODEX = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            head = connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        if head.startswith(b"GET /cancel "):
            break
"""


@pytest.fixture
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """`waiting(name, port)` starts a program of that name that waits at that port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, port: int) -> subprocess.Popen[bytes]:
        script = tmp_path_factory.mktemp("a") / name
        script.write_text(_CODEX)
        started.append(subprocess.Popen([sys.executable, str(script), str(port)]))
        deadline = time.monotonic() + 10
        while holder_of(port) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def person(provider: str = "openai-codex", *, reads: bool = False) -> AtTerminal:
    return AtTerminal(provider, opens=False, reads=reads)


async def test_the_second_port_is_taken_where_the_first_is_not_free() -> None:
    someone, second = person(), free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        assert await someone.listen((first, second), PATH, "state") == second
    await someone.aclose()


async def test_a_sign_in_of_codex_makes_room(waiting) -> None:
    port = free_port()
    process = waiting("codex", port)
    someone = person()
    assert await someone.listen((port, free_port()), PATH, "state") == port
    assert process.wait(5) == 0
    await someone.aclose()


@pytest.mark.parametrize(("name", "provider"), [("server", "openai-codex"), ("codex", "acme")])
async def test_nobody_else_is_asked_to(waiting, name: str, provider: str) -> None:
    port, second = free_port(), free_port()
    process = waiting(name, port)
    someone = person(provider)
    assert await someone.listen((port, second), PATH, "state") == second
    assert process.poll() is None
    await someone.aclose()


async def test_where_all_are_taken_the_holder_is_named_and_the_paste_is_left(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert await person(reads=True).listen((port,), PATH, "state") == port
        assert f"port {port} is taken" in capsys.readouterr().out
        with pytest.raises(SignInFailed, match=f"port {port} is taken by process") as caught:
            await person().listen((port,), PATH, "state")
    assert caught.value.details["reason"] == "port_taken"


async def test_what_an_issuer_says_can_not_speak_to_the_terminal(capsys) -> None:
    await person().tell("a\x1b[31mb")
    await person().visit("https://a.example/\x1b]0;x", "c\x07", "")
    assert "\x1b" not in capsys.readouterr().out
