"""One attempt: the request written for its provider, sent, and its answer read; streams held to their commit point."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Final

import msgspec

from ..auth.health import HealthTable
from ..auth.history import History
from ..errors import (
    EgressBlocked,
    GatewayError,
    InvalidRequest,
    SecretUnavailable,
    UpstreamError,
    UpstreamHTTPError,
    UpstreamInvalidResponse,
    UpstreamTimeout,
)
from ..ports import Clock, Programs, Reply, SecretSource, Transport
from ..providers.faults import told_in_stream
from ..providers.reasoning import refuses_reasoning
from ..providers.spec import Adjusting, Sending, UpstreamKind
from ..values import Attempt, Call, Command, Fault, Headers, Secret, Snapshot, Timeouts
from ..wire.dialect import Following, Stream
from ..wire.envelope import is_object
from ..wire.events import ErrorBody, Usage
from ..wire.openai_error import read_error as read_any_error
from .answer import Answer
from .headers import dropped_header, resolve_headers
from .hiding import Hiding
from .local_reply import LocalReply
from .passage import Passage
from .watching import Watched

__all__ = ["Courier", "Try"]

#: A stream's head is held for its first content at most this long (SPEC §5, commit point).
_COMMIT_SECONDS: Final = 2.0
#: and no more of it than this
_HELD_BYTES: Final = 1 << 18
#: a body from this size on is worked on beside the loop
_LARGE_BYTES: Final = 1 << 18
_CONNECT_SECONDS: Final = 10.0
_ERROR_BYTES: Final = 1 << 20
_REPLY_BYTES: Final = 256 << 20

#: an error that is a whole body begins with saying so
_ERROR_WINDOW: Final = 512
_NO_ERROR: Final = (b"null", b"{}", b'""', b"false")
_NO_ANSWER: Final = (b"null", b"[]")

#: fields that a kind says in another way, or that no caller wished for
_NO_LOSS: Final = frozenset({"max_tokens", "stream_options"})

_encode: Final = msgspec.json.Encoder().encode


class _Head(msgspec.Struct):
    """What tells an error from an answer."""

    error: msgspec.Raw = msgspec.Raw(b"null")
    choices: msgspec.Raw = msgspec.Raw(b"null")
    data: msgspec.Raw = msgspec.Raw(b"null")
    output: msgspec.Raw = msgspec.Raw(b"null")


_HEAD: Final = msgspec.json.Decoder(_Head)


class Try(msgspec.Struct, frozen=True, gc=False):
    """What one attempt is made of. `watch` looks at every piece of the answer on its way to the client."""

    snapshot: Snapshot
    call: Call
    attempt: Attempt
    kind: UpstreamKind
    passage: Passage
    watch: Callable[[bytes], None] | None = None


class Courier:
    """Makes attempts. One for the process."""

    def __init__(
        self,
        *,
        health: HealthTable,
        history: History,
        transport: Transport,
        programs: Programs,
        secrets: SecretSource,
        clock: Clock,
        hidden: Callable[[], Iterable[Secret]] = tuple,
    ) -> None:
        """`hidden` are secrets to keep out of what is passed on, beside those of the snapshot."""
        self._health = health
        self._history = history
        self._transport = transport
        self._programs = programs
        self._secrets = secrets
        self._hiding = Hiding(secrets, hidden)
        self._clock = clock

    async def carry(self, this: Try, *, refuses_usage: bool) -> Answer | Fault:
        """What comes of the attempt. `refuses_usage`: its provider is known to refuse `stream_options`.

        Raises:
            InvalidRequest: the call can't be said to this provider.
            NotConfigured: it can't be sent there.
        """
        call, attempt, passage = this.call, this.attempt, this.passage
        stream = call.request.stream or this.kind.stream_only
        if _is_large(this):
            body, lost = await asyncio.to_thread(_write, this, stream, refuses_usage)
        else:
            body, lost = _write(this, stream, refuses_usage)
        patience = this.snapshot.server.request_timeout_seconds
        sending = Sending(
            operation=call.operation,
            model=attempt.model,
            stream=stream,
            body=body,
            headers=self._extra_headers(call.passthrough if passage.relayed else (), attempt),
            timeouts=Timeouts(connect=min(_CONNECT_SECONDS, patience), first_byte=patience),
            session=call.session,
        )
        deadline = asyncio.get_running_loop().time() + patience
        try:
            reply = await self._dispatch(this, sending)
        except (UpstreamError, EgressBlocked, SecretUnavailable) as error:
            return _fault(error)
        handed_over = False
        try:
            async with asyncio.timeout_at(deadline):
                outcome = await self._receive(this, reply)
            handed_over = isinstance(outcome, Answer) and outcome.stream is not None
        except UpstreamError as error:
            outcome = _fault(error)
        except TimeoutError:
            outcome = _fault(_too_slow(attempt.provider.id, patience))
        finally:
            if not handed_over:
                await reply.aclose()
        if isinstance(outcome, Answer) and (dropped := (*passage.dropped, *lost)):
            outcome.headers = (*outcome.headers, dropped_header(dropped))
        return outcome

    def _extra_headers(self, passthrough: Headers, attempt: Attempt) -> Headers:
        """What the client said about itself, then what the config says: the last of a name counts."""
        provider = attempt.provider
        extra = passthrough
        if provider.headers:
            extra += resolve_headers(provider.headers, self._secrets)
        model = provider.models.get(attempt.model)
        if model is not None and model.headers:
            extra += resolve_headers(model.headers, self._secrets)
        return extra

    async def _dispatch(self, this: Try, sending: Sending) -> Reply:
        """To whoever answers: this process, a program of this machine, or a server."""
        if this.kind.answer is not None:
            return LocalReply(this.kind.answer(sending.operation, sending.body, sending.stream))
        outbound = this.kind.prepare(this.attempt.provider, this.attempt.credential, sending)
        if isinstance(outbound, Command):
            return await self._programs.run(outbound)
        return await self._transport.send(outbound)

    async def _receive(self, this: Try, reply: Reply) -> Answer | Fault:
        provider = this.attempt.provider.id
        self._history.heard(this.attempt.credential, reply.headers, refused=reply.status >= 400)
        if reply.status >= 400:
            body = await reply.read(_ERROR_BYTES)
            fault = self._read_error(this, reply.status, reply.headers, body)
            if refuses_reasoning(reply.status, body):
                return replace(fault, refuses_reasoning=True)
            about_usage = reply.status in (400, 422) and b"stream_options" in body
            return replace(fault, names_stream_options=True) if about_usage else fault
        if not 200 <= reply.status < 300:
            raise UpstreamInvalidResponse(
                f"Upstream provider {provider!r} answered HTTP {reply.status}; redirects are never followed. "
                f"Check its baseUrl.",
                details={"provider": provider, "upstreamStatus": reply.status},
            )
        whole = (reply.header(b"content-type") or b"").startswith(b"application/json")
        if not this.call.request.stream:
            if this.kind.stream_only and not whole:
                return await self._gather(this, reply)
            return await self._plain(this, reply)
        if whole:
            return await self._streamed_from_plain(this, reply)
        return await self._stream(this, reply)

    async def _plain(self, this: Try, reply: Reply) -> Answer | Fault:
        body = await reply.read(_REPLY_BYTES)
        failure = self._failure_in(this, reply, body)
        if failure is not None:
            return failure
        told = (
            await asyncio.to_thread(this.passage.whole, body) if len(body) > _LARGE_BYTES else this.passage.whole(body)
        )
        if told.failure is not None:
            return self._told(this, reply.status, told.failure)
        return self._answer(this, reply, told.body, told.usage)

    def _answer(self, this: Try, reply: Reply, body: bytes, usage: Usage | None) -> Answer:
        limits = self._hiding.rate_limits(this.snapshot, this.attempt.credential, reply.headers)
        if this.watch is not None:
            this.watch(body)
        return Answer(reply.status, limits, this.attempt, 0, body=body, usage=usage)

    def _failure_in(self, this: Try, reply: Reply, body: bytes) -> Fault | None:
        """A 200 whose body is an error, or no JSON object at all, is not an answer."""
        if not is_object(body):
            provider = this.attempt.provider.id
            return _fault(
                UpstreamInvalidResponse(
                    f"Upstream provider {provider!r} answered HTTP {reply.status} with something that is not JSON. "
                    f"Check its baseUrl.",
                    details={"provider": provider, "upstreamStatus": reply.status},
                )
            )
        said = _error_in(body)
        if said is None:
            return None
        return self._told(this, reply.status, said)

    async def _gather(self, this: Try, reply: Reply) -> Answer | Fault:
        """A provider that only streams, for a client that wants one answer."""
        following = this.passage.gathering()
        pieces: list[bytes] = []
        async for chunk in reply.chunks():
            pieces.append(following.feed(chunk))
            if following.done or following.failure is not None:
                break
        if following.failure is None:
            pieces.append(following.end())
        if following.failure is not None:
            return self._told(this, reply.status, following.failure)
        return self._answer(this, reply, this.passage.gathered(following, b"".join(pieces)), following.usage)

    async def _streamed_from_plain(self, this: Try, reply: Reply) -> Answer | Fault:
        """An upstream that ignored `stream` is told to its client as a stream all the same."""
        body = await reply.read(_REPLY_BYTES)
        failure = self._failure_in(this, reply, body)
        if failure is not None:
            return failure
        told = this.passage.unfold(body)
        if told.failure is not None:
            return self._told(this, reply.status, told.failure)
        answer = self._answer(this, reply, told.body, told.usage)
        answer.body, answer.stream = None, _once(told.body)
        return answer

    async def _stream(self, this: Try, reply: Reply) -> Answer | Fault:
        """Hold the stream until its commit point; what fails before it is an ordinary fault."""
        stream, chunks = this.passage.stream(), reply.chunks()
        if this.watch is not None:
            stream = Watched(stream, this.watch)
        held = await _hold(chunks, stream)
        if stream.failure is not None and not stream.committed:
            return self._told(this, reply.status, stream.failure)
        limits = self._hiding.rate_limits(this.snapshot, this.attempt.credential, reply.headers)
        answer = Answer(reply.status, limits, this.attempt, 0, reply=reply, committed=stream.committed or stream.done)
        answer.stream = self._rest(this, answer, held, chunks, stream)
        return answer

    async def _rest(
        self, this: Try, answer: Answer, held: bytes, chunks: AsyncIterator[bytes], stream: Stream
    ) -> AsyncGenerator[bytes, None]:
        try:
            if held:
                yield held
            try:
                while stream.failure is None and not stream.done:
                    ready = stream.feed(await anext(chunks))
                    if ready:
                        yield ready
            except StopAsyncIteration:
                pass  # the provider is through; `end` says whether it should be
            if stream.failure is None:
                rest = stream.end()
                if rest:
                    yield rest
                answer.leftover = chunks
        except UpstreamError as error:
            fault: Fault | None = _fault(error)
        else:
            fault = None
            if stream.failure is not None:
                fault = self._told(this, answer.status, stream.failure)
        finally:
            answer.usage = stream.usage
        self._settle(answer, fault)
        if fault is not None:
            answer.fail(fault.error)
            yield stream.fail(fault.error)

    def _settle(self, answer: Answer, fault: Fault | None) -> None:
        """What the end of a stream says of its credential, where its beginning had not said it yet."""
        attempt, now = answer.attempt, self._clock.monotonic()
        if fault is not None:
            self._health.failed(attempt.credential, attempt.model, fault, now)
            self._history.failed(attempt.credential, fault)
        elif not answer.committed:
            self._health.succeeded(attempt.credential, attempt.model, now)
            self._history.used(attempt.credential)

    def _told(self, this: Try, status: int, said: ErrorBody) -> Fault:
        """An error within an answer that began with the good `status`, with the status it would have had."""
        hide = self._hiding.scrubber(this.snapshot, this.attempt.credential)
        fault = told_in_stream(this.attempt.provider.id, None if this.kind.is_program else status, said, hide)
        words = f"{said.code} {said.message}".encode("utf-8", "replace")
        return replace(fault, refuses_reasoning=True) if refuses_reasoning(fault.status or 0, words) else fault

    def _read_error(self, this: Try, status: int, headers: Headers, body: bytes) -> Fault:
        """What an error means, with nothing in its words or its headers that only the gateway may know."""
        hide = self._hiding.scrubber(this.snapshot, this.attempt.credential)
        fault = this.kind.read_error(this.attempt.provider.id, status, headers, body, hide)
        self._hiding.clean(fault.error, hide)
        return fault


async def _hold(chunks: AsyncIterator[bytes], stream: Following) -> bytes:
    """What there is to show at the commit point: content has come, the stream is over, or two seconds have passed."""
    held = b""
    try:
        async with asyncio.timeout(_COMMIT_SECONDS):
            while not (stream.committed or stream.done or stream.failure or len(held) > _HELD_BYTES):
                chunk = await anext(chunks, None)
                if chunk is None:
                    break
                held += stream.feed(chunk)
    except TimeoutError:
        return held
    if stream.committed or stream.failure or len(held) > _HELD_BYTES:
        return held
    return held + stream.end()  # it is over: `end` knows whether that was an answer


def _too_slow(provider: str, patience: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"Upstream provider {provider!r} did not finish its answer within {patience:g} seconds "
        f"(server.requestTimeoutSeconds).",
        details={"provider": provider, "reason": "total"},
    )


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _is_large(this: Try) -> bool:
    """Whether the request is work for a thread: translating ten megabytes takes longer than others should wait."""
    if this.passage.relayed:
        return False
    return sum(len(memoryview(raw)) for raw in this.call.request.envelope.values()) > _LARGE_BYTES


def _write(this: Try, stream: bool, refuses_usage: bool) -> tuple[bytes, tuple[str, ...]]:
    """The body as its kind wants it, and what of it the kind left out.

    Raises:
        InvalidRequest: it can't be said in the provider's dialect, or something is left out and the caller strict.
    """
    attempt, passage, adjust = this.attempt, this.passage, this.kind.adjust
    fields = passage.fields(attempt.model, stream=stream)
    if adjust is None or this.call.operation != "chat":
        return _encode(fields), ()
    adjusted = adjust(fields, Adjusting(attempt.provider, attempt.model, stream, not passage.relayed, refuses_usage))
    if adjusted is fields:
        return _encode(fields), ()
    lost = tuple(name for name in fields if name not in adjusted and name not in _NO_LOSS)
    if lost and this.call.strict:
        raise _left_out(lost[0], attempt)
    return _encode(adjusted), lost


def _error_in(body: bytes) -> ErrorBody | None:
    """The error that a body is, although its status was good; None for every answer, whatever it says of errors."""
    if body.find(b'"error"', 0, _ERROR_WINDOW) < 0:
        return None
    try:
        head = _HEAD.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if bytes(head.error) in _NO_ERROR or any(
        bytes(raw) not in _NO_ANSWER for raw in (head.choices, head.data, head.output)
    ):
        return None
    return read_any_error(body) or ErrorBody("The provider reported an error.")


def _left_out(name: str, attempt: Attempt) -> InvalidRequest:
    return InvalidRequest(
        f"{name!r} is not taken by provider {attempt.provider.id!r}. Leave it out, choose another model, or do not "
        f"send x-gateway-strict.",
        param=name,
    )


def _fault(error: GatewayError) -> Fault:
    """A fault that was raised rather than read."""
    match error:
        case UpstreamTimeout():
            return Fault("timeout", error)
        case UpstreamInvalidResponse():
            return Fault("invalid", error)
        case UpstreamHTTPError():
            return Fault("server", error, status=error.status)
        case _:
            return Fault("unreachable", error)
