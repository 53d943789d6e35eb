"""One budget of tokens is one effort, whichever dialect it goes to."""

import pytest

from open_llm_auth.wire import (
    anthropic_messages,
    bedrock_converse,
    codex_cli,
    google_genai,
    ollama,
    openai_chat,
    openai_responses,
)
from open_llm_auth.wire.conversation import Conversation, Reasoning, Text, Turn
from open_llm_auth.wire.efforts import effort_of

#: A writer, a model that takes efforts and no budgets, and where the effort stands in what is written.
WRITTEN = {
    "openai-chat": (openai_chat, "gpt-5.2", ("reasoning_effort",)),
    "openai-responses": (openai_responses, "gpt-5.2", ("reasoning", "effort")),
    "anthropic-messages": (anthropic_messages, "claude-opus-4-8", ("output_config", "effort")),
    "google-genai": (google_genai, "gemini-3.1-pro", ("generationConfig", "thinkingConfig", "thinkingLevel")),
    "bedrock-converse": (bedrock_converse, "anthropic.claude-opus-4-8-v1", ("outputConfig", "effort")),
    "bedrock-converse, gpt-oss": (
        bedrock_converse,
        "openai.gpt-oss-120b-1:0",
        ("additionalModelRequestFields", "reasoning_effort"),
    ),
    "ollama": (ollama, "gpt-oss", ("think",)),
    "codex-cli": (codex_cli, "gpt-5.2-codex", ("effort",)),
}


def said(name, budget):
    room, model, path = WRITTEN[name]
    call = Conversation((Turn("user", (Text("hi"),)),), reasoning=Reasoning(budget=budget))
    found = room.write_request(call, model)
    for step in path:
        found = found[step]
    return found.lower()


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1, "low"), (1024, "low"), (1025, "medium"), (2048, "medium"), (8192, "medium"), (8193, "high"), (31_999, "high")],
)
def test_a_budget_is_the_same_effort_everywhere(name, budget, effort):
    assert said(name, budget) == effort == effort_of(budget)


def test_no_budget_is_no_effort():
    assert effort_of(None) is None
