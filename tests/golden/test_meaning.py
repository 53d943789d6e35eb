"""Whatever the golden files say: an answer means the same to every client, and a call to every provider."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from open_llm_auth.wire.dialect import DialectName
from open_llm_auth.wire.dialects import client_side, provider_side
from open_llm_auth.wire.events import Usage

from .matrix import ALL_CASES, Case, Made, reply_file, stream_file
from .meaning import Said, said_in

ANSWERED = [case for case in ALL_CASES if case.scenario.status == 200]
PLAIN = [case for case in ANSWERED if case.scenario.plain]
STREAMED = [case for case in ANSWERED if case.scenario.streamed]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


UNICODE = 'Grüß Gott, 世界 👩‍👩‍👧 "quoted" \\ back\nslash end'
SUNNY = "It is sunny in Paris."
THOUGHT = "The user asks for weather."
PARIS = ("call_paris", "get_weather", {"city": "Paris"})
BERLIN = ("call_berlin", "get_weather", {"city": "Berlin"})
COUNT = Usage(20, 7)

#: What each reply means, in every dialect that has it.
MEANT: dict[str, Said] = {
    "text": Said(SUNNY, reason="stop", usage=COUNT),
    "unicode": Said(UNICODE, reason="stop", usage=COUNT),
    "tools": Said("Let me look.", calls=(PARIS,), reason="tool_calls", usage=COUNT),
    "parallel_tools": Said(calls=(PARIS, BERLIN), reason="tool_calls", usage=COUNT),
    "json": Said('{"city":"Paris","celsius":21}', reason="stop", usage=COUNT),
    "thinking": Said(SUNNY, THOUGHT, reason="stop", usage=Usage(20, 7, reasoning=5)),
    "thinking_tools": Said(thinking=THOUGHT, calls=(PARIS,), reason="tool_calls", usage=Usage(20, 7, reasoning=5)),
    "cache_hit": Said(SUNNY, reason="stop", usage=Usage(1200, 7, cache_read=1000, cache_write=150)),
    "stop": Said("one two three ", reason="stop_sequence", usage=COUNT),
    "refusal": Said(refusal="I can't help with that.", reason="refusal", usage=COUNT),
    "blocked": Said(reason="refusal", usage=Usage(20, 0)),
    "length": Said("It is", reason="length", usage=COUNT),
    "stream_error": Said("It is", failure="went wrong midway"),
}


#: Where a sample says it otherwise, and what.
OTHERWISE: dict[tuple[DialectName, str], dict[str, str]] = {
    ("claude-cli", "stream_error"): {"failure": "API Error: went wrong midway"},
    # The program tells whole items only.
    ("codex-cli", "stream_error"): {
        "text": "",
        "failure": "stream disconnected before completion: went wrong midway",
    },
}


@dataclass(frozen=True, slots=True)
class Tongue:
    """What a dialect can't say; all else it must."""

    stop_sequence: bool = True
    refusal_words: bool = False
    refusal: bool = True
    cache_write: bool = True
    cache_read: bool = True
    reasoning: bool = True
    call_ids: bool = True

    def of(self, said: Said) -> Said:
        """The same in this dialect."""
        if not self.stop_sequence and said.reason == "stop_sequence":
            said = said.but(reason="stop")
        if not self.refusal and said.reason == "refusal":
            said = said.but(reason="stop")
        if not self.refusal_words and said.refusal:
            said = said.but(text=said.text + said.refusal, refusal="")
        if not self.call_ids:
            said = said.but(calls=tuple(("", *call[1:]) for call in said.calls))
        if said.usage is None:
            return said
        usage = said.usage
        told = {
            name: getattr(usage, name) for name in ("cache_read", "cache_write", "reasoning") if getattr(self, name)
        }
        return said.but(usage=Usage(usage.input, usage.output, **told))


TONGUES: Mapping[DialectName, Tongue] = {
    "openai-chat": Tongue(stop_sequence=False, refusal_words=True),
    "openai-responses": Tongue(stop_sequence=False, refusal_words=True),
    "anthropic-messages": Tongue(),
    "google-genai": Tongue(stop_sequence=False, cache_write=False),
    "bedrock-converse": Tongue(reasoning=False),
    "ollama": Tongue(stop_sequence=False, refusal=False, cache_write=False, reasoning=False),
    "claude-cli": Tongue(),
    "codex-cli": Tongue(),
}


