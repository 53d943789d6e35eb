"""What all fake providers have in common: keys, behaviours and how an answer is sent; subclasses say the rest."""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .answers import Refused, to_json
from .behaviours import BEHAVIOURS, SPLITS, Behaviour
from .http_server import Connection, Exchange, HttpServer, SeenRequest

__all__ = ["EVENT_STREAM", "KEY", "Answered", "FakeServer", "Headers", "Streamed", "events_of", "refusal_in"]

KEY: Final = "sk-fake-provider-key"
Headers = tuple[tuple[str, str], ...]

EVENT_STREAM: Final = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_JSON: Final = (("content-type", "application/json"),)
_NAMED: Final = re.compile(r"#([a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Answered:
    """A plain answer: a document, or the bytes of one."""

    document: Mapping[str, Any] | bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class Streamed:
    """A streamed answer: complete events, how many of them open it, and how trouble looks in this wire."""

    events: Iterator[bytes]
    opening: int = 1
    headers: Headers = EVENT_STREAM
    failure: Callable[[Refused], bytes] | None = None
    garbage: bytes = b'data: {"broken": \n\n'


def events_of(documents: Iterable[tuple[str, Mapping[str, Any]]], behaviour: Behaviour) -> Iterator[bytes]:
    """Server-sent events with their names ("" for none), as the behaviour wants them written."""
    line = behaviour.line_end.encode()
    for name, document in documents:
        head = f"event: {name}".encode() + line if name else b""
        yield head + b"data: " + to_json(document) + line * 2
        if behaviour.comments:
            yield b": keep-alive" + line * 2


class FakeServer(HttpServer):
    """`with FakeSomething() as provider:` serves `provider.base_url` until the block ends.

    Any model name is served; `models` are the listed ones. Without one of `keys` a call is refused as the provider
    does; `keys=None` asks for none. A behaviour is a `Behaviour` or the name of one in `BEHAVIOURS`. `next` queues them
    for the next POSTs, one each; `when` sets one for all requests that match, the latest first; then a ``#name`` in the
    last user message counts; `behaviour` is for all others.
    """

    #: what stands before the paths of the API in `base_url`
    mount = ""
    #: the documents of behaviours, which are OpenAI's, are this wire's own
    writes_as_openai = False

    def __init__(
        self,
        *,
        keys: Collection[str] | None,
        models: tuple[str, ...],
        behaviour: Behaviour | str = "documented",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(self._respond, host=host, tls=tls)
        self.keys = keys
        self.models = models
        self.behaviour = _behaviour(behaviour)
        self._scheme = "https" if tls else "http"
        self._queue: deque[Behaviour] = deque()
        self._rules: list[_Rule] = []
        self._numbers = itertools.count(1)

    # what a wire says

    def key_of(self, request: SeenRequest) -> str | None:
        """The credential that a request carries."""
        return request.key

    def refuse_key(self, key: str | None) -> Refused:
        """The answer to a wrong key, or to none."""
        raise NotImplementedError

    def said_to(self, document: Mapping[str, Any]) -> str:
        """The text of the last user message; of whatever shape the document is, it raises nothing."""
        raise NotImplementedError

    def error(self, refused: Refused) -> Mapping[str, Any]:
        """The document of an error."""
        raise NotImplementedError

    def headers(self, number: str) -> Headers:
        """What every answer carries beside its type."""
        return (("x-request-id", f"req_{number}"),)

    def answer(
        self, request: SeenRequest, document: Mapping[str, Any], behaviour: Behaviour, number: str
    ) -> Answered | Streamed:
        """The documented answer. `number` is new for each request, and of digits.

        Raises:
            Refused: the request is not one that the provider would take.
        """
        raise NotImplementedError

    # what a test says and sees

    @property
    def base_url(self) -> str:
        """What a client is given: scheme, host, port and `mount`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}{self.mount}"

    @property
    def requests(self) -> list[SeenRequest]:
        return [exchange.request for exchange in self.exchanges]

    @property
    def calls(self) -> list[Exchange]:
        """The exchanges that were POSTs: model calls, without the discovery of models."""
        return [exchange for exchange in self.exchanges if exchange.request.method == "POST"]

    def next(self, *behaviours: Behaviour | str) -> None:
        """Queue behaviours for the next POSTs, whatever their model or key."""
        self._queue.extend(map(_behaviour, behaviours))

    def when(
        self, behaviour: Behaviour | str, *, model: str | None = None, key: str | None = None, path: str | None = None
    ) -> None:
        """Behave so for requests with that model, that key and a path that ends so; what is left out matches all."""
        self._rules.insert(0, _Rule(_behaviour(behaviour), model, key, path))

    def reset(self) -> None:
        """Forget behaviours and exchanges; connections stay."""
        self._queue.clear()
        self._rules.clear()
        self.exchanges.clear()

    # answering, in the server's thread

    async def _respond(self, connection: Connection, exchange: Exchange) -> bool:
        request = exchange.request
        document = _document(request)
        behaviour = self._choose(request, document or {})
        number = f"{next(self._numbers):012d}"
        sending = _Sending(self, connection, exchange, behaviour, number)
        await asyncio.sleep(behaviour.delay)
        if behaviour.before_head == "close":
            return False
        if behaviour.before_head == "hang":
            await _for_ever()
        if behaviour.body is not None or behaviour.status != 200:
            return await sending.instead()
        try:
            self._check(request, document)
            answer = self.answer(request, document or {}, behaviour, number)
        except Refused as refused:
            answer = Answered(self.error(refused), refused.status)
        return await sending.documented(answer)

    def _choose(self, request: SeenRequest, document: Mapping[str, Any]) -> Behaviour:
        if request.method == "POST" and self._queue:
            return self._queue.popleft()
        key, model = self.key_of(request), document.get("model") or _model_in(request.path)
        for rule in self._rules:
            if rule.matches(request, model, key):
                return rule.behaviour
        names = _NAMED.findall(self.said_to(document)) if document else ()
        return next((BEHAVIOURS[name] for name in names if name in BEHAVIOURS), self.behaviour)

    def _check(self, request: SeenRequest, document: Mapping[str, Any] | None) -> None:
        key = self.key_of(request)
        if self.keys is not None and key not in self.keys:
            raise self.refuse_key(key)
        if request.method == "POST" and document is None:
            raise Refused(400, "We could not parse the JSON body of your request.")


@dataclass(frozen=True, slots=True)
class _Rule:
    behaviour: Behaviour
    model: str | None
    key: str | None
    path: str | None

    def matches(self, request: SeenRequest, model: object, key: str | None) -> bool:
        wanted = ((self.model, model), (self.key, key))
        return all(want in (None, got) for want, got in wanted) and request.path.endswith(self.path or "")


class _Sending:
    """One answer being sent as one behaviour has it. Its methods return whether the connection can go on."""

    def __init__(
        self, server: FakeServer, connection: Connection, exchange: Exchange, behaviour: Behaviour, number: str
    ) -> None:
        self._server = server
        self._connection = connection
        self._exchange = exchange
        self._behaviour = behaviour
        self._number = number

    async def instead(self) -> bool:
        """The behaviour's own body."""
        body = self._behaviour.body
        if callable(body):
            body = body(self._exchange.request.fields)
        if isinstance(body, Mapping):
            body = self._in_own_form(self._behaviour.status, body)
        return await self._plain(self._behaviour.status, b"" if body is None else body)

    async def documented(self, answer: Answered | Streamed) -> bool:
        if isinstance(answer, Streamed):
            return await self._stream(answer)
        return await self._plain(answer.status, answer.document)

    def _in_own_form(self, status: int, document: Mapping[str, Any]) -> Mapping[str, Any]:
        refused = None if self._server.writes_as_openai else refusal_in(document, status)
        return document if refused is None else self._server.error(refused)

    async def _plain(self, status: int, document: Mapping[str, Any] | bytes) -> bool:
        body = document if isinstance(document, bytes) else to_json(document)
        await self._head(status, (*_JSON, ("content-length", str(len(body)))))
        if self._behaviour.trouble in ("hang", "close"):
            await self._send(body[: self._behaviour.after_bytes])
            return await self._break_off()
        await self._send(body)
        return True

    async def _stream(self, stream: Streamed) -> bool:
        behaviour = self._behaviour
        await self._head(200, (*stream.headers, ("transfer-encoding", "chunked")))
        sound = itertools.islice(stream.events, self._sound_events(stream.opening))
        for index, event in enumerate([b"".join(sound)] if behaviour.split == "whole" else sound):
            if index and behaviour.pace:
                await asyncio.sleep(behaviour.pace)
            await self._send_event(event)
        if behaviour.trouble in ("hang", "close"):
            return await self._break_off()
        if behaviour.trouble == "error_event":
            refused = refusal_in(behaviour.error, 500)
            raw = b"data: " + to_json(behaviour.error) + behaviour.line_end.encode() * 2
            await self._send_event(raw if refused is None or stream.failure is None else stream.failure(refused))
        elif behaviour.trouble == "garbage":
            await self._send_event(stream.garbage)
            for event in stream.events:
                await self._send_event(event)
        await self._connection.send_chunk(b"")
        return True

    def _sound_events(self, opening: int) -> int | None:
        behaviour = self._behaviour
        if behaviour.trouble == "none":
            return None
        return opening + behaviour.after_events - 1 if behaviour.after_events else 0

    async def _send_event(self, event: bytes) -> None:
        for piece in SPLITS[self._behaviour.split](event):
            await self._connection.send_chunk(piece)
            self._exchange.bytes_sent += len(piece)
        self._exchange.events_sent += 1
        self._server.notify()

    async def _break_off(self) -> bool:
        self._server.notify()
        if self._behaviour.trouble == "hang":
            await _for_ever()
        return False

    async def _head(self, status: int, headers: Headers) -> None:
        own = {name for name, _ in self._behaviour.headers}
        kept = tuple(header for header in headers if header[0] not in own)
        self._exchange.status = status
        await self._connection.send_head(status, (*kept, *self._behaviour.headers, *self._server.headers(self._number)))

    async def _send(self, data: bytes) -> None:
        await self._connection.send(data)
        self._exchange.bytes_sent += len(data)


def refusal_in(document: Mapping[str, Any], status: int) -> Refused | None:
    """What OpenAI's error document says; None where it is not one."""
    error = document.get("error")
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    return Refused(status, error["message"], kind=error.get("type"), code=error.get("code"), param=error.get("param"))


def _model_in(path: str) -> str:
    """The model that Google's addresses name."""
    return path.rpartition("/models/")[2].partition(":")[0]


def _behaviour(named: Behaviour | str) -> Behaviour:
    return BEHAVIOURS[named] if isinstance(named, str) else named


def _document(request: SeenRequest) -> Mapping[str, Any] | None:
    try:
        document = request.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


async def _for_ever() -> None:
    """Wait until cancelled, which the server does when the client goes away or the test ends."""
    await asyncio.Event().wait()
