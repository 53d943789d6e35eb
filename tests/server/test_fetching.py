"""A flow's request as it goes out, once, and what comes back."""

from __future__ import annotations

import pytest

from open_llm_auth.auth.flows.steps import Fetch
from open_llm_auth.errors import UnsafeDestination, UpstreamUnreachable
from open_llm_auth.server.fetching import fetch
from open_llm_auth.testing import ScriptedReply, ScriptedTransport


async def test_a_request_goes_out_as_the_flow_says_and_only_once() -> None:
    transport = ScriptedTransport([ScriptedReply(status=400, headers=((b"X-Thing", b"1"),), body=(b'{"a"', b":1}"))])
    step = Fetch("POST", "https://issuer.test:8443/token?a=b", (("accept", "application/json"),), b"form")
    fetched = await fetch(transport, "lab", step)
    assert (fetched.status, fetched.body, fetched.headers["x-thing"]) == (400, b'{"a":1}', "1")
    [request] = transport.requests
    assert request.once
    assert (request.provider, request.method, request.target, request.body) == ("lab", "POST", "/token?a=b", b"form")
    assert str(request.endpoint) == "https://issuer.test:8443/token"
    headers = dict(request.headers)
    assert headers[b"accept"] == b"application/json"
    assert headers[b"user-agent"].startswith(b"open-llm-auth/")


async def test_an_address_that_is_none_is_refused_before_anything_is_sent() -> None:
    transport = ScriptedTransport([])
    with pytest.raises(UnsafeDestination):
        await fetch(transport, "lab", Fetch("GET", "ftp://issuer.test/"))
    assert transport.requests == []


async def test_what_breaks_on_the_way_is_for_the_flow_to_hear() -> None:
    transport = ScriptedTransport([UpstreamUnreachable("gone", details={"sent": False})])
    with pytest.raises(UpstreamUnreachable):
        await fetch(transport, "lab", Fetch("GET", "https://issuer.test"))
    assert transport.requests[0].target == "/"
