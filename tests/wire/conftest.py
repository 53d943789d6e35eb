"""How a stream is chopped on its way must never show: every stream test runs over all of these."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

Chop = Callable[[bytes], list[bytes]]


def _whole(data: bytes) -> list[bytes]:
    return [data]


def _bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _by_event(data: bytes) -> list[bytes]:
    return [part + b"\n\n" for part in data.split(b"\n\n")[:-1]] + [data.rpartition(b"\n\n")[2]]


def _at_random(seed: int) -> Chop:
    def chop(data: bytes) -> list[bytes]:
        rng = random.Random(seed)
        cuts = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 12)))})
        return [data[start:end] for start, end in itertools.pairwise(cuts)]

    return chop


CHOPS: dict[str, Chop] = {
    "whole": _whole,
    "bytewise": _bytewise,
    "by event": _by_event,
    **{f"random {seed}": _at_random(seed) for seed in range(6)},
}


@pytest.fixture(params=list(CHOPS), ids=str)
def chop(request: pytest.FixtureRequest) -> Chop:
    """One way to cut a stream into chunks."""
    return CHOPS[request.param]
