"""Where an answer comes from, and how sure of it a model was: citations, grounding and logprobs of a candidate.

Google counts offsets in bytes of the text, events in characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..events import Citation, Logprobs, TokenLogprob

__all__ = ["read_citations", "read_grounding", "read_logprobs", "write_grounding", "write_logprobs"]


class _Source(msgspec.Struct, rename="camel"):
    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class _CitationMetadata(msgspec.Struct, rename="camel"):
    #: v1beta's name, and the one of other versions
    citation_sources: list[_Source] | None = None
    citations: list[_Source] | None = None


class _Place(msgspec.Struct):
    uri: str | None = None
    title: str | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    web: _Place | None = None
    retrieved_context: _Place | None = None
    maps: _Place | None = None


class _Segment(msgspec.Struct, rename="camel"):
    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class _Support(msgspec.Struct, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class _Grounding(msgspec.Struct, rename="camel"):
    grounding_chunks: list[_Chunk] | None = None
    grounding_supports: list[_Support] | None = None


class _Token(msgspec.Struct, rename="camel"):
    token: str | None = None
    log_probability: float | None = None


class _Rivals(msgspec.Struct):
    candidates: list[_Token] | None = None


class _Probabilities(msgspec.Struct, rename="camel"):
    chosen_candidates: list[_Token] | None = None
    top_candidates: list[_Rivals] | None = None


# ---------------------------------------------------------------------------------------------- reading


def read_citations(raw: msgspec.Raw, text: str) -> list[Citation]:
    """`citationMetadata` of an answer whose text so far is `text`."""
    said = msgspec.json.decode(raw, type=_CitationMetadata)
    return [
        Citation(
            source.uri or "",
            source.title or "",
            start=_characters(text, source.start_index or 0),
            end=_characters(text, source.end_index),
        )
        for source in said.citation_sources or said.citations or ()
    ]


def read_grounding(raw: msgspec.Raw, text: str) -> list[Citation]:
    """`groundingMetadata`: each stretch of the text with each source that bears it, then the sources that bear none."""
    said = msgspec.json.decode(raw, type=_Grounding)
    places = [chunk.web or chunk.retrieved_context or chunk.maps for chunk in said.grounding_chunks or ()]
    found: list[Citation] = []
    borne: set[int] = set()
    for support in said.grounding_supports or ():
        for number in support.grounding_chunk_indices or ():
            place = places[number] if 0 <= number < len(places) else None
            if place is not None:
                borne.add(number)
                found.append(_grounded(place, support.segment or _Segment(), text))
    rest = [place for number, place in enumerate(places) if place is not None and number not in borne]
    return found + [Citation(place.uri or "", place.title or "") for place in rest]


def _grounded(place: _Place, segment: _Segment, text: str) -> Citation:
    end = _characters(text, segment.end_index)
    start = None if end is None else _characters(text, segment.start_index or 0)
    return Citation(place.uri or "", place.title or "", segment.text or "", start, end)


def _characters(text: str, offset: int | None) -> int | None:
    if offset is None or text.isascii():
        return offset
    return len(text.encode()[: max(0, offset)].decode("utf-8", "ignore"))


def read_logprobs(raw: msgspec.Raw) -> Logprobs | None:
    """`logprobsResult`; None where it holds nothing."""
    said = msgspec.json.decode(raw, type=_Probabilities)
    rivals = said.top_candidates or []
    tokens = [
        TokenLogprob(
            chosen.token or "",
            chosen.log_probability or 0.0,
            tuple(_likely(rivals[number].candidates or ()) if number < len(rivals) else ()),
        )
        for number, chosen in enumerate(said.chosen_candidates or ())
    ]
    return Logprobs(tuple(tokens)) if tokens else None


def _likely(candidates: Iterable[_Token]) -> Iterable[TokenLogprob]:
    return (TokenLogprob(rival.token or "", rival.log_probability or 0.0) for rival in candidates)


# ---------------------------------------------------------------------------------------------- writing


def write_grounding(citations: Sequence[Citation], text: str) -> dict[str, Any]:
    """`groundingMetadata` of citations in an answer whose text is `text`."""
    places = list(dict.fromkeys((citation.url, citation.title) for citation in citations))
    supports = [
        {
            "segment": _segment(citation, text),
            "groundingChunkIndices": [places.index((citation.url, citation.title))],
        }
        for citation in citations
        if citation.end is not None or citation.quote
    ]
    chunks = [{"web": {"uri": url, "title": title}} for url, title in places]
    return {"groundingChunks": chunks, **({"groundingSupports": supports} if supports else {})}


def _segment(citation: Citation, text: str) -> dict[str, Any]:
    segment: dict[str, Any] = {}
    if citation.end is not None:
        segment["startIndex"] = len(text[: citation.start or 0].encode())
        segment["endIndex"] = len(text[: citation.end].encode())
    if citation.quote:
        segment["text"] = citation.quote
    return segment


def write_logprobs(logprobs: Logprobs) -> dict[str, Any]:
    """`logprobsResult`."""
    said: dict[str, Any] = {"chosenCandidates": [_token(token) for token in logprobs.tokens]}
    if any(token.top for token in logprobs.tokens):
        said["topCandidates"] = [{"candidates": [_token(rival) for rival in token.top]} for token in logprobs.tokens]
    return said


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logProbability": token.logprob}
