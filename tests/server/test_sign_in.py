"""The driver of sign-ins: real flows against a fake issuer over the real transport, and every way out of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from open_llm_auth import __version__
from open_llm_auth.auth.flows.choose import FLOWS
from open_llm_auth.auth.flows.steps import Fetch, Flow, Means, Tell, Tokens, Visit, Wait
from open_llm_auth.config import EnvironmentSecrets
from open_llm_auth.errors import (
    EgressBlocked,
    GatewayError,
    SignInFailed,
    UpstreamError,
    UpstreamInvalidResponse,
    UpstreamUnreachable,
)
from open_llm_auth.provider_catalog import load_sign_ins
from open_llm_auth.server.sign_in import sign_in
from open_llm_auth.testing import ManualClock, ScriptedReply, ScriptedTransport
from open_llm_auth.testing.issuer import Said, Turn
from open_llm_auth.testing.issuer_sign_in import FakeSignInIssuer
from open_llm_auth.transport import HttpTransport
from open_llm_auth.values import EgressRules, SignIn


class Somebody:
    """Signs in at once: follows the authorization page back, and notes what was shown."""

    def __init__(self, issuer: FakeSignInIssuer) -> None:
        self.issuer = issuer
        self.told: list[str] = []
        self.visited: list[tuple[str, str, str]] = []
        self.came: Mapping[str, str] = {}

    async def tell(self, text: str) -> None:
        self.told.append(text)

    async def visit(self, url: str, code: str, direct: str) -> None:
        self.visited.append((url, code, direct))
        if not code:
            self.came = dict(parse_qsl(urlsplit(await _redirect_of(url)).query))

    async def listen(self, ports: tuple[int, ...], path: str, state: str) -> int:
        return ports[0]

    async def receive(self, state: str) -> Mapping[str, str]:
        assert self.came["state"] == state
        return self.came


async def _redirect_of(url: str) -> str:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    return next(line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("location: "))


@pytest.fixture
def issuer() -> Iterator[FakeSignInIssuer]:
    with FakeSignInIssuer(client_id="", jwt=True) as issuer:
        yield issuer


@pytest.fixture
async def transport(tmp_path: Any) -> AsyncIterator[HttpTransport]:
    rules = EgressRules(allow_local_providers=frozenset(load_sign_ins()))
    transport = HttpTransport(lambda: rules, EnvironmentSecrets({}, tmp_path / ".env"), ManualClock())
    yield transport
    await transport.aclose()


def facts_at(issuer: FakeSignInIssuer, provider: str, flow: str) -> SignIn:
    stated = issuer.settings(flow)
    return replace(
        load_sign_ins()[provider],
        authorize_url=stated["authorizeUrl"],
        token_url=stated["tokenUrl"],
        device_url=stated["deviceUrl"],
        verification_url=stated["verificationUrl"],
        exchange_url=stated["exchangeUrl"],
    )


def means(issuer: FakeSignInIssuer) -> Means:
    made = iter(range(1, 100))
    return Means(lambda count: bytes([next(made)]) * count, issuer.now)


async def run(
    issuer: FakeSignInIssuer, transport: HttpTransport, provider: str, flow: str, person: Somebody | None = None
) -> Tokens:
    return await sign_in(
        FLOWS[flow](facts_at(issuer, provider, flow), means(issuer)),
        provider=provider,
        transport=transport,
        person=person or Somebody(issuer),
        limit=20.0,
        sleep=lambda _: asyncio.sleep(0),
    )


WAYS = [
    ("openai-codex", "browser"),
    ("openai-codex", "codex-device"),
    ("github-copilot", "copilot"),
    ("github-copilot", "copilot-direct"),
    ("minimax-portal", "minimax"),
    ("kimi-coding", "device"),
    ("qwen-portal", "device-pkce"),
]


@pytest.mark.parametrize(("provider", "flow"), WAYS)
async def test_every_flow_gives_tokens_that_the_issuer_takes(issuer, transport, provider, flow) -> None:
    tokens = await run(issuer, transport, provider, flow)
    github = tokens.refresh if flow == "copilot" else tokens.access
    assert github is not None
    assert issuer.accepts_access(github)
    assert all(("user-agent", f"open-llm-auth/{__version__}") in each.request.headers for each in issuer.exchanges[-1:])


async def test_the_account_of_a_sign_in_is_read_from_its_token(issuer, transport) -> None:
    tokens = await run(issuer, transport, "openai-codex", "browser")
    assert (tokens.account_id, tokens.email, tokens.details["plan"]) == ("acct-1", "ada@example.test", "plus")


async def test_what_is_pending_is_waited_for(issuer, transport) -> None:
    pending = Said(400, {"error": "authorization_pending"})
    issuer.answers.extend([pending, Said(400, {"error": "slow_down"}), pending])
    person = Somebody(issuer)
    await run(issuer, transport, "kimi-coding", "device", person)
    (visit,) = person.visited
    assert visit == (f"{issuer.base_url}/device", "WDJB-MJHT", f"{issuer.base_url}/device?user_code=WDJB-MJHT")


@pytest.mark.parametrize(("provider", "flow"), [way for way in WAYS if way[1] != "minimax"])
async def test_a_no_ends_every_flow(issuer, transport, provider, flow) -> None:
    issuer.deny = True
    with pytest.raises(SignInFailed) as caught:
        await run(issuer, transport, provider, flow)
    assert caught.value.details["reason"] == "denied"


@pytest.mark.parametrize(("provider", "flow"), WAYS)
@pytest.mark.parametrize(
    "turn", [Turn(200, b"<!doctype html>hotel"), Turn(200, {"status": "success"}), Turn(400, {"error": "canary"})]
)
async def test_a_wrong_answer_ends_a_flow_with_a_message_without_secrets(
    issuer, transport, provider, flow, turn
) -> None:
    issuer.grants = dict.fromkeys(issuer.grants, lambda fields, turn: Said(turn.status, turn.body))
    issuer.turn = turn
    with pytest.raises(GatewayError) as caught:
        await run(issuer, transport, provider, flow)
    assert provider in caught.value.message
    assert not any(secret in caught.value.message for secret in issuer.secrets_given)


async def test_where_nothing_is_exchanged_the_person_is_told(issuer, transport) -> None:
    issuer.exchange_status = 404
    person = Somebody(issuer)
    tokens = await run(issuer, transport, "github-copilot", "copilot", person)
    assert tokens.refresh is None
    assert "used as it is" in person.told[0]


async def test_a_base_url_of_a_foreign_host_stores_nothing(issuer, transport) -> None:
    issuer.proxy_endpoint = "proxy.evil.example"
    with pytest.raises(UpstreamInvalidResponse, match=r"evil\.example"):
        await run(issuer, transport, "github-copilot", "copilot")
    issuer.resource_url = "https://evil.example/v1"
    with pytest.raises(UpstreamInvalidResponse, match=r"evil\.example"):
        await run(issuer, transport, "minimax-portal", "minimax")


async def test_a_redirect_is_not_followed(issuer, transport) -> None:
    issuer.instead["/device/code"] = Said(307, b"", (("location", f"{issuer.base_url}/elsewhere"),))
    with pytest.raises(UpstreamInvalidResponse, match="redirect"):
        await run(issuer, transport, "kimi-coding", "device")
    assert [each.request.path for each in issuer.exchanges] == ["/device/code"]


async def test_the_egress_policy_holds_for_every_request(issuer, tmp_path) -> None:
    transport = HttpTransport(EgressRules, EnvironmentSecrets({}, tmp_path / ".env"), ManualClock())
    with pytest.raises(EgressBlocked):
        await run(issuer, transport, "kimi-coding", "device")
    await transport.aclose()
    assert issuer.exchanges == []


async def test_a_server_that_is_not_there_is_named(issuer, transport) -> None:
    issuer.stop()
    with pytest.raises(UpstreamUnreachable, match="kimi-coding"):
        await run(issuer, transport, "kimi-coding", "device")


# --- the driver alone ---


async def drive(flow: Flow, transport: ScriptedTransport | None = None, **options: Any) -> Tokens:
    person = Somebody(FakeSignInIssuer())
    return await sign_in(flow, provider="p", transport=transport or ScriptedTransport([]), person=person, **options)


def closing(closed: list[str], *steps: Any) -> Flow:
    try:
        yield from steps
    finally:
        closed.append("closed")
    return Tokens("access")


async def test_a_request_is_sent_once_to_where_it_says() -> None:
    transport = ScriptedTransport([ScriptedReply(201, b"{}", ((b"X-A", b"1"), (b"x-a", b"2")))])
    seen: list[Any] = []

    def flow() -> Flow:
        seen.append((yield Fetch("POST", "https://issuer.example/a/b?c=d", (("accept", "x"),), b"body")))
        return Tokens("access")

    await drive(flow(), transport)
    (request,) = transport.requests
    assert request.once
    assert (request.method, str(request.endpoint), request.target) == ("POST", "https://issuer.example/a/b", "/a/b?c=d")
    assert (seen[0].status, seen[0].body) == (201, b"{}")
    assert request.headers[0] == (b"accept", b"x")


async def test_trouble_on_the_way_is_thrown_into_the_flow() -> None:
    trouble = UpstreamUnreachable("gone")
    transport = ScriptedTransport([trouble])

    def flow() -> Flow:
        try:
            yield Fetch("GET", "https://issuer.example/")
        except UpstreamError as error:
            assert error is trouble
            return Tokens("access")
        raise AssertionError("it was not thrown")

    assert (await drive(flow(), transport)).access == "access"


async def test_a_body_that_is_too_long_is_refused() -> None:
    transport = ScriptedTransport([ScriptedReply(200, b"x" * ((1 << 20) + 1))])
    with pytest.raises(UpstreamInvalidResponse, match="longer"):
        await drive(closing([], Fetch("GET", "https://issuer.example/")), transport)


async def test_it_ends_by_itself_and_closes_the_flow() -> None:
    closed: list[str] = []
    with pytest.raises(SignInFailed, match="not finished within") as caught:
        await drive(closing(closed, Wait(100.0)), limit=0.05)
    assert (caught.value.details["reason"], closed) == ("expired", ["closed"])


async def test_cancelling_it_anywhere_closes_the_flow_and_gives_nothing() -> None:
    for step in (Wait(100.0), Fetch("GET", "https://issuer.example/")):
        closed: list[str] = []

        class Silent(ScriptedTransport):
            async def send(self, request: Any) -> ScriptedReply:
                await asyncio.Event().wait()
                raise AssertionError

        task = asyncio.create_task(drive(closing(closed, Tell("begin"), step), Silent([])))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed == ["closed"]


async def test_a_fault_of_the_person_closes_the_flow_too() -> None:
    closed: list[str] = []

    class Broken(Somebody):
        async def visit(self, url: str, code: str, direct: str) -> None:
            raise SignInFailed("no screen")

    with pytest.raises(SignInFailed, match="no screen"):
        await sign_in(
            closing(closed, Visit("https://a.example", "x")),
            provider="p",
            transport=ScriptedTransport([]),
            person=Broken(FakeSignInIssuer()),
        )
    assert closed == ["closed"]
