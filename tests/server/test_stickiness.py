"""Which account a conversation gets, as clients and providers see it: it stays there, and its reasoning with it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from open_llm_auth.testing import BEHAVIOURS, FakeProvider, GatewayAnswer, GatewayProcess
from open_llm_auth.testing.fake_server import FakeServer

from ..conftest import FAMILIES
from ..ways_in import WAYS, WayIn, data_in

KEYS = {"one": "sk-canary-sticky-one-01", "two": "sk-canary-sticky-two-02", "three": "sk-canary-sticky-three-03"}
PROMPT = "canary-words-of-a-prompt"


def profiles(*names: str, **fields: Any) -> dict[str, Any]:
    return {
        f"lab:{name}": {"provider": "lab", "type": "api_key", "key": KEYS[name], **fields.get(name, {})}
        for name in names
    }


def config_of(base_url: str, api: str, stored: Mapping[str, Any], token: str, **sections: Any) -> dict[str, Any]:
    return {
        "authProfiles": dict(stored),
        "providers": {"lab": {"baseUrl": base_url, "auth": "api-key", "api": api, "models": []}},
        "authorization": {"tokens": {"ci": {"token": token, "scopes": ["read", "write"], "admin": True}}},
        "egressPolicy": {"allowLocalProviders": ["lab"]},
        **sections,
    }


# --- conversations -----------------------------------------------------------------------------------------------


def turn(gateway: GatewayProcess, number: int, more: int = 0, **headers: str) -> str:
    """The profile that answers the next turn of a conversation."""
    said = [{"role": "user", "content": f"conversation {number}"}]
    for step in range(more):
        said += [{"role": "assistant", "content": "Well."}, {"role": "user", "content": f"step {step}"}]
    body = {"model": "lab/m", "messages": said}
    answer = gateway.request("POST", "/v1/chat/completions", body=body, headers=headers)
    assert answer.status == 200, answer.body
    return answer.headers["x-gateway-profile"]


@pytest.fixture
def lab() -> Iterator[FakeProvider]:
    with FakeProvider(keys=tuple(KEYS.values()), models=("m",)) as provider:
        yield provider


@pytest.fixture
def start(make_gateway: Callable[..., GatewayProcess], lab: FakeProvider, client_token: str):
    def start_gateway(*names: str, **sections: Any) -> GatewayProcess:
        stored = profiles(*names)
        return make_gateway(config_of(lab.base_url, "openai-completions", stored, client_token, **sections))

    return start_gateway


def test_two_processes_choose_alike_and_a_conversation_stays_where_it_is(start) -> None:
    first, second = start("one", "two", "three"), start("three", "one", "two")
    chosen = [turn(first, number) for number in range(24)]
    assert set(chosen) == {"lab:one", "lab:two", "lab:three"}
    assert [turn(second, number, more=1) for number in range(24)] == chosen
    assert [turn(first, number, more=3) for number in range(24)] == chosen


def test_an_account_that_is_taken_away_moves_its_own_conversations_only(start) -> None:
    whole, part = start("one", "two", "three"), start("one", "three")
    before = [turn(whole, number) for number in range(24)]
    after = [turn(part, number) for number in range(24)]
    assert all(then == now for then, now in zip(before, after, strict=True) if then != "lab:two")
    assert {now for then, now in zip(before, after, strict=True) if then == "lab:two"} <= {"lab:one", "lab:three"}


def test_what_a_client_calls_the_conversation_decides_and_the_order_of_the_config_goes_before(start) -> None:
    gateway = start("one", "two", "three")
    for name in ("session-id", "x-claude-code-session-id"):
        assert len({turn(gateway, number, **{name: "the same"}) for number in range(8)}) == 1
    assert len({turn(gateway, 1, **{"session-id": f"session {number}"}) for number in range(24)}) == 3
    strict = start("one", "two", "three", authOrder={"lab": ["lab:two", "lab:one"]})
    assert {turn(strict, number) for number in range(12)} == {"lab:two"}
    assert {turn(gateway, number, **{"x-auth-profile": "three"}) for number in range(12)} == {"lab:three"}


def test_while_an_account_rests_its_conversations_go_to_the_next_of_theirs_and_come_back(start, lab) -> None:
    gateway = start("one", "two", "three")
    home = turn(gateway, 1)
    key = KEYS[home.removeprefix("lab:")]
    lab.when(replace(BEHAVIOURS["rate_limited"], headers=(("retry-after", "1"),)), key=key)
    away = {turn(gateway, 1) for _ in range(3)}
    assert len(away) == 1
    assert home not in away
    lab.reset()
    deadline = time.monotonic() + 10
    while turn(gateway, 1) != home:
        assert time.monotonic() < deadline, "the conversation did not come back"
        time.sleep(0.05)


# --- reasoning ---------------------------------------------------------------------------------------------------

#: Families whose accounts know their own reasoning, with a model that reasons.
SIGNERS = ("responses", "anthropic", "gemini", "bedrock")
#: How each way in asks for reasoning, sealed where that is a wish of its own.
ASKING: Mapping[str, Mapping[str, Any]] = {
    "chat": {"reasoning_effort": "low"},
    "universal": {"reasoning_effort": "low"},
    "responses": {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False},
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}},
}


class Accounts:
    """Two accounts of one provider, each with a server of its own that does not know the other's reasoning."""

    def __init__(self, family: str, one: FakeServer, two: FakeServer, gateway: GatewayProcess) -> None:
        self.model = f"lab/{FAMILIES[family].model}"
        self.servers = {"lab:one": one, "lab:two": two}
        self.gateway = gateway

    def home(self, session: str) -> str:
        """Who gets a conversation of that name without reasoning of anybody's."""
        answer = WAYS["chat"].ask(self.gateway, self.model, headers={"session-id": session})
        return answer.headers["x-gateway-profile"]

    def sessions(self) -> tuple[str, str]:
        """The name of a conversation of the first account, and of one of the second."""
        found: dict[str, str] = {}
        for number in range(100):
            found.setdefault(self.home(f"session {number}"), f"session {number}")
            if len(found) == 2:
                break
        for server in self.servers.values():
            server.exchanges.clear()
        return found["lab:one"], found["lab:two"]


