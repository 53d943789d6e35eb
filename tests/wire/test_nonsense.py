"""One value of a sample replaced by nonsense, or one event lost, doubled or late: it is refused by name or understood.

Requests give `InvalidRequest` with the field, providers' answers `UpstreamInvalidResponse`; whatever is understood can
be told in every dialect, in a form that its clients can read again.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from typing import Any

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest, UpstreamInvalidResponse
from open_llm_auth.wire.dialect import Answering, ProviderSide, Request
from open_llm_auth.wire.dialects import client_side, provider_side
from open_llm_auth.wire.events import Event, Failed, Finished, Started

from ..golden.frames import LOST, Frame, Place, altered, frames_of, places, samples, stream_of, streams
from ..golden.matrix import WAYS_IN, WAYS_OUT, sent

ANSWERING = Answering("0123456789abcdef", 1_767_225_600, "sample-model", {}, wants_usage=True)
NONSENSE: tuple[Any, ...] = (None, 7, -1.5, "", "text", [], [{}], {}, 10**30)


def mutants(document: Any, seen: set[Hashable], kind: str = "") -> Iterator[tuple[Place, bytes]]:
    """Each place of the document replaced by each nonsense; what looks the same as one before is left out."""
    for at in places(document):
        shape = tuple("*" if isinstance(part, int) else part for part in at)
        for new in (*NONSENSE, *((LOST,) if at else ())):
            key = (kind, shape, repr(new) if new is not LOST else None, type_at(document, at))
            if key not in seen:
                seen.add(key)
                yield at, json.dumps(altered(document, at, new)).encode()


def type_at(document: Any, at: Place) -> str:
    """What kind of thing holds the place: parts of one list differ by their type."""
    for part in at[:-1]:
        document = document[part]
    kinds = sorted(map(str, document)) if isinstance(document, dict) else []
    return f"{document.get('type') if isinstance(document, dict) else ''} {kinds}"


# --- requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", WAYS_IN)
def test_a_request_with_nonsense_in_it_is_refused_by_the_field_or_said_in_every_dialect(dialect):
    side, seen, read = client_side(dialect), set(), 0
    for path in samples("requests", dialect, "json"):
        for at, body in mutants(json.loads(path.read_bytes()), seen):
            try:
                request = side.read_request(body)
                msgspec.json.encode(side.rewrite(request.envelope, "m", True))
                conversation = side.read_conversation(request.envelope)
            except InvalidRequest as refusal:
                assert refusal.param or not at, (path.name, at, body)
                continue
            read += 1
            for other in WAYS_OUT:
                try:
                    sent(conversation, other)
                except InvalidRequest as refusal:
                    assert refusal.param, (path.name, at, body)
    assert 300 < read < len(seen), "as much is understood as refused"


# --- answers ---------------------------------------------------------------------------------------------------


def check_told(events: list[Event], where: object) -> None:
    """The order that events.py promises, and that every client can be told so."""
    assert events, where
    ends = [isinstance(event, Finished | Failed) for event in events]
    assert ends[-1], where
    assert sum(ends) == 1, where
    assert isinstance(events[0], Started | Failed), where
    if isinstance(events[-1], Failed):
        return
    for dialect in WAYS_IN:
        side, reader = client_side(dialect), provider_side(dialect)
        said = side.write_reply(events, ANSWERING)
        if b'"MALFORMED_FUNCTION_CALL"' in said:
            continue  # Google's own word for arguments that are no object
        assert reader.read_reply(said), where
        decoder = reader.decoder()
        streamed = decoder.feed(side.encoder(ANSWERING).feed(events)) + decoder.end()
        assert isinstance(streamed[-1], Finished), where


@pytest.mark.parametrize("dialect", WAYS_OUT)
def test_an_answer_with_nonsense_in_it_is_refused_or_told_in_every_dialect(dialect):
    side, seen = provider_side(dialect), set()
    for path in samples("replies", dialect, "json"):
        for at, body in mutants(json.loads(path.read_bytes()), seen, path.name.partition("_")[0]):
            side.read_error(body)
            if dialect in WAYS_IN:
                client_side(dialect).read_usage(body)
            if path.name.startswith("error"):
                continue
            try:
                events = side.read_reply(body)
            except UpstreamInvalidResponse:
                continue
            check_told(events, (path.name, at, body))


def disturbed(frames: list[Frame], suffix: str, seen: set[Hashable]) -> Iterator[tuple[object, bytes]]:
    """The stream with one event cut off, lost, doubled or late, and with nonsense in each."""
    for index, (name, said) in enumerate(frames):
        before, after = frames[:index], frames[index + 1 :]
        for change, kept in (
            ("cut", before),
            ("lost", before + after),
            ("doubled", [*before, frames[index], frames[index], *after]),
            ("late", [*before, *after[:1], frames[index], *after[1:]]),
        ):
            yield (change, index), stream_of(kept, suffix)
        if not said.startswith(b"{"):
            continue
        for at, body in mutants(json.loads(said), seen, name):
            if suffix != ".bin" or body.startswith(b"{"):
                yield (index, at, body), stream_of([*before, (name, body), *after], suffix)


@pytest.mark.parametrize("dialect", WAYS_OUT)
def test_a_stream_with_nonsense_in_it_is_refused_or_told_in_every_dialect(dialect):
    side, seen, told = provider_side(dialect), set(), 0
    for path in streams(dialect):
        for change, data in disturbed(frames_of(path), path.suffix, seen):
            if dialect in WAYS_IN:
                check_relayed(dialect, data)
            events = decoded(side, [data])
            assert events == decoded(side, [data[at : at + 61] for at in range(0, len(data), 61)]), (path.name, change)
            if events is not None:
                told += 1
                check_told(events, (path.name, change))
    assert told > 50


def decoded(side: ProviderSide, pieces: list[bytes]) -> list[Event] | None:
    """What a stream says; None where it is refused."""
    decoder = side.decoder()
    try:
        return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()
    except UpstreamInvalidResponse:
        return None


def check_relayed(dialect: str, data: bytes) -> None:
    side = client_side(dialect)
    stream = side.relay(Request({}, "m", stream=True))
    try:
        stream.feed(data)
        if stream.failure is None:
            stream.end()
            if side.gather is not None:
                side.gather(data)
    except UpstreamInvalidResponse:
        return
