"""Thinking: levels since Gemini 3, tokens before, and what was asked said in the model's own terms."""

from __future__ import annotations

import pytest

from open_llm_auth.wire.conversation import Reasoning
from open_llm_auth.wire.google_genai.fields import Node
from open_llm_auth.wire.google_genai.thinking import read_thinking, signs_calls, write_thinking

OFF = Reasoning(enabled=False)


@pytest.mark.parametrize(
    ("config", "read"),
    [
        ({"includeThoughts": True}, Reasoning(shown=True)),
        ({"thinkingBudget": 0}, Reasoning(enabled=False, shown=False)),
        ({"thinking_budget": 2048, "include_thoughts": True}, Reasoning(enabled=True, budget=2048, shown=True)),
        ({"thinkingBudget": -1}, Reasoning(enabled=True, adaptive=True, shown=False)),
        ({"thinkingLevel": "LOW"}, Reasoning(enabled=True, effort="low", shown=False)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning(shown=False)),
        ({}, Reasoning(shown=False)),
    ],
)
def test_what_is_asked_of_thinking_is_read(config, read):
    assert read_thinking(Node(config, "")) == read


def test_nothing_asked_is_nothing():
    assert read_thinking(None) is None
    assert write_thinking(None, "gemini-3-pro") is None


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-2.5-flash", Reasoning(budget=2048), {"thinkingBudget": 2048, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(budget=99_999), {"thinkingBudget": 24_576, "includeThoughts": True}),
        ("gemini-2.5-pro", Reasoning(budget=1), {"thinkingBudget": 128, "includeThoughts": True}),
        ("gemini-2.5-flash-lite", Reasoning(budget=1), {"thinkingBudget": 512, "includeThoughts": True}),
        ("gemini-2.5-pro", Reasoning(effort="max"), {"thinkingBudget": 32_768, "includeThoughts": True}),
        ("models/gemini-2.5-flash", Reasoning(effort="medium"), {"thinkingBudget": 8_192, "includeThoughts": True}),
        ("gemini-2.5-flash", OFF, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Reasoning(budget=0), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", OFF, {"thinkingBudget": 128}),
        ("gemini-2.5-flash", Reasoning(enabled=True), {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(summary="auto"), {"includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(shown=False), None),
        ("gemini-3-pro-preview", Reasoning(effort="medium"), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-pro-preview", Reasoning(effort="minimal"), {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-pro-preview", OFF, {"thinkingLevel": "LOW"}),
        ("gemini-3-flash-preview", OFF, {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-pro", Reasoning(effort="medium"), {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3.8-flash", Reasoning(effort="xhigh"), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.8-flash", Reasoning(effort="low", shown=False), {"thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", Reasoning(budget=1_000), {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3.8-flash", Reasoning(budget=4_000), {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3.8-flash", Reasoning(budget=30_000), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.8-flash", Reasoning(enabled=True), {"includeThoughts": True}),
        ("gemini-flash-latest", Reasoning(effort="high"), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-2.0-flash", Reasoning(effort="high"), None),
        ("gemini-2.5-flash-image", Reasoning(effort="high"), None),
        ("gemma-3-27b-it", OFF, None),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_terms(model, reasoning, config):
    assert write_thinking(reasoning, model) == config


@pytest.mark.parametrize(
    ("model", "signs"),
    [
        ("gemini-3-pro-preview", True),
        ("gemini-3.8-flash", True),
        ("models/gemini-3-flash", True),
        ("gemini-flash-latest", True),
        ("my-tuned-model", True),
        ("gemini-2.5-pro", False),
        ("gemini-1.5-flash", False),
        ("gemma-3-27b-it", False),
    ],
)
def test_models_since_gemini_3_want_calls_signed(model, signs):
    assert signs_calls(model) is signs
