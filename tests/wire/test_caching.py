"""Breakpoints of prompt caches, for callers whose dialect has none: where they pay, and nowhere else."""

import json
from dataclasses import replace

import msgspec
import pytest

from open_llm_auth.wire.caching import is_automatic, wants_breakpoints
from open_llm_auth.wire.conversation import CacheControl, Conversation, Text, Tool, Turn
from open_llm_auth.wire.dialects import client_side, provider_side

ASKED = Conversation((Turn("user", (Text("hi"),)),), (Text("be brief"),), caches=True)
ANSWERED = replace(ASKED, turns=(*ASKED.turns, Turn("assistant", (Text("ho"),)), Turn("user", (Text("and?"),))))


@pytest.mark.parametrize(
    "call", [ANSWERED, replace(ASKED, tools=(Tool("f"),)), replace(ASKED, caches=False, prompt_cache_key="k")]
)
def test_what_will_come_again_is_cached(call):
    assert wants_breakpoints(call)


@pytest.mark.parametrize(
    "call",
    [
        ASKED,
        replace(ANSWERED, caches=False),
        replace(ANSWERED, system=(Text("be brief", CacheControl()),)),
    ],
)
def test_a_question_that_stands_alone_and_a_caller_with_breakpoints_get_none(call):
    assert not wants_breakpoints(call)


@pytest.mark.parametrize(("options", "automatic"), [(None, True), ({"mode": "explicit"}, False)])
def test_openais_own_word_against_caching_is_heard(options, automatic):
    envelope = {} if options is None else {"prompt_cache_options": msgspec.Raw(json.dumps(options).encode())}
    assert is_automatic(envelope) is automatic


@pytest.mark.parametrize(
    ("dialect", "model", "mark"),
    [
        ("anthropic-messages", "claude-opus-4-6", "cache_control"),
        ("bedrock-converse", "anthropic.claude-opus-4-6-v1", "cachePoint"),
    ],
)
def test_a_codex_conversation_is_cached_up_to_its_instructions_and_its_last_message(dialect, model, mark):
    body = {"input": [{"role": "user", "content": "hi"}], "instructions": "be brief", "prompt_cache_key": "session"}
    side = client_side("openai-responses")
    call = side.read_conversation(side.read_request(json.dumps(body).encode()).envelope)
    fields = provider_side(dialect).write_request(call, model)
    assert json.dumps(fields["system"]).count(mark) == 1
    assert json.dumps(fields["messages"]).count(mark) == 1
