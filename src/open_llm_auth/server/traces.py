"""Why this credential (SPEC §5): of the last calls what was considered, passed over and tried, and what came of it.

Nothing is written for it and nothing formatted until somebody asks. It holds no word of a call or an answer.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isinf
from typing import Any, Final

import msgspec

from ..errors import GatewayError
from ..values import Attempt, Fault, FaultKind, Headers, PassedOver, Plan

__all__ = ["Trace", "Traces", "described", "header_of"]

_KEPT: Final = 2_000
#: Servers and clients take header fields of 8 kB, with room for others.
_HEADER_BYTES: Final = 4_000

Fields = dict[str, Any]


class _Seen(msgspec.Struct, frozen=True, gc=False):
    """One candidate: texts alone, so that no secret outlives the config that held it and nothing has to be collected.

    `place` is where it stood in the order that was tried, 0 where it was passed over.
    """

    provider: str
    model: str
    profile: str
    billing: str
    source: str
    type: str
    fallback: bool
    place: int


class _Failed(msgspec.Struct, frozen=True, gc=False):
    """An attempt that came to nothing. `rests`: for how many seconds the credential rests after it."""

    place: int
    seconds: float
    kind: FaultKind
    status: int | None
    code: str
    retry_after: float | None
    rests: float | None


class Trace(msgspec.Struct, gc=False):
    """One call. `at` is seconds since the epoch. Errors are kept by their codes: they hold the caller's words, and with
    their frames the whole call."""

    call_id: str
    subject: str
    surface: str
    requested: str | None
    at: float
    #: the only candidate, or all of them
    only: _Seen | None = None
    candidates: tuple[_Seen, ...] = ()
    passed: tuple[PassedOver, ...] = ()
    failures: tuple[_Failed, ...] = ()
    #: of the attempt that answered; place 0 is none
    place: int = 0
    seconds: float = 0.0
    status: int = 0
    fell_from: str | None = None
    #: what of the request was left out on the way
    dropped: bytes = b""
    #: how a call ended that no provider answered, or whose answer broke off
    code: str = ""

    def planned(self, plan: Plan) -> None:
        """What may be tried, and what is passed over."""
        if len(plan.considered) == 1 and not plan.passed_over:
            self.only = _seen(plan.attempts[0], 1)
            return
        places = {id(each): place for place, each in enumerate(plan.attempts, 1)}
        # None stands for one of those passed over, which tell more of it.
        self.candidates = tuple(_seen(each, places.get(id(each), 0)) for each in plan.considered if each is not None)
        self.passed = plan.passed_over

    def answered(self, place: int, status: int, seconds: float, headers: Headers) -> None:
        """An attempt whose answer has begun. `headers` are those that it came with."""
        self.place, self.status, self.seconds = place, status, seconds
        if headers and headers[-1][0] == b"x-gateway-dropped":
            self.dropped = headers[-1][1]

    def failed(self, place: int, fault: Fault, seconds: float, rests: float | None) -> None:
        """An attempt that came to nothing."""
        told = _Failed(place, seconds, fault.kind, fault.status, fault.error.code, fault.retry_after, rests)
        self.failures = (*self.failures, told)

    def ended_with(self, error: GatewayError) -> None:
        """The call itself came to nothing, or its answer broke off."""
        self.code = error.code

    @property
    def seen(self) -> tuple[_Seen, ...]:
        return self.candidates if self.only is None else (self.only,)


class Traces:
    """The last calls of this process."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept: deque[Trace] = deque(maxlen=kept)
        #: a call begins
        self.append = self._kept.append

    def find(self, call_id: str) -> Trace | None:
        """The call of that id, while it is remembered."""
        return next((each for each in reversed(self._kept) if each.call_id == call_id), None)


def _seen(attempt: Attempt, place: int) -> _Seen:
    credential = attempt.credential
    return _Seen(
        attempt.provider.id,
        attempt.model,
        credential.id,
        credential.billing,
        credential.source,
        credential.type,
        attempt.fallback,
        place,
    )


def described(trace: Trace) -> Fields:
    """All of it, ready for JSON."""
    first = _at(trace, 1)
    fields: Fields = {
        "object": "gateway.call",
        "id": trace.call_id,
        "at": datetime.fromtimestamp(trace.at, UTC).isoformat(timespec="milliseconds"),
        "subject": trace.subject,
        "surface": trace.surface or None,
        "requested": trace.requested,
        "resolved": None if first is None else f"{first.provider}/{first.model}",
        "outcome": _outcome(trace),
        "served": _served(trace),
        "candidates": [_candidate(each) for each in trace.seen],
        "passedOver": [_passed_over(each) for each in trace.passed],
        "attempts": [*(_failure(trace, each) for each in trace.failures), *_answer(trace)],
        "code": trace.code or None,
        "dropped": trace.dropped.decode("latin-1") or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def header_of(trace: Trace) -> tuple[bytes, bytes]:
    """The same as a header field: one line of ASCII, cut from the back where it would be too long for one."""
    fields = _compact(described(trace))
    text = _line(fields)
    for name in ("passedOver", "candidates", "attempts"):
        while len(text) > _HEADER_BYTES and fields.get(name):
            rows: Sequence[Any] = fields[name]
            fields = {**fields, name: rows[: len(rows) // 2], "cut": True}
            text = _line(fields)
    return b"x-gateway-trace", text.encode("ascii")


def _line(fields: Mapping[str, Any]) -> str:
    # JSON writes what is not ASCII, and what would break a line, with escapes; DEL alone is left.
    return json.dumps(fields, separators=(",", ":")).replace("\x7f", "\\u007f")


def _compact(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if name not in ("object", "at", "subject") and value != []}


def _outcome(trace: Trace) -> str:
    """`refused` before anybody was asked; `open` while it is under way, or where the client left first."""
    if trace.code:
        return "failed" if trace.seen else "refused"
    return "answered" if trace.place else "open"


def _at(trace: Trace, place: int) -> _Seen | None:
    return next((each for each in trace.seen if each.place == place), None)


def _who(seen: _Seen | None) -> Fields:
    if seen is None:
        return {}
    return {"provider": seen.provider, "model": seen.model, "profile": seen.profile, "billing": seen.billing}


def _served(trace: Trace) -> Fields | None:
    if not trace.place:
        return None
    fallen = {} if trace.fell_from is None else {"fellFrom": trace.fell_from}
    return _who(_at(trace, trace.place)) | fallen


def _candidate(seen: _Seen) -> Fields:
    """In the order of the config; `place` is absent where it was not to be tried."""
    told = _who(seen) | {"source": seen.source, "type": seen.type}
    if seen.fallback:
        told["fallback"] = True
    return {**told, "place": seen.place} if seen.place else told


def _passed_over(passed: PassedOver) -> Fields:
    told: Fields = {"candidate": passed.candidate, "reason": passed.reason}
    return told if passed.billing is None else {**told, "billing": passed.billing}


def _answer(trace: Trace) -> Iterator[Fields]:
    if trace.place:
        who = _who(_at(trace, trace.place))
        yield {"number": trace.place, **who, "status": trace.status, "ms": _milliseconds(trace.seconds)}


def _failure(trace: Trace, failed: _Failed) -> Fields:
    fields = {
        "number": failed.place,
        **_who(_at(trace, failed.place)),
        "status": failed.status,
        "fault": failed.kind,
        "code": failed.code,
        "ms": _milliseconds(failed.seconds),
        "retryAfter": failed.retry_after,
        "restsSeconds": None if failed.rests is None or isinf(failed.rests) else round(failed.rests, 1),
        "rejected": True if failed.rests is not None and isinf(failed.rests) else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
