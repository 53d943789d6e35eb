"""Entries of the list of models."""

from __future__ import annotations

from open_llm_auth.wire.google_genai import model_entry


def test_an_entry_says_what_is_known():
    assert model_entry("google/gemini", name="Gemini", context_window=1000, max_tokens=10) == {
        "name": "models/google/gemini",
        "displayName": "Gemini",
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        "inputTokenLimit": 1000,
        "outputTokenLimit": 10,
    }


def test_an_entry_says_nothing_it_does_not_know():
    assert set(model_entry("a/b")) == {"name", "displayName", "supportedGenerationMethods"}
    assert model_entry("a/b")["displayName"] == "a/b"
