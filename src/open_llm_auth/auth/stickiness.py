"""Which of several equal credentials serves a conversation (SPEC §5, Stickiness): the same one in every process and
after every restart, because nothing but the call and the ids decides; and whoever made its reasoning, where that is
known."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from ..values import Attempt, Call, Credential
from ..wire.opening import named_in, opening_of
from ..wire.proofs import proofs_sent
from .reasoning import ReasoningOrigins

__all__ = ["Affinity", "conversation_key", "rendezvous"]


def conversation_key(call: Call) -> bytes:
    """What tells a conversation from others: the name that the client gave it, else who speaks and how it began."""
    envelope = call.request.envelope
    key, user = named_in(envelope)
    named = key or call.session or user
    if named:
        return named.encode("utf-8", "surrogatepass")
    subject = call.caller.subject.encode("utf-8", "surrogatepass")
    if call.operation == "embeddings":
        return b"\0".join((subject, bytes(envelope.get("input", b""))))
    return b"\0".join((subject, opening_of(envelope, call.dialect)))


def rendezvous(key: bytes, ids: Sequence[str]) -> list[int]:
    """The places of `ids`, the first choice of this key first (highest random weight). What is added takes its share
    from all the others, and what is removed leaves its own to them; nothing else moves."""
    seed = blake2b(key, digest_size=32).digest()
    weights = [blake2b(text.encode("utf-8", "surrogatepass"), key=seed, digest_size=16).digest() for text in ids]
    return sorted(range(len(ids)), key=lambda place: (weights[place], ids[place]), reverse=True)


class Affinity(msgspec.Struct, gc=False):
    """What one call wishes of the order in which it is tried. Nothing is worked out before somebody asks, and nobody
    asks where one credential is all there is."""

    call: Call
    origins: ReasoningOrigins
    key: bytes | None = None

    def arrange(self, credentials: tuple[Credential, ...], equals: Sequence[tuple[int, int]]) -> tuple[Credential, ...]:
        """The credentials with each run of `equals` (first place, place behind the last) in this call's own order."""
        if self.key is None:
            self.key = conversation_key(self.call)
        arranged = list(credentials)
        for start, end in equals:
            run = credentials[start:end]
            arranged[start:end] = [run[place] for place in rendezvous(self.key, [each.id for each in run])]
        return tuple(arranged)

    def toward_origin(self, attempts: list[Attempt]) -> list[Attempt]:
        """The attempts with the account that made the call's newest reasoning before the others of its provider.

        A metered key never goes before a subscription: reasoning is worth less than money.
        """
        if not len(self.origins):
            return attempts
        for proof in proofs_sent(self.call.request.envelope, self.call.dialect):
            origin = self.origins.of(proof)
            place = None if origin is None else _place_of(attempts, origin)
            if place is not None:
                return _moved_up(attempts, place)
        return attempts


def _place_of(attempts: Sequence[Attempt], origin: tuple[str, str]) -> int | None:
    return next(
        (place for place, each in enumerate(attempts) if (each.provider.id, each.credential.id) == origin), None
    )


def _moved_up(attempts: list[Attempt], place: int) -> list[Attempt]:
    chosen = attempts[place]
    to = place
    while to > 0 and _gives_way(attempts[to - 1], chosen):
        to -= 1
    if to == place:
        return attempts
    return [*attempts[:to], chosen, *attempts[to:place], *attempts[place + 1 :]]


def _gives_way(before: Attempt, chosen: Attempt) -> bool:
    if before.provider.id != chosen.provider.id or before.model != chosen.model:
        return False
    return not (chosen.credential.billing == "metered" and before.credential.billing == "subscription")
