"""Reasoning beside an answer: `reasoning_content` in words, and OpenRouter's `reasoning_details` for what proves it.

One block of thinking is ``{"type": "reasoning.text", text?, signature}``; a summary is ``{"type":
"reasoning.summary", summary}``, its proof the ``{"type": "reasoning.encrypted", data}`` behind it, which alone is
reasoning that is withheld. In a stream the words go on in `reasoning_content`, and the item that ends the block has
none, so that nobody shows them twice.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..conversation import Thinking
from ..events import Signature, ThinkingSigned
from ..signatures import seal, unseal
from . import fields

__all__ = ["ENCRYPTED", "NAME", "SUMMARY", "TEXT", "read_thinking", "signature_in", "tell_signed", "write_thinking"]

NAME: Final = "openai-chat"
TEXT: Final = "reasoning.text"
SUMMARY: Final = "reasoning.summary"
ENCRYPTED: Final = "reasoning.encrypted"

_ANTHROPIC: Final = "anthropic-messages"
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


def tell_signed(signed: ThinkingSigned, index: int, text: str | None, *, summary: bool) -> list[Item]:
    """The items that end a block of thinking, for a client. `text` None: its words went before."""
    own = signed.signature.origin == NAME
    value = signed.signature.value if own else seal(signed.signature)
    item = _item_in(value) if own else None
    words = {} if text is None else {"text": text}
    if item is not None:
        return [{**item, **(words if item.get("type") == TEXT else {}), "index": index}]
    sealed = {"type": ENCRYPTED, "data": value, "index": index}
    if signed.redacted:
        return [sealed]
    if summary:
        return [{"type": SUMMARY, "summary": text or "", "index": index}, sealed]
    return [{"type": TEXT, **words, "signature": value, "index": index}]


class _Block:
    """One block of thinking that is being put together from items."""

    __slots__ = ("index", "summary", "text")

    def __init__(self, index: object, *, summary: bool) -> None:
        self.index = index
        self.summary = summary
        self.text = ""

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
    blocks = _blocks_of([fields.object_(item, f"{path}.{number}") for number, item in enumerate(details)], path)
    if not words or any(block.text for block in blocks):
        return tuple(blocks)
    for number, block in enumerate(blocks):
        if not block.redacted:
            blocks[number] = Thinking(words, block.signature, summary=block.summary)
            return tuple(blocks)
    return (Thinking(words), *blocks)


def _blocks_of(details: list[Item], path: str) -> list[Thinking]:
    blocks: list[Thinking] = []
    block: _Block | None = None
    for number, item in enumerate(details):
        kind, index, place = item.get("type"), item.get("index"), f"{path}.{number}"
        signature = _returned(item)
        if kind == ENCRYPTED:
            if block is not None and block.summary and block.index == index:
                blocks.append(block.ended(signature))
            else:
                blocks += [block.ended(None)] if block is not None and block.text else []
                blocks += _withheld(signature)
            block = None
        elif kind in (TEXT, SUMMARY):
            if block is not None and (block.index != index or block.summary != (kind == SUMMARY)):
                blocks += [block.ended(None)] if block.text else []
                block = None
            block = block or _Block(index, summary=kind == SUMMARY)
            block.text += fields.text_of(item, "summary" if kind == SUMMARY else "text", place)
            if signature is not None:
                blocks.append(block.ended(signature))
                block = None
    return blocks + ([block.ended(None)] if block is not None and block.text else [])


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
