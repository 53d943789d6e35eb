"""`POST /v1/universal` (SPEC §7, the call): one form for every model, with what happened on the way to it.

Its `input` and `options` are those of a chat completion, so that is the dialect it speaks inside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from ...errors import InvalidRequest
from ...ports import Clock
from ...wire import openai_chat, sse
from ...wire.dialect import Request
from ...wire.envelope import Envelope, first_byte, is_null, read_envelope, read_text, type_of
from ..answer import Answer
from ..asgi import Exchange, Handler
from ..delivery import Delivery
from ..relay import Relay
from .calls import call_handler, surface_delivery

__all__ = ["universal_delivery", "universal_handler"]

Raw = msgspec.Raw

_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
#: What a body says beside `options`, which therefore may not say it again.
_OWN: Final = frozenset({"model", "messages", "input", "stream", "task", "authProfile"})


def universal_handler(relay: Relay, clock: Clock, *, delivery: Delivery | None = None) -> Handler:
    """The route's handler; `delivery` is how its answers leave, the usual way where None."""
    return call_handler(relay, clock, _read, "openai-chat", delivery=delivery or universal_delivery())


def universal_delivery() -> Delivery:
    """How answers leave."""
    return replace(surface_delivery("openai-chat"), whole=_whole, wrap=_Chunks)


def _read(body: bytes, exchange: Exchange) -> Request:
    envelope = read_envelope(body)
    profile = read_text(envelope, "authProfile")
    if profile:
        # The same wish as the header's, which is looked at after this.
        exchange.headers.setdefault(b"x-auth-profile", profile.encode("utf-8", "replace"))
    fields: Envelope = {"model": envelope.get("model", Raw(b"null")), "messages": _messages(envelope)}
    fields |= _options(envelope.get("options"))
    if "stream" in envelope:
        fields["stream"] = envelope["stream"]
    return openai_chat.read_request(msgspec.json.encode(fields))


def _messages(envelope: Envelope) -> Raw:
    """`input`, or the objective of a task that has none.

    Raises:
        InvalidRequest: there is neither.
    """
    objective = _objective(envelope)
    given = envelope.get("input")
    if given is not None and not is_null(given):
        if first_byte(given) != ord("["):
            raise InvalidRequest(f"'input' must be a list of messages, not {type_of(given)}.", param="input")
        if bytes(given)[1:].strip() != b"]":
            return given
    if objective is None:
        raise InvalidRequest("There is neither 'input' nor 'task'. Send a list of messages in 'input'.", param="input")
    return Raw(msgspec.json.encode([{"role": "user", "content": objective}]))


def _objective(envelope: Envelope) -> str | None:
    """What the task is to do; None where there is none."""
    task = _object(envelope, "task")
    if task is None:
        return None
    objective = read_text({"task.objective": task.get("objective", Raw(b"null"))}, "task.objective")
    if not objective:
        raise InvalidRequest("'task.objective' is missing; say what is to be done.", param="task.objective")
    return objective


def _options(raw: Raw | None) -> Envelope:
    options = _object({} if raw is None else {"options": raw}, "options") or {}
    for name in options:
        if name in _OWN:
            raise InvalidRequest(f"'options.{name}' is said outside of 'options'.", param=f"options.{name}")
    return options


def _object(envelope: Envelope, name: str) -> Envelope | None:
    raw = envelope.get(name)
    if raw is None or is_null(raw):
        return None
    if first_byte(raw) != ord("{"):
        raise InvalidRequest(f"{name!r} must be an object, not {type_of(raw)}.", param=name)
    return _OBJECT.decode(raw)


def _whole(answer: Answer, body: bytes) -> bytes:
    attempt = answer.attempt
    return msgspec.json.encode(
        {
            "object": "universal.response",
            "provider": attempt.provider.id,
            "model": attempt.model,
            "profile": attempt.credential.id,
            "auth_source": attempt.credential.source,
            "fallback": {
                "active": bool(answer.told) or attempt.fallback,
                "attempt_count": answer.attempts,
                "failed_attempts": [
                    {
                        "provider": tried.provider.id,
                        "model": tried.model,
                        "profile": tried.credential.id,
                        "status": error.status,
                        "code": error.code,
                    }
                    for tried, error in answer.told
                ],
            },
            "output_text": _text_of(body),
            "response": Raw(body),
        }
    )


class _Message(msgspec.Struct):
    content: Any = None


class _Choice(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


_COMPLETION: Final = msgspec.json.Decoder(_Completion)


def _text_of(body: bytes) -> str:
    """The first choice's text, "" where it is none."""
    try:
        choices = _COMPLETION.decode(body).choices
    except (msgspec.DecodeError, RecursionError):
        return ""
    content = choices[0].message.content if choices else None
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


class _Chunks:
    """Each chunk of the chat stream within `universal.chunk`; the end mark and an error as they are."""

    def __init__(self, answer: Answer) -> None:
        self._provider = answer.attempt.provider.id
        self._model = answer.attempt.model

    def feed(self, piece: bytes) -> bytes:
        return b"".join(self._wrapped(event) for event in sse.split_events(piece))

    def end(self) -> bytes:
        return b""

    def _wrapped(self, event: bytes) -> bytes:
        data = sse.data_of(event)
        if data is None or not data.startswith(b"{") or data.startswith(b'{"error"'):
            return event
        chunk = {"object": "universal.chunk", "provider": self._provider, "model": self._model, "raw": Raw(data)}
        return sse.event(msgspec.json.encode(chunk))
