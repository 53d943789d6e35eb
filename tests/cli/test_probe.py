"""Local servers are found by asking them, over real sockets, and nothing else is taken for one."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from open_llm_auth.cli.probe import find_local_servers, reach
from open_llm_auth.cli.workbench import SystemClock
from open_llm_auth.config import EnvironmentSecrets
from open_llm_auth.policy.egress import parse_endpoint
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.testing import Behaviour, FakeProvider
from open_llm_auth.transport import HttpTransport
from open_llm_auth.values import EgressRules

ROWS = load_catalog().providers
RULES = EgressRules(allow_local_providers=frozenset({"ollama", "litellm", "vllm"}))


@pytest.fixture
async def transport():
    transport = HttpTransport(lambda: RULES, EnvironmentSecrets({}), SystemClock())
    yield transport
    await transport.aclose()


def at(provider_id, base_url):
    return replace(ROWS[provider_id], base_url=base_url, endpoint=parse_endpoint(base_url))


async def test_a_server_that_lists_models_is_found(transport):
    with FakeProvider(keys=None, models=("a", "b")) as server:
        (found,) = await find_local_servers([at("ollama", server.base_url)], transport, RULES)
    assert found.models == ("a", "b")
    assert server.requests[0].key is None


async def test_a_server_that_wants_a_key_is_found_where_the_row_can_send_one(transport):
    keyless = replace(at("ollama", "http://127.0.0.1:1/v1"), auth_header=False)
    with FakeProvider(keys=("k",)) as server:
        rows = [at("litellm", server.base_url), replace(keyless, endpoint=parse_endpoint(server.base_url))]
        found = await find_local_servers(rows, transport, RULES)
    assert [(each.provider.id, each.models) for each in found] == [("litellm", None)]


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(body=b"<html>"),
        Behaviour(body={"hello": "world"}),
        Behaviour(status=404, body=b"nothing here"),
        Behaviour(status=500, body=b""),
        Behaviour(headers=(("x-gateway-call-id", "call_1"),)),
        Behaviour(before_head="close"),
    ],
)
async def test_what_is_no_model_server_is_left_out(transport, behaviour):
    with FakeProvider(keys=None, behaviour=behaviour) as server:
        assert await find_local_servers([at("ollama", server.base_url)], transport, RULES) == ()


async def test_all_are_asked_at_once_and_a_silent_one_costs_half_a_second(transport):
    with FakeProvider(keys=None, behaviour=Behaviour(before_head="hang")) as silent, FakeProvider(keys=None) as good:
        rows = [at("vllm", silent.base_url), at("ollama", good.base_url)]
        before = time.monotonic()
        found = await find_local_servers(rows, transport, RULES)
        assert time.monotonic() - before < 0.9
    assert [each.provider.id for each in found] == ["ollama"]


async def test_our_own_port_hosted_rows_and_forbidden_ones_are_not_asked(transport):
    with FakeProvider(keys=None) as server:
        ours = await find_local_servers([at("ollama", server.base_url)], transport, RULES, ours={server.port})
        jan = await find_local_servers([at("jan", server.base_url), ROWS["openai"]], transport, RULES)
        assert (ours, jan, server.requests) == ((), (), [])


async def test_reaching_tells_status_and_clock_without_a_credential(transport):
    with FakeProvider(keys=("k",), behaviour=Behaviour(headers=(("date", "Thu, 01 Jan 2026 00:00:00 GMT"),))) as server:
        reached = await reach(at("ollama", server.base_url), transport, RULES)
    assert (reached.status, reached.error) == (401, None)
    assert server.requests[0].key is None
    assert reached.date in {None, 1767225600.0}


async def test_reaching_nobody_or_a_forbidden_place_is_an_error_that_says_so(transport):
    with FakeProvider(keys=None) as server:
        gone = at("ollama", server.base_url)
    assert (await reach(gone, transport, RULES)).error.code == "upstream_unreachable"
    assert (await reach(at("jan", server.base_url), transport, RULES)).error.code == "egress_destination_blocked"
    assert (await reach(ROWS["demo"], transport, RULES)).error is None
