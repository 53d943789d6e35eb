"""The errors of the way out, worded once: they name the provider and the host as configured, never an address."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from ..errors import UpstreamInvalidResponse, UpstreamTimeout, UpstreamUnreachable
from ..values import Endpoint

__all__ = ["Peer", "os_words"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is talked to, for the wording of errors."""

    provider: str
    endpoint: Endpoint

    def unreachable(self, what: str, *, sent: bool = False, reason: str | None = None) -> UpstreamUnreachable:
        """`sent` says whether the provider may have seen the request, which decides if it may be repeated."""
        return UpstreamUnreachable(self._sentence(what), details=self._details(sent, reason))

    def invalid(self, what: str) -> UpstreamInvalidResponse:
        return UpstreamInvalidResponse(self._sentence(what), details=self._details(True, None))

    def timeout(self, which: str, what: str, seconds: float, *, sent: bool = True) -> UpstreamTimeout:
        """`which` is the field of `Timeouts` that ran out."""
        return UpstreamTimeout(self._sentence(f"{what} within {seconds:g} s"), details=self._details(sent, which))

    def _sentence(self, what: str) -> str:
        return f"Provider {self.provider!r} at {self.endpoint.authority!r} {what}."

    def _details(self, sent: bool, reason: str | None) -> dict[str, object]:
        details: dict[str, object] = {"provider": self.provider, "host": self.endpoint.host, "sent": sent}
        return details if reason is None else {**details, "reason": reason}


def os_words(fault: OSError) -> str:
    """An `OSError` in words without its arguments, which may hold the address that DNS gave."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not valid for that name: {fault.verify_message}"
    if isinstance(fault, ssl.SSLError):
        return f"the TLS handshake failed: {fault.reason or 'no reason given'}"
    if fault.errno:
        return os.strerror(fault.errno).lower()
    return "the connection failed"
