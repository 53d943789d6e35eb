"""The listener that a browser comes back to, with real sockets and requests that are not from the browser."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

import pytest

from open_llm_auth.testing import free_port
from open_llm_auth.transport.loopback import CallbackListener, cancel_codex

PATH = "/auth/callback"
STATE = "state-canary"
GOOD = f"{PATH}?code=code-canary&state={STATE}"


@pytest.fixture
async def listener() -> AsyncIterator[CallbackListener]:
    opened = await CallbackListener.open(0, PATH, STATE)
    yield opened
    await opened.aclose()


async def ask(
    listener: CallbackListener,
    target: str = GOOD,
    method: str = "GET",
    *,
    host: str | None = "",
    at: str = "127.0.0.1",
    more: str = "",
) -> tuple[int, str]:
    """Status and whole answer; the connection has to be closed by the listener."""
    line = "" if host is None else f"Host: {host or f'localhost:{listener.port}'}\r\n"
    return await raw(listener, f"{method} {target} HTTP/1.1\r\n{line}{more}\r\n".encode(), at)


async def raw(listener: CallbackListener, data: bytes, at: str = "127.0.0.1") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(at, listener.port)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split(" ")[1]), answer


async def test_the_right_address_gives_the_parameters_and_a_page_without_them(listener: CallbackListener) -> None:
    status, answer = await ask(listener)
    assert status == 200
    assert "Go back to the terminal" in answer
    assert "canary" not in answer
    assert await listener.callback() == {"code": "code-canary", "state": STATE}


async def test_the_page_is_closed_to_everything_else(listener: CallbackListener) -> None:
    _, answer = await ask(listener)
    head = answer.partition("\r\n\r\n")[0].lower()
    for field in (
        "content-security-policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "connection: close",
    ):
        assert field in head
    assert "access-control" not in head


async def test_a_wrong_state_is_refused_and_does_not_use_the_attempt_up(listener: CallbackListener) -> None:
    for target in (
        f"{PATH}?code=evil&state=wrong",
        f"{PATH}?code=evil&state={STATE}x",
        f"{PATH}?code=evil&state=",
        f"{PATH}?code=evil",
        f"{PATH}?code=evil&state={STATE}&state=x",
        PATH,
        f"{PATH}?error=access_denied",
    ):
        status, answer = await ask(listener, target)
        assert (status, "goes on waiting" in answer) == (400, True)
    assert (await ask(listener))[0] == 200
    assert (await listener.callback())["code"] == "code-canary"


async def test_a_replayed_callback_changes_nothing(listener: CallbackListener) -> None:
    await ask(listener)
    for target in (GOOD, f"{PATH}?code=other&state={STATE}", f"{PATH}?code=evil&state=wrong"):
        status, answer = await ask(listener, target)
        assert (status, "Already done" in answer) == (200, True)
    assert (await listener.callback())["code"] == "code-canary"


async def test_a_refusal_of_the_issuer_is_passed_on_with_a_page_that_says_so(listener: CallbackListener) -> None:
    status, answer = await ask(listener, f"{PATH}?error=access_denied&state={STATE}")
    assert (status, "turned down" in answer) == (200, True)
    assert (await listener.callback())["error"] == "access_denied"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
async def test_loopback_names_with_the_port_are_the_only_hosts(listener: CallbackListener, host: str) -> None:
    assert (await ask(listener, host=f"{host}:{listener.port}"))[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost", "localhost:1", "127.0.0.1.evil.example:{port}", " "]
)
async def test_a_name_that_was_rebound_gets_nothing(listener: CallbackListener, host: str) -> None:
    assert (await ask(listener, host=host.format(port=listener.port)))[0] == 421
    assert (await ask(listener))[0] == 200


async def test_no_host_or_two_of_them_get_nothing(listener: CallbackListener) -> None:
    assert (await ask(listener, host=None))[0] == 421
    assert (await ask(listener, more="Host: evil.example\r\n"))[0] == 421


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "PUT", "get"])
async def test_only_get_will_do(listener: CallbackListener, method: str) -> None:
    status, answer = await ask(listener, method=method)
    assert (status, "allow: GET" in answer) == (405, True)
    assert (await ask(listener))[0] == 200


@pytest.mark.parametrize(
    "target", ["/", "/auth/callback/", "/auth", "/AUTH/CALLBACK?state=x", "/favicon.ico", "/cancel"]
)
async def test_only_its_path_will_do(listener: CallbackListener, target: str) -> None:
    assert (await ask(listener, target))[0] == 404
    assert (await ask(listener))[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET /auth/callback\r\n\r\n",
        b"GET http://localhost/auth/callback HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
    ],
)
async def test_what_is_no_request_of_a_browser_gets_nothing(listener: CallbackListener, data: bytes) -> None:
    assert (await raw(listener, data))[0] == 400
    assert (await ask(listener))[0] == 200


async def test_a_head_without_end_and_silence_hold_nothing_up(listener: CallbackListener) -> None:
    endless = await asyncio.open_connection("127.0.0.1", listener.port)
    endless[1].write(b"GET /" + b"a" * 100_000)
    silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(5)]
    assert (await ask(listener))[0] == 200
    for _, writer in (endless, *silent):
        writer.close()


async def test_a_browser_that_keeps_its_connection_is_let_go(listener: CallbackListener) -> None:
    """A kept connection would bring the callback of the next sign-in to the listener of this one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    head = f"Host: localhost:{listener.port}\r\nConnection: keep-alive\r\n\r\n"
    writer.write(f"GET /favicon.ico HTTP/1.1\r\n{head}".encode())
    await reader.readuntil(b"</html>\n")
    assert await reader.read() == b""
    writer.close()


