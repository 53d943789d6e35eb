"""What is measured, and in which order: interleaved rounds over all targets, then the gateway by itself."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from load import Load, Result, put_load_on
from machine import SERVER_CORE, ForeignCpu, resident_mb, work_ms
from targets import Running, Target, Upstream

__all__ = [
    "BIG_BODY_BYTES",
    "CASES",
    "EXTRA_CASES",
    "QUIET_CORES",
    "Findings",
    "Memory",
    "Plan",
    "measure_big_body",
    "measure_cold",
    "measure_memory",
    "measure_rounds",
]

#: The cases of the interleaved rounds, by the name that `--only` takes.
CASES = {
    "chat:1": Load(connections=1),
    "chat:16": Load(connections=16),
    "chat:64": Load(connections=64),
    "paced:64": Load(kind="paced", connections=64),
    "messages:16": Load(connections=16, surface="messages", upstream="messages"),
    "responses:16": Load(connections=16, surface="responses", upstream="responses"),
    "paced-messages:64": Load(kind="paced", connections=64, surface="messages", upstream="messages"),
    "paced-responses:64": Load(kind="paced", connections=64, surface="responses", upstream="responses"),
    "paced-messages-from-chat:64": Load(kind="paced", connections=64, surface="messages", upstream="chat"),
    "paced-chat-from-messages:64": Load(kind="paced", connections=64, surface="chat", upstream="messages"),
}
EXTRA_CASES = ("body", "cold", "memory")

BIG_BODY_BYTES = 10_000_000

#: Other programs may take so much, in cores, before a run counts as disturbed.
QUIET_CORES = 0.06

#: A server that answers 70 times a second at 64 connections needs a while before its median means anything.
SLOW_TARGETS = {"litellm": 4.0}


@dataclass(frozen=True)
class Plan:
    """How long everything takes. `seconds` is that of one run."""

    rounds: int = 5
    seconds: float = 3.0
    cold_starts: int = 5
    requests: int = 200_000
    abandoned_streams: int = 2_000
    tries: int = 3
    cases: frozenset[str] = frozenset((*CASES, *EXTRA_CASES))


@dataclass(frozen=True)
class Memory:
    """Resident megabytes of the gateway: idle, and before and after each long load."""

    idle: float
    requests: int
    before_requests: float
    after_requests: float
    streams: int
    before_streams: float
    after_streams: float
    connections_before: int  # the upstream's open connections, as it counts them
    connections_after: int
    failed: int


@dataclass
class Findings:
    """Everything a run has found out; what was not asked for stays empty."""

    rounds: dict[str, dict[str, list[Result]]] = field(default_factory=dict)
    body: dict[str, list[Result]] = field(default_factory=dict)
    largest_body: int = 0
    cold: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    memory: Memory | None = None
    foreign: list[float] = field(default_factory=list)
    core_ms: list[float] = field(default_factory=list)
    upstream: dict[str, int] = field(default_factory=dict)

    def medians(self, case: str, target: str, value: Callable[[Result], float]) -> float:
        return statistics.median(map(value, self.rounds[case][target]))

    def failed(self) -> int:
        """Answers of any target that were not what they had to be."""
        runs = [run for targets in (*self.rounds.values(), self.body) for found in targets.values() for run in found]
        return sum(run.failed for run in runs) + (self.memory.failed if self.memory else 0)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _wait_for_quiet() -> None:
    """Give other programs a moment to finish what they are at."""
    for _ in range(20):
        foreign = ForeignCpu()
        time.sleep(0.1)
        if foreign.cores() < QUIET_CORES:
            return


def _put_load_on(programs: Path, running: Running, load: Load, plan: Plan, findings: Findings) -> Result:
    """The least disturbed of a few tries: other programs' work is not to be read as a server's slowness."""
    tries: list[Result] = []
    while len(tries) < plan.tries and (not tries or tries[-1].foreign > QUIET_CORES):
        _wait_for_quiet()
        tries.append(put_load_on(programs, running, load))
    best = min(tries, key=lambda result: result.foreign)
    findings.foreign.append(best.foreign)
    return best


def measure_rounds(programs: Path, up: Sequence[Running], plan: Plan, findings: Findings) -> None:
    """Every target under every case, round by round, so that a slow minute of the machine hits each of them alike."""
    names = [name for name in CASES if name in plan.cases]
    for running in up:  # the first hundred requests of some servers are much slower than all others
        put_load_on(
            programs, running, Load(connections=4, seconds=SLOW_TARGETS.get(running.target.name, 0.5), warm_up=0)
        )
    for number in range(plan.rounds):
        for name in names:
            case = CASES[name]
            able = [running for running in up if running.target.serves(case.surface, case.upstream)]
            for running in (*able[number % len(able) :], *able[: number % len(able)]):
                seconds = max(plan.seconds, SLOW_TARGETS.get(running.target.name, 0.0))
                load = replace(case, seconds=seconds, warm_up=0.5)
                result = _put_load_on(programs, running, load, plan, findings)
                findings.rounds.setdefault(name, {}).setdefault(running.target.name, []).append(result)
            findings.core_ms.append(work_ms(SERVER_CORE))
            row = {target: f"{runs[-1].rps:.0f}" for target, runs in findings.rounds[name].items()}
            _say(f"round {number + 1}/{plan.rounds} {name:28} answers/s {row}")


def measure_big_body(programs: Path, up: Sequence[Running], upstream: Upstream, plan: Plan, findings: Findings) -> None:
    """A chat request of 10 MB over one connection."""
    load = Load(seconds=60, warm_up=0, answers=5, filler=BIG_BODY_BYTES)
    for _ in range(plan.rounds):
        for running in up:
            result = _put_load_on(programs, running, load, plan, findings)
            findings.body.setdefault(running.target.name, []).append(result)
    findings.largest_body = upstream.stats()["largest_body"]
    _say(f"10 MB body: p50 ms { {name: round(runs[-1].p50 / 1e3, 1) for name, runs in findings.body.items()} }")


def measure_cold(target: Target, plan: Plan, findings: Findings) -> None:
    """From the start of the process to its first good answer; the first start writes bytecode and does not count."""
    for number in range(plan.cold_starts + 1):
        _wait_for_quiet()
        running = Running(target)
        running.stop()
        if number:
            findings.cold.setdefault(target.name, []).append(running.cold_start_s)
    _say(f"cold start of {target.name}: {[round(s, 2) for s in findings.cold[target.name]]} s")


def _settled_mb(running: Running) -> float:
    time.sleep(2)
    return resident_mb(running.pids())


def measure_memory(programs: Path, target: Target, upstream: Upstream, plan: Plan, findings: Findings) -> None:
    """The gateway's memory, idle and over two long loads, each measured from a warm start."""
    running = Running(target)
    failed = 0

    def put(load: Load) -> float:
        nonlocal failed
        failed += put_load_on(programs, running, load).failed
        return _settled_mb(running)

    try:
        idle = _settled_mb(running)
        warm = put(Load(connections=64, seconds=60, warm_up=0, answers=plan.requests // 10))
        after_requests = put(Load(connections=64, seconds=600, warm_up=0, answers=plan.requests))
        _say(f"memory: {idle:.1f} MB idle, {warm:.1f} warm, {after_requests:.1f} after {plan.requests} requests")

        abandoning = Load("paced", 64, 120, warm_up=0, answers=plan.abandoned_streams // 10, abandon_after=30)
        before_streams = put(abandoning)
        connections_before = upstream.stats()["open"]
        after_streams = put(Load("paced", 64, 600, warm_up=0, answers=plan.abandoned_streams, abandon_after=30))
        connections_after = upstream.stats()["open"]
        _say(f"memory: {before_streams:.1f} MB, {after_streams:.1f} after {plan.abandoned_streams} abandoned streams")
    finally:
        running.stop()
    findings.memory = Memory(
        idle,
        plan.requests,
        warm,
        after_requests,
        plan.abandoned_streams,
        before_streams,
        after_streams,
        connections_before,
        connections_after,
        failed,
    )
