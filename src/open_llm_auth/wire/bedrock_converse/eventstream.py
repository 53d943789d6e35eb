"""Amazon's binary event stream (``application/vnd.amazon.eventstream``): bytes to messages, however they were cut.

A message is a prelude (its length, its headers' length, a checksum of both), headers, a payload, and a checksum of all
that came before: https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from zlib import crc32

from ...errors import UpstreamInvalidResponse

__all__ = ["HEADERS_LIMIT", "MESSAGE_LIMIT", "HeaderValue", "Message", "MessageSplitter"]

#: What a header may hold: flags, numbers and timestamps (milliseconds), bytes and UUIDs, text.
HeaderValue = bool | int | bytes | str

#: The limits of the format: 128 kB of headers, 24 MB of payload.
HEADERS_LIMIT: Final = 128 * 1024
_PAYLOAD_LIMIT: Final = 24 * 1024 * 1024
_PRELUDE: Final = struct.Struct("!III")
_TAIL: Final = struct.Struct("!I")
_FRAME: Final = _PRELUDE.size + _TAIL.size
MESSAGE_LIMIT: Final = _FRAME + HEADERS_LIMIT + _PAYLOAD_LIMIT
#: how many different header blocks are remembered; a stream uses about eight
_KEPT_HEADERS: Final = 64


class Message(NamedTuple):
    """One message. `headers` is shared by messages with the same ones: it is not to be changed."""

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is text; "" where it is absent or something else."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class MessageSplitter:
    """Takes the stream apart. `pending` is how many bytes of an unfinished message wait for the rest."""

    __slots__ = ("_known", "_needed", "_parts", "pending")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.pending = 0
        #: how many bytes must be there before there is anything to do
        self._needed = _PRELUDE.size
        self._known: dict[bytes, Mapping[str, HeaderValue]] = {}

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that are complete now.

        Raises:
            UpstreamInvalidResponse: a checksum, a length or a header is not what the format allows.
        """
        if self.pending:
            self._parts.append(chunk)
            self.pending += len(chunk)
            if self.pending < self._needed:
                return []
            chunk = b"".join(self._parts)
            self._parts.clear()
        found: list[Message] = []
        start = 0
        while len(chunk) - start >= self._needed:
            total, headers_length, checksum = _PRELUDE.unpack_from(chunk, start)
            if self._needed == _PRELUDE.size:
                _check_prelude(chunk, start, total, headers_length, checksum)
                self._needed = total
                continue
            found.append(self._cut(chunk, start, total, headers_length))
            start += total
            self._needed = _PRELUDE.size
        self.pending = len(chunk) - start
        if self.pending:
            self._parts.append(chunk[start:])
        return found

    def _cut(self, buffer: bytes, start: int, total: int, headers_length: int) -> Message:
        end = start + total - _TAIL.size
        (checksum,) = _TAIL.unpack_from(buffer, end)
        if crc32(memoryview(buffer)[start:end]) != checksum:
            raise UpstreamInvalidResponse("A message of the provider's event stream does not match its checksum.")
        body = start + _PRELUDE.size
        return Message(self._headers(buffer[body : body + headers_length]), buffer[body + headers_length : end])

    def _headers(self, block: bytes) -> Mapping[str, HeaderValue]:
        known = self._known.get(block)
        if known is None:
            if len(self._known) >= _KEPT_HEADERS:
                self._known.clear()
            known = self._known[block] = _read_headers(block)
        return known


def _check_prelude(buffer: bytes, start: int, total: int, headers_length: int, checksum: int) -> None:
    if crc32(memoryview(buffer)[start : start + 8]) != checksum:
        raise UpstreamInvalidResponse(
            "The provider's answer is not an event stream: its first checksum does not match."
        )
    if headers_length > HEADERS_LIMIT or not _FRAME + headers_length <= total <= MESSAGE_LIMIT:
        raise UpstreamInvalidResponse("A message of the provider's event stream states a length that can't be.")


def _read_headers(block: bytes) -> Mapping[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(block):
            name_end = at + 1 + block[at]
            read = _VALUES[block[name_end]]
            value, after = read(block, name_end + 1)
            if after > len(block):
                raise IndexError(after)
            headers[block[at + 1 : name_end].decode()] = value
            at = after
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise UpstreamInvalidResponse("A header of the provider's event stream can't be read.") from error
    return headers


def _number(length: int) -> Callable[[bytes, int], tuple[HeaderValue, int]]:
    def read(block: bytes, at: int) -> tuple[HeaderValue, int]:
        return int.from_bytes(block[at : at + length], "big", signed=True), at + length

    return read


def _counted(block: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(block[at : at + 2], "big")
    return block[at + 2 : end], end


def _text(block: bytes, at: int) -> tuple[HeaderValue, int]:
    value, end = _counted(block, at)
    return value.decode(), end


#: By the type byte of a header: its value, and where the next header begins.
_VALUES: Final[Mapping[int, Callable[[bytes, int], tuple[HeaderValue, int]]]] = {
    0: lambda _, at: (True, at),
    1: lambda _, at: (False, at),
    2: _number(1),
    3: _number(2),
    4: _number(4),
    5: _number(8),
    6: _counted,
    7: _text,
    8: _number(8),
    9: lambda block, at: (block[at : at + 16], at + 16),
}
