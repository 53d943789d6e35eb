"""A conversation without reasoning: what is signed goes, what is said stays."""

from open_llm_auth.wire.conversation import Conversation, Text, Thinking, ToolCall, ToolResult, Turn
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.forgetting import forget_reasoning

SIGNED = Signature("anthropic-messages", "c2ln")
USER = Turn("user", (Text("hi"),))


def test_signed_thinking_and_the_signatures_of_calls_go() -> None:
    said = Turn("assistant", (Thinking("Hm.", SIGNED), Text("Well."), ToolCall("c", "f", signature=SIGNED)))
    answered = Turn("user", (ToolResult("c", "f"),))
    bare = forget_reasoning(Conversation((USER, said, answered), max_tokens=7))
    assert bare == Conversation((USER, Turn("assistant", (Text("Well."), ToolCall("c", "f"))), answered), max_tokens=7)


def test_a_turn_that_was_nothing_but_thinking_goes_whole() -> None:
    bare = forget_reasoning(Conversation((USER, Turn("assistant", (Thinking("Hm.", SIGNED),)), USER)))
    assert bare.turns == (USER, USER)


def test_what_nobody_signed_is_left_and_the_conversation_is_the_very_same() -> None:
    said = Conversation((USER, Turn("assistant", (Thinking("Hm."), ToolCall("c", "f"))), Turn("assistant", ())))
    assert forget_reasoning(said) is said
