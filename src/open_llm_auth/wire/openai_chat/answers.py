"""Pieces of an answer that a plain one and a stream have in common: why it ended, citations, logprobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..events import Citation, ErrorBody, Failed, Finished, Logprobs, StopReason, TokenLogprob, Usage

__all__ = ["BROKEN", "ending", "read_citations", "read_logprobs", "reason_told", "tell_citation", "tell_logprobs"]

Item = dict[str, Any]

#: `finish_reason`, OpenAI's words and others'; any other word is an end like another
_REASONS: Final[Mapping[str, StopReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
    #: Mistral
    "model_length": "length",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "stop_sequence": "stop_sequence",
    #: Z.AI
    "sensitive": "refusal",
    "safety": "refusal",
}
#: What some providers say where the answer broke off: OpenRouter, Z.AI, DeepSeek, vLLM.
BROKEN: Final = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})
#: What stands where vLLM names the stop sequence that was met, and is none.
_WORDS: Final = frozenset({*_REASONS, "", "end_turn", "eos", "eos_token", "completed"})
_TOLD: Final[Mapping[StopReason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
}
#: Some servers say so of what is impossible, some of what they don't know.
_LIMIT: Final = 1e300


def ending(
    word: object, matched: object, usage: Usage | None, tier: object, *, called: bool, refused: bool
) -> Finished | Failed:
    """How an answer ended. `word` is its `finish_reason`, `matched` what stopped it where a server says so, `called`
    whether it calls tools and `refused` whether it declines in words: the reason need not say either."""
    word = word.lower() if isinstance(word, str) else ""
    if word in BROKEN:
        return Failed(ErrorBody(f"The provider ended the answer with {word!r}."))
    reason = _REASONS.get(word, "stop")
    if reason == "tool_calls" and not called:
        reason = "stop"
    stopped = matched if isinstance(matched, str) and matched not in _WORDS and reason == "stop" else None
    if reason == "stop":
        reason = "tool_calls" if called else "refusal" if refused else "stop_sequence" if stopped else "stop"
    return Finished(reason, usage, stop_sequence=stopped, service_tier=tier if isinstance(tier, str) else None)


def reason_told(finished: Finished, *, called: bool, refused: bool) -> str:
    """The `finish_reason` for a client. A model that declines in words has not been cut off by a filter."""
    told = "stop" if refused and finished.reason == "refusal" else _TOLD[finished.reason]
    return "tool_calls" if told == "stop" and called else told


# ---------------------------------------------------------------------------------------------- citations


def read_citations(annotations: Any) -> list[Citation]:
    """OpenAI's `url_citation`; other annotations have no meaning elsewhere."""
    found = []
    for item in annotations if isinstance(annotations, list) else ():
        cited = item.get("url_citation") if isinstance(item, dict) else None
        if isinstance(cited, dict) and isinstance(cited.get("url"), str):
            found.append(
                Citation(
                    url=cited["url"],
                    title=_text(cited.get("title")),
                    quote=_text(cited.get("content")),
                    start=_offset(cited.get("start_index")),
                    end=_offset(cited.get("end_index")),
                )
            )
    return found


def tell_citation(citation: Citation, block: tuple[int, int]) -> Item | None:
    """The annotation for a client; None where there is no address to give. `block` are the first and the last character
    of the text it stands in, as the client counts."""
    if not citation.url:
        return None
    start, end = block
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": start if citation.start is None else start + citation.start,
            "end_index": end if citation.end is None else start + citation.end,
            "title": citation.title,
            "url": citation.url,
        },
    }


# ---------------------------------------------------------------------------------------------- logprobs


def read_logprobs(value: Any) -> Logprobs | None:
    """The logprobs of one choice; tokens that make no sense are left out."""
    given = value.get("content") if isinstance(value, dict) else None
    tokens = tuple(
        TokenLogprob(
            *_pair(item), top=tuple(TokenLogprob(*_pair(rival)) for rival in _tokens(item.get("top_logprobs")))
        )
        for item in _tokens(given)
    )
    return Logprobs(tokens) if tokens else None


def _tokens(given: Any) -> list[Item]:
    return [
        item
        for item in (given if isinstance(given, list) else ())
        if isinstance(item, dict) and isinstance(item.get("token"), str) and _is_number(item.get("logprob"))
    ]


def _pair(item: Item) -> tuple[str, float]:
    return item["token"], float(item["logprob"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LIMIT


def tell_logprobs(logprobs: Logprobs) -> list[Item]:
    return [{**_token(token), "top_logprobs": [_token(rival) for rival in token.top]} for token in logprobs.tokens]


def _token(token: TokenLogprob) -> Item:
    return {"token": token.token, "logprob": token.logprob, "bytes": list(token.token.encode())}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _offset(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
