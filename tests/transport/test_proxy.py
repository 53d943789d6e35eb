"""A configured proxy is the only one, is judged itself, and is told only names that have been judged."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from open_llm_auth.errors import (
    EgressBlocked,
    SecretUnavailable,
    UnsafeDestination,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from open_llm_auth.transport.proxy import read_proxy
from open_llm_auth.values import Secret, SecretRef

CANARY = "canary-9f3b"
PUBLIC = {"api.test": ["203.0.114.9"]}


class TinyProxy:
    """Speaks CONNECT and leads every tunnel to `target`, whatever was asked for."""

    def __init__(
        self, target: int = 0, answer: bytes = b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n"
    ) -> None:
        self.target = target
        self.answer = answer
        self.asked: list[bytes] = []

    async def __call__(self, wire: Any) -> None:
        self.asked.append(await wire.request())
        await wire.send(self.answer)
        if not self.target:
            await wire.gone()
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            await asyncio.gather(pump(wire.reader, writer), pump(reader, wire.writer))
        finally:
            writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # the other end has gone, which ends the tunnel
    writer.close()


def through(port: int, userinfo: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """The rules that name the proxy, and the environment that holds its URL."""
    return {"proxy": SecretRef("env", Secret("EGRESS_PROXY"))}, {"EGRESS_PROXY": f"http://{userinfo}127.0.0.1:{port}"}


async def test_a_tunnel_carries_tls_to_the_name_and_the_proxy_sees_only_the_name(
    serve: Any, make_transport: Any, ask: Any, authority: Any
) -> None:
    server = await serve(tls=authority.server("DNS:api.test"))
    tiny = TinyProxy(server.port)
    proxy = await serve(tiny)
    rules, secrets = through(proxy.port, f"user:{CANARY}%40x@")
    transport = make_transport(names=PUBLIC, rules=rules, secrets=secrets, tls=authority.client())
    for _ in range(3):
        reply = await transport.send(ask(443, scheme="https", host="api.test", provider="openai"))
        assert await reply.read(10) == b"{}"
    basic = base64.b64encode(f"user:{CANARY}@x".encode())
    assert tiny.asked == [
        b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nProxy-Authorization: Basic " + basic + b"\r\n\r\n"
    ]
    assert server.accepted == 1


async def test_plain_http_goes_through_a_tunnel_too(serve: Any, make_transport: Any, ask: Any) -> None:
    server = await serve()
    tiny = TinyProxy(server.port)
    proxy = await serve(tiny)
    rules, secrets = through(proxy.port)
    transport = make_transport(names=PUBLIC, rules=rules, secrets=secrets)
    assert await (await transport.send(ask(80, host="api.test"))).read(10) == b"{}"
    assert tiny.asked == [b"CONNECT api.test:80 HTTP/1.1\r\nHost: api.test:80\r\n\r\n"]


async def test_what_means_this_machine_is_dialled_directly(serve: Any, make_transport: Any, ask: Any) -> None:
    server, proxy = await serve(), await serve()
    rules, secrets = through(proxy.port)
    transport = make_transport(names={"localhost": ["127.0.0.1"]}, rules=rules, secrets=secrets)
    for host in ("127.0.0.1", "localhost"):
        assert await (await transport.send(ask(server.port, host=host))).read(10) == b"{}"
    assert proxy.accepted == 0


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (["169.254.169.254"], "resolved_denylisted_cidr"),
        (["10.0.0.1"], "resolved_private_ip"),
        (["203.0.114.9", "127.0.0.1"], "resolved_loopback_ip"),
    ],
)
async def test_a_name_with_any_forbidden_address_is_not_handed_to_the_proxy(
    serve: Any, make_transport: Any, ask: Any, addresses: list[str], reason: str
) -> None:
    """The proxy resolves once more and may pick any of them."""
    proxy = await serve(TinyProxy())
    rules, secrets = through(proxy.port)
    transport = make_transport(names={"api.test": addresses}, rules=rules, secrets=secrets)
    with pytest.raises(EgressBlocked) as caught:
        await transport.send(ask(443, scheme="https", host="api.test", provider="openai"))
    assert caught.value.details["reason"] == reason
    for host in ("169.254.169.254", "metadata.google.internal", "localhost", "10.0.0.1"):
        with pytest.raises(EgressBlocked):
            await transport.send(ask(443, scheme="https", host=host, provider="openai"))
    assert proxy.accepted == 0


async def test_without_name_resolution_the_proxy_is_trusted_with_the_name(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    server = await serve()
    proxy = await serve(TinyProxy(server.port))
    for change in ({"resolve_dns": False}, {"fail_closed": False}):
        rules, secrets = through(proxy.port)
        transport = make_transport(rules={**rules, **change}, secrets=secrets)
        assert await (await transport.send(ask(80, host="only-the-proxy-knows.test"))).read(10) == b"{}"
    rules, secrets = through(proxy.port)
    with pytest.raises(UpstreamUnreachable, match="does not resolve"):
        await make_transport(rules=rules, secrets=secrets).send(ask(80, host="only-the-proxy-knows.test"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"http://user:{CANARY}@169.254.169.254:3128", "denylisted_cidr"),
        (f"http://user:{CANARY}@metadata.google.internal:3128", "denylisted_host"),
        (f"http://user:{CANARY}@inside.test:3128", "resolved_denylisted_cidr"),
        (f"http://user:{CANARY}@0.0.0.0:3128", "unspecified_ip"),
        (f"socks5://user:{CANARY}@proxy.test:1080", "unsupported_scheme"),
        (f"https://user:{CANARY}@proxy.test:1080", "unsupported_scheme"),
        (f"user:{CANARY}@proxy.test:1080", "unsupported_scheme"),
        (f"http://user:{CANARY}@", "missing_host"),
        (f"http://user:{CANARY}@proxy.test:port", "malformed_url"),
    ],
)
async def test_the_proxy_itself_is_judged_and_its_credential_is_in_no_error(
    make_transport: Any, ask: Any, url: str, reason: str
) -> None:
    transport = make_transport(
        names={**PUBLIC, "inside.test": ["169.254.169.254"]},
        rules={"proxy": SecretRef("literal", Secret(url)), "mode": "enforce" if reason == "unspecified_ip" else "off"},
    )
    with pytest.raises(EgressBlocked) as caught:
        await transport.send(ask(443, scheme="https", host="api.test", provider="openai"))
    assert (caught.value.details["provider"], caught.value.details["reason"]) == ("egress-proxy", reason)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert CANARY not in " ".join(f"{fault!r} {getattr(fault, 'details', '')}" for fault in chain)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the egress proxy answered HTTP 407"),
        (b"HTTP/1.1 403 Forbidden\r\nx: canary-in-answer\r\n\r\n", "the egress proxy answered HTTP 403"),
        (b"SSH-2.0-x\r\n\r\n", "the egress proxy's answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n", "the egress proxy's answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000, "the egress proxy's answer is not HTTP"),
    ],
)
async def test_a_tunnel_that_does_not_come_about_is_unreachable_and_nothing_was_sent(
    serve: Any, make_transport: Any, ask: Any, answer: bytes, words: str
) -> None:
    proxy = await serve(TinyProxy(answer=answer))
    rules, secrets = through(proxy.port, f"user:{CANARY}@")
    transport = make_transport(names=PUBLIC, rules=rules, secrets=secrets)
    with pytest.raises(UpstreamUnreachable, match=words) as caught:
        await transport.send(ask(443, scheme="https", host="api.test", provider="openai"))
    assert caught.value.details["sent"] is False
    assert "canary" not in f"{caught.value.message}{caught.value.details}"
    await proxy.settled()
    assert transport.stats().open == 0


async def test_a_proxy_that_keeps_silent_ends_with_the_connect_time_out(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    proxy = await serve(TinyProxy(answer=b""))
    rules, secrets = through(proxy.port)
    transport = make_transport(names=PUBLIC, rules=rules, secrets=secrets)
    with pytest.raises(UpstreamTimeout, match="could not be connected to"):
        await transport.send(ask(443, scheme="https", host="api.test", connect=0.2))
    await proxy.settled()


async def test_a_proxy_that_is_not_there_is_named_as_the_one_missing(serve: Any, make_transport: Any, ask: Any) -> None:
    gone = await serve()
    await gone.stop()
    rules, secrets = through(gone.port, f"user:{CANARY}@")
    transport = make_transport(names=PUBLIC, rules=rules, secrets=secrets)
    with pytest.raises(UpstreamUnreachable, match="the egress proxy: connection refused") as caught:
        await transport.send(ask(443, scheme="https", host="api.test", provider="openai"))
    assert CANARY not in f"{caught.value.message}{caught.value.details}"


async def test_a_proxy_whose_secret_is_missing_says_which(make_transport: Any, ask: Any) -> None:
    rules, _ = through(1)
    transport = make_transport(names=PUBLIC, rules=rules)
    with pytest.raises(SecretUnavailable, match="EGRESS_PROXY"):
        await transport.send(ask(443, scheme="https", host="api.test"))


def test_a_proxy_url_is_taken_apart() -> None:
    proxy = read_proxy(Secret(" http://us%3Aer:p%40ss@Proxy.Example:3128/ "))
    assert str(proxy.endpoint) == "http://proxy.example:3128"
    assert proxy.authorization == Secret("Basic " + base64.b64encode(b"us:er:p@ss").decode())
    assert CANARY not in repr(read_proxy(Secret(f"http://u:{CANARY}@h")))
    assert read_proxy(Secret("http://h:1")).authorization is None
    with pytest.raises(UnsafeDestination):
        read_proxy(Secret("https://h:1"))
