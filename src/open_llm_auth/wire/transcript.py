"""A conversation as one text, for programs that take a single prompt where others take a list of messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from ..errors import InvalidRequest
from .conversation import (
    Audio,
    Conversation,
    Document,
    Image,
    OpaquePart,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

__all__ = ["Transcript", "render", "system_text"]

_INTRODUCTION: Final = (
    "Below is a conversation between a user and an assistant. You are the assistant."
    " Write what the assistant says next, and only that: no tags and no introduction."
)
#: What programs for a terminal take for a command of their own at the start of a prompt.
_COMMAND_MARKS: Final = ("/", "!", "#")


@dataclass(frozen=True, slots=True)
class Transcript:
    """`images` are those of the conversation, in order; `text` refers to them as ``[image 1]`` and on."""

    text: str
    images: tuple[Image, ...] = ()


def render(conversation: Conversation) -> Transcript:
    """All turns as one text. A single turn of the user is its own text; more are told one after the other.

    Raises:
        InvalidRequest: a document is not text.
    """
    images: list[Image] = []
    turns = [(turn, _said(turn, images)) for turn in conversation.turns]
    if len(turns) == 1 and turns[0][0].role == "user" and _is_plain(turns[0][0], turns[0][1]):
        return Transcript(turns[0][1], tuple(images))
    told = [f"<{turn.role}>\n{text}\n</{turn.role}>" for turn, text in turns if text]
    return Transcript("\n\n".join((_INTRODUCTION, *told)), tuple(images))


def system_text(conversation: Conversation) -> str:
    """The instructions of a call: its system text, and how the answer has to look where that was asked."""
    return "\n\n".join((*(text.text for text in conversation.system if text.text), *_format(conversation)))


def _is_plain(turn: Turn, text: str) -> bool:
    """Whether the user's text may be the prompt as it is."""
    return not text.lstrip().startswith(_COMMAND_MARKS) and not any(isinstance(p, ToolResult) for p in turn.parts)


def _format(conversation: Conversation) -> Iterator[str]:
    wanted = conversation.output
    if wanted is None:
        return
    if wanted.schema is None:
        yield "Answer with one JSON object and nothing else: no code fence, no other words."
        return
    schema = msgspec.json.encode(wanted.schema).decode()
    about = f" ({wanted.description})" if wanted.description else ""
    yield (
        "Answer with one JSON value and nothing else: no code fence, no other words."
        f" It has to be valid for this JSON schema{about}:\n{schema}"
    )


def _said(turn: Turn, images: list[Image]) -> str:
    return "\n\n".join(text for part in turn.parts if (text := _text_of(part, images)))


def _text_of(part: Part, images: list[Image]) -> str:
    match part:
        case Text() | Refusal():
            return part.text
        case Image():
            images.append(part)
            return f"[image {len(images)}]"
        case Document():
            return _document(part)
        case ToolCall():
            return f"[called the tool {part.name} (call {part.id}) with: {part.arguments}]"
        case ToolResult():
            return _result(part, images)
        case Thinking() | Audio() | OpaquePart():
            # Reasoning of before is the model's own and can't be proved to it; the others never get here, or are
            # left out by the table of what is carried.
            return ""


def _result(result: ToolResult, images: list[Image]) -> str:
    said = "\n\n".join(text for part in result.parts if (text := _text_of(part, images)))
    outcome = "failed with" if result.is_error else "answered"
    return f"[the tool {result.name or 'that was called'} (call {result.id}) {outcome}: {said}]"


def _document(document: Document) -> str:
    if not document.text:
        raise InvalidRequest(
            f"The document {document.name!r} is not text, and this model's provider takes only text."
            " Send its text, or choose another model.",
            param="messages",
        )
    return f"[document {document.name}]\n{document.text}\n[end of document]"
