"""A request head holds one request, whatever it is made of."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth import __version__
from open_llm_auth.errors import InvalidRequest
from open_llm_auth.transport.request import write_head
from open_llm_auth.values import Endpoint, Headers, Outbound


def outbound(**change: object) -> Outbound:
    fields = {"provider": "p", "method": "POST", "endpoint": Endpoint("https", "h", 443, "/v1"), "target": "/v1/x"}
    return Outbound(**{**fields, "headers": (), **change})  # type: ignore[arg-type]


def test_a_head_says_host_length_and_that_nothing_be_packed() -> None:
    head = write_head(outbound(headers=((b"X-A", b"caf\xe9"), (b"accept-encoding", b"br")), body=b"12345"), "h:8443")
    assert head == (
        b"POST /v1/x HTTP/1.1\r\nhost: h:8443\r\nx-a: caf\xe9\r\n"
        + f"user-agent: open-llm-auth/{__version__}\r\n".encode()
        + b"content-length: 5\r\naccept-encoding: identity\r\n\r\n"
    )


def test_the_callers_user_agent_is_kept() -> None:
    head = write_head(outbound(headers=((b"User-Agent", b"claude-cli/1"),)), "h")
    assert head.count(b"user-agent") == 1
    assert b"user-agent: claude-cli/1\r\n" in head


def test_a_get_without_body_states_no_length_and_an_empty_post_or_put_does() -> None:
    assert b"content-length" not in write_head(outbound(method="GET"), "h")
    assert b"content-length: 0\r\n" in write_head(outbound(), "h")
    assert b"content-length: 0\r\n" in write_head(outbound(method="PUT"), "h")


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\ny: b"),
        (b"x", b"a\ny: b"),
        (b"x", b"a\rb"),
        (b"x", b"a\x00b"),
        (b"x\r\ny", b"a"),
        (b"x y", b"a"),
        (b"x:", b"a"),
        (b"", b"a"),
        (b"x\xe9", b"a"),
        (b"Host", b"evil"),
        (b"Content-Length", b"0"),
        (b"transfer-encoding", b"chunked"),
        (b"Connection", b"close"),
        (b"Proxy-Authorization", b"canary"),
    ],
)
def test_a_field_that_would_break_the_head_is_refused_without_its_value(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        write_head(outbound(headers=(field,)), "h")
    assert caught.value.param == "headers"
    assert "canary" not in caught.value.message
    assert "evil" not in caught.value.message


def test_no_value_is_remembered_after_its_request() -> None:
    value = b"Bearer " + bytes(range(97, 123))
    before = sys.getrefcount(value)
    write_head(outbound(headers=((b"authorization", value),)), "h")
    assert sys.getrefcount(value) == before


_FIELDS = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=30)), max_size=4).map(tuple)


@given(_FIELDS, st.text(max_size=20), st.binary(max_size=20))
def test_whatever_goes_in_one_request_or_an_error_comes_out(headers: Headers, target: str, body: bytes) -> None:
    try:
        head = write_head(outbound(headers=headers, target="/" + target, body=body), "h")
    except InvalidRequest:
        return
    lines = head.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert b"" not in lines[:-2]
    assert not any(b"\r" in line or b"\n" in line or b"\x00" in line for line in lines)
    assert len(lines[0].split(b" ")) == 3
    kept = [name for name, _ in headers if name.lower() != b"accept-encoding"]
    ours = 4 if any(name.lower() == b"user-agent" for name in kept) else 5
    assert len(lines) - 2 == len(kept) + ours
