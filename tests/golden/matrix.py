"""Every way in, to every dialect of providers, in every scenario: what is sent and what comes back, made purely."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from open_llm_auth.errors import GatewayError, InvalidRequest
from open_llm_auth.providers.faults import error_reader, told_in_stream
from open_llm_auth.wire.carrying import check_carried
from open_llm_auth.wire.conversation import Conversation
from open_llm_auth.wire.dialect import Answering, DialectName, Request, Stream
from open_llm_auth.wire.dialects import client_side, provider_side
from open_llm_auth.wire.events import Event, Failed
from open_llm_auth.wire.fitting import fit
from open_llm_auth.wire.translation import StreamTranslation, restore_names

__all__ = [
    "ALL_CASES",
    "COMMANDS",
    "HERE",
    "MODELS",
    "WAYS_IN",
    "WAYS_OUT",
    "Case",
    "Made",
    "Scenario",
    "made_files",
    "reply_file",
    "request_file",
    "sent",
    "stream_file",
]

HERE: Final = Path(__file__).parent
#: What each provider is asked for: models that take the most, because what is sent depends on them.
MODELS: Final[Mapping[DialectName, str]] = {
    "openai-chat": "gpt-5.2",
    "openai-responses": "gpt-5.2",
    "anthropic-messages": "claude-opus-4-6",
    "google-genai": "gemini-3.1-flash",
    "bedrock-converse": "anthropic.claude-opus-4-6-v1",
    "ollama": "qwen3",
    "claude-cli": "opus",
    "codex-cli": "gpt-5.2-codex",
}
_ID: Final = "0123456789abcdef0123456789abcdef"
_CREATED: Final = 1_767_225_600
_COMPLETED: Final = _CREATED + 2
_REQUEST_ID: Final = "req_sample"
_ERROR_HEADERS: Final = ((b"retry-after", b"7"), (b"content-type", b"application/json"))

WAYS_IN: Final[tuple[DialectName, ...]] = ("openai-chat", "openai-responses", "anthropic-messages", "google-genai")
_SPOKEN: Final[tuple[DialectName, ...]] = (*WAYS_IN, "bedrock-converse", "ollama")
COMMANDS: Final[tuple[DialectName, ...]] = ("claude-cli", "codex-cli")
WAYS_OUT: Final[tuple[DialectName, ...]] = (*_SPOKEN, *COMMANDS)
_STREAMS: Final[Mapping[DialectName, str]] = {
    "bedrock-converse": "bin",
    "ollama": "jsonl",
    "claude-cli": "jsonl",
    "codex-cli": "jsonl",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A request and the reply it gets, by the names of their samples. `status` is the reply's; `plain` and `streamed`
    say in which forms it comes. `commands` are the command-line programs that take part in it. `only`: no provider of
    another dialect has such a reply."""

    name: str
    request: str
    reply: str
    status: int = 200
    plain: bool = True
    streamed: bool = True
    commands: tuple[DialectName, ...] = ()
    only: tuple[DialectName, ...] = ()


_SCENARIOS: Final = (
    Scenario("text", "text", "text", commands=COMMANDS),
    Scenario("unicode", "unicode", "unicode", commands=COMMANDS),
    Scenario("tools", "tools", "tools"),
    Scenario("parallel_tools", "parallel_tools", "parallel_tools"),
    Scenario("tool_error", "tool_error", "text"),
    Scenario("image", "image", "text"),
    Scenario("json_schema", "json_schema", "json"),
    Scenario("thinking", "thinking", "thinking"),
    Scenario("thinking_tools", "thinking_tools", "thinking_tools"),
    # The conversation began with Claude on Bedrock.
    Scenario("thinking_moved", "thinking_moved", "thinking_tools"),
    Scenario("cache", "cache", "cache_hit"),
    Scenario("stop", "stop", "stop"),
    Scenario("refusal", "text", "refusal", commands=("claude-cli",)),
    Scenario("blocked", "text", "blocked", only=("google-genai",)),
    Scenario("length", "length", "length"),
    Scenario("error_400", "text", "error_400", 400, streamed=False, commands=COMMANDS),
    Scenario("error_401", "text", "error_401", 401, streamed=False, commands=COMMANDS),
    Scenario("error_429", "text", "error_429", 429, streamed=False, commands=COMMANDS),
    Scenario("error_529", "text", "error_529", 529, streamed=False, commands=COMMANDS),
    Scenario("stream_error", "text", "stream_error", plain=False, commands=COMMANDS),
)

