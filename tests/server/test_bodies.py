"""Request bodies: counted, bounded, decoded."""

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import BodyTooLarge, GatewayError, InvalidRequest, UnsupportedEncoding
from open_llm_auth.server.asgi import Disconnected
from open_llm_auth.server.bodies import read_body


def receiver(*pieces, hang_up=False):
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if hang_up:
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False

    async def receive():
        return messages.pop(0)

    return receive


async def test_pieces_are_joined():
    assert await read_body({}, receiver(b"ab", b"", b"cd"), 10) == b"abcd"


@pytest.mark.parametrize("headers", [{b"content-length": b"11"}, {}])
async def test_a_body_over_the_limit_is_413_declared_or_not(headers):
    with pytest.raises(BodyTooLarge) as caught:
        await read_body(headers, receiver(b"0123456789", b"0"), 10)
    assert caught.value.status == 413


async def test_a_declared_length_over_the_limit_is_refused_unread():
    async def receive():
        raise AssertionError("read")

    with pytest.raises(BodyTooLarge):
        await read_body({b"content-length": b"99999999999999999999"}, receive, 10)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [(b"gzip", gzip.compress), (b"GZIP", gzip.compress), (b"zstd", zstandard.ZstdCompressor().compress)],
)
@pytest.mark.parametrize("size", [5, 300_000])
async def test_encoded_bodies_are_decoded(encoding, encode, size):
    plain = bytes(range(256)) * (size // 256 + 1)
    assert await read_body({b"content-encoding": encoding}, receiver(encode(plain)), 1 << 20) == plain


@pytest.mark.parametrize(
    ("encoding", "encode"), [(b"gzip", gzip.compress), (b"zstd", zstandard.ZstdCompressor().compress)]
)
async def test_the_limit_counts_decoded_bytes(encoding, encode):
    bomb = encode(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(BodyTooLarge):
        await read_body({b"content-encoding": encoding}, receiver(bomb), 1_000_000)


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"gzip, gzip", b"\xff"])
async def test_other_encodings_are_415(encoding):
    with pytest.raises(UnsupportedEncoding) as caught:
        await read_body({b"content-encoding": encoding}, receiver(b"x"), 10)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", b"{}"),
        (b"gzip", gzip.compress(b"{}")[:-3]),
        (b"gzip", gzip.compress(b"{}") + b"tail"),
        (b"zstd", b"{}"),
        (b"zstd", b""),
        (b"gzip", b""),
        (b"zstd", zstandard.ZstdCompressor().compress(b"{}" * 5000)[:-3]),
        (b"zstd", zstandard.ZstdCompressor().compress(b"{}") + b"tail"),
        (b"zstd", zstandard.ZstdCompressor().compress(b"{}") + b"tail" * 1000),
    ],
)
async def test_a_body_that_is_not_what_its_encoding_says_is_400(encoding, body):
    with pytest.raises(InvalidRequest):
        await read_body({b"content-encoding": encoding}, receiver(body), 20_000)


async def test_a_client_that_leaves_before_the_end_is_gone():
    with pytest.raises(Disconnected):
        await read_body({}, receiver(b"half", hang_up=True), 10)


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"zstd"]))
async def test_no_bytes_break_a_decoder(body, encoding):
    try:
        await read_body({b"content-encoding": encoding}, receiver(body), 1000)
    except GatewayError as error:
        assert error.status < 500
