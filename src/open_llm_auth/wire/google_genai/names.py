"""What the dialect calls itself and its things."""

from __future__ import annotations

from typing import Final

from ..dialect import DialectName

__all__ = ["MODEL", "NAME", "USER"]

NAME: Final[DialectName] = "google-genai"
#: the two roles of a content
USER: Final = "user"
MODEL: Final = "model"
