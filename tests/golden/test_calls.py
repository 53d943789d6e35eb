"""Whatever the golden files say: a call means the same to every provider, who takes it and gets back what it signed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from open_llm_auth.providers.openai import OPENAI
from open_llm_auth.providers.spec import Adjusting
from open_llm_auth.testing import (
    anthropic_rules,
    bedrock_rules,
    gemini_rules,
    ollama_server,
    provider_server,
    responses_rules,
)
from open_llm_auth.testing.answers import Seal
from open_llm_auth.values import Endpoint, Provider
from open_llm_auth.wire.conversation import Conversation
from open_llm_auth.wire.dialect import DialectName
from open_llm_auth.wire.dialects import client_side
from open_llm_auth.wire.envelope import read_envelope

from .matrix import ALL_CASES, MODELS, WAYS_IN, Case, Made, Scenario, reply_file, request_file, sent
from .meaning import Asked, asked_in

CALLED = [case for case in ALL_CASES if case.scenario.status == 200 and case.scenario.plain]
SIGNATURE = b"c2lnbmF0dXJl"
ANYBODY = Provider("anybody", "openai-completions", "api-key")
ITSELF = Provider("openai", "openai-completions", "api-key", endpoint=Endpoint("https", "api.openai.com", 443, "/v1"))


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


class Credulous(Seal):
    """Takes every signature for its own: those of the samples are nobody's."""

    def has_signed(self, signature: str, *words: str) -> bool:
        return True

    def issued(self, signature: str) -> bool:
        return True


SEAL = Credulous("anyone")


def _taken_by_openai(body: Any) -> None:
    adjusted = OPENAI.adjust(body, Adjusting(ITSELF, MODELS["openai-chat"], stream=False, translated=True))
    provider_server.check_fields(adjusted)
    provider_server.check_calls(adjusted["messages"])


#: What each provider refuses, as its fake knows it.
RULES: Mapping[DialectName, Callable[[Any], None]] = {
    "openai-chat": _taken_by_openai,
    "openai-responses": lambda body: responses_rules.check_call(body, SEAL, {}),
    "anthropic-messages": lambda body: anthropic_rules.check_call(body, "2023-06-01", SEAL),
    "google-genai": lambda body: gemini_rules.check_call(body, MODELS["google-genai"], SEAL),
    "bedrock-converse": lambda body: bedrock_rules.check_call(body, MODELS["bedrock-converse"], SEAL),
    "ollama": ollama_server.check_call,
}


@each([case for case in CALLED if case.way_out in RULES and not case.is_relayed])
def test_the_provider_takes_what_is_sent(case: Case):
    RULES[case.way_out](json.loads(Made(case).body))


def read(case: Case) -> Asked:
    """What the client asks for."""
    return asked_in(client_side(case.way_in).read_conversation(read_envelope(request_file(case).read_bytes())))


#: The API takes no fewer (it says so itself).
LEAST_TOKENS = {"openai-responses": 16}
#: Where an error of a tool has no place of its own it is said in words.
ERROR_IN_WORDS = ("openai-chat", "openai-responses")


def sendable(asked: Asked, call: Made) -> Asked:
    """What can be asked of the provider's dialect; `call.dropped` owns up to the rest."""
    way_out = call.case.way_out
    if "stop" in call.dropped:
        asked = asked.but(stop=())
    if asked.settings["max_tokens"] is not None and not call.case.is_relayed:
        asked = asked.but(max_tokens=max(asked.settings["max_tokens"], LEAST_TOKENS.get(way_out, 1)))
    if way_out in ERROR_IN_WORDS:
        asked = asked.with_errors_in_words()
    return asked


@each([case for case in CALLED if case.way_out in WAYS_IN])
def test_a_call_means_the_same_to_its_provider(case: Case):
    call = Made(case)
    wanted = sendable(read(case), call)
    sent = asked_in(client_side(case.way_out).read_conversation(read_envelope(call.body)))
    if wanted.settings["max_tokens"] is None:
        # Some providers want to be told, and are.
        sent = sent.but(max_tokens=None)
    assert sent == wanted


