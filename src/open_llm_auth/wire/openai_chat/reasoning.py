"""Reasoning beside an answer: `reasoning_content` in words, and OpenRouter's `reasoning_details` for what proves it.

One block of thinking is ``{"type": "reasoning.text", text?, signature?}``; a summary is ``{"type":
"reasoning.summary", summary}``, its proof the ``{"type": "reasoning.encrypted", data}`` behind it, which alone is
reasoning that is withheld. The items of a block have one `index`, and in a stream its words come in as many items as
there are deltas, then its proof: a client that keeps the items alone has all of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from ..conversation import Thinking
from ..events import Signature, ThinkingSigned
from ..signatures import seal, unseal
from . import fields

__all__ = [
    "ENCRYPTED",
    "NAME",
    "SUMMARY",
    "TEXT",
    "read_thinking",
    "signature_in",
    "tell_proof",
    "tell_thinking",
    "write_thinking",
]

NAME: Final = "openai-chat"
TEXT: Final = "reasoning.text"
SUMMARY: Final = "reasoning.summary"
ENCRYPTED: Final = "reasoning.encrypted"

_ANTHROPIC: Final = "anthropic-messages"
#: Whose signatures are of the words they come with. Others seal what was thought, and need no words.
_SIGNERS_OF_WORDS: Final = (_ANTHROPIC, "bedrock-converse", NAME)
#: Whatever else an item holds, its provider wants to see again.
_PLAIN: Final = frozenset({"type", "text", "signature", "index"})
_ANY: Final = msgspec.json.Decoder()

Item = dict[str, Any]


# ---------------------------------------------------------------------------------------------- told by a provider


def signature_in(item: Item) -> Signature | None:
    """The proof in one item of a provider: its signature where that is all, else the whole item but for its words."""
    proof = item.get("data") if item.get("type") == ENCRYPTED else item.get("signature")
    if not isinstance(proof, str) or not proof:
        return None
    said = {name: value for name, value in item.items() if value is not None}
    if item.get("type") == TEXT and said.keys() <= _PLAIN:
        return Signature(NAME, proof)
    kept = {name: value for name, value in said.items() if name not in ("text", "summary")}
    return Signature(NAME, msgspec.json.encode(kept).decode())


def write_thinking(thinking: Thinking) -> list[Item]:
    """A block of thinking as its provider, which speaks this dialect, wants it back."""
    value = thinking.signature.value if thinking.signature is not None else ""
    item = _item_in(value) or {"type": TEXT, "signature": value}
    if item.get("type") == TEXT:
        return [{**item, "text": thinking.text}]
    if not thinking.text:
        return [item]
    words = {"type": SUMMARY, "summary": thinking.text} if thinking.summary else {"type": TEXT, "text": thinking.text}
    return [words, item]


def _item_in(value: str) -> Item | None:
    if not value.startswith("{"):
        return None
    try:
        item = _ANY.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return None
    return item if isinstance(item, dict) else None


# ---------------------------------------------------------------------------------------------- told to a client


def tell_proof(signed: ThinkingSigned, index: int, *, summary: bool) -> Item:
    """The item that ends a block of thinking, for a client. `summary`: the words before it are one."""
    own = signed.signature.origin == NAME
    value = signed.signature.value if own else seal(signed.signature)
    item = _item_in(value) if own else None
    if item is not None:
        return {**item, "index": index}
    if signed.redacted or summary:
        return {"type": ENCRYPTED, "data": value, "index": index}
    return {"type": TEXT, "signature": value, "index": index}


def tell_thinking(text: str, signed: ThinkingSigned | None, index: int, *, summary: bool) -> list[Item]:
    """A whole block for a client: what the items of a stream come to."""
    proof = [] if signed is None else [tell_proof(signed, index, summary=summary)]
    if not text:
        return proof
    if summary:
        return [{"type": SUMMARY, "summary": text, "index": index}, *proof]
    if proof and proof[0].get("type") == TEXT:
        return [{"type": TEXT, "text": text, **proof[0]}]
    return [{"type": TEXT, "text": text, "index": index}, *proof]


class _Block:
    """One block of thinking that is being put together from items."""

    __slots__ = ("index", "summary", "text")

    def __init__(self, index: object, text: str = "", *, summary: bool) -> None:
        self.index = index
        self.summary = summary
        self.text = text

    def ended(self, signature: Signature | None) -> Thinking:
        return Thinking(self.text, signature, summary=self.summary)


def read_thinking(message: Item, path: str) -> tuple[Thinking, ...]:
    """The thinking of an assistant's message that a client sent back, whole or as the pieces it got.

    Raises:
        InvalidRequest: a field of it has the wrong type.
    """
    words = fields.text_of(message, "reasoning_content", path) or fields.text_of(message, "reasoning", path)
    given = message.get("reasoning_details")
    path = f"{path}.reasoning_details"
    details = [] if given is None else fields.items(given, path)
    items = [fields.object_(item, f"{path}.{number}") for number, item in enumerate(details)]
    blocks = _blocks_of(items, path)
    if not words or any(block.text for block in blocks):
        return tuple(blocks)
    return _with_words(words, blocks, first=items[0].get("index") if items else None)


def _with_words(words: str, blocks: list[Thinking], first: object) -> tuple[Thinking, ...]:
    """Blocks whose words came apart from them. They are the words of the one block that can have any, and of none
    where blocks came before the `first` that was kept. Which of several they belong to nobody knows: a signature of
    Claude's under the words of another would be refused, so none goes on."""
    unsaid = [block for block in blocks if not block.redacted]
    if len(unsaid) == 1 and first in (None, 0):
        return tuple(replace(block, text=words) if block is unsaid[0] else block for block in blocks)
    kept = blocks if len(unsaid) < 2 else [block for block in blocks if not _signs_words(block)]
    return (Thinking(words), *kept)