@pytest.fixture(scope="module")
def accounts_of(tmp_path_factory: pytest.TempPathFactory, client_token: str) -> Iterator[Callable[[str], Accounts]]:
    with ExitStack() as running:
        kept: dict[str, Accounts] = {}

        def accounts(family: str) -> Accounts:
            if family not in kept:
                kind = FAMILIES[family]
                one, two = (
                    running.enter_context(kind.fake(keys=(KEYS[name],), models=(kind.model,), issuer=name))
                    for name in ("one", "two")
                )
                stored = profiles("one", "two", one={"baseUrl": one.base_url}, two={"baseUrl": two.base_url})
                config = config_of(one.base_url, kind.api, stored, client_token)
                home = tmp_path_factory.mktemp("accounts")
                gateway = running.enter_context(GatewayProcess(home, config, token=client_token))
                kept[family] = Accounts(family, one, two, gateway)
            found = kept[family]
            for server in found.servers.values():
                server.reset()
            return found

        yield accounts


def asked(way: WayIn, accounts: Accounts, session: str, body: dict[str, Any], *, stream: bool = False) -> GatewayAnswer:
    target = way.target(accounts.model, stream=stream)
    return accounts.gateway.request("POST", target, body=body, headers={"session-id": session})


EMPTY = {"type": "object", "properties": {}}
#: A tool as each way in declares it, and what is said of it in a result.
TOOLS: Mapping[str, Any] = {
    "chat": {"tools": [{"type": "function", "function": {"name": "f", "parameters": EMPTY}}]},
    "universal": {"tools": [{"type": "function", "function": {"name": "f", "parameters": EMPTY}}]},
    "responses": {"tools": [{"type": "function", "name": "f", "parameters": EMPTY}]},
    "messages": {"tools": [{"name": "f", "input_schema": EMPTY}]},
    "gemini": {"tools": [{"functionDeclarations": [{"name": "f", "parameters": EMPTY}]}]},
}


def first_body(way: WayIn, accounts: Accounts, family: str, *, stream: bool) -> dict[str, Any]:
    """Google's proof stands in a call, where it is not to be lost on the way to others."""
    word, tools = ("#reasoning_tools", TOOLS[way.name]) if family == "gemini" else ("#reasoning", {})
    return way.body(accounts.model, f"{word} {PROMPT}", stream=stream, **ASKING[way.name], **tools)


