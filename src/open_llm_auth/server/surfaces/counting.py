"""How many tokens a request has: asked of a provider that counts in this dialect, else estimated and said so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import msgspec

from ...errors import UpstreamHTTPError
from ...ports import Clock
from ...values import Call
from ...wire.conversation import (
    Conversation,
    Document,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from ...wire.dialects import client_side
from ..asgi import Exchange, Handler
from ..delivery import deliver
from ..headers import asked_headers
from ..passage import dialect_of
from ..relay import Relay
from ..tokenizer import Tokenizer
from .calls import surface_delivery

__all__ = ["count_handler", "texts_of"]

#: What a message costs beside its text, and what an image of common size does.
_TURN_TOKENS: Final = 4
_IMAGE_TOKENS: Final = 1_500
#: A provider of the dialect that has no such route; counting is no reason to fail. Words about the model are another
#: matter: it is the model that is not there.
_NOT_THERE: Final = frozenset({404, 405, 501})
_ESTIMATED: Final = (b"x-gateway-estimated", b"1")


def count_handler(
    relay: Relay,
    clock: Clock,
    tokenizer: Tokenizer,
    read: Callable[[Exchange], Awaitable[Call]],
    write: Callable[[int], bytes],
) -> Handler:
    """The handler of a route that counts; `write` makes the body of an estimate."""

    async def count(exchange: Exchange) -> None:
        call = await read(exchange)
        attempt, kind = relay.first(call)
        if kind.counts and dialect_of(kind, attempt.model) == call.dialect:
            try:
                await deliver(exchange, relay, call, clock, surface_delivery(call.dialect))
            except UpstreamHTTPError as error:
                if error.status not in _NOT_THERE or attempt.model in error.message:
                    raise
            else:
                return
        exchange.row.requested = call.request.model
        exchange.row.note_attempt(attempt, 0)
        conversation = client_side(call.dialect).read_conversation(call.request.envelope)
        total = await tokenizer.count(texts_of(conversation)) + _beside_text(conversation)
        headers = (*asked_headers(attempt, 0), _ESTIMATED)
        await exchange.respond(200, write(total), headers, b"application/json")

    return count


def texts_of(conversation: Conversation) -> Iterator[str]:
    """Everything in it that a model reads as text."""
    for text in conversation.system:
        yield text.text
    for tool in conversation.tools:
        if isinstance(tool, Tool):
            yield tool.name
            yield tool.description
            yield msgspec.json.encode(tool.parameters).decode()
    for part in _parts(conversation):
        yield from _texts_in(part)


def _parts(conversation: Conversation) -> Iterator[Part]:
    for turn in conversation.turns:
        for part in turn.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def _texts_in(part: Part) -> Iterator[str]:
    match part:
        case Text() | Thinking() | Refusal() | Document():
            yield part.text
        case ToolCall():
            yield part.name
            yield part.arguments
        case _:
            return


def _beside_text(conversation: Conversation) -> int:
    images = sum(isinstance(part, Image) for part in _parts(conversation))
    return images * _IMAGE_TOKENS + len(conversation.turns) * _TURN_TOKENS
