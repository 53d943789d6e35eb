"""The edge in process: the order in which a request is judged, and what is said of a fault of our own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.policy.access import digest
from open_llm_auth.server.asgi import Disconnected, Exchange
from open_llm_auth.server.auth import Authenticator
from open_llm_auth.server.edge import Edge
from open_llm_auth.server.usage import Ledger
from open_llm_auth.testing import ManualClock
from open_llm_auth.values import Caller, EgressRules, FallbackRules, ServerSettings, Snapshot, TokenTable

CANARY = "kanarie-in-an-exception"
READER = TokenTable(MappingProxyType({digest("reader"): Caller("reader", frozenset({"read"}))}), configured=1)
HOST = (b"host", b"localhost")
TOKEN = (b"authorization", b"Bearer reader")


def snapshot(**server: Any) -> Snapshot:
    empty: Any = MappingProxyType({})
    return Snapshot(
        "etag", empty, empty, empty, empty, READER, EgressRules(), FallbackRules(), ServerSettings(**server)
    )


class FixedConfig:
    """A ConfigSource that never changes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def current(self) -> Snapshot:
        return self._snapshot

    def fault(self) -> None:
        return None


@dataclass(slots=True)
class Spoken:
    """What one request was answered, and what was logged."""

    messages: list[Any] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    bodies_asked: int = 0

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.messages[1]["body"])["error"]


async def speak(handler, *fields: tuple[bytes, bytes], method="GET", path="/v1/models", **server: Any) -> Spoken:
    """One request through an edge whose handlers are all `handler`."""
    spoken = Spoken()

    async def receive() -> dict[str, Any]:
        spoken.bodies_asked += 1
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        spoken.messages.append(message)

    class Handlers(dict[tuple[str, str], Any]):
        def __missing__(self, key: tuple[str, str]) -> Any:
            return handler

    ledger = Ledger(spoken.lines.append)
    edge = Edge(
        config=FixedConfig(snapshot(**server)),
        handlers=Handlers(),
        authenticator=Authenticator(anonymous=False),
        ledger=ledger,
        clock=ManualClock(),
        new_id=lambda: "call_0001",
        log_fault=spoken.faults.append,
    )
    scope = {"type": "http", "method": method, "path": path, "headers": list(fields), "client": ("127.0.0.1", 5)}
    await edge(scope, receive, send)
    await ledger.aclose()
    return spoken


async def well(exchange: Exchange) -> None:
    await exchange.respond_json(200, {})


async def test_a_fault_of_ours_is_told_by_its_place_and_never_by_its_text():
    """Neither the client nor the log sees what the exception says: it could quote a body or a key."""

    async def broken(exchange: Exchange) -> None:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise RuntimeError(CANARY) from error

    spoken = await speak(broken, HOST, TOKEN)
    assert (spoken.status, spoken.error["code"]) == (500, "internal_error")
    assert "call_0001" in spoken.error["message"]
    assert "RuntimeError" in spoken.faults[0]
    assert "in broken" in spoken.faults[0]
    # The source line names the variable; what it held is nowhere.
    everything = repr(spoken.messages) + "".join(spoken.faults) + "".join(spoken.lines)
    assert CANARY not in everything


async def test_a_fault_after_the_head_was_sent_sends_no_second_head():
    async def broken(exchange: Exchange) -> None:
        await exchange.start(200, ())
        raise RuntimeError(CANARY)

    spoken = await speak(broken, HOST, TOKEN)
    assert [message["type"] for message in spoken.messages] == ["http.response.start"]
    assert json.loads(spoken.lines[0])["code"] == "internal_error"


async def test_who_has_left_is_told_nothing_and_is_counted():
    async def gone(exchange: Exchange) -> None:
        raise Disconnected

    spoken = await speak(gone, HOST, TOKEN)
    assert spoken.messages == []
    row = json.loads(spoken.lines[0])
    assert (row["status"], row["code"]) == (499, "client_disconnected")


@pytest.mark.parametrize(
    ("fields", "path", "status"),
    [
        (((b"host", b"evil.example"), (b"origin", b"https://evil.example")), "/nowhere", 421),
        ((HOST, (b"origin", b"https://evil.example")), "/nowhere", 403),
        ((HOST,), "/nowhere", 404),
        ((HOST,), "/v1/models", 401),
        ((HOST, (b"host", b"localhost")), "/v1/models", 400),
        ((HOST, TOKEN, TOKEN), "/v1/models", 400),
        ((HOST, TOKEN), "/v1/chat/completions", 405),
        ((HOST, TOKEN), "/v1/models", 200),
    ],
)
async def test_a_request_is_judged_in_one_order_and_before_its_body(fields, path, status):
    spoken = await speak(well, *fields, path=path)
    assert spoken.status == status
    assert spoken.bodies_asked == 0


async def test_other_fields_may_come_twice():
    twice = ((b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"a=b"), (b"cookie", b"c=d"))
    assert (await speak(well, HOST, TOKEN, *twice)).status == 200


async def test_a_proxy_is_trusted_by_its_address_only():
    forwarded = (b"x-forwarded-host", b"gateway.example")
    settings = {"allowed_hosts": frozenset({"gateway.example"})}
    for proxies, status in ((("127.0.0.1",), 200), (("10.0.0.0/8",), 421), (("nonsense",), 421), ((), 421)):
        evil = (b"host", b"evil.example")
        assert (await speak(well, evil, forwarded, TOKEN, trusted_proxies=proxies, **settings)).status == status


async def test_of_a_chain_of_proxies_the_first_tells_what_the_client_used():
    async def asked(host: bytes, proto: bytes, origin: bytes) -> int:
        forwarded = ((b"x-forwarded-host", host), (b"x-forwarded-proto", proto), (b"origin", origin))
        settings = {"trusted_proxies": ("127.0.0.1",), "allowed_hosts": frozenset({"pub.example"})}
        return (await speak(well, HOST, TOKEN, *forwarded, **settings)).status

    assert await asked(b"pub.example, inner", b"https,http", b"https://pub.example") == 200
    assert await asked(b" pub.example ,inner", b" https , http", b"https://pub.example") == 200
    assert await asked(b"evil.example, pub.example", b"https", b"https://pub.example") == 421
    assert await asked(b"pub.example, inner", b"http, https", b"https://pub.example") == 403


async def test_outside_of_openais_shape_the_field_at_fault_stands_in_the_details():
    async def refuses(exchange: Exchange) -> None:
        raise InvalidRequest("no", param="server.port", details={"line": 3})

    spoken = await speak(refuses, HOST, path="/health")
    assert spoken.error == {
        "message": "no",
        "code": "invalid_request",
        "details": {"param": "server.port", "line": 3},
    }


async def test_a_head_is_answered_as_a_get_without_its_body():
    got = await speak(well, HOST, path="/health")
    asked = await speak(well, HOST, method="HEAD", path="/health")
    assert (asked.status, asked.headers[b"content-length"]) == (200, got.headers[b"content-length"])
    assert (got.messages[1]["body"], asked.messages[1]["body"]) == (b"{}", b"")


async def test_an_errors_headers_are_sent_with_it():
    async def refuses(exchange: Exchange) -> None:
        raise InvalidRequest("no", headers=(("retry-after", "5"), ("x-odd", "caf\u00e9 \u2028")))

    spoken = await speak(refuses, HOST, TOKEN)
    assert spoken.headers[b"retry-after"] == b"5"
    assert spoken.headers[b"x-odd"] == b"caf\xe9 ?"
    assert spoken.headers[b"x-gateway-call-id"] == b"call_0001"