def next_body(way: WayIn, body: dict[str, Any], answer: bytes, *, stream: bool) -> dict[str, Any]:
    """What a client says next: all of before, the answer as it got it, and the result of its call or a word of its
    own."""
    said = in_one(way, answer) if stream else json.loads(answer)
    if way.name == "universal" and not stream:
        said = said["response"]
    if way.name in ("chat", "universal"):
        message = said["choices"][0]["message"]
        more: list[Any] = [
            {"role": "tool", "tool_call_id": call["id"], "content": "Go on."}
            for call in message.get("tool_calls") or ()
        ]
        place = "messages" if way.name == "chat" else "input"
        return {**body, place: [*body[place], message, *(more or [{"role": "user", "content": "Go on."}])]}
    if way.name == "responses":
        more = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "Go on."}
            for item in said["output"]
            if item["type"] == "function_call"
        ]
        return {**body, "input": [*body["input"], *said["output"], *(more or [{"role": "user", "content": "Go on."}])]}
    if way.name == "messages":
        more = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "Go on."}
            for block in said["content"]
            if block["type"] == "tool_use"
        ]
        told = [{"role": "assistant", "content": said["content"]}, {"role": "user", "content": more or "Go on."}]
        return {**body, "messages": [*body["messages"], *told]}
    content = said["candidates"][0]["content"]
    more = [
        {"functionResponse": {**{k: v for k, v in call.items() if k != "args"}, "response": {"output": "Go on."}}}
        for part in content["parts"]
        if (call := part.get("functionCall"))
    ]
    return {**body, "contents": [*body["contents"], content, {"role": "user", "parts": more or [{"text": "Go on."}]}]}


def in_one(way: WayIn, stream: bytes) -> dict[str, Any]:
    """A stream as a client keeps it."""
    events = [json.loads(data) for data in data_in(stream) if data.startswith(b"{")]
    if way.name == "responses":
        return next(event["response"] for event in events if event["type"] == "response.completed")
    if way.name == "gemini":
        parts = [part for event in events for part in event["candidates"][0].get("content", {}).get("parts", [])]
        return {"candidates": [{"content": {"role": "model", "parts": parts}}]}
    if way.name == "messages":
        return {"content": blocks_in(events)}
    chunks = [event.get("raw", event) for event in events]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "reasoning_details": [item for delta in deltas for item in delta.get("reasoning_details") or ()],
    }
    calls: dict[int, dict[str, Any]] = {}
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls") or ()):
        call = calls.setdefault(piece["index"], {**piece, "function": {**piece["function"], "arguments": ""}})
        call["function"]["arguments"] += piece["function"].get("arguments") or ""
    if calls:
        message["tool_calls"] = list(calls.values())
    return {"choices": [{"message": message}]}


