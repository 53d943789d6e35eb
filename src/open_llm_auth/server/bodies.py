"""Request bodies: counted, bounded and decoded before anything reads them (SPEC §11)."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import zstandard

from ..errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding
from .asgi import Disconnected, Receive

__all__ = ["read_body"]

#: No encoder needs more by default, and a frame may ask its decoder for gigabytes.
_ZSTD_WINDOW: Final = 1 << 27
#: The decoder has no output limit of its own; this much input gives at most some 32 MB before the limit is looked at.
_ZSTD_SLICE: Final = 1024


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body, decoded, at most `limit` bytes both as sent and as decoded.

    Raises:
        BodyTooLarge: 413.
        UnsupportedEncoding: 415, neither gzip nor zstd.
        InvalidRequest: it does not decode.
        Disconnected: the client left before its end.
    """
    decode = _decoder(headers.get(b"content-encoding", b""))
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = await _gather(receive, limit)
    if decode is None:
        return body
    # Beside the loop, because some kilobytes can stand for the whole limit.
    return await asyncio.to_thread(decode, body, limit)


async def _gather(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    whole = bytearray(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        whole += message.get("body", b"")
        if len(whole) > limit:
            raise _too_large(limit)
    return bytes(whole)


def _gunzip(body: bytes, limit: int) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    try:
        decoded = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidRequest("The body is not gzip, although Content-Encoding says so.") from error
    if len(decoded) > limit:
        raise _too_large(limit)
    if not decoder.eof or decoder.unused_data:
        raise InvalidRequest("The gzip body is cut short or followed by other bytes.")
    return decoded


def _unzstd(body: bytes, limit: int) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    decoded = bytearray()
    start = 0
    try:
        for start in range(0, len(body), _ZSTD_SLICE):
            decoded += decoder.decompress(body[start : start + _ZSTD_SLICE])
            if len(decoded) > limit:
                raise _too_large(limit)
            if decoder.eof:
                break
    except zstandard.ZstdError as error:
        raise InvalidRequest("The body is not zstd, although Content-Encoding says so.") from error
    if not decoder.eof or decoder.unused_data or start + _ZSTD_SLICE < len(body):
        raise InvalidRequest("The zstd body is cut short or followed by other bytes.")
    return bytes(decoded)


_DECODERS: Final[Mapping[bytes, Callable[[bytes, int], bytes] | None]] = {
    b"": None,
    b"identity": None,
    b"gzip": _gunzip,
    b"x-gzip": _gunzip,
    b"zstd": _unzstd,
}


def _decoder(encoding: bytes) -> Callable[[bytes, int], bytes] | None:
    try:
        return _DECODERS[encoding.strip().lower()]
    except KeyError:
        raise UnsupportedEncoding(
            f"Content-Encoding {encoding[:40].decode('latin-1')!r} is not understood. Send gzip, zstd or none.",
            headers=(("accept-encoding", "gzip, zstd, identity"),),
        ) from None


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {limit} bytes (counted decoded). server.maxBodyBytes raises the limit.",
        details={"maxBodyBytes": limit},
    )
