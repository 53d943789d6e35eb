"""Sockets to literal addresses: the first of several that answers, tried in order with a short stagger (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

__all__ = ["connect_first"]

#: seconds an address gets before the next one is tried beside it
_STAGGER: Final = 0.25


async def connect_first(addresses: Sequence[str], port: int) -> socket.socket:
    """A connected, non-blocking socket to the first of the addresses that answers. Names are never looked up here.

    Raises:
        OSError: none of them could be connected; it is the first one's error.
    """
    if len(addresses) == 1:
        return await _connect(addresses[0], port)
    loop = asyncio.get_running_loop()
    attempts: list[asyncio.Task[socket.socket]] = []
    try:
        for place, address in enumerate(addresses, 1):
            attempts.append(loop.create_task(_connect(address, port)))
            winner = await _first(attempts, None if place == len(addresses) else _STAGGER)
            if winner is not None:
                attempts.remove(winner)
                return winner.result()
        fault = attempts[0].exception()
        raise fault if fault is not None else OSError("no address")
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_discard)


async def _first(
    attempts: Sequence[asyncio.Task[socket.socket]], patience: float | None
) -> asyncio.Task[socket.socket] | None:
    """The first attempt that is through; None when the next may begin: after `patience` seconds, or a failure.

    Without `patience` there is no next one, and None means that all have failed.
    """
    while True:
        waiting = [task for task in attempts if not task.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        winner = next((task for task in attempts if task.done() and task.exception() is None), None)
        if winner is not None or patience is not None or not waiting:
            return winner


def _discard(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connecting, (address, port))
    except BaseException:
        connecting.close()
        raise
    return connecting
