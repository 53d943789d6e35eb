"""Names to addresses: cached for a short while, asked once however many wait, and never judged here."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ..ports import Clock

__all__ = ["Lookup", "NameUnknown", "Resolver", "system_lookup"]

#: A host name to its addresses in the order to try. Raises OSError when the name can't be looked up.
Lookup = Callable[[str], Awaitable[Sequence[str]]]

_TTL: Final = 30.0
_NEGATIVE_TTL: Final = 1.0
_MAX_NAMES: Final = 1024
_MAX_ADDRESSES: Final = 16
_NO_ADDRESS: Final = frozenset(
    code for code in (getattr(socket, "EAI_NODATA", None), getattr(socket, "EAI_ADDRFAMILY", None)) if code is not None
)


class NameUnknown(Exception):
    """The name gave no address; `reason` is `dns_resolution_failed` or `dns_no_answers` (SPEC §6)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[str, ...]
    reason: str
    expires: float


async def system_lookup(host: str) -> Sequence[str]:
    """The machine's own resolver, off the loop. Its order is kept (RFC 6724)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


class Resolver:
    """Keeps answers `ttl` seconds and failures `negative_ttl`; the operating system does not tell the record's own."""

    def __init__(
        self, clock: Clock, *, lookup: Lookup = system_lookup, ttl: float = _TTL, negative_ttl: float = _NEGATIVE_TTL
    ) -> None:
        self._clock = clock
        self._lookup = lookup
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._answers: dict[str, _Answer] = {}
        self._flights: dict[str, asyncio.Task[_Answer]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a name, at least one.

        Raises:
            NameUnknown: there is none.
        """
        answer = self._answers.get(host)
        if answer is None or self._clock.monotonic() >= answer.expires:
            answer = await self._fly(host)
        if not answer.addresses:
            raise NameUnknown(answer.reason)
        return answer.addresses

    async def aclose(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fly(self, host: str) -> _Answer:
        flight = self._flights.get(host)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._ask(host))
            self._flights[host] = flight
            flight.add_done_callback(lambda _: self._flights.pop(host, None))
        return await asyncio.shield(flight)  # whoever goes away takes nobody's answer along

    async def _ask(self, host: str) -> _Answer:
        addresses: tuple[str, ...] = ()
        reason = "dns_no_answers"
        try:
            addresses = tuple(dict.fromkeys(await self._lookup(host)))[:_MAX_ADDRESSES]
        except socket.gaierror as fault:
            reason = "dns_no_answers" if fault.errno in _NO_ADDRESS else "dns_resolution_failed"
        except (OSError, UnicodeError):  # getaddrinfo encodes the name once more and may object
            reason = "dns_resolution_failed"
        expires = self._clock.monotonic() + (self._ttl if addresses else self._negative_ttl)
        answer = _Answer(addresses, reason, expires)
        self._keep(host, answer)
        return answer

    def _keep(self, host: str, answer: _Answer) -> None:
        self._answers.pop(host, None)
        if len(self._answers) >= _MAX_NAMES:
            del self._answers[next(iter(self._answers))]  # the oldest answer
        self._answers[host] = answer
