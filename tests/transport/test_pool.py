"""Connections are kept while they are good, and not a moment longer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from open_llm_auth.errors import EgressBlocked, UpstreamTimeout, UpstreamUnreachable
from open_llm_auth.transport.pool import LaneKey, Pool
from open_llm_auth.values import EgressRules


def keeping(fields: str = "", *, answers: int = 1_000_000, then: str = "close") -> Any:
    """Answers that many requests of a connection, then closes, resets or drops the next one after reading it."""

    async def handler(wire: Any) -> None:
        for _ in range(answers):
            if not await wire.request():
                return
            await wire.answer(b"ok", fields=fields)
        if then == "swallow":
            await wire.request()
        wire.close(reset=then == "reset")

    return handler


def swallowing(*, after: float = 0.0, saying: bytes = b"", reset: bool = False) -> Any:
    """Answers the first request of a connection; reads the second, and closes without more than `saying`."""

    async def handler(wire: Any) -> None:
        if await wire.request():
            await wire.answer(b"ok")
        if await wire.request():
            await wire.send(saying)
            await asyncio.sleep(after)
        wire.close(reset=reset)

    return handler


async def test_one_connection_serves_one_request_after_the_other(serve: Any, make_transport: Any, ask: Any) -> None:
    server = await serve(keeping())
    transport = make_transport()
    for _ in range(50):
        assert await (await transport.send(ask(server.port))).read(10) == b"ok"
    assert (server.accepted, transport.stats().idle, transport.stats().open) == (1, 1, 1)


async def test_an_unread_answer_does_not_hold_its_connection(serve: Any, make_transport: Any, ask: Any) -> None:
    server = await serve(keeping())
    transport = make_transport()
    first = await transport.send(ask(server.port))
    second = await transport.send(ask(server.port))
    assert (await second.read(10), await first.read(10), server.accepted) == (b"ok", b"ok", 1)


@pytest.mark.parametrize("fields", ["connection: close\r\n", "keep-alive: timeout=1\r\n", "keep-alive: timeout=0\r\n"])
async def test_what_the_server_will_close_is_not_used_again(
    serve: Any, make_transport: Any, ask: Any, fields: str
) -> None:
    server = await serve(keeping(fields))
    transport = make_transport()
    for _ in range(3):
        await (await transport.send(ask(server.port))).read(10)
    assert server.accepted == 3
    await server.settled()


async def test_an_idle_connection_expires_before_the_server_would_close_it(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    server = await serve(keeping("keep-alive: timeout=2, max=5\r\n"))
    transport = make_transport()
    await (await transport.send(ask(server.port))).read(10)
    assert transport.stats().idle == 1
    await server.settled(within=1.8)
    assert transport.stats().open == 0


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_close_seen_before_the_write_is_replaced_silently(
    serve: Any, make_transport: Any, ask: Any, then: str
) -> None:
    server = await serve(keeping(answers=1, then=then))
    transport = make_transport()
    for _ in range(5):
        assert await (await transport.send(ask(server.port))).read(10) == b"ok"
        await server.settled()
    assert server.accepted == 5


async def test_a_close_that_only_the_kernel_knows_of_is_seen_before_the_write(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    """The server's end is closed and the loop not turned: nothing but a look at the socket can tell."""
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []
    closing = threading.Event()
    closed = threading.Event()

    def serve_twice() -> None:
        for turn in range(2):
            connection, _ = listener.accept()
            accepted.append(connection)
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            if turn == 0:
                closing.wait(5)
            connection.close()
            closed.set()

    thread = threading.Thread(target=serve_twice)
    thread.start()
    transport = make_transport()
    port = listener.getsockname()[1]
    assert await (await transport.send(ask(port))).read(10) == b"ok"
    closing.set()
    closed.wait(5)  # blocks the loop on purpose
    assert await (await transport.send(ask(port))).read(10) == b"ok"
    thread.join(5)
    listener.close()
    assert len(accepted) == 2


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_a_kept_connection_swallows_as_it_closes_is_sent_once_more_on_a_new_one(
    serve: Any, make_transport: Any, ask: Any, method: str, reset: bool
) -> None:
    server = await serve(swallowing(reset=reset))
    transport = make_transport()
    for expected in (1, 2, 3):
        reply = await transport.send(ask(server.port, method=method, body=b"{}"))
        assert (reply.status, await reply.read(10)) == (200, b"ok")
        assert server.accepted == expected


