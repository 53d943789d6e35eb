"""Addresses are tried in order, the next one beside a slow one, and no socket is left over."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.transport.dial import connect_first


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.fixture
def stuck() -> Any:
    """A port of 127.0.0.2 whose backlog is full: connecting to it neither fails nor succeeds."""
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.2", 0))
    except OSError:
        listener.close()
        pytest.skip("NO SLOW-ADDRESS TESTS: this machine has no 127.0.0.2")
    listener.listen(0)
    fillers = []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    yield listener.getsockname()[1]
    for filler in fillers:
        filler.close()
    listener.close()


async def test_the_first_that_answers_wins_and_refusals_are_passed_over(serve: Any) -> None:
    server = await serve()
    connected = await connect_first(["127.0.0.3", "127.0.0.4", "127.0.0.1"], server.port)
    assert connected.getpeername() == ("127.0.0.1", server.port)
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connected.close()


async def test_a_slow_address_does_not_hold_up_the_next(stuck: int) -> None:
    listener = socket.create_server(("127.0.0.1", stuck))
    before = descriptors()
    loop = asyncio.get_running_loop()
    start = loop.time()
    connected = await connect_first(["127.0.0.2", "127.0.0.1"], stuck)
    assert connected.getpeername()[0] == "127.0.0.1"
    assert 0.2 <= loop.time() - start < 1.5
    connected.close()
    await asyncio.sleep(0.05)
    assert descriptors() == before
    listener.close()


async def test_when_all_refuse_the_first_refusal_is_raised_and_nothing_left() -> None:
    unused = socket.create_server(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    unused.close()
    before = descriptors()
    for addresses in (["127.0.0.1"], ["127.0.0.1", "127.0.0.2", "::1"]):
        with pytest.raises(ConnectionRefusedError):
            await connect_first(addresses, port)
    await asyncio.sleep(0.05)
    assert descriptors() == before


@pytest.mark.parametrize("addresses", [["127.0.0.2"], ["127.0.0.2", "127.0.0.2", "127.0.0.2"]])
async def test_cancelling_closes_every_socket(stuck: int, addresses: list[str]) -> None:
    before = descriptors()
    for patience in (0.0, 0.01, 0.3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(patience):
                await connect_first(addresses, stuck)
    await asyncio.sleep(0.05)
    assert descriptors() == before


async def test_an_ipv6_address_is_dialled(serve: Any) -> None:
    try:
        server = await serve(host="::1")
    except OSError:
        pytest.skip("NO IPv6 TESTS: this machine has no ::1")
    connected = await connect_first(["::1"], server.port)
    assert connected.getpeername()[:2] == ("::1", server.port)
    connected.close()
