"""What another dialect can't carry is said: refused, or named as dropped."""

import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.carrying import FEATURES, check_carried, features_of
from open_llm_auth.wire.conversation import (
    Audio,
    CacheControl,
    Conversation,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    OutputFormat,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    Turn,
)


def said(*parts, role="user"):
    return Conversation((Turn(role, parts),))


HI = (Turn("user", (Text("hi"),)),)
TOOL = Tool("f")

#: a conversation that uses exactly this feature (and what it can't be without)
USES = {
    "audio": said(Audio("AAAA")),
    "cache_control": said(Text("hi", CacheControl())),
    "citations": said(Document(text="t", citations=True)),
    "custom_tool": Conversation(HI, tools=(Tool("f", custom=True),)),
    "custom_tool_grammar": Conversation(HI, tools=(Tool("f", custom=True, grammar={"type": "text"}),)),
    "document": said(Document(data="AAAA", media_type="application/pdf")),
    "document_file_id": said(Document(file_id="file_1")),
    "document_url": said(Document(url="https://a.example/b.pdf")),
    "frequency_penalty": Conversation(HI, frequency_penalty=0.5),
    "image": said(Image("image/png", "AAAA")),
    "image_file_id": said(Image(file_id="file_1")),
    "image_url": said(Image(url="https://a.example/b.png")),
    "json_object": Conversation(HI, output=OutputFormat()),
    "json_schema": Conversation(HI, output=OutputFormat({"type": "object"})),
    "logprobs": Conversation(HI, logprobs=0),
    "max_tokens": Conversation(HI, max_tokens=5),
    "metadata": Conversation(HI, metadata={"a": "b"}),
    "mid_conversation_system": said(Text("be brief"), role="system"),
    "n": Conversation(HI, choices=2),
    "parallel_tool_calls": Conversation(HI, tools=(TOOL,), parallel_tool_calls=False),
    "presence_penalty": Conversation(HI, presence_penalty=0.5),
    "prompt_cache_key": Conversation(HI, prompt_cache_key="k"),
    "provider_tool": Conversation(HI, tools=(OpaqueTool("x", "web_search", {}),)),
    "reasoning_budget": Conversation(HI, reasoning=Reasoning(budget=2048)),
    "reasoning_effort": Conversation(HI, reasoning=Reasoning(effort="low")),
    "reasoning_replay": said(Thinking("hm"), role="assistant"),
    "refusal": said(Refusal("no"), role="assistant"),
    "seed": Conversation(HI, seed=0),
    "service_tier": Conversation(HI, service_tier="flex"),
    "stop": Conversation(HI, stop=("STOP",)),
    "store": Conversation(HI, store=True),
    "strict_tool": Conversation(HI, tools=(Tool("f", strict=True),)),
    "temperature": Conversation(HI, temperature=0.0),
    "tool_choice_allowed": Conversation(HI, tools=(TOOL,), tool_choice=ToolChoice("allowed", names=("f",))),
    "tool_choice_none": Conversation(HI, tools=(TOOL,), tool_choice=ToolChoice("none")),
    "tool_choice_required": Conversation(HI, tools=(TOOL,), tool_choice=ToolChoice("required")),
    "tool_choice_tool": Conversation(HI, tools=(TOOL,), tool_choice=ToolChoice("tool", "f")),
    "tool_result_document": said(ToolResult("1", "f", (Document(text="t"),))),
    "tool_result_error": said(ToolResult("1", "f", is_error=True)),
    "tool_result_image": said(ToolResult("1", "f", (Image(data="AAAA"),))),
    "tools": Conversation(HI, tools=(TOOL,)),
    "top_k": Conversation(HI, top_k=0),
    "top_p": Conversation(HI, top_p=0.0),
    "unknown_field": Conversation(HI, extras=("novel", "strange")),
    "unknown_item": said(OpaquePart("x", "server_tool_use", {})),
    "user": Conversation(HI, user="u"),
    "verbosity": Conversation(HI, verbosity="low"),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_the_use_of_a_feature_is_seen_once(feature):
    assert list(features_of(USES[feature])).count(feature) == 1


def test_a_plain_call_uses_nothing():
    assert list(features_of(Conversation(HI, system=(Text("s"),)))) == []


def test_what_is_not_in_the_limits_is_carried():
    assert check_carried(USES["seed"], {}, target="ollama", strict=True) == ()


def test_what_is_adapted_is_no_loss_even_to_the_strict():
    limits = {"tool_result_error": "adapted"}
    assert check_carried(USES["tool_result_error"], limits, target="ollama", strict=True) == ()


def test_what_is_dropped_is_named_and_fields_by_their_own_names():
    assert check_carried(USES["seed"], {"seed": "dropped"}, target="x", strict=False) == ("seed",)
    limits = {"unknown_field": "dropped"}
    assert check_carried(USES["unknown_field"], limits, target="x", strict=False) == ("novel", "strange")


def test_a_strict_caller_is_refused_what_others_lose():
    with pytest.raises(InvalidRequest, match=r"'seed' can't be carried.*x-gateway-strict") as refusal:
        check_carried(USES["seed"], {"seed": "dropped"}, target="anthropic-messages", strict=True)
    assert refusal.value.param == "seed"


def test_a_strict_caller_is_not_refused_what_its_dialect_made_it_say():
    """Anthropic's clients can't leave `max_tokens` out; what becomes of it is told all the same."""
    limits = {"max_tokens": "dropped"}
    forced = Conversation(HI, max_tokens=5, must_limit=True)
    assert check_carried(forced, limits, target="claude-cli", strict=True) == ("max_tokens",)
    with pytest.raises(InvalidRequest, match="'max_tokens' can't be carried"):
        check_carried(USES["max_tokens"], limits, target="claude-cli", strict=True)


def test_what_can_t_be_left_out_is_refused_with_the_repair():
    with pytest.raises(InvalidRequest, match=r"'n' has no equivalent.*\(ollama\)\. Leave it out or choose") as refusal:
        check_carried(USES["n"], {"n": "refused"}, target="ollama", strict=False)
    assert refusal.value.param == "n"
