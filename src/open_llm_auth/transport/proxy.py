"""The one configured egress proxy: its address with the credential taken out, and the tunnel through it."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from ..errors import UnsafeDestination
from ..policy.egress import parse_endpoint
from ..values import EgressRules, Endpoint, Secret
from .faults import Peer

__all__ = ["PROXY", "Proxy", "open_tunnel", "proxy_rules", "read_proxy"]

#: The pseudo provider under which the proxy's own address is judged.
PROXY: Final = "egress-proxy"

_MAX_HEAD: Final = 16_384
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?:[ \r]|$)")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is, and what it wants to see first (the value of `Proxy-Authorization`)."""

    endpoint: Endpoint
    authorization: Secret | None


def read_proxy(url: Secret) -> Proxy:
    """The proxy that `egressPolicy.proxy` names.

    Raises:
        UnsafeDestination: it is no ``http://[user:password@]host:port``; `details.reason` says why, nothing is quoted.
    """
    scheme, _, rest = url.reveal().strip().partition("://")
    userinfo, at, address = rest.rpartition("@")
    endpoint = parse_endpoint(f"{scheme}://{address}")
    if endpoint.scheme != "http":
        raise UnsafeDestination(
            "The egress proxy is spoken to in plain HTTP; write it as http://host:port (TLS goes through the tunnel).",
            param="egressPolicy.proxy",
            details={"scheme": endpoint.scheme, "host": endpoint.host, "reason": "unsupported_scheme"},
        )
    return Proxy(endpoint, _basic(userinfo) if at else None)


def _basic(userinfo: str) -> Secret:
    user, _, password = userinfo.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    return Secret("Basic " + base64.b64encode(pair).decode("ascii"))


def proxy_rules(rules: EgressRules) -> EgressRules:
    """The rules for the proxy itself: a person configured it, so it may be local, but never a metadata address."""
    return replace(rules, allow_local_providers=frozenset({PROXY}))


async def open_tunnel(tunnel: socket.socket, target: Endpoint, proxy: Proxy, peer: Peer) -> None:
    """Have the proxy at the other end of `tunnel` connect to `target` (RFC 9110 §9.3.6); then the socket leads there.

    Raises:
        UpstreamUnreachable: it would not, or its answer is not HTTP.
    """
    loop = asyncio.get_running_loop()
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [f"CONNECT {host}:{target.port} HTTP/1.1", f"Host: {host}:{target.port}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
    await loop.sock_sendall(tunnel, "\r\n".join([*lines, "", ""]).encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(tunnel, 4096)
        head += data
        if not data or len(head) > _MAX_HEAD:
            raise peer.unreachable("can't be reached: the egress proxy's answer is not HTTP")
    status = _STATUS.match(head)
    if status is None or not head.endswith(b"\r\n\r\n"):  # what follows would be read as the target's own words
        raise peer.unreachable("can't be reached: the egress proxy's answer is not HTTP")
    if not status[1].startswith(b"2"):
        raise peer.unreachable(f"can't be reached: the egress proxy answered HTTP {status[1].decode('ascii')}")
