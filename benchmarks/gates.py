"""What the gateway must reach, what is wanted, and which of them a run has shown."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from load import Result
from measure import BIG_BODY_BYTES, Findings

__all__ = ["Gate", "Verdict", "judge"]

Verdict = Literal["wanted", "reached", "missed", "not measured"]


@dataclass(frozen=True)
class Gate:
    """One demand. `bound` is what must be reached, `wanted` what would be better still; `note` holds the numbers."""

    what: str
    unit: str
    value: float | None
    at_least: bool
    bound: float
    wanted: float
    note: str

    @property
    def verdict(self) -> Verdict:
        if self.value is None:
            return "not measured"
        if self._meets(self.value, self.wanted):
            return "wanted"
        return "reached" if self._meets(self.value, self.bound) else "missed"

    def _meets(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit


def _ratios(
    findings: Findings, case: str, value: Callable[[Result], float], other: str, base: str | None = None
) -> list[float]:
    """The gateway's value over another target's, round by round; both above `base`, where one is named."""
    targets = findings.rounds.get(case, {})
    if not {"gateway", other, base or other} <= targets.keys():
        return []
    zeros = [value(run) for run in targets[base]] if base else [0.0] * len(targets[other])
    rounds = zip(targets["gateway"], targets[other], zeros, strict=True)
    pairs = [(value(ours) - zero, value(theirs) - zero) for ours, theirs, zero in rounds]
    return [ours / theirs for ours, theirs in pairs if theirs > 0]


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def _spread(values: list[float]) -> str:
    return f"rounds from {min(values):.3g} to {max(values):.3g}" if values else ""


def _rps(run: Result) -> float:
    return run.rps


def _throughput(findings: Findings) -> Iterator[Gate]:
    for case in ("chat:16", "chat:64"):
        connections = case.partition(":")[2]
        for other, must, wanted in (("litellm", 35.0, 50.0), ("nginx", 0.06, 0.10)):
            ratios = _ratios(findings, case, _rps, other)
            what = f"plain chat, {connections} connections: answers per second over {other}'s"
            yield Gate(what, "×", _median(ratios), True, must, wanted, _spread(ratios))


def _latency(findings: Findings) -> Iterator[Gate]:
    ratios = _ratios(findings, "chat:1", lambda run: run.p50, "nginx", "direct")
    note = _spread(ratios)
    if ratios:
        p50 = {name: findings.medians("chat:1", name, lambda run: run.p50) for name in ("direct", "nginx", "gateway")}
        note = f"p50 µs: {', '.join(f'{name} {value:.0f}' for name, value in p50.items())}; {note}"
    yield Gate("1 connection: median latency added, over what nginx adds", "×", _median(ratios), False, 3, 2, note)

    runs = findings.rounds.get("chat:64", {}).get("gateway", [])
    cliffs = [run.p99 / run.p50 for run in runs if run.p50]
    yield Gate("64 connections: p99 over p50", "×", _median(cliffs), False, 6, 6, _spread(cliffs))


def _streams(findings: Findings) -> Iterator[Gate]:
    ratios = _ratios(findings, "paced:64", lambda run: run.cpu_us_per_event, "nginx")
    note = _spread(ratios)
    if ratios:
        cost = [findings.medians("paced:64", name, lambda run: run.cpu_us_per_event) for name in ("nginx", "gateway")]
        note = f"µs: nginx {cost[0]:.1f}, gateway {cost[1]:.1f}; {note}"
    yield Gate("64 paced streams: CPU per chunk over nginx's", "×", _median(ratios), False, 3, 3, note)

    targets = findings.rounds.get("paced:64", {})
    rounds = zip(targets.get("gateway", []), targets.get("direct", []), strict=False)
    added = [(ours.first_event_p50 - theirs.first_event_p50) / 1e3 for ours, theirs in rounds]
    yield Gate("64 paced streams: median time to first chunk, added", "ms", _median(added), False, 5, 5, _spread(added))


def _memory(findings: Findings) -> Iterator[Gate]:
    memory = findings.memory
    idle = memory.idle if memory else findings.idle.get("gateway")
    yield Gate("idle memory", "MB", idle, False, 90, 90, "")
    requests = streams = None
    notes = ("", "")
    if memory:
        requests = (memory.after_requests / memory.before_requests - 1) * 100
        streams = (memory.after_streams / memory.before_streams - 1) * 100
        notes = (
            f"{memory.before_requests:.1f} → {memory.after_requests:.1f} MB over {memory.requests:,} requests",
            (
                f"{memory.before_streams:.1f} → {memory.after_streams:.1f} MB over {memory.streams:,} streams; "
                f"upstream connections open {memory.connections_before} → {memory.connections_after}"
            ),
        )
    yield Gate("memory growth over requests, once warm", "%", requests, False, 5, 5, notes[0])
    yield Gate("memory growth over streams abandoned half-way", "%", streams, False, 5, 5, notes[1])


def _start(findings: Findings) -> Iterator[Gate]:
    starts = findings.cold.get("gateway", [])
    yield Gate("cold start to first answer", "s", _median(starts), False, 1.5, 1.5, _spread(starts))


def _body(findings: Findings) -> Iterator[Gate]:
    runs = findings.body.get("gateway", [])
    good = sum(run.good for run in runs) if findings.largest_body >= BIG_BODY_BYTES else 0
    share = good / sum(run.answered for run in runs) * 100 if runs else None
    times = {name: statistics.median(run.p50 for run in found) / 1e3 for name, found in findings.body.items()}
    note = "p50 ms: " + ", ".join(f"{name} {value:.1f}" for name, value in times.items()) if times else ""
    yield Gate("10 MB bodies that pass", "%", share, True, 100, 100, note)


def _honesty(findings: Findings) -> Iterator[Gate]:
    told = findings.upstream
    wrong = told.get("bad_auth", 0) + told.get("bad_model", 0) + findings.failed() if told else None
    note = (
        f"bad_auth {told['bad_auth']}, bad_model {told['bad_model']}, wrong answers {findings.failed()} "
        f"of {told['requests']:,} requests"
        if told
        else ""
    )
    yield Gate("requests with a wrong key, model or answer", "", wrong, False, 0, 0, note)


def judge(findings: Findings) -> list[Gate]:
    """Every gate, with what this run says of it."""
    parts = (_throughput, _latency, _streams, _memory, _start, _body, _honesty)
    return [gate for part in parts for gate in part(findings)]
