"""Which account made which reasoning (SPEC §5): in memory, bounded, told by fingerprints alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..wire.dialect import DialectName
from ..wire.proofs import marks_of, proofs_in

__all__ = ["ReasoningOrigins"]

#: Two generations of as many proofs are remembered.
_GENERATION: Final = 10_000

_Origin = tuple[str, str]


class ReasoningOrigins:
    """Provider and credential id by the fingerprint of a proof (wire/proofs.py). What is forgotten is only unknown: the
    call is sent as any other, and answered once more without its reasoning where the provider refuses that."""

    def __init__(self, generation: int = _GENERATION) -> None:
        self._generation = generation
        self._new: dict[int, _Origin] = {}
        self._old: dict[int, _Origin] = {}

    def __len__(self) -> int:
        """How many are known; 0 lets a caller skip looking for any."""
        return len(self._new) + len(self._old)

    def note(self, proof: int, provider: str, credential_id: str) -> None:
        """Remember it, and forget the oldest where there are too many."""
        if len(self._new) >= self._generation:
            self._old, self._new = self._new, {}
        self._new[proof] = (provider, credential_id)

    def of(self, proof: int) -> _Origin | None:
        """Provider and credential id; None where nobody knows. What is asked for is remembered longer."""
        origin = self._new.get(proof)
        if origin is None and (origin := self._old.get(proof)) is not None:
            self.note(proof, *origin)
        return origin

    def watcher(self, dialect: DialectName, provider: str, credential_id: str) -> Callable[[bytes], None]:
        """What looks through the pieces of an answer, each of whole events, on their way to a client of `dialect`."""
        marks = marks_of(dialect)

        def watch(piece: bytes) -> None:
            for mark in marks:
                if mark in piece:
                    for proof in proofs_in(piece, dialect, most=64):
                        self.note(proof, provider, credential_id)
                    return

        return watch
