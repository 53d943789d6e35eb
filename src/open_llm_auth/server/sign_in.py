"""Drives a sign-in: what its flow asks for is done, over the transport or by the person, until it gives tokens.

The command line and the pages drive the same flows with it; each brings its own `Person`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, assert_never

from ..auth.flows.steps import Fetch, Flow, Listen, Receive, Step, Tell, Tokens, Visit, Wait
from ..errors import GatewayError, SignInFailed
from ..ports import Transport
from .fetching import fetch

__all__ = ["TIME_LIMIT", "Person", "sign_in"]

#: Seconds for all of a sign-in, as long as issuers keep a code.
TIME_LIMIT: Final = 900.0


class Person(Protocol):
    """Whoever signs in, by way of a terminal or a page."""

    async def tell(self, text: str) -> None:
        """Show a sentence."""

    async def visit(self, url: str, code: str, direct: str) -> None:
        """Show an address and, where there is one, the code to type there; `direct` may be opened for them."""

    async def listen(self, ports: tuple[int, ...], path: str, state: str) -> int:
        """Be ready for the browser to come back, and say at which port."""

    async def receive(self, state: str) -> Mapping[str, str]:
        """The parameters of the callback with that state, brought by the browser or by the person."""


async def sign_in(
    flow: Flow,
    *,
    provider: str,
    transport: Transport,
    person: Person,
    limit: float = TIME_LIMIT,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Tokens:
    """Run `flow` to its end. Cancelling this closes the flow; nothing is stored before it returns.

    Raises:
        SignInFailed: someone said no, or `limit` seconds went by.
        EgressBlocked: the policy forbids an address.
        UpstreamError: the issuer can't be reached or understood.
        GatewayError: what else the flow raises.
    """
    driver = _Driver(provider, transport, person, sleep)
    try:
        async with asyncio.timeout(limit):
            return await _drive(flow, driver)
    except TimeoutError as error:
        raise SignInFailed(
            f"The sign-in to {provider!r} was not finished within {limit / 60:g} minutes. Start it again.",
            details={"provider": provider, "reason": "expired"},
        ) from error
    finally:
        flow.close()


async def _drive(flow: Flow, driver: _Driver) -> Tokens:
    try:
        step = next(flow)
        while True:
            try:
                came = await driver.do(step)
            except GatewayError as error:
                step = flow.throw(error)
            else:
                step = flow.send(came)
    except StopIteration as done:
        tokens: Tokens = done.value
        return tokens


class _Driver:
    def __init__(
        self, provider: str, transport: Transport, person: Person, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._provider = provider
        self._transport = transport
        self._person = person
        self._sleep = sleep

    async def do(self, step: Step) -> Any:
        """Do what a step asks for, and give what came of it."""
        match step:
            case Fetch():
                return await fetch(self._transport, self._provider, step)
            case Wait(seconds):
                return await self._sleep(seconds)
            case Tell(text):
                return await self._person.tell(text)
            case Visit(url, code, direct):
                return await self._person.visit(url, code, direct)
            case Listen(ports, path, state):
                return await self._person.listen(ports, path, state)
            case Receive(state):
                return await self._person.receive(state)
            case _:
                assert_never(step)
