"""Models by the names that providers give them, and what each family takes."""

import pytest

from open_llm_auth.wire.anthropic_messages.families import OTHERS, family_of


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-3-haiku-20240307", "none"),
        ("claude-3-5-sonnet-20241022", "none"),
        ("claude-3-7-sonnet-20250219", "budget"),
        ("claude-sonnet-4-20250514", "budget"),
        ("claude-opus-4-0", "budget"),
        ("claude-opus-4-1-20250805", "budget"),
        ("claude-haiku-4-5", "budget"),
        ("anthropic/claude-sonnet-4.5", "budget"),
        ("claude-opus-4-5-20251101", "budget"),
        ("claude-sonnet-4-6", "both"),
        ("claude-opus-4-8", "adaptive"),
        ("anthropic.claude-opus-4-7-v1:0", "adaptive"),
        ("claude-opus-5-5", "adaptive"),
        ("claude-fable-5", "adaptive"),
        ("claude-mythos-preview", "adaptive"),
        ("claude-sonnet-latest", "adaptive"),
        ("CLAUDE-OPUS-4-8", "adaptive"),
    ],
)
def test_a_model_thinks_as_its_version_does(model, thinking):
    assert family_of(model).thinking == thinking


@pytest.mark.parametrize(
    "model", ["MiniMax-M2.1", "kimi-for-coding", "glm-5.1", "hf:openai/gpt-oss", "sample-model", ""]
)
def test_models_of_other_makers_are_one_family(model):
    assert family_of(model) is OTHERS


@pytest.mark.parametrize(
    ("model", "unasked", "off"),
    [
        ("claude-sonnet-4-5", False, "omitted"),
        ("claude-opus-4-8", False, "omitted"),
        ("claude-opus-5", True, "disabled"),
        ("claude-sonnet-5-5", True, "disabled"),
        ("claude-fable-5-1", True, "never"),
        ("claude-mythos-5", True, "never"),
        ("glm-5.1", False, "disabled"),
    ],
)
def test_how_a_model_is_told_not_to_think(model, unasked, off):
    assert (family_of(model).unasked, family_of(model).off) == (unasked, off)


def test_schemas_and_samplers_come_and_go_with_versions():
    assert [family_of(f"claude-opus-{version}").structured for version in ("4-0", "4-1", "4-6", "5")] == [
        False,
        True,
        True,
        True,
    ]
    assert [family_of(f"claude-opus-{version}").samples for version in ("4-0", "4-6", "4-7", "5")] == [
        True,
        True,
        False,
        False,
    ]
    assert family_of("claude-3-opus-20240229").max_tokens == 4096
