"""One request of a flow, sent as it says and never twice: what drives a sign-in or a renewal uses this for `Fetch`."""

from __future__ import annotations

import asyncio
from typing import Final

from .. import __version__
from ..auth.flows.steps import Fetch, Fetched
from ..errors import UpstreamTimeout
from ..policy.egress import parse_endpoint
from ..ports import Reply, Transport
from ..values import Headers, Outbound, Timeouts

__all__ = ["FETCH_SECONDS", "fetch"]

#: from the dial to the last byte
FETCH_SECONDS: Final = 60.0
_TIMEOUTS: Final = Timeouts(connect=10.0, first_byte=30.0, idle=30.0)
_LARGEST: Final = 1 << 20  # bytes
#: The gateway says its own name to issuers, and no other.
_ABOUT_US: Final[Headers] = ((b"user-agent", f"open-llm-auth/{__version__}".encode("ascii")),)


async def fetch(transport: Transport, provider: str, step: Fetch) -> Fetched:
    """Send it and read the answer whole. `provider` decides the egress exemption and names the errors.

    Raises:
        EgressBlocked, UnsafeDestination: the policy forbids the address, or it is none; nothing was sent.
        UpstreamError: no answer came, or a part of one; `details.sent` is False where nothing was sent.
    """
    address, _, query = step.url.partition("?")
    endpoint = parse_endpoint(address)
    request = Outbound(
        provider=provider,
        method=step.method,
        endpoint=endpoint,
        target=f"{endpoint.path or '/'}{'?' if query else ''}{query}",
        headers=(*((name.encode("ascii"), value.encode("latin-1")) for name, value in step.headers), *_ABOUT_US),
        body=step.body,
        timeouts=_TIMEOUTS,
        once=True,
    )
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            reply = await transport.send(request)
            return await _read(reply)
    except TimeoutError:
        raise UpstreamTimeout(
            f"Provider {provider!r} at {endpoint.authority!r} did not finish its answer within {FETCH_SECONDS:g} s.",
            details={"provider": provider, "host": endpoint.host, "sent": True, "reason": "total"},
        ) from None


async def _read(reply: Reply) -> Fetched:
    try:
        body = await reply.read(_LARGEST)
    finally:
        await reply.aclose()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reply.headers}
    return Fetched(reply.status, headers, body)
