"""A fake OpenAI-compatible provider: a real HTTP server that behaves as documented until a test tells it otherwise."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .behaviours import BEHAVIOURS, SPLITS, Behaviour
from .http_server import Connection, Exchange, HttpServer, SeenRequest
from .openai_answers import (
    UsagePlace,
    chat_answer,
    chat_chunks,
    chat_completion,
    embeddings,
    error_body,
    model_entry,
    model_list,
    to_json,
)

__all__ = ["Exchange", "FakeProvider", "SeenRequest"]

KEY: Final = "sk-fake-provider-key"
MODELS: Final = ("fake-model", "fake-embedding")
_JSON: Final = (("content-type", "application/json"),)
_EVENTS: Final = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


class FakeProvider(HttpServer):
    """`with FakeProvider() as provider:` serves `provider.base_url` until the block ends.

    It answers `POST …/chat/completions` (plain and streamed, with tools, JSON schemas and usage), `POST …/embeddings`,
    `GET …/models` and `GET …/models/{id}`. Any model name is served; `models` are the listed ones. Without one of
    `keys` as a bearer key the answer is OpenAI's 401; `keys=None` asks for none.

    A behaviour is a `Behaviour` or the name of one in `BEHAVIOURS`. `next` queues them for the next POSTs, one each;
    `when` sets one for all requests that match, the latest first; `behaviour` is for all others.
    """

    def __init__(
        self,
        *,
        keys: Collection[str] | None = (KEY,),
        models: tuple[str, ...] = MODELS,
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

    @property
    def base_url(self) -> str:
        """What a client is given: scheme, host, port and ``/v1``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}/v1"

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
        behaviour = self._choose(request, document)
        answer = _Answering(connection, exchange, behaviour, f"{next(self._numbers):012d}", self.notify)
        await asyncio.sleep(behaviour.delay)
        if behaviour.before_head == "close":
            return False
        if behaviour.before_head == "hang":
            await _for_ever()
        if behaviour.body is not None or behaviour.status != 200:
            return await answer.instead()
        if refusal := self._refusal(request, document, behaviour):
            return await answer.plain(*refusal)
        return await self._documented(answer, request, document or {})

    def _choose(self, request: SeenRequest, document: Mapping[str, Any] | None) -> Behaviour:
        if request.method == "POST" and self._queue:
            return self._queue.popleft()
        model = (document or {}).get("model")
        return next((rule.behaviour for rule in self._rules if rule.matches(request, model)), self.behaviour)

    def _refusal(
        self, request: SeenRequest, document: Mapping[str, Any] | None, behaviour: Behaviour
    ) -> tuple[int, Mapping[str, Any]] | None:
        if self.keys is not None and request.key is None:
            return 401, error_body("You didn't provide an API key.")
        if self.keys is not None and request.key not in self.keys:
            return 401, error_body("Incorrect API key provided: sk-fa***.", code="invalid_api_key")
        if request.method == "POST" and document is None:
            return 400, error_body("We could not parse the JSON body of your request.")
        if document and "stream_options" in document and behaviour.refuse_stream_options:
            message = "Unrecognized request argument supplied: stream_options"
            return behaviour.refuse_stream_options, error_body(message, param="stream_options")
        return None

    async def _documented(self, answer: _Answering, request: SeenRequest, document: Mapping[str, Any]) -> bool:
        match request.method, request.path.removeprefix("/v1"):
            case "POST", "/chat/completions" if _are_messages(document.get("messages")):
                return await answer.chat(document)
            case "POST", "/chat/completions":
                return await answer.plain(400, error_body("Missing required parameter: 'messages'.", param="messages"))
            case "POST", "/embeddings":
                return await answer.plain(200, embeddings(document))
            case "GET", "/models":
                return await answer.plain(200, model_list(self.models))
            case "GET", path if path.startswith("/models/") and path.removeprefix("/models/") in self.models:
                return await answer.plain(200, model_entry(path.removeprefix("/models/")))
        return await answer.plain(404, error_body(f"Invalid URL ({request.method} {request.path})"))


@dataclass(frozen=True, slots=True)
class _Rule:
    behaviour: Behaviour
    model: str | None
    key: str | None
    path: str | None

    def matches(self, request: SeenRequest, model: object) -> bool:
        wanted = ((self.model, model), (self.key, request.key))
        return all(want in (None, got) for want, got in wanted) and request.path.endswith(self.path or "")


