"""A body is read once, as it comes, and no faster than somebody wants it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse, UpstreamUnreachable


def packed(body: bytes, encoding: str, *, step: int = 1 << 20) -> Any:
    async def handler(wire: Any) -> None:
        while await wire.request():
            head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n"
            await wire.send(head.encode())
            for at in range(0, len(body), step):
                await wire.send(body[at : at + step])
                await asyncio.sleep(0)

    return handler


async def test_pieces_come_as_they_arrive_and_join_only_when_in_hand(serve: Any, make_transport: Any, ask: Any) -> None:
    async def paced(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await first.wait()
        await wire.send(b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")

    first = asyncio.Event()
    server = await serve(paced)
    reply = await make_transport().send(ask(server.port))
    pieces = reply.chunks()
    assert await anext(pieces) == b"one"
    first.set()
    assert [piece async for piece in pieces] == [b"twothree"]


async def test_a_body_over_the_limit_is_refused_and_its_connection_dropped(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def long(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 5000)
        await wire.gone()

    server = await serve(long)
    reply = await make_transport().send(ask(server.port))
    with pytest.raises(UpstreamInvalidResponse, match="more than 1000 bytes"):
        await reply.read(1000)
    await server.settled()


async def test_a_slow_reader_slows_the_sender_and_memory_stays_bounded(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def flood(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            await wire.send(b"z" * 65536)
            sent[0] += 65536

    total, sent = 64 * 1024 * 1024, [0]
    server = await serve(flood)
    reply = await make_transport().send(ask(server.port))
    pieces = reply.chunks()
    size = len(await anext(pieces))
    await asyncio.sleep(0.3)
    held = sent[0] - size
    assert held < 16 * 1024 * 1024, "what the kernel's buffers take, and our quarter megabyte"
    await asyncio.sleep(0.1)
    assert sent[0] - size == held, "nothing flows while nobody reads"
    largest = 0
    async for piece in pieces:
        size += len(piece)
        largest = max(largest, len(piece))
    assert size == total
    assert largest <= 1024 * 1024


async def test_an_answer_that_came_whole_outlives_its_connection(serve: Any, make_transport: Any, ask: Any) -> None:
    async def once(wire: Any) -> None:
        await wire.request()
        await wire.answer(b"whole")

    server = await serve(once)
    reply = await make_transport().send(ask(server.port))
    await server.settled()
    await asyncio.sleep(0.02)
    assert await reply.read(10) == b"whole"


async def test_what_came_before_a_break_is_delivered_before_the_error(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def cut(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")

    server = await serve(cut)
    reply = await make_transport().send(ask(server.port))
    await asyncio.sleep(0.05)
    pieces = reply.chunks()
    assert await anext(pieces) == b"some"
    with pytest.raises(UpstreamUnreachable, match="in the middle of its answer"):
        await anext(pieces)


async def test_reading_after_letting_go_is_an_error_and_not_an_empty_end(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def half(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
        await wire.gone()

    server = await serve(half)
    reply = await make_transport().send(ask(server.port))
    reading = asyncio.ensure_future(reply.read(1000))
    await asyncio.sleep(0.02)
    await reply.aclose()
    with pytest.raises(UpstreamUnreachable, match="let go"):
        await reading


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_gzip_is_unpacked_and_no_longer_claimed(serve: Any, make_transport: Any, ask: Any, step: int) -> None:
    text = b"data: hello\n\n" * 500
    server = await serve(packed(gzip.compress(text[:100]) + gzip.compress(text[100:]), "GZip", step=step))
    reply = await make_transport().send(ask(server.port))
    assert reply.header(b"content-encoding") is None
    assert reply.header(b"content-length") is None
    assert await reply.read(100_000) == text


async def test_a_packed_bomb_is_bounded_by_the_limit_and_by_the_piece(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    server = await serve(packed(bomb, "gzip"))
    transport = make_transport()
    reply = await transport.send(ask(server.port))
    with pytest.raises(UpstreamInvalidResponse, match="more than 1000000 bytes"):
        await reply.read(1_000_000)
    largest = 0
    async for piece in (await transport.send(ask(server.port))).chunks():
        largest = max(largest, len(piece))
    assert largest <= 65_536


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (gzip.compress(b"x" * 1000)[:-9], "gzip", "stops in the middle"),
        (b"not gzip at all", "gzip", "does not unpack"),
        (gzip.compress(b"x") + b"trailing", "gzip", "does not unpack"),
        (zlib.compress(b"x"), "deflate", "packed its answer as 'deflate'"),
        (b"x", "br", "packed its answer as 'br'"),
        (b"x", "gzip, br", "packed its answer as 'gzip, br'"),
    ],
)
async def test_a_packing_that_cannot_be_undone_is_refused(
    serve: Any, make_transport: Any, ask: Any, body: bytes, encoding: str, words: str
) -> None:
    server = await serve(packed(body, encoding))
    reply = await make_transport().send(ask(server.port))
    assert reply.status == 200
    with pytest.raises(UpstreamInvalidResponse, match=words):
        await reply.read(100_000)
