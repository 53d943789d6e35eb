"""Asking again and again until a person has done their part: how often, how long, and what is borne meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from ...errors import SignInFailed, UpstreamTimeout, UpstreamUnreachable
from ...values import SignIn
from .answers import is_challenge, issuer
from .steps import Fetch, Fetched, Step, Wait
from .tokens import error_code

__all__ = ["Patience", "patiently"]

_SHORTEST: Final = 1.0
#: Seconds between two questions after several without an answer.
_LONGEST_PAUSE: Final = 60.0
#: A quarter of an hour is as long as a person is waited for, whatever the issuer allows.
_LONGEST: Final = 900.0
_MOST_FAILURES: Final = 10


class Patience:
    """Seconds between two questions, which the issuer may raise, and the end of all of them."""

    def __init__(self, now: Callable[[], float], interval: float, lifetime: float) -> None:
        self.interval = min(max(interval, _SHORTEST), _LONGEST_PAUSE)
        self.failures = 0
        self._now = now
        self._until = now() + min(lifetime, _LONGEST)

    def is_over(self) -> bool:
        return self._now() >= self._until

    def pause(self) -> float:
        """Longer after each question that found nobody (RFC 8628, section 3.5)."""
        return min(self.interval * 2.0**self.failures, max(_LONGEST_PAUSE, self.interval))


def patiently(sign_in: SignIn, question: Fetch, patience: Patience) -> Generator[Step, Any, Fetched]:
    """Wait, ask, and ask again while nobody answers; the answer may be anything but a trouble of the server's.

    Raises:
        SignInFailed: the time is over.
        UpstreamError: nobody has answered for long, as it was the last time.
    """
    while True:
        yield Wait(patience.pause())
        if patience.is_over():
            raise SignInFailed(
                f"Nobody confirmed the sign-in to {sign_in.provider!r} in time. Start it again.",
                details={"provider": sign_in.provider, "reason": "expired"},
            )
        try:
            answer: Fetched = yield question
        except (UpstreamUnreachable, UpstreamTimeout):
            # A lost answer costs nothing here: the code stays good until it is confirmed, or runs out.
            patience.failures += 1
            if patience.failures >= _MOST_FAILURES:
                raise
            continue
        if _is_answer(answer):
            patience.failures = 0
            return answer
        patience.failures += 1
        if patience.failures >= _MOST_FAILURES:
            raise UpstreamUnreachable(
                f"{issuer(sign_in)} keeps answering HTTP {answer.status}. Try again later.",
                details={"provider": sign_in.provider, "status": answer.status},
            )


def _is_answer(answer: Fetched) -> bool:
    """Whether it says something about the sign-in, and not about the state that the server is in."""
    if is_challenge(answer) or answer.status < 429:
        return True
    return answer.status < 500 and bool(error_code(answer))
