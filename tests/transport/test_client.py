"""What leaves goes where the policy said, and comes back whole or with the right error."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from open_llm_auth.errors import EgressBlocked, InvalidRequest, UnsafeDestination, UpstreamTimeout, UpstreamUnreachable
from open_llm_auth.policy.egress import parse_endpoint
from open_llm_auth.testing import ManualClock
from open_llm_auth.transport import HttpTransport, Resolver, Sighting
from open_llm_auth.transport.connection import Connection
from open_llm_auth.transport.reply import HttpReply
from open_llm_auth.values import EgressRules, Endpoint, Outbound, Timeouts

CORPUS = Path(__file__).parents[1] / "policy" / "hostile_destinations.txt"


async def plain(wire: Any) -> None:
    while await wire.request():
        await wire.answer(b'{"ok":1}', fields="content-type: application/json\r\n")


def corpus(port: int) -> list[tuple[str, str, list[str]]]:
    rows = []
    for line in CORPUS.read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            reason, _, rest = line.partition(" ")
            url, _, addresses = rest.partition(" -> ")
            url = url.replace("{port}", str(port)).encode("ascii").decode("unicode_escape")
            rows.append((reason, url, addresses.split(",") if addresses else []))
    return rows


def forced(url: str, port: int) -> Endpoint:
    """An endpoint for a URL that does not parse, as careless code would make it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return Endpoint("https", url, port, "")
    return Endpoint(parts.scheme, host, port, "")


async def test_a_request_is_sent_and_its_answer_comes_back(serve: Any, make_transport: Any, ask: Any) -> None:
    async def once(wire: Any) -> None:
        seen.append(await wire.request())
        await wire.answer(b"[1]", status="418 Teapot", fields="X-Thing: a\r\nX-Thing: b\r\n")

    seen: list[bytes] = []
    server = await serve(once)
    reply = await make_transport().send(ask(server.port, body=b'{"a":1}'))
    assert (reply.status, await reply.read(100)) == (418, b"[1]")
    assert reply.header(b"x-thing") == b"a"
    assert [value for name, value in reply.headers if name == b"x-thing"] == [b"a", b"b"]
    assert reply.header(b"missing") is None
    await reply.aclose()
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/chat HTTP/1.1"
    assert lines[1] == f"host: 127.0.0.1:{server.port}".encode()
    assert {b"authorization: Bearer k", b"content-length: 7", b"accept-encoding: identity"} <= set(lines)
    assert body == b'{"a":1}'


async def test_every_hostile_destination_is_refused_and_no_socket_reaches_this_machine(
    serve: Any, make_transport: Any
) -> None:
    """The canary proves itself at the end: a provider with the exemption does reach it."""
    canary = await serve(plain)
    rows = corpus(canary.port)
    names = {}
    for _, url, addresses in rows:
        if addresses:
            names[parse_endpoint(url).host] = addresses
    sightings: list[Sighting] = []
    transport = make_transport(names=names, on_blocked=sightings.append)
    for expected, url, _ in rows:
        try:
            endpoint = parse_endpoint(url)
        except UnsafeDestination:
            endpoint = forced(url, canary.port)
        request = Outbound("openai", "POST", endpoint, "/v1/x", (), b"{}", Timeouts(0.5, 0.5, 0.5))
        parsed = str(endpoint) != str(forced(url, canary.port)) or expected not in (
            "malformed_url",
            "missing_host",
            "unsupported_scheme",
            "userinfo_forbidden",
        )
        try:
            reply = await transport.send(request)
        except EgressBlocked as fault:
            assert fault.details["phase"] == "connect"
            if parsed and expected not in ("userinfo_forbidden", "malformed_url", "missing_host"):
                assert fault.details["reason"] == expected, url
        except UpstreamUnreachable as fault:  # nothing of it was left but a name, which leads nowhere
            assert expected in ("userinfo_forbidden", "malformed_url"), url
            assert fault.details["reason"] == "dns_resolution_failed"
        else:
            pytest.fail(f"{url!r} was answered with {reply.status}")
    assert canary.accepted == 0
    assert transport.stats().dials == 0
    assert len(sightings) >= 200
    local = Outbound("local", "GET", Endpoint("http", "127.0.0.1", canary.port, ""), "/", ())
    assert await (await transport.send(local)).read(100) == b'{"ok":1}'
    assert canary.accepted == 1


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:{port}/other", "//localhost:{port}/x"]
)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_comes_back_as_it_is_and_is_never_followed(
    serve: Any, make_transport: Any, ask: Any, status: str, location: str
) -> None:
    async def redirect(wire: Any) -> None:
        while await wire.request():
            await wire.answer(b"", status=status, fields=f"location: {location.format(port=canary.port)}\r\n")

    canary = await serve(plain)
    server = await serve(redirect)
    transport = make_transport()
    reply = await transport.send(ask(server.port))
    assert reply.status == int(status[:3])
    assert (canary.accepted, server.accepted, transport.stats().dials) == (0, 1, 1)


