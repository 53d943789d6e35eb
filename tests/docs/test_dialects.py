"""docs/dialects.md against the tables it shows: `python tests/docs/test_dialects.py` puts it up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from open_llm_auth.wire.carrying import FEATURES
from open_llm_auth.wire.dialects import DIALECTS

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"

_BEGIN, _END = "<!-- limits: begin -->\n", "<!-- limits: end -->"

#: what each feature is, for a reader
MEANINGS = {
    "audio": "audio in a message",
    "cache_control": "cache breakpoints",
    "citations": "that a document may be cited",
    "custom_tool": "OpenAI's custom tools",
    "custom_tool_grammar": "the grammar of a custom tool",
    "document": "a file in a message",
    "document_file_id": "a file by its id",
    "document_url": "a file by its address",
    "frequency_penalty": "frequency penalty",
    "image": "an image in a message",
    "image_file_id": "an image by its id",
    "image_url": "an image by its address",
    "json_object": "any JSON as the answer",
    "json_schema": "JSON of a schema as the answer",
    "logprobs": "log probabilities",
    "max_tokens": "the most tokens of the answer",
    "metadata": "metadata",
    "mid_conversation_system": "an instruction amid the messages",
    "n": "several answers at once",
    "parallel_tool_calls": "one tool call at a time",
    "presence_penalty": "presence penalty",
    "prompt_cache_key": "a key for the prompt cache",
    "provider_tool": "tools that the provider runs",
    "reasoning_budget": "tokens for reasoning",
    "reasoning_effort": "effort of reasoning",
    "reasoning_replay": "reasoning of earlier turns",
    "refusal": "a refusal of an earlier turn",
    "seed": "seed",
    "service_tier": "service tier",
    "stop": "stop sequences",
    "store": "that the provider keeps the answer",
    "strict_tool": "strict arguments of a tool",
    "temperature": "temperature",
    "tool_choice_allowed": "some of the tools only",
    "tool_choice_none": "no tool this time",
    "tool_choice_required": "some tool for certain",
    "tool_choice_tool": "this one tool",
    "tool_result_document": "a file as a tool's result",
    "tool_result_error": "that a tool failed",
    "tool_result_image": "an image as a tool's result",
    "tools": "tools",
    "top_k": "top k",
    "top_p": "top p",
    "unknown_field": "fields the gateway does not know",
    "unknown_item": "items the gateway does not know",
    "user": "who the end user is",
    "verbosity": "verbosity",
}


def limits_table() -> str:
    """Every feature with what becomes of it in each dialect that a provider speaks."""
    sides = {name: dialect.provider for name, dialect in DIALECTS.items() if dialect.provider is not None}
    lines = [f"| What | {' | '.join(f'`{name}`' for name in sides)} |", f"| --- |{' --- |' * len(sides)}"]
    for feature in FEATURES:
        cells = [side.limits.get(feature, "") for side in sides.values()]
        lines.append(f"| {MEANINGS[feature]} (`{feature}`) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_table_says_what_becomes_of_everything() -> None:
    written = PAGE.read_text("utf-8").partition(_BEGIN)[2].partition(_END)[0]
    assert written == limits_table(), "run: python tests/docs/test_dialects.py"


def test_every_dialect_is_named_with_who_speaks_it() -> None:
    text = PAGE.read_text("utf-8")
    assert not [name for name in DIALECTS if f"| `{name}` |" not in text]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    PAGE.write_text(before + _BEGIN + limits_table() + _END + rest.partition(_END)[2], "utf-8")
    sys.stdout.write("docs/dialects.md is up to date\n")
