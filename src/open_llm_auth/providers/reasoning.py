"""How providers say that they don't accept the proof of earlier reasoning: another account's, or none (SPEC §5)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["refuses_reasoning"]

#: What quotes a name in a message, as it is and within a JSON string within another.
_QUOTES: Final = rb"[`'\"\\\s]*"
_WORDS: Final = re.compile(
    b"|".join(
        (
            # Anthropic, and Bedrock, Vertex, Copilot and OpenRouter in its name
            rb"invalid" + _QUOTES + rb"signature" + _QUOTES + rb"in" + _QUOTES + rb"thinking",
            rb"thinking\.signature: (?:field required|invalid)",
            # OpenAI, and Codex's backend
            rb"invalid_encrypted_content",
            rb"encrypted[ _]content[^{}]{0,400}?could not be (?:verified|decrypted)",
            # Google
            rb"thought[ _]?signature is not valid",
            rb"corrupted thought[ _]?signature",
            rb"missing a" + _QUOTES + rb"thought_?signature",
        )
    ),
    re.IGNORECASE,
)
#: How far an error is read.
_WINDOW: Final = 1 << 16
#: The statuses it comes with.
_STATUSES: Final = frozenset({400, 422})


def refuses_reasoning(status: int, body: bytes) -> bool:
    """Whether an error is about that and nothing else."""
    return status in _STATUSES and _WORDS.search(body, 0, _WINDOW) is not None
