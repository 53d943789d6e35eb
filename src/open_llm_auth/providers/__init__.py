"""Upstream kinds, one file each: what to send, what an error means. Pure; no client inside."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .demo import DEMO
from .openai import OPENAI
from .spec import UpstreamKind

__all__ = ["KINDS"]

#: The values of a provider's `api` that this release carries.
KINDS: Final[Mapping[str, UpstreamKind]] = MappingProxyType({kind.api: kind for kind in (OPENAI, DEMO)})
