"""Proofs of reasoning in the bytes of requests and answers: found without decoding, and told by a fingerprint.

A client sends back what it got, character by character, so what an answer held can be found again in a later request
without knowing what it means: a provider's own signature, or the envelope in which one of another dialect travels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from .dialect import DialectName

__all__ = ["marks_of", "proofs_in", "proofs_sent"]

Raw = msgspec.Raw

#: The field of a request that holds what was said before.
_HISTORY: Final[Mapping[str, str]] = {
    "openai-chat": "messages",
    "openai-responses": "input",
    "anthropic-messages": "messages",
    "google-genai": "contents",
}

#: What stands before a proof, and the key that follows it where it is not that key itself. Within a JSON string the
#: quotes of a key would be escaped, so that no text can look so.
_MARKS: Final[Mapping[str, tuple[tuple[bytes, bytes], ...]]] = {
    "openai-chat": ((b'"signature"', b""), (b'"reasoning.encrypted"', b'"data"'), (b'"thought_signature"', b"")),
    "openai-responses": ((b'"encrypted_content"', b""),),
    "anthropic-messages": ((b'"signature"', b""), (b'"redacted_thinking"', b'"data"')),
    "google-genai": ((b'"thoughtSignature"', b""), (b'"thought_signature"', b"")),
}
#: In the id of a tool's call every dialect may have one (signatures.py).
_IN_ID: Final = b"-olla1-"
#: How far behind its mark such a key may stand.
_NEAR: Final = 4096
_BLANKS: Final = b" \t\r\n"
_STRING: Final = msgspec.json.Decoder(str)
#: The two alphabets of base64 are one here: some clients decode a proof and encode it again.
_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


def marks_of(dialect: DialectName) -> tuple[bytes, ...]:
    """Bytes of which one stands in everything of that dialect that holds a proof."""
    return (*(mark for mark, _ in _MARKS.get(dialect, ())), _IN_ID)


def proofs_in(text: bytes, dialect: DialectName, most: int = 8) -> list[int]:
    """Fingerprints of the last proofs in a text of that dialect, the newest first; of each kind `most` at most.

    They mean something within this process only.
    """
    found: list[tuple[int, int]] = []
    for mark, key in _MARKS.get(dialect, ()):
        end = len(text)
        for _ in range(most):
            if (end := text.rfind(mark, 0, end)) < 0:
                break
            if value := _string_behind(text, end + len(mark), key):
                found.append((end, _fingerprint(value)))
    end = len(text)
    for _ in range(most):
        if (end := text.rfind(_IN_ID, 0, end)) < 0:
            break
        if value := text[end + len(_IN_ID) : text.find(b'"', end)]:
            found.append((end, _fingerprint(value)))
    return [proof for _, proof in sorted(found, reverse=True)]


def proofs_sent(envelope: Mapping[str, Raw], dialect: DialectName) -> list[int]:
    """Fingerprints of the proofs that a request brings back, the newest first."""
    raw = envelope.get(_HISTORY.get(dialect, ""))
    if raw is None:
        return []
    text = bytes(raw)
    return proofs_in(text, dialect) if any(mark in text for mark in marks_of(dialect)) else []


def _string_behind(text: bytes, at: int, key: bytes) -> bytes:
    """The string that is the value of the key that ends at `at`, or of `key` soon behind it; empty where none is."""
    if key:
        at = text.find(key, at, at + _NEAR)
        if at < 0:
            return b""
        at += len(key)
    at = _after_blanks(text, at)
    if text[at : at + 1] != b":":
        return b""
    at = _after_blanks(text, at + 1)
    if text[at : at + 1] != b'"':
        return b""
    end = text.find(b'"', at + 1)
    if end < 0:
        return b""
    value = text[at + 1 : end]
    return value if b"\\" not in value else _unescaped(text, at)


def _after_blanks(text: bytes, at: int) -> int:
    while text[at : at + 1] and text[at] in _BLANKS:
        at += 1
    return at


def _unescaped(text: bytes, at: int) -> bytes:
    """A string with escapes in it, as some writers of JSON have them even for what needs none."""
    end = at + 1
    while (end := text.find(b'"', end)) >= 0:
        before = text[at + 1 : end]
        if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
            break
        end += 1
    try:
        return _STRING.decode(text[at : end + 1]).encode() if end >= 0 else b""
    except (msgspec.DecodeError, UnicodeError):
        return b""


def _fingerprint(value: bytes) -> int:
    return hash(value.translate(_ALPHABET).rstrip(b"="))
