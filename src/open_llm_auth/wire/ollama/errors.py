"""Errors as Ollama tells them: ``{"error": "text"}``, as a body of its own or as a line of a stream."""

from __future__ import annotations

from ..openai_error import read_error

#: What stands before an Ollama server wraps its errors as OpenAI does; the one reader knows both.
__all__ = ["read_error"]
