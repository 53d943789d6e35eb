"""What a fake model decides to say, before a provider's wire puts it into its own form.

One piece of text counts as one token. Everything is made from the request alone, so that tests can foretell it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = [
    "CREATED",
    "JSON",
    "TEXT",
    "THINKING",
    "Asked",
    "Call",
    "Choice",
    "Finish",
    "Refused",
    "Said",
    "Script",
    "Seal",
    "decide",
    "pieces_of",
    "to_json",
]

JSON = dict[str, Any]

#: What the fake model says, piece by piece. It holds characters of one to four bytes, so that splits can hurt.
TEXT: Final = ("Hello", " from", " the", " fake", " provider", ":", " naïve", " 日本語", " 🦙", ".")
#: What it thinks where a request asks for thinking and the behaviour says nothing of its own.
THINKING: Final = ("Let", " me", " think")

CREATED: Final = 1_767_225_600
#: ``/call name {…}`` in what the user says calls that tool with these arguments: agents run what they are given.
_TOLD: Final = re.compile(r"/call ([\w.-]+) (?=\{)")
_ARGUMENT_PIECE: Final = 7
_CALL_TOKENS: Final = 5

Choice = Literal["auto", "none", "required"]
Finish = Literal["stop", "length", "stop_sequence", "tool_calls", "refusal"]


class Refused(Exception):
    """The fake turns a request down; each wire writes it in its own form, with its own words for `kind` and `code`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str | None = None,
        code: str | int | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request comes to, without its wire.

    `text` is that of the last user message; `answered` says that a tool's result stands at the end. `forced` names the
    tool that must be called. `schema` is what the answer must fit, ``{}`` for any object. `words` is its length.
    """

    model: str = ""
    text: str = ""
    answered: bool = False
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    choice: Choice = "auto"
    forced: str = ""
    parallel: bool = True
    limit: int | None = None
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    thinks: bool = False
    words: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """What a behaviour wants said. `calls`: tools that the user names, else the ``first`` that is offered, or ``two``;
    where the user's text is an agent's, full of its tools' names, only what is ``told`` by ``/call``.

    `cut` is the number of pieces after which the token limit is met; `cached` is input read from, and written to, a
    cache.
    """

    text: tuple[str, ...] = TEXT
    reasoning: tuple[str, ...] = ()
    refusal: str | None = None
    calls: Literal["named", "told", "first", "two"] = "named"
    cut: int | None = None
    cached: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool: its place, from 1, its name and the JSON text of its arguments."""

    place: int
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `number` is its own, of digits; `prompt` counts input without what came from, or went to, a cache."""

    number: str
    model: str = ""
    thinking: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    refusal: str | None = None
    calls: tuple[Call, ...] = ()
    finish: Finish = "stop"
    stop_sequence: str | None = None
    prompt: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def input(self) -> int:
        """Input tokens, cached ones included."""
        return self.prompt + self.cache_read + self.cache_write

    @property
    def output(self) -> int:
        """Output tokens, reasoning included."""
        return len(self.text) + len(self.thinking) + _CALL_TOKENS * len(self.calls) + bool(self.refusal)


def decide(asked: Asked, number: str, script: Script) -> Said:
    """Decide what to say: a forced, named or scripted tool is called, a JSON schema is filled in, else text is said.

    After a tool's result comes text. The request's own limit, or the script's, cuts the text; a stop sequence of the
    request that the text holds ends it before.
    """
    thinking = script.reasoning or (THINKING if asked.thinks else ())
    read, written = script.cached
    said = Said(number, asked.model, thinking, prompt=asked.words, cache_read=read, cache_write=written)
    if calls := tuple(_calls(asked, script)):
        return _with(said, calls=calls, finish="tool_calls")
    if script.refusal is not None:
        return _with(said, refusal=script.refusal, finish="refusal")
    text = script.text if asked.schema is None else (_filled(asked.schema),)
    whole, met = _until_stop(text, asked.stop)
    limit = min(len(whole), asked.limit or len(whole), script.cut or len(whole))
    if limit < len(whole):
        return _with(said, text=whole[:limit], finish="length")
    return _with(said, text=whole, finish="stop_sequence" if met else "stop", stop_sequence=met)


def _with(said: Said, **fields: Any) -> Said:
    return Said(**{name: getattr(said, name) for name in Said.__slots__} | fields)


def _calls(asked: Asked, script: Script) -> Iterator[Call]:
    if not asked.tools or asked.choice == "none" or asked.answered:
        return
    if told := _TOLD.search(asked.text):
        arguments, _ = json.JSONDecoder().raw_decode(asked.text, told.end())
        yield Call(1, told[1], to_json(arguments).decode())
        return
    for place, name in enumerate(_wanted(asked, script), start=1):
        yield Call(place, name, to_json(_sample(asked.tools[name])).decode())


def _wanted(asked: Asked, script: Script) -> list[str]:
    offered = list(asked.tools)
    if asked.forced:
        return [name for name in offered if name == asked.forced]
    if script.calls == "told":
        return []
    if script.calls == "two" and asked.parallel:
        return (offered * 2)[:2]
    if script.calls != "named":
        return offered[:1]
    named = [name for name in offered if name in asked.text]
    if not named and asked.choice == "required":
        named = offered[:1]
    return named if asked.parallel else named[:1]


def _until_stop(pieces: tuple[str, ...], stops: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    text = "".join(pieces)
    found = sorted((text.find(stop), stop) for stop in stops if stop and stop in text)
    if not found:
        return pieces, None
    end, stop = found[0]
    kept: list[str] = []
    for piece in pieces:
        kept.append(piece[: max(0, end)])
        end -= len(piece)
    return tuple(piece for piece in kept if piece), stop


def _filled(schema: Mapping[str, Any]) -> str:
    return to_json(_sample(schema) if schema else {"ok": True}).decode()


_SAMPLES: Final[Mapping[str, object]] = {
    "string": "sample",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "null": None,
}


def _sample(schema: Mapping[str, Any]) -> object:
    """A value that fits a plain JSON schema: objects, enums and scalars, which is what tests declare."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object" or "properties" in schema:
        return {name: _sample(part) for name, part in schema.get("properties", {}).items()}
    return _SAMPLES[kind]


def to_json(value: object) -> bytes:
    """Compact UTF-8, as providers send it: characters stand as themselves, not as escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def pieces_of(arguments: str) -> Iterator[str]:
    """The text of a call's arguments as a stream tells it."""
    for start in range(0, len(arguments), _ARGUMENT_PIECE):
        yield arguments[start : start + _ARGUMENT_PIECE]


@dataclass(frozen=True, slots=True)
class Seal:
    """Signs what a model thought, so that the fake knows it again: other issuers' and altered ones are not its own."""

    issuer: str

    def sign(self, *words: str) -> str:
        """The signature, as base64."""
        return base64.b64encode(b"\x12" + self.issuer.encode() + b"\0" + self._digest(words)).decode()

    def has_signed(self, signature: str, *words: str) -> bool:
        """Whether this is the signature of these words."""
        return signature == self.sign(*words)

    def issued(self, signature: str) -> bool:
        """Whether this issuer made the signature, of whatever words."""
        try:
            packed = base64.b64decode(signature, validate=True)
        except ValueError:
            return False
        return packed.startswith(b"\x12" + self.issuer.encode() + b"\0")

    def _digest(self, words: Iterable[str]) -> bytes:
        return hashlib.sha256("\0".join((self.issuer, *words)).encode()).digest()
