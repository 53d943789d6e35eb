"""What the gateway adds to uvicorn's protocol: offers that are declined, heads that never end, one write an answer."""

import socket

import pytest

BODY = b'{"model": "demo/echo", "messages": [{"role": "user", "content": "Upgrade: h2c"}]}'


def exchange(gateway, *pieces: bytes) -> bytes:
    """Send the pieces one by one and read until the server closes."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        answer = b""
        while received := client.recv(65_536):
            answer += received
    return answer


def head(gateway, *extra: str) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: localhost",
        f"authorization: Bearer {gateway.token}",
        f"content-length: {len(BODY)}",
        *extra,
    ]
    return "\r\n".join((*lines, "", "")).encode()


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_an_offer_of_http_2_keeps_its_body(gateway, apart):
    """Java's own client makes the offer with every first request."""
    offer = ("connection: Upgrade, HTTP2-Settings, close", "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA")
    asked = head(gateway, offer[0], "Upgrade: h2c", offer[1])
    answer = exchange(gateway, asked, BODY) if apart else exchange(gateway, asked + BODY)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"You said: Upgrade: h2c" in answer


def test_a_second_request_on_the_connection_is_read_from_its_own_start(gateway):
    answer = exchange(gateway, head(gateway) + BODY + head(gateway, "connection: close") + BODY)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2


def test_every_split_of_a_request_is_the_same_request(gateway):
    whole = head(gateway, "connection: close") + BODY
    for cut in range(1, len(whole), 17):
        assert exchange(gateway, whole[:cut], whole[cut:]).startswith(b"HTTP/1.1 200 OK\r\n")
