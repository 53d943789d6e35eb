"""The scripted transport answers in order, raises what the script says, and remembers what it was asked."""

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse, UpstreamTimeout, UpstreamUnreachable
from open_llm_auth.ports import Transport
from open_llm_auth.testing import ScriptedReply, ScriptedTransport
from open_llm_auth.values import Endpoint, Outbound

REQUEST = Outbound("fake", "POST", Endpoint("https", "api.example", 443, "/v1"), "/v1/chat/completions", ())


async def test_replies_come_in_order_and_errors_are_raised():
    transport: Transport = ScriptedTransport([ScriptedReply(429), UpstreamUnreachable("gone"), ScriptedReply(200)])
    assert (await transport.send(REQUEST)).status == 429
    with pytest.raises(UpstreamUnreachable):
        await transport.send(REQUEST)
    assert (await transport.send(REQUEST)).status == 200


async def test_a_request_too_many_fails_the_test():
    transport = ScriptedTransport([])
    with pytest.raises(AssertionError, match="no answer left for POST"):
        await transport.send(REQUEST)


async def test_a_function_sees_the_request():
    transport = ScriptedTransport(lambda request: ScriptedReply(body=request.target.encode()))
    assert await (await transport.send(REQUEST)).read(100) == b"/v1/chat/completions"
    assert transport.requests == [REQUEST]


async def test_pieces_arrive_one_by_one_until_the_connection_breaks():
    reply = ScriptedReply(body=[b"one", b"", b"two", UpstreamTimeout("silence")])
    pieces = reply.chunks()
    assert [await anext(pieces), await anext(pieces)] == [b"one", b"two"]
    with pytest.raises(UpstreamTimeout):
        await anext(pieces)
    assert not reply.read_to_end


async def test_reading_has_a_limit_and_an_end():
    reply = ScriptedReply(body=b"12345", headers=((b"content-type", b"text/plain"),))
    assert await reply.read(5) == b"12345"
    assert reply.read_to_end
    assert reply.header(b"content-type") == b"text/plain"
    assert reply.header(b"absent") is None
    with pytest.raises(UpstreamInvalidResponse):
        await ScriptedReply(body=b"12345").read(4)


async def test_closing_is_remembered():
    transport = ScriptedTransport([reply := ScriptedReply()])
    await (await transport.send(REQUEST)).aclose()
    await transport.aclose()
    assert (reply.closed, transport.closed) == (True, True)
