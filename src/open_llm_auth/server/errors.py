"""One error, in the shape each surface's clients expect (SPEC §11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ..errors import GatewayError
from ..wire.dialect import DialectName
from ..wire.dialects import client_side
from .routes import Surface

__all__ = ["write_error"]

#: Surfaces that are a dialect's; the universal one has a shape of its own.
_DIALECTS: Final[Mapping[Surface, DialectName]] = {
    "openai": "openai-chat",
    "anthropic": "anthropic-messages",
    "gemini": "google-genai",
}


def write_error(surface: Surface, error: GatewayError, request_id: str) -> bytes:
    """The JSON body of `error` on `surface`."""
    dialect = _DIALECTS.get(surface)
    if dialect is not None:
        return client_side(dialect).write_error(error, request_id)
    body: dict[str, object] = {"message": error.message, "code": error.code}
    details = error.details if error.param is None else {"param": error.param, **error.details}
    if details:
        body["details"] = details
    return msgspec.json.encode({"error": body})
