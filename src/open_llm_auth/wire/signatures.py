"""The envelope in which a signature travels through a dialect that did not issue it.

A provider's proof of reasoning must come back to it unaltered and must go to nobody else (of Claude: to no platform but
those that have Claude). So what is handed to a client in another dialect names its origin: `seal` wraps it, `unseal`
takes it apart again on its way back. The envelope is standard base64, because Gemini's clients decode and encode it as
bytes; in the id of a tool call it is base64url.

Whole blocks of thinking travel in an envelope of their own, where a client drops them from its history and keeps the
call that they led to (Gemini's).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Final

import msgspec

from .conversation import Thinking
from .events import Signature

__all__ = ["ENVELOPES", "Recalled", "open_call_id", "seal", "seal_call_id", "seal_thinking", "unseal",
           "unseal_thinking"]  # fmt: skip

_MARK: Final = b"olla1"
_SEALED: Final = base64.b64encode(_MARK + b"\0").decode()[:6]
#: parts a call's own id from its envelope; no provider's ids hold it
_JOINT: Final = "-olla1-"
_THINKING_MARK: Final = b"ollt1\0"
_SEALED_THINKING: Final = base64.b64encode(_THINKING_MARK).decode()
#: More than any honest thinking. A client sends it again with every call, so it has to end somewhere.
_THINKING_LIMIT: Final = 512 * 1024
#: How envelopes begin, signatures and thinking alike: what to look for before anything is taken apart.
ENVELOPES: Final = (base64.b64encode(_MARK + b"\0"), _SEALED_THINKING.encode())


def seal(signature: Signature) -> str:
    """The envelope of a signature, as one text of base64."""
    return base64.b64encode(_pack(signature)).decode()


def unseal(text: str, dialect: str) -> Signature:
    """What a client of `dialect` sent as a signature: an envelope taken apart, or that dialect's own as it is."""
    if text.startswith(_SEALED):
        found = _unpack(_standard(text))
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


class _Block(msgspec.Struct, array_like=True, omit_defaults=True):
    """One block of thinking as it travels. `later`: words of the answer stand before it."""

    text: str = ""
    origin: str = ""
    value: str = ""
    id: str = ""
    summary: bool = False
    redacted: bool = False
    later: bool = False


_BLOCKS: Final = msgspec.json.Decoder(list[_Block])


class Recalled(msgspec.Struct, frozen=True):
    """The thinking that led to a call: `first` stood before all words of that step, `later` just before the call."""

    first: tuple[Thinking, ...] = ()
    later: tuple[Thinking, ...] = ()


def seal_thinking(recalled: Recalled) -> str | None:
    """Blocks of thinking as one text of base64; None where there are none, or more than may travel."""
    blocks = [_block(thinking, later=False) for thinking in recalled.first]
    blocks += [_block(thinking, later=True) for thinking in recalled.later]
    if not blocks:
        return None
    sealed = base64.b64encode(_THINKING_MARK + msgspec.json.encode(blocks)).decode()
    return sealed if len(sealed) <= _THINKING_LIMIT else None


def unseal_thinking(text: str) -> Recalled | None:
    """The blocks in an envelope of thinking; None for anything else."""
    if not text.startswith(_SEALED_THINKING) or len(text) > _THINKING_LIMIT:
        return None
    try:
        packed = base64.b64decode(_standard(text), validate=True).removeprefix(_THINKING_MARK)
        blocks = _BLOCKS.decode(packed)
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        return None
    return Recalled(_thinking_of(blocks, later=False), _thinking_of(blocks, later=True))


def _block(thinking: Thinking, *, later: bool) -> _Block:
    signature = thinking.signature or Signature("", "")
    return _Block(
        thinking.text, signature.origin, signature.value, signature.id, thinking.summary, thinking.redacted, later
    )


def _thinking_of(blocks: Iterable[_Block], *, later: bool) -> tuple[Thinking, ...]:
    return tuple(
        Thinking(
            block.text,
            Signature(block.origin, block.value, block.id) if block.origin else None,
            summary=block.summary,
            redacted=block.redacted,
        )
        for block in blocks
        if block.later is later
    )


_FROM_URL: Final = str.maketrans("-_", "+/")


def _standard(text: str) -> str:
    """Clients that decode base64 as bytes may encode it again in its other alphabet, or without the padding."""
    plain = text.translate(_FROM_URL).rstrip("=")
    return plain + "=" * (-len(plain) % 4)


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
