"""The head of an HTTP/1.1 request as bytes, with nothing in it that could be read as a second one (RFC 9112)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from .. import __version__
from ..errors import InvalidRequest
from ..policy.headers import RESERVED_HEADERS
from ..values import Outbound

__all__ = ["write_head"]

_TARGET: Final = re.compile(r"/[\x21\x22\x24-\x7e]*")
#: What is needed. Not HEAD: its answer states a length and has no body, which the parser can't be told.
_METHODS: Final = frozenset({"GET", "POST", "PUT"})
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OURS: Final = frozenset(name.encode("ascii") for name in RESERVED_HEADERS)
_USER_AGENT: Final = b"user-agent: open-llm-auth/" + __version__.encode("ascii") + b"\r\n"


def write_head(request: Outbound, authority: str) -> bytes:
    """Request line and header fields, `authority` being the Host.

    Raises:
        InvalidRequest: method, target or a header field would not be read as what it is.
    """
    if request.method not in _METHODS:
        raise InvalidRequest(f"{request.method!r} is no HTTP method that is sent.", param="method")
    if not _TARGET.fullmatch(request.target):
        raise InvalidRequest("The target of a request is a path of visible ASCII characters.", param="target")
    lines = [f"{request.method} {request.target} HTTP/1.1\r\nhost: {authority}\r\n".encode("ascii")]
    agent = _USER_AGENT
    for name, value in request.headers:
        line = _line(name, value)
        if line.startswith(b"user-agent:"):
            agent = b""
        lines.append(line)
    lines.append(agent)
    if request.body or request.method != "GET":
        lines.append(b"content-length: %d\r\n" % len(request.body))
    lines.append(b"accept-encoding: identity\r\n\r\n")
    return b"".join(lines)


def _line(name: bytes, value: bytes) -> bytes:
    """One field as it is sent; nothing for one that is left out."""
    start = _start(name)
    if start and _UNSAFE.search(value):
        raise _bad_field(name.lower())
    return start and b"%b%b\r\n" % (start, value)


@lru_cache(maxsize=256)
def _start(name: bytes) -> bytes:
    """What the line of a field starts with. Remembered, because call after call sends the same names; the values are
    not, for they are keys and whatever a client chose to send."""
    low = name.lower()
    if low == b"accept-encoding":
        return b""  # always identity: what is relayed is read on the way (SPEC §11)
    if low in _OURS or not _TOKEN.fullmatch(low):
        raise _bad_field(low)
    return low + b": "


def _bad_field(name: bytes) -> InvalidRequest:
    shown = name.decode("ascii", "backslashreplace")[:60]
    why = "is written by the transport" if name in _OURS else "holds characters that a header field must not"
    return InvalidRequest(f"The header {shown!r} {why}.", param="headers")