async def test_it_listens_on_loopback_alone_and_on_both_of_it() -> None:
    listener = await CallbackListener.open(0, PATH, STATE)
    try:
        bound = {sock.getsockname()[0] for server in listener._servers for sock in server.sockets}
        assert bound <= {"127.0.0.1", "::1"}
        assert "127.0.0.1" in bound
        if "::1" in bound:
            assert (await ask(listener, at="::1"))[0] == 200
    finally:
        await listener.aclose()


async def test_a_second_listener_on_the_port_is_an_error_and_the_first_goes_on(listener: CallbackListener) -> None:
    with pytest.raises(OSError, match="in use") as caught:
        await CallbackListener.open(listener.port, PATH, "other")
    assert caught.value.errno == errno.EADDRINUSE
    assert (await ask(listener))[0] == 200


async def test_a_port_that_somebody_has_on_the_other_loopback_address_is_taken() -> None:
    """`localhost` is either address to a browser: half a port would leave the code to a stranger."""
    port = free_port()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        try:
            other.bind(("::1", port))
        except OSError:
            pytest.skip("NO IPV6 HERE")
        other.listen()
        with pytest.raises(OSError, match="in use"):
            await CallbackListener.open(port, PATH, STATE)


async def test_a_port_is_free_again_at_once(listener: CallbackListener) -> None:
    await ask(listener)
    await listener.aclose()
    again = await CallbackListener.open(listener.port, PATH, "next")
    assert (await ask(again, f"{PATH}?code=a&state=next"))[0] == 200
    await again.aclose()


async def test_closing_it_lets_go_of_who_waits() -> None:
    listener = await CallbackListener.open(0, PATH, STATE)
    waiting = asyncio.create_task(listener.callback())
    await asyncio.sleep(0)
    await listener.aclose()
    await listener.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_codex_is_asked_to_make_room_as_it_asks_itself() -> None:
    seen: list[bytes] = []

    async def codex(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(codex, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await cancel_codex(port)
    server.close()
    assert seen[0].startswith(b"GET /cancel HTTP/1.1\r\n")


async def test_nobody_there_to_make_room_is_no_trouble() -> None:
    await cancel_codex(free_port())


async def test_closing_it_amid_a_conversation_is_quiet() -> None:
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    listener = await CallbackListener.open(0, PATH, STATE)
    kept = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
    kept[0][1].write(f"GET {GOOD} HTTP/1.1\r\nHost: localhost:{listener.port}\r\n\r\n".encode())
    await listener.callback()
    await kept[0][0].readuntil(b"</html>\n")
    await listener.aclose()
    for _, writer in kept:
        writer.close()
    await asyncio.sleep(0.05)
    assert heard == []
