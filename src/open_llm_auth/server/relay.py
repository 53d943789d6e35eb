"""One model call: attempts in order, fail-over before the commit point, the answer relayed as it arrives (SPEC §5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ..auth.health import HealthTable
from ..auth.manager import ProviderManager
from ..errors import (
    EgressBlocked,
    GatewayError,
    NotConfigured,
    SecretUnavailable,
    UnsafeDestination,
    UpstreamError,
    UpstreamHTTPError,
    UpstreamInvalidResponse,
    UpstreamTimeout,
)
from ..policy.egress import Verdict, blocked, check_endpoint, parse_endpoint
from ..policy.failover import moves_on
from ..ports import Clock, ConfigSource, Reply, SecretSource, Transport
from ..providers.spec import UpstreamKind
from ..values import (
    Attempt,
    Call,
    Endpoint,
    Fault,
    Headers,
    Model,
    Outbound,
    PassedOver,
    Plan,
    Snapshot,
    Timeouts,
)
from ..wire import embeddings, openai_chat, openai_error
from ..wire.events import Usage
from .headers import gateway_headers, resolve_headers
from .hiding import Hiding
from .local_reply import LocalReply

__all__ = ["Answer", "Relay"]

#: A stream's head is held for its first content at most this long (SPEC §5, commit point).
_COMMIT_SECONDS: Final = 2.0
#: and no more of it than this
_HELD_BYTES: Final = 1 << 18
#: an answer from this size on is worked on beside the loop
_LARGE_BYTES: Final = 1 << 18
_CONNECT_SECONDS: Final = 10.0
_DRAIN_SECONDS: Final = 0.2
_ERROR_BYTES: Final = 1 << 20
_REPLY_BYTES: Final = 256 << 20


Discovered = Mapping[str, Mapping[str, Model]]


@dataclass(slots=True)
class Answer:
    """What a call came to: `body`, or `stream` for a streamed one. Whoever takes it closes it.

    `usage` is filled in by the end of the body; `failed` names the error a stream ended with.
    """

    status: int
    headers: Headers
    attempt: Attempt
    attempts: int
    body: bytes | None = None
    stream: AsyncGenerator[bytes, None] | None = None
    usage: Usage | None = None
    failed: GatewayError | None = None
    reply: Reply | None = None
    #: whether content has come: a stream that is shown because its time was up may still fail in any way
    committed: bool = True
    #: what comes after the end mark of a stream, which is read so that its connection can be used again
    leftover: AsyncIterator[bytes] | None = None

    async def aclose(self) -> None:
        """Drop the upstream at once if it is still sending. May be called twice."""
        if self.stream is not None:
            await self.stream.aclose()
        if self.leftover is not None:
            await _drain(self.leftover)
        if self.reply is not None:
            await self.reply.aclose()


class Relay:
    """Carries calls. One for the process; everything it needs is passed in."""

    def __init__(
        self,
        *,
        config: ConfigSource,
        manager: ProviderManager,
        health: HealthTable,
        transport: Transport,
        kinds: Mapping[str, UpstreamKind],
        secrets: SecretSource,
        clock: Clock,
        discovered: Callable[[], Discovered],
        on_blocked: Callable[[str, str, str], object],
    ) -> None:
        """`on_blocked` is told provider, host and reason, once for each destination and snapshot."""
        self._config = config
        self._manager = manager
        self._health = health
        self._transport = transport
        self._kinds = kinds
        self._secrets = secrets
        self._hiding = Hiding(secrets)
        self._clock = clock
        self._discovered = discovered
        self._on_blocked = on_blocked
        #: verdicts about endpoints, good for one snapshot
        self._judged_for: Snapshot | None = None
        self._judged: dict[tuple[str, Endpoint], Verdict] = {}
        #: providers that refused `stream_options` (SPEC §11)
        self._without_usage: set[str] = set()

    def plan(self, snapshot: Snapshot, call: Call) -> Plan:
        """The attempts that egress lets be made.

        Raises:
            EgressBlocked: the policy forbids every one.
            GatewayError: as `ProviderManager.plan` does.
        """
        try:
            plan = self._manager.plan(
                snapshot,
                model=call.model,
                caller=call.caller,
                operation=call.operation,
                preferred_profile=call.preferred_profile,
                discovered=self._discovered(),
            )
        except NotConfigured as refusal:
            raise _unreadable_address(snapshot, refusal) or refusal from None
        if self._judged_for is not snapshot:
            self._judged_for, self._judged = snapshot, {}
        first: EgressBlocked | None = None
        for attempt in plan.attempts:
            error = self._forbidden(snapshot, attempt)
            if error is not None:
                first = first or error
                plan = _without(plan, attempt, str(error.details.get("reason")))
        if first is not None and not plan.attempts:
            raise first
        return plan

    async def open(self, call: Call, on_attempt: Callable[[Attempt, int], object] | None = None) -> Answer:
        """Make the call: the first attempt that answers well is the answer.

        `on_attempt` is told of each attempt, numbered from 1, before it is made.

        Raises:
            GatewayError: what the last attempt failed with, its headers naming provider, profile and attempts.
        """
        snapshot = self._config.current()
        plan = self.plan(snapshot, call)
        told: GatewayError | None = None
        for number, attempt in enumerate(plan.attempts, 1):
            if on_attempt is not None:
                on_attempt(attempt, number)
            outcome = await self._try(snapshot, call, attempt)
            now = self._clock.monotonic()
            if isinstance(outcome, Answer):
                if outcome.committed:
                    self._health.succeeded(attempt.credential, attempt.model, now)
                outcome.attempts = number
                outcome.headers = (*gateway_headers(attempt, number), *outcome.headers)
                return outcome
            error = outcome.error
            if not isinstance(error, EgressBlocked):
                self._health.failed(attempt.credential, attempt.model, outcome, now)
            if told is None or not isinstance(error, EgressBlocked):
                told = error
                told.headers += tuple((n.decode(), v.decode("latin-1")) for n, v in gateway_headers(attempt, number))
            if number == len(plan.attempts) or not moves_on(outcome, snapshot.fallback):
                raise told
        raise AssertionError("a plan is never empty")

    async def _try(self, snapshot: Snapshot, call: Call, attempt: Attempt) -> Answer | Fault:
        kind = self._kinds[attempt.provider.api]
        name = attempt.provider.id
        refuses_usage = name in self._without_usage
        outcome = await self._send(snapshot, kind, call, attempt, refuses_usage)
        if call.stream and not refuses_usage and isinstance(outcome, Fault) and outcome.names_stream_options:
            outcome = await self._send(snapshot, kind, call, attempt, refuses_usage=True)
            if isinstance(outcome, Answer):
                self._without_usage.add(name)
        return outcome

    async def _send(
        self, snapshot: Snapshot, kind: UpstreamKind, call: Call, attempt: Attempt, refuses_usage: bool
    ) -> Answer | Fault:
        body = _write_body(call, attempt, refuses_usage)
        patience = snapshot.server.request_timeout_seconds
        deadline = asyncio.get_running_loop().time() + patience
        try:
            if kind.answer is not None:
                reply: Reply = LocalReply(kind.answer(call.operation, body, call.stream))
            else:
                reply = await self._transport.send(self._outbound(kind, call, attempt, body, patience))
        except (UpstreamError, EgressBlocked, SecretUnavailable) as error:
            return _fault(error)
        handed_over = False
        try:
            async with asyncio.timeout_at(deadline):
                outcome = await self._receive(snapshot, kind, call, attempt, reply)
            handed_over = isinstance(outcome, Answer) and outcome.stream is not None
        except UpstreamError as error:
            outcome = _fault(error)
        except TimeoutError:
            outcome = _fault(_too_slow(attempt.provider.id, patience))
        finally:
            if not handed_over:
                await reply.aclose()
        return outcome

    async def _receive(
        self, snapshot: Snapshot, kind: UpstreamKind, call: Call, attempt: Attempt, reply: Reply
    ) -> Answer | Fault:
        provider = attempt.provider.id
        if reply.status >= 400:
            body = await reply.read(_ERROR_BYTES)
            fault = self._read_error(snapshot, kind, attempt, reply.status, reply.headers, body)
            about_usage = reply.status in (400, 422) and b"stream_options" in body
            return replace(fault, names_stream_options=True) if about_usage else fault
        if not 200 <= reply.status < 300:
            raise UpstreamInvalidResponse(
                f"Upstream provider {provider!r} answered HTTP {reply.status}; redirects are never followed. "
                f"Check its baseUrl.",
                details={"provider": provider, "upstreamStatus": reply.status},
            )
        if not call.stream:
            return await self._plain(snapshot, kind, call, attempt, reply)
        if (reply.header(b"content-type") or b"").startswith(b"application/json"):
            return await self._streamed_from_plain(snapshot, kind, call, attempt, reply)
        return await self._stream(
            snapshot, attempt, reply, openai_chat.StreamRelay(hide_usage=not call.wants_usage, choices=call.choices)
        )

    async def _plain(
        self, snapshot: Snapshot, kind: UpstreamKind, call: Call, attempt: Attempt, reply: Reply
    ) -> Answer | Fault:
        body = await reply.read(_REPLY_BYTES)
        failure = self._failure_in(snapshot, kind, attempt, reply, body)
        if failure is not None:
            return failure
        if call.operation == "embeddings":
            body = await _adapted(body, embeddings.asked_encoding(call.envelope))
            usage = embeddings.read_usage(body)
        else:
            usage = openai_chat.read_usage(body)
        return Answer(
            reply.status,
            self._hiding.rate_limits(snapshot, attempt.credential, reply.headers),
            attempt,
            0,
            body=body,
            usage=usage,
        )

    def _failure_in(
        self, snapshot: Snapshot, kind: UpstreamKind, attempt: Attempt, reply: Reply, body: bytes
    ) -> Fault | None:
        """A 200 whose body is an error, or no JSON object at all, is not an answer."""
        if body[:1] != b"{" and body.lstrip()[:1] != b"{":
            return _fault(
                UpstreamInvalidResponse(
                    f"Upstream provider {attempt.provider.id!r} answered HTTP {reply.status} with something that is "
                    f"not JSON. Check its baseUrl.",
                    details={"provider": attempt.provider.id, "upstreamStatus": reply.status},
                )
            )
        if body.find(b'"error"', 0, 512) < 0:
            return None
        error = openai_chat.read_error(body)
        if error is None or b'"choices"' in body or b'"data"' in body:
            return None
        fault = self._read_error(snapshot, kind, attempt, _status_in(error.code), reply.headers, body)
        fault.error.details["upstreamStatus"] = reply.status
        return fault

    async def _streamed_from_plain(
        self, snapshot: Snapshot, kind: UpstreamKind, call: Call, attempt: Attempt, reply: Reply
    ) -> Answer | Fault:
        """An upstream that ignored `stream` is told to its client as a stream all the same."""
        plain = await self._plain(snapshot, kind, call, attempt, reply)
        if isinstance(plain, Answer) and plain.body is not None:
            relay = openai_chat.StreamRelay(hide_usage=not call.wants_usage, choices=call.choices)
            told = relay.feed(openai_chat.stream_from_reply(plain.body))
            if relay.failure is not None:
                return self._stream_fault(snapshot, attempt, reply.status, relay.failure)
            plain.stream = _once(told)
            plain.body = None
        return plain

    async def _stream(
        self, snapshot: Snapshot, attempt: Attempt, reply: Reply, relay: openai_chat.StreamRelay
    ) -> Answer | Fault:
        """Hold the stream until its commit point; what fails before it is an ordinary fault."""
        chunks = reply.chunks()
        held = await _hold(chunks, relay)
        if relay.failure is not None and not relay.committed:
            return self._stream_fault(snapshot, attempt, reply.status, relay.failure)
        limits = self._hiding.rate_limits(snapshot, attempt.credential, reply.headers)
        answer = Answer(reply.status, limits, attempt, 0, reply=reply, committed=relay.committed or relay.done)
        answer.stream = self._rest(snapshot, answer, held, chunks, relay)
        return answer

    async def _rest(
        self,
        snapshot: Snapshot,
        answer: Answer,
        held: bytes,
        chunks: AsyncIterator[bytes],
        relay: openai_chat.StreamRelay,
    ) -> AsyncGenerator[bytes, None]:
        try:
            if held:
                yield held
            try:
                while relay.failure is None and not relay.done:
                    ready = relay.feed(await anext(chunks))
                    if ready:
                        yield ready
            except StopAsyncIteration:
                pass  # the provider is through; `end` says whether it should be
            if relay.failure is None:
                yield relay.end()
                answer.leftover = chunks
        except UpstreamError as error:
            fault: Fault | None = _fault(error)
        else:
            fault = None
            if relay.failure is not None:
                fault = self._stream_fault(snapshot, answer.attempt, answer.status, relay.failure)
        finally:
            answer.usage = relay.usage
        self._settle(answer, fault)
        if fault is not None:
            answer.failed = fault.error
            yield openai_chat.write_stream_error(fault.error)

    def _settle(self, answer: Answer, fault: Fault | None) -> None:
        """What the end of a stream says of its credential, where its beginning had not said it yet."""
        attempt, now = answer.attempt, self._clock.monotonic()
        if fault is not None:
            self._health.failed(attempt.credential, attempt.model, fault, now)
        elif not answer.committed:
            self._health.succeeded(attempt.credential, attempt.model, now)

    def _outbound(self, kind: UpstreamKind, call: Call, attempt: Attempt, body: bytes, patience: float) -> Outbound:
        provider = attempt.provider
        extra = call.passthrough
        if provider.headers:
            extra += resolve_headers(provider.headers, self._secrets)
        model = provider.models.get(attempt.model)
        if model is not None and model.headers:
            extra += resolve_headers(model.headers, self._secrets)
        timeouts = Timeouts(connect=min(_CONNECT_SECONDS, patience), first_byte=patience)
        return kind.prepare(provider, attempt.credential, call.operation, body, extra, timeouts, call.stream)

    def _forbidden(self, snapshot: Snapshot, attempt: Attempt) -> EgressBlocked | None:
        if self._kinds[attempt.provider.api].answer is not None:
            return None
        endpoint = attempt.credential.endpoint or attempt.provider.endpoint
        if endpoint is None:
            return EgressBlocked(
                f"Provider {attempt.provider.id!r} has no usable baseUrl. Set providers.{attempt.provider.id}.baseUrl.",
                details={"provider": attempt.provider.id, "reason": "missing_host", "phase": "resolve"},
            )
        key = (attempt.provider.id, endpoint)
        verdict = self._judged.get(key)
        if verdict is None:
            verdict = self._judged[key] = check_endpoint(snapshot.egress, *key)
            if not verdict.allowed:
                self._on_blocked(attempt.provider.id, endpoint.host, verdict.reason or "")
        if verdict.allowed:
            return None
        return blocked(attempt.provider.id, endpoint, verdict.reason or "blocked", "resolve")

    def _stream_fault(self, snapshot: Snapshot, attempt: Attempt, status: int, failure: openai_chat.ErrorBody) -> Fault:
        """An error told as a stream event, with the status it would have had."""
        kind = self._kinds[attempt.provider.api]
        body = openai_error.write_error_body(failure)
        fault = self._read_error(snapshot, kind, attempt, _status_in(failure.code), (), body)
        fault.error.details["upstreamStatus"] = status
        return fault

    def _read_error(
        self, snapshot: Snapshot, kind: UpstreamKind, attempt: Attempt, status: int, headers: Headers, body: bytes
    ) -> Fault:
        """What an error means, with nothing in its words or its headers that only the gateway may know."""
        hide = self._hiding.scrubber(snapshot, attempt.credential)
        fault = kind.read_error(attempt.provider.id, status, headers, body, hide)
        self._hiding.clean(fault.error, hide)
        return fault


async def _hold(chunks: AsyncIterator[bytes], relay: openai_chat.StreamRelay) -> bytes:
    """What there is to show at the commit point: content has come, the stream is over, or two seconds have passed."""
    held = b""
    try:
        async with asyncio.timeout(_COMMIT_SECONDS):
            while not (relay.committed or relay.done or relay.failure or len(held) > _HELD_BYTES):
                chunk = await anext(chunks, None)
                if chunk is None:
                    break
                held += relay.feed(chunk)
    except TimeoutError:
        return held
    if relay.committed or relay.failure or len(held) > _HELD_BYTES:
        return held
    return held + relay.end()  # it is over: `end` knows whether that was an answer


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """See the end of a finished stream, so that its connection can be used again; nobody waits long for it."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass  # what follows an end mark is nobody's
    except (TimeoutError, UpstreamError):
        return


