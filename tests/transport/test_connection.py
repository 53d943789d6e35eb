"""An answer is read the same however it is cut, and every way to break one has its error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse, UpstreamUnreachable
from open_llm_auth.transport import HttpTransport
from open_llm_auth.values import Outbound

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
    b"6\r\ndata: \r\n3;ext=1\r\na\n\n\r\n0\r\nTrailer: x\r\n\r\n"
)
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata: a\n\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\ndata: a\n\n"
OLD = b"HTTP/1.0 200 OK\r\n\r\ndata: a\n\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH

ANSWERS = {"chunked": CHUNKED, "length": LENGTH, "until-close": UNTIL_CLOSE, "http/1.0": OLD, "interim": INTERIM}
ENDED_BY_CLOSE = (UNTIL_CLOSE, OLD)


def sending(pieces: list[bytes], *, close: bool = False, reset: bool = False, pause: float = 0.0) -> Any:
    """A handler that sends `pieces` for each request, one write each."""

    async def handler(wire: Any) -> None:
        while await wire.request():
            for piece in pieces:
                await wire.send(piece)
                await asyncio.sleep(pause)
            if close or reset:
                wire.close(reset=reset)
                return

    return handler


async def read_whole(transport: HttpTransport, request: Outbound) -> bytes:
    reply = await transport.send(request)
    return await reply.read(100)


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_read_alike_whole_and_byte_by_byte(
    serve: Any, make_transport: Any, ask: Any, name: str
) -> None:
    answer = ANSWERS[name]
    for pieces in ([answer], [answer[at : at + 1] for at in range(len(answer))]):
        server = await serve(sending(pieces, close=answer in ENDED_BY_CLOSE))
        transport = make_transport()
        reply = await transport.send(ask(server.port))
        assert (reply.status, await reply.read(100)) == (200, b"data: a\n\n")
        if answer not in ENDED_BY_CLOSE:
            assert (await (await transport.send(ask(server.port))).read(100), server.accepted) == (b"data: a\n\n", 1)
        await transport.aclose()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("answer", [CHUNKED, LENGTH], ids=["chunked", "length"])
async def test_a_connection_cut_at_any_byte_is_an_error_and_never_a_short_answer(
    serve: Any, make_transport: Any, ask: Any, answer: bytes, reset: bool
) -> None:
    async def handler(wire: Any) -> None:
        await wire.request()
        await wire.send(answer[: cut[0]])
        await asyncio.sleep(0.003)
        wire.close(reset=reset)

    cut = [0]
    server = await serve(handler)
    transport = make_transport()
    head = answer.index(b"\r\n\r\n") + 4
    for cut[0] in range(len(answer)):
        with pytest.raises(UpstreamUnreachable) as caught:
            await read_whole(transport, ask(server.port))
        where = "before it answered" if cut[0] < head else "in the middle of its answer"
        assert where in caught.value.message
        assert caught.value.details["sent"] is True
    await server.settled()
    assert transport.stats().open == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>not http</html>",
        b"\x16\x03\x01\x00\x05hello",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 1\r\n\r\nz",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
    ],
    ids=range(19),
)
async def test_bytes_that_are_not_a_sound_answer_are_refused(
    serve: Any, make_transport: Any, ask: Any, answer: bytes
) -> None:
    server = await serve(sending([answer], close=True))
    transport = make_transport()
    with pytest.raises(UpstreamInvalidResponse):
        await read_whole(transport, ask(server.port))
    await server.settled()
    assert transport.stats().open == 0


@pytest.mark.parametrize(
    "rest", [b"zz\r\nabc\r\n", b"5\r\nabcdeXX", b"0\r\nx: " + b"y" * 70_000, b"1;" + b"e" * 70_000]
)
async def test_a_body_that_breaks_its_framing_is_refused_on_the_way(
    serve: Any, make_transport: Any, ask: Any, rest: bytes
) -> None:
    server = await serve(
        sending([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", rest], pause=0.02)
    )
    reply = await make_transport().send(ask(server.port))
    with pytest.raises(UpstreamInvalidResponse):
        await reply.read(1000)
    await server.settled()


async def test_an_endless_header_line_is_not_gathered(serve: Any, make_transport: Any, ask: Any) -> None:
    async def endless(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            await wire.send(b"y" * 10_000)

    server = await serve(endless)
    with pytest.raises(UpstreamInvalidResponse, match="bytes of header fields"):
        await make_transport().send(ask(server.port))
    await server.settled()


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"],
    ids=["204", "304"],
)
async def test_an_answer_without_a_body_ends_with_its_head(
    serve: Any, make_transport: Any, ask: Any, answer: bytes
) -> None:
    server = await serve(sending([answer]))
    transport = make_transport()
    for _ in range(2):
        assert await (await transport.send(ask(server.port))).read(10) == b""
    assert server.accepted == 1


async def test_what_follows_an_answer_unasked_costs_the_connection_and_is_in_no_other_answer(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    smuggled = LENGTH + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    server = await serve(sending([smuggled]))
    transport = make_transport()
    for expected in (1, 2):
        assert await (await transport.send(ask(server.port))).read(100) == b"data: a\n\n"
        assert server.accepted == expected


async def test_a_large_body_arrives_whole_and_its_first_byte_time_counts_from_its_end(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def slow_reader(wire: Any) -> None:
        head = await wire.reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 12000000" in head
        left = 12_000_000
        while left:
            left -= len(await wire.reader.read(1_000_000))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        await wire.answer(b"got it")

    server = await serve(slow_reader)
    reply = await make_transport().send(ask(server.port, body=b"x" * 12_000_000, first_byte=1.0))
    assert await reply.read(10) == b"got it"


async def test_an_early_refusal_of_a_large_body_is_heard_and_the_connection_not_kept(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def refuse(wire: Any) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.answer(b"too large", status="413 Content Too Large")
        await asyncio.sleep(0.5)

    server = await serve(refuse)
    transport = make_transport()
    reply = await transport.send(ask(server.port, body=b"x" * 30_000_000))
    assert (reply.status, await reply.read(20)) == (413, b"too large")
    assert transport.stats().idle == 0
