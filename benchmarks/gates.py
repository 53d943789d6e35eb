"""What the gateway must reach, what is wanted, and which of them a run has shown."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from load import Result
from measure import BIG_BODY_BYTES, QUIET_CORES, Findings

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
        if self.wanted != self.bound and self._meets(self.value, self.wanted):
            return "wanted"
        return "reached" if self._meets(self.value, self.bound) else "missed"

    def _meets(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit


@dataclass(frozen=True)
class _Sample:
    """One value for each round, and how many of the rounds other programs left alone."""

    values: tuple[float, ...] = ()
    quiet: int = 0

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def note(self) -> str:
        if not self.values:
            return ""
        spread = f"{min(self.values):.3g} to {max(self.values):.3g} in {len(self.values)} rounds"
        return spread if self.quiet else f"{spread}, all **disturbed** by other programs"


def _sample(findings: Findings, case: str, names: tuple[str, ...], value: Callable[..., float | None]) -> _Sample:
    """`value` of each round's results for the named targets; disturbed rounds count only where there is no other."""
    targets = findings.rounds.get(case, {})
    if not set(names) <= targets.keys():
        return _Sample()
    rounds = list(zip(*(targets[name] for name in names), strict=True))
    quiet = [runs for runs in rounds if all(run.foreign <= QUIET_CORES for run in runs)]
    values = [value(*runs) for runs in quiet or rounds]
    return _Sample(tuple(v for v in values if v is not None), len(quiet))


def _share(ours: float, theirs: float) -> float | None:
    return ours / theirs if theirs > 0 else None


def _cpu_ratio(ours: Result, theirs: Result) -> float | None:
    """What the ratio would be if both had all of their core: other programs can't blur this one."""
    return _share(theirs.cpu_us_per_answer, ours.cpu_us_per_answer)


def _throughput(findings: Findings) -> Iterator[Gate]:
    for case in ("chat:16", "chat:64"):
        connections = case.partition(":")[2]
        for other, must, wanted in (("litellm", 35.0, 50.0), ("nginx", 0.06, 0.10)):
            names = ("gateway", other)
            ratios = _sample(findings, case, names, lambda ours, theirs: _share(ours.rps, theirs.rps))
            by_cpu = _sample(findings, case, names, _cpu_ratio)
            note = f"{ratios.note}; by CPU a request {by_cpu.median:.3g} ×" if by_cpu.median else ratios.note
            what = f"plain chat, {connections} connections: answers per second over {other}'s"
            yield Gate(what, "×", ratios.median, True, must, wanted, note)


def _latency(findings: Findings) -> Iterator[Gate]:
    names = ("gateway", "nginx", "direct")
    ratios = _sample(
        findings, "chat:1", names, lambda ours, nginx, bare: _share(ours.p50 - bare.p50, nginx.p50 - bare.p50)
    )
    note = ratios.note
    if ratios.values:
        p50 = {name: findings.medians("chat:1", name, lambda run: run.p50) for name in ("direct", "nginx", "gateway")}
        note = f"p50 µs: {', '.join(f'{name} {value:.0f}' for name, value in p50.items())}; {note}"
    yield Gate("1 connection: median latency added, over what nginx adds", "×", ratios.median, False, 3, 2, note)

    cliffs = _sample(findings, "chat:64", ("gateway",), lambda run: _share(run.p99, run.p50))
    yield Gate("64 connections: p99 over p50", "×", cliffs.median, False, 6, 6, cliffs.note)


def _added_first_chunk_ms(ours: Result, bare: Result) -> float:
    return (ours.first_event_p50 - bare.first_event_p50) / 1e3


def _streams(findings: Findings) -> Iterator[Gate]:
    names = ("gateway", "nginx")
    ratios = _sample(
        findings, "paced:64", names, lambda ours, theirs: _share(ours.cpu_us_per_event, theirs.cpu_us_per_event)
    )
    note = ratios.note
    if ratios.values:
        cost = [findings.medians("paced:64", name, lambda run: run.cpu_us_per_event) for name in ("nginx", "gateway")]
        note = f"µs: nginx {cost[0]:.1f}, gateway {cost[1]:.1f}; {note}"
    yield Gate("64 paced streams: CPU per chunk over nginx's", "×", ratios.median, False, 3, 3, note)

    added = _sample(findings, "paced:64", ("gateway", "direct"), _added_first_chunk_ms)
    yield Gate("64 paced streams: median time to first chunk, added", "ms", added.median, False, 5, 5, added.note)


def _across(findings: Findings, cases: tuple[str, str], value: Callable[..., float | None]) -> _Sample:
    """`value` of the gateway's results for two cases of the same round."""
    ours = [findings.rounds.get(case, {}).get("gateway", []) for case in cases]
    pairs = list(zip(*ours, strict=False))
    quiet = [runs for runs in pairs if all(run.foreign <= QUIET_CORES for run in runs)]
    values = [value(*runs) for runs in quiet or pairs]
    return _Sample(tuple(v for v in values if v is not None), len(quiet))


def _dialects(findings: Findings) -> Iterator[Gate]:
    """Each dialect's relay against that of chat, and what a translated chunk costs."""
    for surface in ("messages", "responses"):
        plain = _across(findings, (f"{surface}:16", "chat:16"), lambda ours, chat: _share(ours.rps, chat.rps))
        yield Gate(
            f"plain {surface} relayed: answers per second over chat's", "×", plain.median, True, 0.8, 0.8, plain.note
        )
        paced = _across(
            findings,
            (f"paced-{surface}:64", "paced:64"),
            lambda ours, chat: _share(ours.cpu_us_per_event, chat.cpu_us_per_event),
        )
        what = f"64 paced streams of {surface} relayed: CPU per chunk over chat's"
        yield Gate(what, "×", paced.median, False, 1.2, 1.2, paced.note)
    for case, what in (
        ("paced-messages-from-chat:64", "messages from a chat provider"),
        ("paced-chat-from-messages:64", "chat from a messages provider"),
    ):
        whole = _sample(findings, case, ("gateway",), lambda run: run.cpu_us_per_event)
        yield Gate(f"64 paced streams, {what}: CPU per chunk", "µs", whole.median, False, 40, 40, whole.note)
        added = _across(findings, (case, "paced:64"), lambda ours, chat: ours.cpu_us_per_event - chat.cpu_us_per_event)
        yield Gate("of which translation, over relaying chat", "µs", added.median, False, 10, 10, added.note)


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
    starts = _Sample(tuple(findings.cold.get("gateway", [])), quiet=1)
    yield Gate("cold start to first answer", "s", starts.median, False, 1.5, 1.5, starts.note)


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
    parts = (_throughput, _latency, _streams, _dialects, _memory, _start, _body, _honesty)
    return [gate for part in parts for gate in part(findings)]
