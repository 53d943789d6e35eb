"""Amazon's binary event stream: ours against botocore's own reader and writer, however it is cut or broken."""

from __future__ import annotations

import itertools
import struct
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import ChecksumMismatch, DecodeUtils, EventStreamBuffer, EventStreamMessage
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.testing.event_stream import event_message, write_message
from open_llm_auth.wire.bedrock_converse.eventstream import HEADERS_LIMIT, MESSAGE_LIMIT, Message, MessageSplitter

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda name: len(name.encode()) < 256)
VALUES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=40)
MESSAGES = st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=200)), max_size=6)
STREAM = b"".join(event_message("contentBlockDelta", {"delta": {"text": word}}) for word in ("Grüß", "世界", "👩"))


def read(*chunks: bytes) -> list[Message]:
    splitter = MessageSplitter()
    return [message for chunk in chunks for message in splitter.feed(chunk)]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(cuts)] or [data]


def plain(messages: list[Any]) -> list[tuple[dict[str, object], bytes]]:
    return [(dict(message.headers), message.payload) for message in messages]


@given(MESSAGES, st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_written_is_read_back_and_botocore_reads_the_same(
    messages: list[tuple[dict[str, Any], bytes]], places: list[int]
) -> None:
    data = b"".join(write_message(headers, payload) for headers, payload in messages)
    strangers = EventStreamBuffer()
    strangers.add_data(data)
    ours = plain(read(*cut(data, places)))
    assert ours == messages
    assert ours == plain(list(strangers))


@pytest.mark.parametrize(
    ("kind", "packed", "value"),
    [
        (0, b"", True),
        (1, b"", False),
        (2, struct.pack("!b", -3), -3),
        (3, struct.pack("!h", -300), -300),
        (4, struct.pack("!i", -70_000), -70_000),
        (5, struct.pack("!q", -(2**40)), -(2**40)),
        (6, b"\x00\x03abc", b"abc"),
        (7, b"\x00\x06" + "日本".encode(), "日本"),
        (8, struct.pack("!q", 1_767_225_600_000), 1_767_225_600_000),
        (9, bytes(range(16)), bytes(range(16))),
    ],
)
def test_every_type_of_header_is_read_as_botocore_reads_it(kind: int, packed: bytes, value: object) -> None:
    block = b"\x01x" + bytes([kind]) + packed + b"\x01y\x07\x00\x02ok"
    data = framed(block, b"{}")
    (message,) = read(data)
    assert message == ({"x": value, "y": "ok"}, b"{}")
    strangers = EventStreamBuffer()
    strangers.add_data(data)
    stranger: EventStreamMessage = next(strangers)
    assert stranger.headers == message.headers
    assert DecodeUtils.unpack_uint8(bytes([kind]))[0] == kind


def framed(headers: bytes, payload: bytes, *, total: int | None = None, headers_length: int | None = None) -> bytes:
    length = len(headers) if headers_length is None else headers_length
    lengths = struct.pack("!II", len(headers) + len(payload) + 16 if total is None else total, length)
    message = lengths + struct.pack("!I", crc32(lengths)) + headers + payload
    return message + struct.pack("!I", crc32(message))


@pytest.mark.parametrize("at", range(len(event_message("metadata", {}))))
def test_no_changed_byte_goes_unnoticed(at: int) -> None:
    data = bytearray(event_message("metadata", {}))
    data[at] ^= 0x20
    with pytest.raises(UpstreamInvalidResponse):
        read(bytes(data))
    strangers = EventStreamBuffer()
    strangers.add_data(bytes(data))
    with pytest.raises(ChecksumMismatch):
        list(strangers)


@pytest.mark.parametrize("garbage", [b"<html><h1>502", b'{"message":"no stream"}', b"data: {}\n\ndata", bytes(12)])
def test_other_things_are_told_from_a_stream_by_their_first_bytes(garbage: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse, match="not an event stream"):
        read(garbage)


@pytest.mark.parametrize(
    "data",
    [
        framed(b"", b"", total=15),
        framed(b"", b"", total=MESSAGE_LIMIT + 1),
        framed(b"", b"", headers_length=1),
        framed(b"", b"", total=MESSAGE_LIMIT, headers_length=HEADERS_LIMIT + 1),
    ],
)
def test_a_length_that_can_not_be_is_refused_before_anything_is_kept(data: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse, match="length"):
        read(data[:12])


@pytest.mark.parametrize(
    "headers", [b"\x05a", b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00\x09ab", b"\x01a\x04\x00", b"\x01\xff\x00"]
)
def test_headers_that_can_not_be_read_are_refused(headers: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse, match="header"):
        read(framed(headers, b"{}"))


def test_nothing_is_held_back_and_nothing_is_told_early() -> None:
    splitter = MessageSplitter()
    first = event_message("messageStart", {})
    for value in first[:-1]:
        assert splitter.feed(bytes([value])) == []
    assert len(splitter.feed(first[-1:] + first[:5])) == 1
    assert splitter.pending == 5


def test_five_megabytes_in_one_message_are_read_in_small_pieces() -> None:
    big = event_message("contentBlockDelta", {"delta": {"text": "x" * (5 << 20)}})
    (message,) = read(*(big[at : at + 16] for at in range(0, len(big), 16)))
    assert len(message.payload) > 5 << 20


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_no_bytes_bring_down_the_reader(noise: bytes, places: list[int]) -> None:
    for data in (noise, STREAM[: len(STREAM) // 2] + noise):
        try:
            read(*cut(data, places))
        except UpstreamInvalidResponse:
            pass  # the only error there is


def test_the_same_headers_are_read_once_and_many_different_ones_do_not_pile_up() -> None:
    splitter = MessageSplitter()
    for number in range(500):
        (message,) = splitter.feed(write_message({"n": str(number)}, b""))
        assert message.headers == {"n": str(number)}
    assert len(splitter._known) <= 64


def test_a_header_that_is_no_text_reads_as_none() -> None:
    assert Message({"a": 1, "b": "x"}, b"").text("a") == ""
    assert Message({"a": 1, "b": "x"}, b"").text("b") == "x"
