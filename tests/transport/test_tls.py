"""The address is dialled, the name is verified."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.errors import UpstreamTimeout, UpstreamUnreachable
from open_llm_auth.transport import default_tls

NAMES = {"api.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}


async def test_the_certificate_is_verified_for_the_name_though_the_address_is_dialled(
    serve: Any, make_transport: Any, ask: Any, authority: Any
) -> None:
    async def tell(wire: Any) -> None:
        while data := await wire.request():
            seen.append((wire.writer.get_extra_info("ssl_object").selected_alpn_protocol(), data))
            await wire.answer(b"private")

    seen: list[tuple[str, bytes]] = []
    context = authority.server("DNS:api.test")
    names_asked: list[str] = []
    context.sni_callback = lambda _socket, name, _context: names_asked.append(name)
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = await serve(tell, tls=context)
    transport = make_transport(names=NAMES, tls=authority.client())
    for _ in range(2):
        reply = await transport.send(ask(server.port, scheme="https", host="api.test"))
        assert await reply.read(100) == b"private"
    assert (server.accepted, names_asked) == (1, ["api.test"])
    assert seen[0][0] == "http/1.1"
    assert f"host: api.test:{server.port}\r\n".encode() in seen[0][1]


@pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
async def test_a_certificate_for_another_name_is_refused_before_a_byte_of_the_request(
    serve: Any, make_transport: Any, ask: Any, authority: Any, host: str
) -> None:
    async def tell(wire: Any) -> None:
        seen.append(await wire.request())

    seen: list[bytes] = []
    server = await serve(tell, tls=authority.server("DNS:api.test"))
    transport = make_transport(names=NAMES, tls=authority.client())
    with pytest.raises(UpstreamUnreachable, match="certificate is not valid for that name") as caught:
        await transport.send(ask(server.port, scheme="https", host=host))
    assert (caught.value.details["reason"], caught.value.details["sent"]) == ("tls_failed", False)
    await asyncio.sleep(0.05)
    assert not any(seen)
    assert transport.stats().open == 0


async def test_a_certificate_for_the_address_serves_a_literal_address(
    serve: Any, make_transport: Any, ask: Any, authority: Any
) -> None:
    server = await serve(tls=authority.server("IP:127.0.0.1"))
    reply = await make_transport(tls=authority.client()).send(ask(server.port, scheme="https"))
    assert await reply.read(10) == b"{}"


async def test_an_unknown_authority_is_refused(serve: Any, make_transport: Any, ask: Any, authority: Any) -> None:
    server = await serve(tls=authority.server("DNS:api.test"))
    with pytest.raises(UpstreamUnreachable, match="certificate"):
        await make_transport(names=NAMES).send(ask(server.port, scheme="https", host="api.test"))


async def test_a_server_that_does_not_speak_tls_is_unreachable(serve: Any, make_transport: Any, ask: Any) -> None:
    async def plain(wire: Any) -> None:
        await wire.reader.read(10)
        await wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def closing(wire: Any) -> None:
        await wire.reader.read(10)

    for handler in (plain, closing):
        server = await serve(handler)
        transport = make_transport(names=NAMES)
        with pytest.raises(UpstreamUnreachable) as caught:
            await transport.send(ask(server.port, scheme="https", host="api.test"))
        assert caught.value.details["sent"] is False
        assert transport.stats().open == 0


async def test_a_handshake_that_hangs_ends_with_the_connect_time_out(serve: Any, make_transport: Any, ask: Any) -> None:
    async def silent(wire: Any) -> None:
        await wire.gone()

    server = await serve(silent)
    transport = make_transport(names=NAMES)
    with pytest.raises(UpstreamTimeout, match="could not be connected to"):
        await transport.send(ask(server.port, scheme="https", host="api.test", connect=0.3))
    await server.settled(within=0.5)
    assert transport.stats().open == 0


async def test_a_stream_over_tls_is_relayed_and_can_be_left(
    serve: Any, make_transport: Any, ask: Any, authority: Any
) -> None:
    async def endless(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    server = await serve(endless, tls=authority.server("DNS:api.test"))
    transport = make_transport(names=NAMES, tls=authority.client())
    reply = await transport.send(ask(server.port, scheme="https", host="api.test"))
    size = 0
    async for piece in reply.chunks():
        size += len(piece)
        await asyncio.sleep(0)
        if size > 3_000_000:
            break
    await reply.aclose()
    await server.settled()
    assert transport.stats().open == 0


def test_the_default_context_verifies_and_has_somebody_to_trust() -> None:
    context = default_tls()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    paths = ssl.get_default_verify_paths()
    assert context.cert_store_stats()["x509_ca"] or list(Path(paths.capath).iterdir())
