"""Plain answers of Converse, and what plain and streamed ones have in common: usage, stop reasons, citations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ...errors import UpstreamInvalidResponse
from ..events import (
    BlockEnded,
    Citation,
    Event,
    Finished,
    Opaque,
    Signature,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

__all__ = ["NAME", "NOT_JSON", "citation_from", "finished", "read_reply", "usage_from"]

#: The dialect's own name, which its signatures bear.
NAME: Final = "bedrock-converse"
NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_REASONS: Final[Mapping[str, StopReason]] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "refusal",
    "content_filtered": "refusal",
}
#: The model's words could not be read by the service itself: no answer to pass on as a whole one.
_MALFORMED: Final = frozenset({"malformed_model_output", "malformed_tool_use"})
_COUNT_LIMIT: Final = 10**12
_FALLBACK: Final = "The provider's answer is not one of Bedrock's Converse."


class _Output(msgspec.Struct):
    message: dict[str, Any] = msgspec.field(default_factory=dict)


class _Reply(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str | None = None
    usage: Any = None
    additional_model_response_fields: Any = None
    service_tier: Any = None


_REPLY: Final = msgspec.json.Decoder(_Reply)


def read_reply(body: bytes) -> list[Event]:
    """A plain answer as its events, each block said in one delta.

    Raises:
        UpstreamInvalidResponse: it is not one of Converse, or the service could not read the model's own words.
    """
    try:
        reply = _REPLY.decode(body)
    except NOT_JSON as error:
        raise UpstreamInvalidResponse(_FALLBACK) from error
    content = reply.output.message.get("content")
    if not isinstance(content, list):
        raise UpstreamInvalidResponse(_FALLBACK)
    events: list[Event] = [Started()]
    for block in content:
        if not isinstance(block, dict):
            raise UpstreamInvalidResponse(_FALLBACK)
        if said := list(_block(block)):
            events += [*said, BlockEnded()]
    called = any(isinstance(event, ToolCallStarted) for event in events)
    extra = reply.additional_model_response_fields
    events.append(finished(reply.stop_reason, usage_from(reply.usage), extra, reply.service_tier, called=called))
    return events


def finished(reason: str | None, usage: Usage | None, extra: object, tier: object, *, called: bool) -> Finished:
    """The end of an answer. `extra` are the model's own fields, `called` says that a tool was.

    Raises:
        UpstreamInvalidResponse: there is no answer to be told.
    """
    if reason in _MALFORMED:
        raise UpstreamInvalidResponse(f"The provider could not read what the model said ({reason}).")
    meant = _REASONS.get(reason or "", "stop")
    if meant == "stop" and called:
        meant = "tool_calls"  # some models behind Converse end a turn with a call and say end_turn
    met = extra.get("stop_sequence") if isinstance(extra, dict) else None
    kind = tier.get("type") if isinstance(tier, dict) else None
    return Finished(
        meant,
        usage,
        stop_sequence=met if isinstance(met, str) and met else None,
        service_tier=kind if isinstance(kind, str) else None,
    )


def usage_from(value: object) -> Usage | None:
    """The counts of a `usage` object; None when it is not one. What was cached is not in `inputTokens`."""
    if not isinstance(value, dict):
        return None
    read = _count(value.get("cacheReadInputTokens"))
    written = _count(value.get("cacheWriteInputTokens"))
    return Usage(
        input=_count(value.get("inputTokens")) + read + written,
        output=_count(value.get("outputTokens")),
        cache_read=read,
        cache_write=written,
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _COUNT_LIMIT else 0


def citation_from(value: Mapping[str, Any]) -> Citation:
    """A citation. Its places are those within the source, so that they are no offsets of the answer."""
    location = value.get("location")
    web = location.get("web") if isinstance(location, dict) else None
    content = value.get("sourceContent")
    quotes = (
        [_text(part.get("text")) for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    )
    return Citation(
        url=_text(web.get("url")) if isinstance(web, dict) else "",
        title=_text(value.get("title")),
        quote="".join(quotes),
    )


def _block(block: Mapping[str, Any]) -> Iterator[Event]:
    if isinstance(text := block.get("text"), str):
        if text:
            yield TextDelta(text)
    elif isinstance(call := block.get("toolUse"), dict):
        yield from _call(call)
    elif isinstance(reasoning := block.get("reasoningContent"), dict):
        yield from _reasoning(reasoning)
    elif isinstance(cited := block.get("citationsContent"), dict):
        yield from _cited(cited)
    elif block:
        yield Opaque(NAME, dict(block))


def _call(call: Mapping[str, Any]) -> Iterator[Event]:
    if call.get("type") == "server_tool_use":  # run by the provider: nothing for a client to do
        return
    name = _text(call.get("name"))
    if not name:
        raise UpstreamInvalidResponse("The provider's answer calls a tool without a name.")
    yield ToolCallStarted(_text(call.get("toolUseId")), name)
    if arguments := call.get("input"):
        yield ToolCallDelta(msgspec.json.encode(arguments).decode())


def _reasoning(reasoning: Mapping[str, Any]) -> Iterator[Event]:
    if redacted := _text(reasoning.get("redactedContent")):
        yield ThinkingSigned(Signature(NAME, redacted), redacted=True)
        return
    words = reasoning.get("reasoningText")
    if not isinstance(words, dict):
        return
    if text := _text(words.get("text")):
        yield ThinkingDelta(text)
    if signature := _text(words.get("signature")):
        yield ThinkingSigned(Signature(NAME, signature))


def _cited(cited: Mapping[str, Any]) -> Iterator[Event]:
    for part in _dicts(cited.get("content")):
        if text := _text(part.get("text")):
            yield TextDelta(text)
    for citation in _dicts(cited.get("citations")):
        yield citation_from(citation)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
