"""Who is calling: the caller of a request under the snapshot in force (SPEC §2)."""

from __future__ import annotations

from ..errors import AccessDenied
from ..policy.access import Scope, check_scope, find_caller, presented_token
from ..values import Caller, Snapshot, TokenTable

__all__ = ["Authenticator", "tokenless"]


class Authenticator:
    """Turns request headers into a caller.

    `anonymous` is decided once, at the start of the process: a reload that brings a token ends anonymous mode,
    and nothing begins it later.
    """

    def __init__(self, *, anonymous: bool) -> None:
        self._anonymous = anonymous

    def caller(self, headers: dict[bytes, bytes], snapshot: Snapshot, now: float, required: Scope) -> Caller:
        """The caller, if it holds the scope. `now` is seconds since the epoch.

        Raises:
            Unauthenticated: 401.
            InsufficientScope: 403.
        """
        if self._anonymous and not tokenless(snapshot.tokens):
            self._anonymous = False
        caller = find_caller(snapshot.tokens, presented_token(headers), now, anonymous=self._anonymous)
        check_scope(caller, required)
        return caller

    def caller_if_any(
        self, headers: dict[bytes, bytes], snapshot: Snapshot, now: float, wanted: Scope
    ) -> Caller | None:
        """The caller for a route that answers everybody, and some with more."""
        try:
            return self.caller(headers, snapshot, now, wanted)
        except AccessDenied:
            return None


def tokenless(tokens: TokenTable) -> bool:
    """Whether no token exists, disabled ones counted too: the only state in which anonymous mode may be."""
    return tokens.configured == 0 and not tokens.legacy