class _Answering:
    """One answer being sent as one behaviour has it. Its methods return whether the connection can go on."""

    def __init__(
        self, connection: Connection, exchange: Exchange, behaviour: Behaviour, number: str, notify: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._behaviour = behaviour
        self._number = number
        self._notify = notify

    async def instead(self) -> bool:
        """The behaviour's own body."""
        body = self._behaviour.body
        if callable(body):
            body = body(self._exchange.request.fields)
        return await self.plain(self._behaviour.status, b"" if body is None else body)

    async def plain(self, status: int, document: Mapping[str, Any] | bytes) -> bool:
        body = document if isinstance(document, bytes) else to_json(document)
        await self._head(status, (*_JSON, ("content-length", str(len(body)))))
        if self._behaviour.trouble in ("hang", "close"):
            await self._send(body[: self._behaviour.after_bytes])
            return await self._trouble()
        await self._send(body)
        return True

    async def chat(self, request: Mapping[str, Any]) -> bool:
        behaviour = self._behaviour
        answer = chat_answer(
            request,
            answer_id=f"chatcmpl-{self._number}",
            text=behaviour.text,
            reasoning=behaviour.reasoning,
            refusal=behaviour.refusal,
        )
        if not request.get("stream") or behaviour.plain_for_stream:
            return await self.plain(200, chat_completion(answer, usage=behaviour.usage != "never"))
        chunks = chat_chunks(answer, usage=self._usage_place(request), azure_first=behaviour.azure_first)
        return await self._stream(self._events(chunks))

    def _usage_place(self, request: Mapping[str, Any]) -> UsagePlace:
        asked = bool((request.get("stream_options") or {}).get("include_usage"))
        places: dict[str, UsagePlace] = {
            "when_asked": "own" if asked else "none",
            "never": "none",
            "always": "own",
            "on_finish": "finish",
        }
        return places[self._behaviour.usage]

    def _events(self, chunks: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
        end = self._behaviour.line_end.encode() * 2
        for chunk in chunks:
            yield b"data: " + to_json(chunk) + end
            if self._behaviour.comments:
                yield b": keep-alive" + end
        if self._behaviour.done:
            yield b"data: [DONE]" + end

    async def _stream(self, events: Iterator[bytes]) -> bool:
        behaviour = self._behaviour
        await self._head(200, (*_EVENTS, ("transfer-encoding", "chunked")))
        limit = None if behaviour.trouble == "none" else behaviour.after_events
        sound = itertools.islice(events, limit)
        for index, event in enumerate([b"".join(sound)] if behaviour.split == "whole" else sound):
            if index and behaviour.pace:
                await asyncio.sleep(behaviour.pace)
            await self._send_event(event)
        if behaviour.trouble == "error_event":
            await self._send_event(b"data: " + to_json(behaviour.error) + behaviour.line_end.encode() * 2)
        elif behaviour.trouble != "none":
            return await self._trouble()
        await self._connection.send_chunk(b"")
        return True

    async def _send_event(self, event: bytes) -> None:
        for piece in SPLITS[self._behaviour.split](event):
            await self._connection.send_chunk(piece)
            self._exchange.bytes_sent += len(piece)
        self._exchange.events_sent += 1
        self._notify()

    async def _trouble(self) -> bool:
        self._notify()
        if self._behaviour.trouble == "hang":
            await _for_ever()
        return False

    async def _head(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        own = {name for name, _ in self._behaviour.headers}
        kept = tuple(header for header in headers if header[0] not in own)
        self._exchange.status = status
        await self._connection.send_head(
            status, (*kept, *self._behaviour.headers, ("x-request-id", f"req_{self._number}"))
        )

    async def _send(self, data: bytes) -> None:
        await self._connection.send(data)
        self._exchange.bytes_sent += len(data)


def _behaviour(named: Behaviour | str) -> Behaviour:
    return BEHAVIOURS[named] if isinstance(named, str) else named


def _document(request: SeenRequest) -> Mapping[str, Any] | None:
    try:
        document = request.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _are_messages(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(message, dict) for message in value)


async def _for_ever() -> None:
    """Wait until cancelled, which the server does when the client goes away or the test ends."""
    await asyncio.Event().wait()