async def _adapted(body: bytes, asked: str | None) -> bytes:
    if len(body) < _LARGE_BYTES:
        return embeddings.adapt_reply(body, asked)
    return await asyncio.to_thread(embeddings.adapt_reply, body, asked)


def _too_slow(provider: str, patience: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"Upstream provider {provider!r} did not finish its answer within {patience:g} seconds "
        f"(server.requestTimeoutSeconds).",
        details={"provider": provider, "reason": "total"},
    )


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _write_body(call: Call, attempt: Attempt, refuses_usage: bool) -> bytes:
    if call.operation == "embeddings":
        return embeddings.write_request(call.envelope, model=attempt.model)
    return openai_chat.write_request(
        call.envelope,
        model=attempt.model,
        ask_usage=call.stream and attempt.provider.stream_usage,
        drop_usage=refuses_usage,
    )


def _unreadable_address(snapshot: Snapshot, error: NotConfigured) -> EgressBlocked | None:
    """The refusal of a provider whose base URL is none, with the reason that names what is wrong with it (SPEC §6)."""
    provider = snapshot.providers.get(str(error.details.get("provider")))
    if provider is None or not provider.base_url or provider.endpoint is not None:
        return None
    try:
        parse_endpoint(provider.base_url)
    except UnsafeDestination as unsafe:
        return EgressBlocked(
            f"The base URL of provider {provider.id!r} can't be used. {unsafe.message} "
            f"Set providers.{provider.id}.baseUrl.",
            param="model",
            details={"provider": provider.id, **unsafe.details, "phase": "resolve"},
        )
    return None


def _without(plan: Plan, attempt: Attempt, reason: str) -> Plan:
    name = f"{attempt.provider.id}/{attempt.model} via {attempt.credential.id}"
    return replace(
        plan,
        attempts=tuple(a for a in plan.attempts if a is not attempt),
        passed_over=(*plan.passed_over, PassedOver(name, f"egress: {reason}")),
    )


def _status_in(code: object) -> int:
    """The HTTP status an error body stands for, where its code is one."""
    text = str(code)
    return int(text) if text.isdigit() and 400 <= int(text) <= 599 else 502


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