def turns(*scenarios: Scenario) -> list[Case]:
    """A request and its answer; the answer then goes back whole, with a result for each call in it."""
    pairs = [(way_in, way_out) for way_in in WAYS_IN for way_out in RULES if way_in != way_out]
    return [Case(way_in, way_out, scenario) for way_in, way_out in pairs for scenario in scenarios]


TURNS = turns(Scenario("tools", "tools", "tools"), Scenario("parallel_tools", "tools", "parallel_tools"))
SIGNED_TURNS = turns(Scenario("thinking_tools", "thinking", "thinking_tools"))


def next_call(case: Case) -> Conversation:
    request = json.loads(request_file(case).read_bytes())
    NEXT[case.way_in](request, json.loads(Made(case).reply()))
    return client_side(case.way_in).read_conversation(read_envelope(json.dumps(request).encode()))


def _chat(request: Any, answer: Any) -> None:
    message = answer["choices"][0]["message"]
    request["messages"] += [message]
    request["messages"] += [
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in message["tool_calls"]
    ]


def _responses(request: Any, answer: Any) -> None:
    calls = [item for item in answer["output"] if item["type"] == "function_call"]
    request["input"] += answer["output"]
    request["input"] += [
        {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"} for call in calls
    ]


def _messages(request: Any, answer: Any) -> None:
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"}
        for block in answer["content"]
        if block["type"] == "tool_use"
    ]
    request["messages"] += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]


def _contents(request: Any, answer: Any) -> None:
    content = answer["candidates"][0]["content"]
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    results = [
        {"functionResponse": {"id": call.get("id"), "name": call["name"], "response": {"output": "sunny"}}}
        for call in calls
    ]
    request["contents"] += [content, {"role": "user", "parts": results}]


NEXT: Mapping[DialectName, Callable[[Any, Any], None]] = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic-messages": _messages,
    "google-genai": _contents,
}


@each(TURNS + SIGNED_TURNS)
def test_an_answer_goes_back_to_its_provider_and_is_taken(case: Case):
    _, _, body = sent(next_call(case), case.way_out)
    RULES[case.way_out](json.loads(body))


@each(SIGNED_TURNS)
def test_signed_reasoning_gets_back_to_who_signed_it(case: Case):
    _, _, body = sent(next_call(case), case.way_out)
    assert body.count(SIGNATURE) == reply_file(case).read_bytes().count(SIGNATURE)


#: Where Claude is to be had: what it signs in one place it takes in the other.
PLATFORMS = ("anthropic-messages", "bedrock-converse")


@each([case for case in SIGNED_TURNS if case.way_out in PLATFORMS])
def test_reasoning_that_claude_signed_gets_back_to_claude_wherever_it_is(case: Case):
    (other,) = set(PLATFORMS) - {case.way_out}
    _, _, body = sent(next_call(case), other)
    assert body.count(SIGNATURE) == reply_file(case).read_bytes().count(SIGNATURE)
    RULES[other](json.loads(body))


@each(SIGNED_TURNS)
@pytest.mark.parametrize("other", RULES)
def test_signed_reasoning_goes_to_nobody_else(case: Case, other: DialectName):
    """The conversation goes on with a provider of another dialect."""
    if other == case.way_out or {other, case.way_out} == set(PLATFORMS):
        return
    _, _, body = sent(next_call(case), other)
    document = json.loads(body)
    if other == "openai-chat":
        # Google signs in this dialect too; what kind of provider it is decides.
        document = OPENAI.adjust(document, Adjusting(ANYBODY, MODELS[other], stream=False, translated=True))
    assert SIGNATURE not in json.dumps(document).encode()
    RULES[other](document)