#: Samples that can't be, with the reason: the dialect has no place for what they say.
ABSENT: Final[Mapping[tuple[str, str], str]] = {
    ("openai-responses", "stop"): "the Responses API has no stop sequences",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the matrix."""

    way_in: DialectName
    way_out: DialectName
    scenario: Scenario

    @property
    def id(self) -> str:
        return f"{self.way_in}__{self.way_out}/{self.scenario.name}"

    @property
    def folder(self) -> Path:
        return HERE / "cases" / self.id

    @property
    def is_relayed(self) -> bool:
        return self.way_in == self.way_out


def _cases() -> Iterator[Case]:
    for way_in in WAYS_IN:
        for way_out in WAYS_OUT:
            for scenario in _SCENARIOS:
                if (way_in, scenario.request) in ABSENT or way_out not in _taking_part(scenario):
                    continue
                yield Case(way_in, way_out, scenario)


def _taking_part(scenario: Scenario) -> tuple[DialectName, ...]:
    return scenario.only or (*_SPOKEN, *scenario.commands)


ALL_CASES: Final = tuple(_cases())


def request_file(case: Case) -> Path:
    return HERE / "requests" / case.way_in / f"{case.scenario.request}.json"


def reply_file(case: Case) -> Path:
    """The plain answer; a command-line program has only its lines."""
    if case.way_out in COMMANDS:
        return stream_file(case)
    return HERE / "replies" / case.way_out / f"{case.scenario.reply}.json"


def stream_file(case: Case) -> Path:
    return HERE / "replies" / case.way_out / f"{case.scenario.reply}.{_STREAMS.get(case.way_out, 'sse')}"


def sent(conversation: Conversation, way_out: DialectName) -> tuple[tuple[str, ...], Mapping[str, str], bytes]:
    """What is dropped of a call, how its tools are renamed, and the body that goes to a provider of `way_out`.

    Raises:
        InvalidRequest: the provider's dialect can't say what the call wants.
    """
    provider, model = provider_side(way_out), MODELS[way_out]
    limits = provider.limits if provider.limits_of is None else provider.limits_of(conversation, model)
    dropped = check_carried(conversation, limits, target=way_out, strict=False)
    fitted, names = fit(conversation, provider.tool_names, provider.call_ids)
    return dropped, names, msgspec.json.encode(provider.write_request(fitted, model))


class Made:
    """What becomes of one case.

    Raises:
        InvalidRequest: the provider's dialect can't say what the request wants.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._client = client_side(case.way_in)
        self._provider = provider_side(case.way_out)
        # A count in a stream is asked for where asking is needed, so that it can be compared.
        self.call = self._read({"stream": True, "stream_options": {"include_usage": True}})
        self.names: Mapping[str, str] = {}
        self.dropped: tuple[str, ...] = ()
        self.body = self._written()

    @property
    def model(self) -> str:
        return MODELS[self.case.way_out]

    def _read(self, more: Mapping[str, Any]) -> Request:
        sample = json.loads(request_file(self.case).read_bytes())
        asks = more if self.case.way_in == "openai-chat" else {}
        return self._client.read_request(json.dumps({**sample, **asks}).encode())

    def _written(self) -> bytes:
        plain = self._read({})
        if self.case.is_relayed:
            return msgspec.json.encode(self._client.rewrite(plain.envelope, self.model, False))
        conversation = self._client.read_conversation(plain.envelope)
        self.dropped, self.names, body = sent(conversation, self.case.way_out)
        return body

    @property
    def answering(self) -> Answering:
        return Answering(_ID, _CREATED, self.model, self.call.envelope, wants_usage=True, now=lambda: _COMPLETED)

    def events(self) -> list[Event]:
        """What the provider's plain answer says."""
        if self.case.way_out in COMMANDS:
            return self.streamed_events([reply_file(self.case).read_bytes()])
        return restore_names(self._provider.read_reply(reply_file(self.case).read_bytes()), self.names)

    def streamed_events(self, chunks: Iterable[bytes]) -> list[Event]:
        """What the provider's stream says, cut in these chunks."""
        decoder = self._provider.decoder()
        events = [event for chunk in chunks for event in decoder.feed(chunk)]
        return restore_names(events + decoder.end(), self.names)

    def reply(self) -> bytes:
        """The plain answer, or the error, as the client gets it."""
        sample = reply_file(self.case).read_bytes()
        if self.case.scenario.status != 200:
            return self._client.write_error(self._error(sample), _REQUEST_ID)
        return sample if self.case.is_relayed else self._client.write_reply(self.events(), self.answering)

    def _error(self, body: bytes) -> GatewayError:
        if self.case.way_out in COMMANDS:
            # A program has no status; what it says in its lines is all there is.
            failed = [event for event in self.streamed_events([body]) if isinstance(event, Failed)]
            return told_in_stream("sample", None, failed[0].error, _hiding_nothing).error
        read = error_reader(self._provider.read_error)
        return read("sample", self.case.scenario.status, _ERROR_HEADERS, body, _hiding_nothing).error

    def stream(self, chunks: Sequence[bytes]) -> bytes:
        """What a client gets of the provider's stream, cut in these chunks."""
        stream = self._stream()
        out = b"".join(stream.feed(chunk) for chunk in chunks)
        if stream.failure is None:
            return out + stream.end()
        status = None if self.case.way_out in COMMANDS else 200
        return out + stream.fail(told_in_stream("sample", status, stream.failure, _hiding_nothing).error)

    def _stream(self) -> Stream:
        if self.case.is_relayed:
            return self._client.relay(self.call)
        return StreamTranslation(self._provider.decoder(), self._client.encoder(self.answering), self.names)


def _hiding_nothing(text: str) -> str:
    return text


def made_files(case: Case) -> dict[str, str]:
    """The golden files of a case, by name."""
    try:
        made = Made(case)
    except InvalidRequest as error:
        return {"request.json": pretty({"refused": error.message, "param": error.param})}
    files = {"request.json": pretty(json.loads(made.body))}
    if made.dropped:
        files["dropped.txt"] = "".join(f"{name}\n" for name in made.dropped)
    if case.is_relayed and case.scenario.status == 200:
        # What comes back is what was sent, which a test of its own holds against the sample.
        return files
    if case.scenario.plain:
        files["reply.json"] = pretty(json.loads(made.reply()))
    if case.scenario.streamed:
        files["stream.txt"] = made.stream([stream_file(case).read_bytes()]).decode()
    return files


def pretty(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