def blocks_in(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif event["type"] == "content_block_delta":
            delta = {name: value for name, value in event["delta"].items() if name != "type"}
            for name, value in delta.items():
                block = blocks[event["index"]]
                block[name] = value if name == "signature" else block.get(name, "") + value
    for block in blocks.values():
        if block["type"] == "tool_use":
            block["input"] = json.loads(block.pop("partial_json", "") or "{}")
    return [blocks[index] for index in sorted(blocks)]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("family", SIGNERS)
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_reasoning_goes_back_to_the_account_that_made_it(way, family, stream, accounts_of) -> None:
    accounts = accounts_of(family)
    of_one, of_two = accounts.sessions()
    body = first_body(way, accounts, family, stream=stream)
    made = asked(way, accounts, of_one, body, stream=stream)
    assert (made.status, made.headers["x-gateway-profile"]) == (200, "lab:one"), made.body
    follow = next_body(way, body, made.body, stream=stream)
    answer = asked(way, accounts, of_two, follow, stream=stream)
    assert (answer.status, answer.headers["x-gateway-profile"]) == (200, "lab:one"), answer.body
    assert "reasoning_replay" not in answer.headers.get("x-gateway-dropped", "")
    assert accounts.servers["lab:two"].calls == []


def stranger(way: WayIn, family: str, accounts: Accounts) -> tuple[str, dict[str, Any]]:
    """A conversation of the second account that holds reasoning which the first made, as nobody here remembers: it
    comes from before the gateway's time."""
    of_one, of_two = accounts.sessions()
    body = first_body(way, accounts, family, stream=False)
    made = asked(way, accounts, of_one, body)
    follow = next_body(way, body, made.body, stream=False)
    return of_two, follow


@pytest.fixture
def forgetful(tmp_path_factory: pytest.TempPathFactory, client_token: str, accounts_of):
    """`forgetful("gemini")`: the same two accounts behind a gateway that has seen no answer yet."""
    with ExitStack() as running:

        def start(family: str) -> Accounts:
            known = accounts_of(family)
            one, two = known.servers.values()
            stored = profiles("one", "two", one={"baseUrl": one.base_url}, two={"baseUrl": two.base_url})
            config = config_of(one.base_url, FAMILIES[family].api, stored, client_token)
            home = tmp_path_factory.mktemp("forgetful")
            gateway = running.enter_context(GatewayProcess(home, config, token=client_token))
            return Accounts(family, one, two, gateway)

        yield start


@pytest.mark.parametrize("family", SIGNERS)
def test_reasoning_of_unknown_origin_is_sent_and_left_out_once_where_it_is_refused(
    family, accounts_of, forgetful
) -> None:
    fresh = forgetful(family)
    for way in WAYS.values():
        of_two, follow = stranger(way, family, accounts_of(family))
        two = fresh.servers["lab:two"]
        two.exchanges.clear()
        answer = asked(way, fresh, of_two, follow)
        assert answer.status == 200, (way.name, answer.body)
        assert answer.headers["x-gateway-profile"] == "lab:two"
        assert "reasoning_replay" in answer.headers["x-gateway-dropped"]
        assert answer.headers["x-gateway-attempts"] == "1"
        assert [call.status for call in two.calls] == [400, 200], way.name
        assert "Go on." in two.calls[-1].request.body.decode()


@pytest.mark.parametrize("family", SIGNERS)
def test_it_is_never_left_out_twice_and_a_strict_caller_hears_the_refusal(family, accounts_of, forgetful) -> None:
    way = WAYS["messages"]
    fresh = forgetful(family)
    of_two, follow = stranger(way, family, accounts_of(family))
    two = fresh.servers["lab:two"]
    two.exchanges.clear()
    target = way.target(fresh.model)
    strict = {"session-id": of_two, "x-gateway-strict": "1"}
    if family == "anthropic":  # others can't be told all of it, which a strict caller does not want
        refused = fresh.gateway.request("POST", target, body=follow, headers=strict)
        assert (refused.status, len(two.calls)) == (400, 1)
        two.exchanges.clear()
    error = {"error": {"message": "Invalid `signature` in `thinking` block", "type": "invalid_request_error"}}
    two.when(replace(BEHAVIOURS["bad_request"], body=error))
    answer = asked(way, fresh, of_two, follow)
    assert answer.status == 400
    assert len(two.calls) == 2


def test_a_call_without_reasoning_is_not_sent_again(accounts_of) -> None:
    accounts = accounts_of("anthropic")
    of_one, _ = accounts.sessions()
    one = accounts.servers["lab:one"]
    error = {"error": {"message": "Invalid `signature` in `thinking` block", "type": "invalid_request_error"}}
    one.next(replace(BEHAVIOURS["bad_request"], body=error))
    way = WAYS["messages"]
    answer = asked(way, accounts, of_one, way.body(accounts.model))
    assert (answer.status, len(one.calls)) == (400, 1)


def test_a_turn_of_tool_calls_that_loses_its_thinking_goes_without_any(accounts_of, forgetful) -> None:
    way, tool = WAYS["messages"], {"name": "f", "input_schema": {"type": "object", "properties": {}}}
    known, fresh = accounts_of("anthropic"), forgetful("anthropic")
    of_one, of_two = known.sessions()
    body = way.body(known.model, "#reasoning_tools", tools=[tool], **ASKING["messages"])
    made = asked(way, known, of_one, body).json()["content"]
    use = next(block for block in made if block["type"] == "tool_use")
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "out"}]}
    follow = {**body, "messages": [*body["messages"], {"role": "assistant", "content": made}, result]}
    two = fresh.servers["lab:two"]
    two.exchanges.clear()
    answer = asked(way, fresh, of_two, follow)
    assert (answer.status, answer.headers["x-gateway-dropped"]) == (200, "reasoning_replay")
    sent = two.calls[-1].request.json()
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["tool_use"]
    assert (sent.get("thinking") or {}).get("type") != "enabled"
