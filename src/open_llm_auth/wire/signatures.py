"""The envelope in which a signature travels through a dialect that did not issue it.

A provider's proof of reasoning must come back to it unaltered and must go to nobody else. So what is handed to a client
in another dialect names its origin: `seal` wraps it, `unseal` takes it apart again on its way back. The envelope is
standard base64, because Gemini's clients decode and encode it as bytes; in the id of a tool call it is base64url.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from .events import Signature

__all__ = ["open_call_id", "seal", "seal_call_id", "unseal"]

_MARK: Final = b"olla1"
_SEALED: Final = base64.b64encode(_MARK + b"\0").decode()[:6]
#: parts a call's own id from its envelope; no provider's ids hold it
_JOINT: Final = "-olla1-"


def seal(signature: Signature) -> str:
    """The envelope of a signature, as one text of base64."""
    return base64.b64encode(_pack(signature)).decode()


def unseal(text: str, dialect: str) -> Signature:
    """What a client of `dialect` sent as a signature: an envelope taken apart, or that dialect's own as it is."""
    if text.startswith(_SEALED):
        # Clients that decode it as bytes may encode it again in base64's other alphabet, or without the padding.
        found = _unpack(text.translate(_FROM_URL).rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
        if found is not None:
            return found
    return Signature(dialect, text)


def seal_call_id(call_id: str, signature: Signature | None) -> str:
    """The id of a tool call with the envelope of its signature behind it; ids are what every client sends back."""
    if signature is None:
        return call_id
    packed = base64.urlsafe_b64encode(_pack(signature)).decode().rstrip("=")
    return f"{call_id}{_JOINT}{packed}"


def open_call_id(call_id: str) -> tuple[str, Signature | None]:
    """A tool call's own id, and the signature that travelled in it."""
    plain, joint, packed = call_id.partition(_JOINT)
    if not joint:
        return call_id, None
    found = _unpack(packed.translate(_FROM_URL) + "=" * (-len(packed) % 4))
    return (call_id, None) if found is None else (plain, found)


_FROM_URL: Final = str.maketrans("-_", "+/")


def _pack(signature: Signature) -> bytes:
    return b"\0".join((_MARK, signature.origin.encode(), signature.id.encode(), signature.value.encode()))


def _unpack(text: str) -> Signature | None:
    try:
        mark, origin, item, value = base64.b64decode(text, validate=True).split(b"\0", 3)
        if mark != _MARK:
            return None
        return Signature(origin.decode(), value.decode(), item.decode())
    except (ValueError, binascii.Error):
        return None