def meant(case: Case) -> Said:
    """What the provider's answer means, in its own dialect."""
    said = MEANT[case.scenario.reply].but(**OTHERWISE.get((case.way_out, case.scenario.reply), {}))
    return TONGUES[case.way_out].of(said)


def told(case: Case) -> Said:
    """What the client is told of it, in the client's dialect."""
    return TONGUES[case.way_in].of(meant(case))


def without_usage_of_failures(said: Said) -> Said:
    """How much of a count has come when a stream breaks differs, and matters to nobody."""
    return said.but(usage=None) if said.failure else said


@each(PLAIN)
def test_a_plain_answer_is_read_as_it_is_meant(case: Case):
    assert TONGUES[case.way_out].of(said_in(Made(case).events())) == meant(case)


@each(STREAMED)
def test_a_stream_is_read_as_it_is_meant(case: Case):
    said = said_in(Made(case).streamed_events([stream_file(case).read_bytes()]))
    assert without_usage_of_failures(TONGUES[case.way_out].of(said)) == meant(case)


@each(PLAIN)
def test_a_client_is_told_the_same_in_a_plain_answer(case: Case):
    answer = Made(case).reply()
    provider = provider_side(case.way_in)
    assert TONGUES[case.way_out].of(said_in(provider.read_reply(answer))) == told(case)
    assert client_side(case.way_in).read_usage(answer) == told(case).usage


@each(STREAMED)
def test_a_client_is_told_the_same_in_a_stream(case: Case):
    decoder = provider_side(case.way_in).decoder()
    stream = Made(case).stream([stream_file(case).read_bytes()])
    said = said_in([*decoder.feed(stream), *decoder.end()])
    assert without_usage_of_failures(TONGUES[case.way_out].of(said)) == told(case)


def chops(data: bytes) -> Iterator[list[bytes]]:
    """The data as it may arrive: byte by byte, and cut at random."""
    yield [data[at : at + 1] for at in range(len(data))]
    for seed in range(5):
        rng = random.Random(seed)
        cuts = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 40)))})
        yield [data[start:end] for start, end in itertools.pairwise(cuts)]


@each(STREAMED)
def test_how_a_stream_is_cut_does_not_show(case: Case):
    sample = stream_file(case).read_bytes()
    whole = Made(case).stream([sample])
    for chunks in chops(sample):
        assert Made(case).stream(chunks) == whole


@each([case for case in ANSWERED if case.is_relayed])
def test_what_is_relayed_is_what_was_sent(case: Case):
    if case.scenario.plain:
        sample = reply_file(case).read_bytes()
        assert Made(case).reply() == sample
    sample = stream_file(case).read_bytes()
    if MEANT[case.scenario.reply].failure:
        assert sample.startswith(Made(case).stream([sample]).partition(b"went wrong midway")[0].rpartition(b"\n\n")[0])
    else:
        assert Made(case).stream([sample]) == sample


WORDS = {400: "bad request sample", 401: "invalid key sample", 429: "slow down sample", 529: "overloaded sample"}
#: It keeps the provider's words to itself.
OWN_WORDS = {("codex-cli", 429): "429 Too Many Requests"}


@each([case for case in ALL_CASES if case.scenario.status != 200])
def test_an_error_is_told_in_the_providers_words(case: Case):
    error = provider_side(case.way_in).read_error(Made(case).reply())
    assert error is not None
    status = case.scenario.status
    assert OWN_WORDS.get((case.way_out, status), WORDS[status]) in error.message


@each([case for case in STREAMED if case.scenario.name == "stream_error"])
def test_a_broken_stream_has_no_end_that_pretends_success(case: Case):
    stream = Made(case).stream([stream_file(case).read_bytes()])
    assert not any(mark in stream for mark in (b"[DONE]", b"message_stop", b"response.completed", b"finishReason"))