async def test_the_address_that_was_judged_is_the_one_that_is_dialled(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    """A name server that changes its mind between two questions is asked once a dial, and its answer judged."""
    asked: list[str] = []

    async def rebinding(host: str) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    server = await serve(plain)
    transport = make_transport(resolver=Resolver(ManualClock(), lookup=rebinding, ttl=0.0))
    reply = await transport.send(ask(server.port, host="rebind.test"))
    assert await reply.read(100) == b'{"ok":1}'
    assert (len(asked), server.accepted) == (1, 1)
    await (await transport.send(ask(server.port, host="rebind.test"))).read(100)
    assert len(asked) == 1, "a kept connection leads where it was judged to lead, and asks nobody"
    other = replace(ask(server.port, host="rebind.test"), endpoint=Endpoint("http", "rebind.test", server.port + 1, ""))
    with pytest.raises(EgressBlocked) as caught:
        await transport.send(other)
    assert caught.value.details["reason"] == "resolved_denylisted_cidr"
    assert server.accepted == 1


async def test_of_several_addresses_only_the_allowed_ones_are_dialled(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    server = await serve(plain)
    sightings: list[Sighting] = []
    transport = make_transport(
        names={"mixed.test": ["169.254.169.254", "127.0.0.1", "0.0.0.0"]}, on_blocked=sightings.append
    )
    reply = await transport.send(ask(server.port, host="mixed.test"))
    assert await reply.read(100) == b'{"ok":1}'
    assert [(s.address, s.reason) for s in sightings] == [
        ("169.254.169.254", "resolved_denylisted_cidr"),
        ("0.0.0.0", "resolved_unspecified_ip"),
    ]


async def test_what_dns_gave_is_in_no_error_but_in_the_sighting(make_transport: Any, ask: Any) -> None:
    sightings: list[Sighting] = []
    transport = make_transport(names={"inside.test": ["10.66.77.88"]}, on_blocked=sightings.append)
    with pytest.raises(EgressBlocked) as caught:
        await transport.send(ask(443, scheme="https", host="inside.test", provider="openai"))
    assert "10.66.77.88" not in f"{caught.value.message}{caught.value.details}"
    assert caught.value.details == {
        "provider": "openai",
        "scheme": "https",
        "host": "inside.test",
        "reason": "resolved_private_ip",
        "phase": "connect",
    }
    assert sightings == [Sighting("openai", "inside.test", "resolved_private_ip", "10.66.77.88")]


async def test_addresses_are_judged_at_connect_even_when_names_are_not_resolved_before(
    make_transport: Any, ask: Any
) -> None:
    transport = make_transport(names={"inside.test": ["10.0.0.1"]}, rules={"resolve_dns": False})
    with pytest.raises(EgressBlocked):
        await transport.send(ask(443, scheme="https", host="inside.test", provider="openai"))


async def test_observing_counts_and_lets_pass(serve: Any, make_transport: Any, ask: Any) -> None:
    server = await serve(plain)
    seen: list[Sighting] = []
    transport = make_transport(rules={"mode": "observe"}, names={"inside.test": ["127.0.0.1"]}, on_observed=seen.append)
    for host in ("127.0.0.1", "127.0.0.1", "inside.test"):
        reply = await transport.send(ask(server.port, host=host, provider="openai"))
        assert await reply.read(100) == b'{"ok":1}'
    assert [(sighting.reason, sighting.address) for sighting in seen] == [
        ("insecure_http_forbidden", None),
        ("insecure_http_forbidden", None),
        ("insecure_http_forbidden", None),
        ("resolved_loopback_ip", "127.0.0.1"),
    ]
    assert transport.stats().observed == 4


async def test_a_connection_opened_under_an_exemption_is_not_lent_to_others(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    """Also when both would be allowed to dial: a lane belongs to one exemption class."""
    server = await serve(plain)
    transport = make_transport(rules={"allow_localhost": True, "allow_insecure_http": True})
    for provider in ("local", "openai", "local", "openai"):
        await (await transport.send(ask(server.port, provider=provider))).read(100)
    assert server.accepted == 2
    strict = make_transport(names={"inside.test": ["127.0.0.1"]}, rules={"allow_insecure_http": True})
    await (await strict.send(ask(server.port, host="inside.test"))).read(100)
    with pytest.raises(EgressBlocked):
        await strict.send(ask(server.port, host="inside.test", provider="openai"))


async def test_when_the_rules_change_kept_connections_are_judged_anew(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    rules = [EgressRules(allow_local_providers=frozenset({"local"}))]
    server = await serve(plain)
    transport = make_transport(rules=lambda: rules[-1])
    await (await transport.send(ask(server.port))).read(100)
    rules.append(replace(rules[-1]))
    await (await transport.send(ask(server.port))).read(100)
    assert server.accepted == 1, "an equal set of rules changes nothing"
    busy = await transport.send(ask(server.port))
    rules.append(EgressRules())
    with pytest.raises(EgressBlocked):
        await transport.send(ask(server.port))
    assert await busy.read(100) == b'{"ok":1}'
    await server.settled()
    assert transport.stats().idle == 0


async def test_a_streaming_connection_is_closed_on_its_return_when_the_rules_have_changed(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def slow(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na")
        await go_on.wait()
        await wire.send(b"b")
        await wire.gone()

    go_on = asyncio.Event()
    rules = [EgressRules(allow_local_providers=frozenset({"local"}))]
    server = await serve(slow)
    transport = make_transport(rules=lambda: rules[-1])
    reply = await transport.send(ask(server.port))
    rules.append(EgressRules())
    with pytest.raises(EgressBlocked):
        await transport.send(ask(server.port))
    go_on.set()
    assert await reply.read(10) == b"ab"
    await server.settled()


async def test_a_name_without_address_is_a_connection_error_that_moves_on(make_transport: Any, ask: Any) -> None:
    transport = make_transport(names={"empty.test": []})
    for host, reason in (("unknown.test", "dns_resolution_failed"), ("empty.test", "dns_no_answers")):
        with pytest.raises(UpstreamUnreachable) as caught:
            await transport.send(ask(443, scheme="https", host=host))
        assert caught.value.details == {"provider": "local", "host": host, "sent": False, "reason": reason}
        assert caught.value.retryable


async def test_a_refused_connection_says_so_and_that_nothing_was_sent(make_transport: Any, ask: Any) -> None:
    unused = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = unused.sockets[0].getsockname()[1]
    unused.close()
    transport = make_transport(names={"gone.test": ["127.0.0.1"]})
    with pytest.raises(UpstreamUnreachable, match="connection refused") as caught:
        await transport.send(ask(port, host="gone.test"))
    assert caught.value.details["sent"] is False
    assert "127.0.0.1" not in caught.value.message
    assert transport.stats().open == 0


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"target": "/a b"}, "target"),
        ({"target": "/a\r\nx: y"}, "target"),
        ({"target": "http://other/"}, "target"),
        ({"method": "CONNECT"}, "method"),
        ({"method": "HEAD"}, "method"),
        ({"method": "GET / HTTP/1.1\r\n"}, "method"),
        ({"headers": ((b"x", b"a\r\nhost: evil"),)}, "headers"),
        ({"headers": ((b"host", b"evil"),)}, "headers"),
        ({"headers": ((b"Transfer-Encoding", b"chunked"),)}, "headers"),
    ],
)
async def test_a_request_that_would_be_read_as_another_is_never_sent(
    serve: Any, make_transport: Any, ask: Any, change: dict[str, Any], param: str
) -> None:
    server = await serve(plain)
    with pytest.raises(InvalidRequest) as caught:
        await make_transport().send(ask(server.port, **change))
    assert caught.value.param == param
    assert server.accepted == 0


async def test_each_time_out_says_which_it_is(serve: Any, make_transport: Any, ask: Any) -> None:
    async def silent(wire: Any) -> None:
        data = await wire.request()
        if b"/begin" in data:
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
        await wire.gone(5)

    async def never(host: str) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    server = await serve(silent)
    transport = make_transport(resolver=Resolver(ManualClock(), lookup=never))
    with pytest.raises(UpstreamTimeout, match="did not begin to answer within") as caught:
        await transport.send(ask(server.port, first_byte=0.1))
    assert caught.value.details["reason"] == "first_byte"
    reply = await transport.send(ask(server.port, target="/begin", idle=0.1))
    pieces = reply.chunks()
    assert await anext(pieces) == b"abc"
    with pytest.raises(UpstreamTimeout, match="sent nothing more within"):
        await anext(pieces)
    with pytest.raises(UpstreamTimeout, match="could not be connected to within") as caught:
        await transport.send(ask(server.port, host="slow.test", connect=0.1))
    assert (caught.value.status, caught.value.details["sent"]) == (504, False)
    await server.settled()
    assert transport.stats().open == 0


async def test_a_time_out_starts_again_with_every_piece(serve: Any, make_transport: Any, ask: Any) -> None:
    async def paced(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n")
        for _ in range(6):
            await asyncio.sleep(0.08)
            await wire.send(b"x")

    server = await serve(paced)
    reply = await make_transport().send(ask(server.port, idle=0.25, first_byte=0.25))
    assert await reply.read(10) == b"xxxxxx"


async def test_a_slow_reader_is_not_taken_for_a_silent_provider(serve: Any, make_transport: Any, ask: Any) -> None:
    async def two(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na")
        await asyncio.sleep(0.15)
        await wire.send(b"b")

    server = await serve(two)
    reply = await make_transport().send(ask(server.port, idle=0.3, first_byte=0.1))
    pieces = reply.chunks()
    assert await anext(pieces) == b"a"
    await asyncio.sleep(0.6)
    assert await anext(pieces) == b"b"


@pytest.mark.parametrize("when", [0.0, 0.02])
async def test_cancelling_a_send_closes_the_connection_at_once(
    serve: Any, make_transport: Any, ask: Any, when: float
) -> None:
    async def silent(wire: Any) -> None:
        await wire.request()
        took.append(await wire.gone())

    took: list[float] = []
    server = await serve(silent)
    transport = make_transport()
    task = asyncio.ensure_future(transport.send(ask(server.port)))
    await asyncio.sleep(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert transport.stats().open == 0
    await server.settled(within=0.1)


async def test_cancelling_at_any_step_of_the_loop_leaks_nothing(serve: Any, make_transport: Any, ask: Any) -> None:
    server = await serve(plain)
    transport = make_transport(names={"a.test": ["127.0.0.1", "127.0.0.2"]})
    for steps in range(40):
        task = asyncio.ensure_future(transport.send(ask(server.port, host="a.test")))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        if not isinstance(result, BaseException):
            await result.aclose()
    await asyncio.sleep(0.05)
    stats = transport.stats()
    assert stats.open == stats.idle
    await transport.aclose()
    await server.settled()


async def test_two_thousand_abandoned_streams_leave_no_connection_open(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def endless(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not wire.writer.is_closing():
            await wire.send(b"5\r\nhello\r\n")
            await asyncio.sleep(0.02)

    server = await serve(endless)
    transport = make_transport()

    async def abandon() -> None:
        for _ in range(50):
            reply = await transport.send(ask(server.port, connect=20, first_byte=20))
            assert (await anext(reply.chunks())).startswith(b"hello")
            await reply.aclose()
            await reply.aclose()

    await asyncio.gather(*[abandon() for _ in range(40)])
    await server.settled(within=5)
    stats = transport.stats()
    assert (stats.open, stats.idle, stats.dials) == (0, 0, 2000)


async def test_leaving_a_stream_cancels_the_upstream_within_100_ms(serve: Any, make_transport: Any, ask: Any) -> None:
    async def begun(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
        await wire.gone()
        gone.set()

    gone = asyncio.Event()
    server = await serve(begun)
    reply = await make_transport().send(ask(server.port))
    await reply.aclose()
    async with asyncio.timeout(0.1):
        await gone.wait()


async def test_stopping_ends_what_is_under_way_with_an_error(serve: Any, make_transport: Any, ask: Any) -> None:
    async def silent(wire: Any) -> None:
        await wire.request()
        await wire.gone()

    server = await serve(silent)
    transport: HttpTransport = make_transport()
    task = asyncio.ensure_future(transport.send(ask(server.port)))
    await server.settled(open_=1)
    await asyncio.sleep(0.02)
    await transport.aclose()
    with pytest.raises(UpstreamUnreachable, match="stopping"):
        await task
    with pytest.raises(UpstreamUnreachable, match="stopping"):
        await transport.send(ask(server.port))


async def test_what_is_remembered_of_destinations_is_bounded(make_transport: Any, ask: Any) -> None:
    transport = make_transport()
    for port in range(1, 2100):
        with pytest.raises(EgressBlocked):
            await transport.send(ask(port, provider="openai"))
    assert len(transport._routes) <= 1024
    assert len(transport._pool._lanes) <= 1025


async def test_an_abandoned_exchange_leaves_nothing_for_the_collector(
    serve: Any, make_transport: Any, ask: Any
) -> None:
    async def begun(wire: Any) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
        await wire.gone()

    server = await serve(begun)
    transport = make_transport()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            reply = await transport.send(ask(server.port))
            await anext(reply.chunks())
            await reply.aclose()
        del reply
        await server.settled()
        await asyncio.sleep(0.02)
        left = [thing for thing in gc.get_objects() if isinstance(thing, (Connection, HttpReply))]
        assert left == []
    finally:
        gc.enable()


async def test_environment_proxies_are_ignored(
    serve: Any, make_transport: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await serve(plain)
    server = await serve(plain)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    await (await make_transport().send(ask(server.port))).read(100)
    assert (proxy.accepted, server.accepted) == (0, 1)
