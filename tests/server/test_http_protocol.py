"""What the gateway adds to uvicorn's protocol: offers that are declined, heads that never end, one write an answer."""

import json
import re
import socket
import time

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


def logged(gateway, text: str) -> bool:
    """Whether the log has it soon: lines are written beside the answers."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if text in gateway.log():
            return True
        time.sleep(0.02)
    return False


NO_HTTP = {
    "a length below nothing": (b"GET /health HTTP/1.1\r\nhost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
    "a target that is no text": (b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
    "no request at all": (b"GARBAGE\r\n\r\n", 400),
    "a head without end": (b"GET /health HTTP/1.1\r\nx: " + b"x" * 300_000, 431),
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_is_refused_like_any_other_request(gateway, name):
    sent, status = NO_HTTP[name]
    answer_head, _, body = exchange(gateway, sent).partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in answer_head.decode().split("\r\n")[1:])
    assert answer_head.startswith(b"HTTP/1.1 %d " % status)
    assert (fields["content-type"], fields["connection"]) == ("application/json", "close")
    assert re.fullmatch(r"req_[0-9a-f]{24}", fields["x-request-id"])
    assert logged(gateway, fields["x-gateway-call-id"])
    error = json.loads(body)["error"]
    assert error["code"] == ("invalid_request" if status == 400 else "request_head_too_large")
    assert (error["type"], len(body)) == ("invalid_request_error", int(fields["content-length"]))


def test_what_is_no_http_behind_a_request_is_not_answered_in_the_middle_of_another_answer(gateway):
    answer = exchange(gateway, head(gateway) + BODY + b"\x01\r\n\r\n")
    assert answer.count(b"x-gateway-call-id: ") == 1


def test_an_offer_of_another_protocol_leaves_no_advice_in_the_log(gateway):
    asked = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        client.sendall(asked)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert logged(gateway, '"/health"')
    assert "pgrade" not in gateway.log()
    assert "pip install" not in gateway.log()
