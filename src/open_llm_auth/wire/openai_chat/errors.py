"""Errors of chat completions: OpenAI's, in a body and within a stream."""

from __future__ import annotations

from ...errors import GatewayError
from ..openai_error import read_error, write_error_body, write_stream_error
from ..openai_error import write_error as write_openai_error

__all__ = ["read_error", "write_error", "write_error_body", "write_stream_error"]


def write_error(error: GatewayError, call_id: str = "") -> bytes:  # noqa: ARG001 - OpenAI says it in a header alone
    """``{"error": {message, type, param, code, details?}}``; never fails, whatever the message holds."""
    return write_openai_error(error)
