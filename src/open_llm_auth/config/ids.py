"""Provider ids and references in their one normal spelling, wherever a config file says one (SPEC §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from ..provider_catalog import Catalog

__all__ = ["BRIDGES", "Ids"]

_Entry = TypeVar("_Entry")

#: Providers the manager defines, of whom no catalog row tells (SPEC §4, §7).
BRIDGES: Final = frozenset({"agent_bridge", "agent"})
#: What a `providerFallback.order` key may begin with.
_OPERATIONS: Final = ("chat:", "embeddings:")


class Ids:
    """Knows the catalog and the ids a config file adds."""

    def __init__(self, catalog: Catalog, configured: Mapping[str, object]) -> None:
        self._catalog = catalog
        self.known = BRIDGES | frozenset(catalog.providers) | {self.provider(text) for text in configured}

    def provider(self, text: str) -> str:
        return self._catalog.normalise(text)

    def providers(self, texts: list[str]) -> frozenset[str]:
        return frozenset(self.provider(text) for text in texts if text.strip())

    def reference(self, text: str) -> str:
        """`provider/model`, `provider:profile/model` or `provider` with the provider normalised; a bare model id,
        or a left part that is no provider, comes back as it is."""
        left, slash, model = text.strip().partition("/")
        name, colon, profile = left.partition(":")
        normal = self.provider(name)
        return f"{normal}{colon}{profile}{slash}{model}" if normal in self.known else text.strip()

    def fallback_key(self, text: str) -> str:
        """The same for a key, which may begin with an operation."""
        for operation in _OPERATIONS:
            if text.startswith(operation):
                return operation + self.reference(text.removeprefix(operation))
        return self.reference(text)

    def rekeyed(
        self,
        entries: Mapping[str, _Entry],
        path: str,
        warnings: list[str],
        key: Callable[[str], str] | None = None,
    ) -> dict[str, _Entry]:
        """`entries` under normal ids. Where several spellings say the same one, the normal spelling is in force, else
        the first."""
        normalise = key or self.provider
        spellings: dict[str, str] = {}
        for written in entries:
            normal = normalise(written)
            chosen = normal if normal in entries else spellings.setdefault(normal, written)
            if chosen != written:
                warnings.append(f"{path}.{chosen} and {path}.{written} mean the same: the first is in force.")
            spellings[normal] = chosen
        return {normal: entries[written] for normal, written in spellings.items()}
