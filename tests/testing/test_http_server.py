"""The small server speaks enough HTTP for any client, and its stop never hangs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from open_llm_auth.testing.http_server import Connection, Exchange, HttpServer


async def echo(connection: Connection, exchange: Exchange) -> bool:
    await connection.send_head(200, (("content-length", str(len(exchange.request.body))),))
    await connection.send(exchange.request.body)
    return True


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer(echo) as server:
        yield server


@pytest.fixture
def line(server) -> Iterator[socket.socket]:
    with socket.create_connection((server.host, server.port), timeout=5) as line:
        yield line


def read_until(line: socket.socket, end: bytes) -> bytes:
    got = b""
    while not got.endswith(end):
        piece = line.recv(65536)
        assert piece, got
        got += piece
    return got


def test_a_chunked_body_is_read_whole(server, line):
    line.sendall(
        b"POST /x?y=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert read_until(line, b"abcde").startswith(b"HTTP/1.1 200 OK\r\n")
    [request] = [exchange.request for exchange in server.exchanges]
    assert (request.target, request.path, request.body) == ("/x?y=1", "/x", b"abcde")


def test_requests_sent_early_are_answered_in_turn(server, line):
    line.sendall(b"".join(b"POST /%d HTTP/1.1\r\ncontent-length: 1\r\n\r\n%d" % (n, n) for n in range(3)))
    read_until(line, b"2")
    server.wait_until(lambda: [exchange.request.path for exchange in server.exchanges] == ["/0", "/1", "/2"])


def test_headers_keep_their_order_and_case(server, line):
    line.sendall(b"GET / HTTP/1.1\r\nB-Second: 2\r\na-First:1\r\nB-Second: 3\r\n\r\n")
    read_until(line, b"\r\n\r\n")
    request = server.exchanges[0].request
    assert request.headers == (("B-Second", "2"), ("a-First", "1"), ("B-Second", "3"))
    assert request.fields == {"b-second": "3", "a-first": "1"}


@pytest.mark.parametrize("nonsense", [b"hello\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n"])
def test_what_is_not_http_is_hung_up_on(server, line, nonsense):
    line.sendall(nonsense)
    assert line.recv(100) == b""
    assert server.exchanges == []


def test_stopping_waits_for_no_client():
    async def flood(connection: Connection, exchange: Exchange) -> bool:
        while True:
            await connection.send(bytes(65536))

    server = HttpServer(flood)
    server.start()
    with socket.create_connection((server.host, server.port)) as line:
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        server.wait_until(lambda: bool(server.exchanges))
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 2
    assert server.exchanges[0].outcome == "stopped"
    server.stop()


def test_waiting_in_vain_says_what_was_seen(server, line):
    line.sendall(b"GET /seen HTTP/1.1\r\n\r\n")
    read_until(line, b"\r\n\r\n")
    with pytest.raises(TimeoutError, match="/seen"):
        server.wait_until(lambda: False, 0.1)
