"""An answer leaves as it comes: a silence is broken where clients bear it, and who leaves takes the call along."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection  # noqa: TID251 - a client that can be cut at will
from typing import Any

import msgspec
import pytest

from open_llm_auth.main import open_gateway
from open_llm_auth.policy.access import LOCAL_ADMIN
from open_llm_auth.server.asgi import Exchange, Handler
from open_llm_auth.server.delivery import Delivery
from open_llm_auth.server.surfaces.calls import call_handler, surface_delivery
from open_llm_auth.server.surfaces.universal import universal_delivery, universal_handler
from open_llm_auth.server.usage import Row
from open_llm_auth.testing import BEHAVIOURS, Behaviour, FakeProvider, ManualClock
from open_llm_auth.wire import google_genai
from open_llm_auth.wire.dialects import client_side

from ..ways_in import WAYS, WayIn, text_in

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "bedrock", "ollama")
QUIET = 0.3


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request):
    return request.param


# --- a client that leaves --------------------------------------------------------------------------------------


def cut(way: WayIn, upstream: Any, text: str, *, stream: bool, until: Callable[[HTTPConnection], object]) -> str:
    """Ask, wait, hang up: the provider sees it at once. Gives the id of the request."""
    name = f"leaving-{secrets.token_hex(8)}"
    connection = HTTPConnection("127.0.0.1", upstream.gateway.port, timeout=10)
    connection.request(
        "POST",
        way.target(upstream.model, stream=stream),
        json.dumps(way.body(upstream.model, text, stream=stream)),
        {"authorization": f"Bearer {upstream.gateway.token}", "x-request-id": name},
    )
    upstream.fake.wait_until(lambda: bool(upstream.fake.calls))
    answer = until(connection)
    left = time.monotonic()
    if answer is not None:
        answer.close()
    connection.close()
    (call,) = upstream.fake.calls
    upstream.fake.wait_until(lambda: call.outcome != "open")
    assert call.outcome == "client_gone"
    # The gateway needs under 100 ms; the rest is the fake noticing it.
    assert call.ended - left < 0.25
    return name


def a_moment(_: HTTPConnection) -> None:
    time.sleep(0.1)


def the_first_bytes(connection: HTTPConnection) -> Any:
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.read(16)
    return answer


@pytest.mark.parametrize(
    "behaviour", [BEHAVIOURS["hangs_mid_body"], Behaviour(text=("tick ",) * 2_000, pace=0.01)], ids=["hangs", "goes on"]
)
def test_a_client_that_leaves_a_stream_cancels_its_call(way, family, upstream, behaviour):
    upstream.fake.when(behaviour)
    cut(way, upstream, "hi", stream=True, until=the_first_bytes)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_first_byte_cancels_its_call(way, family, upstream, stream):
    cut(way, upstream, "#silent", stream=stream, until=a_moment)


def test_a_client_that_leaves_half_an_answer_cancels_its_call(way, family, upstream):
    name = cut(way, upstream, "#hangs_mid_body", stream=False, until=a_moment)
    row = upstream.gateway.wait_for_row(lambda row: row["request"] == name)
    assert (row["status"], row["code"]) == (499, "client_disconnected")


# --- silence ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """What one client was sent, and when."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    #: sending a body waits for it, as it does at a client that does not read
    reads: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await self.reads.wait()
        self.messages.append(message)

    @property
    def pieces(self) -> list[bytes]:
        return [message["body"] for message in self.messages if message["type"] == "http.response.body"]


Ask = Callable[[WayIn, Told], Awaitable[None]]


@asynccontextmanager
async def gateway_before(provider: FakeProvider, home: Any, key: str):
    """`ask(way, told)` makes a streamed call in process, with little patience in silences."""
    row = {"baseUrl": provider.base_url, "apiKey": key, "api": "openai-completions", "auth": "api-key"}
    document = {"providers": {"fake": row}, "egressPolicy": {"allowLocalProviders": ["fake"]}}
    (home / "config.json").write_text(json.dumps(document))
    async with open_gateway({"OPEN_LLM_AUTH_HOME": str(home)}, log=lambda _: None) as opened:

        async def ask(way: WayIn, told: Told) -> None:
            body = json.dumps(way.body("fake/m", stream=True)).encode()
            arrived = asyncio.Event()

            async def receive() -> dict[str, Any]:
                if arrived.is_set():
                    await asyncio.Event().wait()
                arrived.set()
                return {"type": "http.request", "body": body, "more_body": False}

            exchange = Exchange(
                scope={"type": "http"},
                receive=receive,
                send=told.send,
                headers={},
                snapshot=opened.config.current(),
                surface="openai",
                row=Row(0.0, 0.0, "call_0a", "req_0a", "POST", way.path),
                caller=LOCAL_ADMIN,
            )
            await handler_of(way, opened.relay)(exchange)

        yield ask


def handler_of(way: WayIn, relay: Any) -> Handler:
    clock = ManualClock()
    if way.name == "universal":
        return universal_handler(relay, clock, delivery=impatient(universal_delivery()))
    if way.name == "gemini":

        def read(body: bytes, _: Exchange) -> Any:
            return msgspec.structs.replace(google_genai.read_request(body), model="fake/m", stream=True)

    else:

        def read(body: bytes, _: Exchange) -> Any:
            return client_side(way.dialect).read_request(body)

    return call_handler(relay, clock, read, way.dialect, delivery=impatient(surface_delivery(way.dialect)))


def impatient(delivery: Delivery) -> Delivery:
    return replace(delivery, quiet_seconds=QUIET)


async def test_a_silence_is_broken_between_two_events_on_every_way_in_that_bears_it(tmp_path, provider, provider_key):
    provider.behaviour = Behaviour(text=("one", " two"), pace=3 * QUIET)
    told = {way: Told() for way in WAYS.values()}
    for each in told.values():
        each.reads.set()
    async with gateway_before(provider, tmp_path, provider_key) as ask:
        await asyncio.gather(*(ask(way, told[way]) for way in told))
    for way, heard in told.items():
        said = b"".join(heard.pieces)
        assert text_in(way.read(said, stream=True)) == "one two", way.name
        if way.silence is None:
            assert not [line for line in said.splitlines() if line.startswith(b":")], way.name
        else:
            assert way.silence in heard.pieces, way.name
        assert all(piece.endswith(b"\n\n") for piece in heard.pieces if piece), way.name


async def test_nobody_is_told_of_a_silence_that_is_none(tmp_path, provider, provider_key):
    provider.behaviour = Behaviour(text=("a",) * 12, pace=QUIET / 3)
    told = Told()
    told.reads.set()
    async with gateway_before(provider, tmp_path, provider_key) as ask:
        await ask(WAYS["chat"], told)
    assert WAYS["chat"].silence not in told.pieces
    assert text_in(WAYS["chat"].read(b"".join(told.pieces), stream=True)) == "a" * 12


async def test_nothing_follows_the_end_at_a_client_that_read_slowly(tmp_path, provider, provider_key):
    """A word for the silence waits for its turn at the socket, and by then the answer is through."""
    provider.behaviour = Behaviour(plain_for_stream=True)
    told = Told()
    async with gateway_before(provider, tmp_path, provider_key) as ask:
        asking = asyncio.create_task(ask(WAYS["chat"], told))
        asyncio.get_running_loop().call_later(4 * QUIET, told.reads.set)
        await asking
        await asyncio.sleep(QUIET)
    assert [message.get("more_body", False) for message in told.messages[1:]] == [True, False]
