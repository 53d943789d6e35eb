"""How a stream is chopped on its way must never show: every stream test runs over all of these."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import msgspec
import pytest

from open_llm_auth.wire.conversation import (
    Audio,
    Conversation,
    Document,
    Image,
    OpaquePart,
    OpaqueTool,
    OutputFormat,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolResult,
    Turn,
)

Chop = Callable[[bytes], list[bytes]]


def _whole(data: bytes) -> list[bytes]:
    return [data]


def _bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _by_event(data: bytes) -> list[bytes]:
    return [part + b"\n\n" for part in data.split(b"\n\n")[:-1]] + [data.rpartition(b"\n\n")[2]]


def _at_random(seed: int) -> Chop:
    def chop(data: bytes) -> list[bytes]:
        rng = random.Random(seed)
        cuts = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 12)))})
        return [data[start:end] for start, end in itertools.pairwise(cuts)]

    return chop


CHOPS: dict[str, Chop] = {
    "whole": _whole,
    "bytewise": _bytewise,
    "by event": _by_event,
    **{f"random {seed}": _at_random(seed) for seed in range(6)},
}


@pytest.fixture(params=list(CHOPS), ids=str)
def chop(request: pytest.FixtureRequest) -> Chop:
    """One way to cut a stream into chunks."""
    return CHOPS[request.param]


#: what stands for each feature's own content in `marked`
MARK = "m4rk3r"
#: the same where only a number can stand
MARKED_NUMBER = 31337


@pytest.fixture
def marked() -> dict[str, Conversation]:
    """A conversation for each feature that has a mark in the place of that feature's content.

    Those whose content is a switch or a choice from a few words have none, and are not in it.
    """
    return _MARKED


def _said(*parts: Part, role: Role = "user") -> Conversation:
    return Conversation((*_HI, Turn(role, parts)))


_HI = (Turn("user", (Text("hi"),)),)
_MARKED: dict[str, Conversation] = {
    "audio": _said(Audio(MARK)),
    "custom_tool": Conversation(_HI, tools=(Tool(MARK, custom=True),)),
    "custom_tool_grammar": Conversation(_HI, tools=(Tool("f", custom=True, grammar={"type": MARK}),)),
    "document": _said(Document(text=MARK, name="a.txt", media_type="text/plain")),
    "document_file_id": _said(Document(file_id=MARK)),
    "document_url": _said(Document(url=f"https://a.example/{MARK}")),
    "frequency_penalty": Conversation(_HI, frequency_penalty=MARKED_NUMBER),
    "image": _said(Image("image/png", MARK)),
    "image_file_id": _said(Image(file_id=MARK)),
    "image_url": _said(Image(url=f"https://a.example/{MARK}")),
    "json_schema": Conversation(_HI, output=OutputFormat({"type": "object", "title": MARK})),
    "logprobs": Conversation(_HI, logprobs=MARKED_NUMBER),
    "max_tokens": Conversation(_HI, max_tokens=MARKED_NUMBER),
    "metadata": Conversation(_HI, metadata={"a": MARK}),
    "mid_conversation_system": _said(Text(MARK), role="system"),
    "presence_penalty": Conversation(_HI, presence_penalty=MARKED_NUMBER),
    "prompt_cache_key": Conversation(_HI, prompt_cache_key=MARK),
    "provider_tool": Conversation(_HI, tools=(OpaqueTool("x", "web_search", {"a": MARK}),)),
    "reasoning_replay": _said(Thinking(MARK), role="assistant"),
    "refusal": _said(Refusal(MARK), role="assistant"),
    "seed": Conversation(_HI, seed=MARKED_NUMBER),
    "service_tier": Conversation(_HI, service_tier=MARK),
    "stop": Conversation(_HI, stop=(MARK,)),
    "temperature": Conversation(_HI, temperature=MARKED_NUMBER),
    "tool_result_document": _said(ToolResult("1", "f", (Document(text=MARK),))),
    "tool_result_error": _said(ToolResult("1", "f", (Text(MARK),), is_error=True)),
    "tool_result_image": _said(ToolResult("1", "f", (Image(data=MARK),))),
    "tools": Conversation(_HI, tools=(Tool(MARK),)),
    "top_k": Conversation(_HI, top_k=MARKED_NUMBER),
    "top_p": Conversation(_HI, top_p=MARKED_NUMBER),
    "unknown_field": Conversation(_HI, extras=(MARK,)),
    "unknown_item": _said(OpaquePart("x", "server_tool_use", {"a": MARK})),
    "user": Conversation(_HI, user=MARK),
    "verbosity": Conversation(_HI, verbosity=MARK),
}


@pytest.fixture
def is_marked() -> Callable[[object], bool]:
    """Whether the mark stands in the fields of a written request."""

    def look(fields: object) -> bool:
        text = msgspec.json.encode(fields).decode()
        return MARK in text or str(MARKED_NUMBER) in text

    return look