async def test_what_two_connections_swallow_is_an_error_and_not_sent_a_third_time(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def handler(wire: Any) -> None:
        seen.append(await wire.request())
        if len(seen) == 1:
            await wire.answer(b"ok")
            seen.append(await wire.request())

    seen: list[bytes] = []
    server = await serve(handler)
    transport = make_transport()
    await (await transport.send(ask(server.port))).read(10)
    with pytest.raises(UpstreamUnreachable, match="before it answered") as caught:
        await transport.send(ask(server.port))
    assert caught.value.details["sent"] is True
    assert (server.accepted, len(seen)) == (2, 3)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_a_fresh_connection_swallows_is_not_sent_again(
    serve: Any, make_transport: Any, ask: Any, method: str
) -> None:
    server = await serve(keeping(answers=0, then="swallow"))
    with pytest.raises(UpstreamUnreachable):
        await make_transport().send(ask(server.port, method=method, body=b""))
    assert server.accepted == 1


async def test_a_provider_that_dies_at_work_is_not_given_the_work_again(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    """Also on a kept connection: what closes late was no connection closed for being idle."""
    server = await serve(swallowing(after=1.5))
    transport = make_transport()
    await (await transport.send(ask(server.port))).read(10)
    with pytest.raises(UpstreamUnreachable, match="before it answered") as caught:
        await transport.send(ask(server.port))
    assert caught.value.details["sent"] is True
    assert server.accepted == 1


async def test_an_answer_that_had_begun_is_not_asked_for_again(serve: Any, make_transport: Any, ask: Any) -> None:
    server = await serve(swallowing(saying=b"HTTP/1.1 2"))
    transport = make_transport()
    await (await transport.send(ask(server.port))).read(10)
    with pytest.raises(UpstreamUnreachable, match="before it answered"):
        await transport.send(ask(server.port))
    assert server.accepted == 1


async def test_what_is_sent_again_is_judged_by_the_rules_now_in_force(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    rules = [EgressRules(allow_local_providers=frozenset({"local"}))]
    server = await serve(swallowing(after=0.2))
    transport = make_transport(rules=lambda: rules[-1])
    await (await transport.send(ask(server.port))).read(10)
    sending = asyncio.ensure_future(transport.send(ask(server.port)))
    await asyncio.sleep(0.05)
    rules.append(EgressRules())
    with pytest.raises(EgressBlocked):
        await sending
    assert server.accepted == 1


async def test_a_slow_answer_on_a_kept_connection_is_a_time_out_and_not_repeated(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def once(wire: Any) -> None:
        await wire.request()
        await wire.answer(b"ok")
        await wire.request()
        await wire.gone()

    server = await serve(once)
    transport = make_transport()
    await (await transport.send(ask(server.port))).read(10)
    with pytest.raises(UpstreamTimeout):
        await transport.send(ask(server.port, method="GET", body=b"", first_byte=0.1))
    assert server.accepted == 1


async def test_over_the_cap_requests_wait_their_turn(serve: Any, make_transport: Any, ask: Any) -> None:
    async def slow(wire: Any) -> None:
        while await wire.request():
            await asyncio.sleep(0.01)
            await wire.answer(b"ok")

    server = await serve(slow)
    transport = make_transport(max_per_host=3)

    async def one() -> bytes:
        return bytes(await (await transport.send(ask(server.port))).read(10))

    assert await asyncio.gather(*[one() for _ in range(30)]) == [b"ok"] * 30
    assert server.accepted <= 3


async def test_waiting_for_a_turn_ends_with_the_connect_time_out_and_gives_the_turn_on(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def hold(wire: Any) -> None:
        while await wire.request():
            await release.wait()
            await wire.answer(b"ok")

    release = asyncio.Event()
    server = await serve(hold)
    transport = make_transport(max_per_host=1)
    first = asyncio.ensure_future(transport.send(ask(server.port)))
    await asyncio.sleep(0.05)
    with pytest.raises(UpstreamTimeout, match="could not be connected to"):
        await transport.send(ask(server.port, connect=0.05))
    cancelled = asyncio.ensure_future(transport.send(ask(server.port)))
    waiting = asyncio.ensure_future(transport.send(ask(server.port)))
    await asyncio.sleep(0.02)
    cancelled.cancel()
    release.set()
    assert await (await first).read(10) == b"ok"
    assert await (await waiting).read(10) == b"ok"
    assert server.accepted == 1


async def test_a_turn_that_its_waiter_no_longer_wants_goes_to_the_next() -> None:
    """Cancelled in the very step in which it was woken."""
    lane = Pool(max_per_lane=1).lane(LaneKey("https", "a.test", 443, exempt=False))
    assert await lane.room() is None
    leaving, staying = asyncio.ensure_future(lane.room()), asyncio.ensure_future(lane.room())
    await asyncio.sleep(0)
    lane.dialled()
    leaving.cancel()
    async with asyncio.timeout(1):
        assert await staying is None
    assert leaving.cancelled()
