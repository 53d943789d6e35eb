"""The list of models as Gemini's clients read it (https://ai.google.dev/api/models)."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["model_entry"]

_METHODS: Final = ("generateContent", "streamGenerateContent", "countTokens")


def model_entry(
    model_id: str, *, name: str = "", context_window: int | None = None, max_tokens: int | None = None
) -> dict[str, Any]:
    """One entry of `models`. `name` is for people; `context_window` and `max_tokens` are told where they are known."""
    entry: dict[str, Any] = {
        "name": f"models/{model_id}",
        "displayName": name or model_id,
        "supportedGenerationMethods": list(_METHODS),
    }
    if context_window is not None:
        entry["inputTokenLimit"] = context_window
    if max_tokens is not None:
        entry["outputTokenLimit"] = max_tokens
    return entry