def _signs_words(block: Thinking) -> bool:
    signature = block.signature
    return signature is not None and signature.origin in _SIGNERS_OF_WORDS and not block.redacted


def _blocks_of(details: list[Item], path: str) -> list[Thinking]:
    blocks: list[Thinking] = []
    block: _Block | None = None
    for number, item in enumerate(details):
        kind, index, place = item.get("type"), item.get("index"), f"{path}.{number}"
        signature = _returned(item)
        if kind == ENCRYPTED:
            if summary := fields.text_of(item, "summary", place):
                # OpenAI's SDK makes one item of all with the same index: the last type, and the fields of both.
                blocks += _unproved(block)
                block = _Block(index, summary, summary=True)
            if block is not None and block.summary and block.index == index:
                blocks.append(block.ended(signature))
            else:
                blocks += [*_unproved(block), *_withheld(signature)]
            block = None
        elif kind in (TEXT, SUMMARY):
            if block is not None and (block.index != index or block.summary != (kind == SUMMARY)):
                blocks += _unproved(block)
                block = None
            block = block or _Block(index, summary=kind == SUMMARY)
            block.text += fields.text_of(item, "summary" if kind == SUMMARY else "text", place)
            if signature is not None:
                blocks.append(block.ended(signature))
                block = None
    return blocks + _unproved(block)


def _unproved(block: _Block | None) -> list[Thinking]:
    return [block.ended(None)] if block is not None and block.text else []


def _withheld(signature: Signature | None) -> list[Thinking]:
    if signature is None:
        return []
    return [Thinking(signature=signature, redacted=signature.origin == _ANTHROPIC)]


def _returned(item: Item) -> Signature | None:
    """The proof in an item that a client sends back, out of its envelope where it had one."""
    proof = item.get("data") if item.get("type") == ENCRYPTED else item.get("signature")
    if not isinstance(proof, str) or not proof:
        return None
    opened = unseal(proof, NAME)
    return signature_in(item) if opened.origin == NAME else opened
