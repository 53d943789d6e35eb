"""Writes Amazon's binary event stream (``application/vnd.amazon.eventstream``): the gateway itself only reads it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

from .answers import JSON, to_json

__all__ = ["event_message", "exception_message", "write_message"]


def event_message(kind: str, document: JSON) -> bytes:
    """An event as Bedrock sends it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return write_message(headers, to_json(document))


def exception_message(kind: str, document: JSON) -> bytes:
    """A modelled error within a stream; `kind` such as ``throttlingException``."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return write_message(headers, to_json(document))


def write_message(headers: Mapping[str, bool | int | bytes | str], payload: bytes) -> bytes:
    """One message: prelude, headers, payload, checksums. Whole numbers are written as 64 bits."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    lengths = struct.pack("!II", len(block) + len(payload) + 16, len(block))
    message = lengths + struct.pack("!I", crc32(lengths)) + block + payload
    return message + struct.pack("!I", crc32(message))


def _header(name: str, value: bool | int | bytes | str) -> bytes:
    return struct.pack("!B", len(name.encode())) + name.encode() + _value(value)


def _value(value: bool | int | bytes | str) -> bytes:
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, int):
        return b"\x05" + struct.pack("!q", value)
    kind, data = (b"\x06", value) if isinstance(value, bytes) else (b"\x07", value.encode())
    return kind + struct.pack("!H", len(data)) + data
