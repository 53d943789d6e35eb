"""One run of the load generator against one server, and what it and the operating system say of it."""

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import LOAD_CORE, ForeignCpu, cpu_seconds, on_core
from targets import END_LINES, EXPECTED_TEXT, PATHS, Running
from workshop import WORKSHOP

__all__ = ["Load", "Result", "put_load_on"]


@dataclass(frozen=True)
class Load:
    """What is asked of a server. Times in seconds, `filler` in bytes; `answers` ends a run early, 0 never does.

    `surface` is the client's dialect and `upstream` the provider's: chat, messages or responses.
    """

    kind: str = "plain"  # or "paced": a stream of 60 events, 5 ms apart
    connections: int = 1
    seconds: float = 3.0
    warm_up: float = 0.5
    answers: int = 0
    abandon_after: int = 0  # events after which a stream is left; 0 reads it to its end
    filler: int = 0
    surface: str = "chat"
    upstream: str = "chat"

    @property
    def streams(self) -> bool:
        return self.kind == "paced"


@dataclass(frozen=True)
class Result:
    """What was measured. Times in microseconds; `cpu_share` is that of the server's processes, of one core,
    and `foreign` the cores' worth of work that other programs did meanwhile.
    """

    answered: int
    good: int
    failed: int
    abandoned: int
    rps: float
    p50: float
    p99: float
    events_per_s: float
    first_event_p50: float
    first_event_p99: float
    gap_p99: float
    cpu_share: float
    foreign: float

    @property
    def cpu_us_per_answer(self) -> float:
        return self.cpu_share / self.rps * 1e6 if self.rps else 0.0

    @property
    def cpu_us_per_event(self) -> float:
        return self.cpu_share / self.events_per_s * 1e6 if self.events_per_s else 0.0

    def as_dict(self) -> dict[str, float]:
        more = {"cpu_us_per_answer": self.cpu_us_per_answer, "cpu_us_per_event": self.cpu_us_per_event}
        return {name: round(value, 3) for name, value in {**asdict(self), **more}.items()}


def _arguments(running: Running, load: Load) -> list[str]:
    target = running.target
    name = f"{target.name}-{load.surface}-{load.upstream}-{load.kind}-{load.filler}.json"
    body = WORKSHOP / "bodies" / name
    body.parent.mkdir(parents=True, exist_ok=True)
    body.write_bytes(
        target.body(load.kind, stream=load.streams, filler=load.filler, surface=load.surface, upstream=load.upstream)
    )
    arguments = ["-a", f"127.0.0.1:{target.port}", "-H", f"Authorization: Bearer {target.token}", "-f", str(body)]
    arguments += ["-p", PATHS[load.surface], "-e", END_LINES[load.surface]]
    arguments += ["-c", str(load.connections), "-d", str(load.seconds), "-w", str(load.warm_up)]
    arguments += ["-n", str(load.answers)] if load.answers else []
    if load.abandon_after:
        return [*arguments, "-s", "-k", str(load.abandon_after)]
    return [*arguments, "-s"] if load.streams else [*arguments, "-x", EXPECTED_TEXT]


def put_load_on(programs: Path, running: Running, load: Load) -> Result:
    """Run the load to its end.

    Raises:
        RuntimeError: when the load generator could not do its work, for example because the server has gone.
    """
    with on_core(LOAD_CORE):
        generator = subprocess.Popen(
            [programs / "load", *_arguments(running, load)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    time.sleep(load.warm_up)
    foreign = ForeignCpu()
    before, begun = cpu_seconds(running.pids()), time.monotonic()
    if not load.answers:
        time.sleep(load.seconds * 0.95)  # the load is still on when the second reading is taken
    used, watched = cpu_seconds(running.pids()) - before, time.monotonic() - begun
    strangers = foreign.cores()
    output, errors = generator.communicate()
    if generator.returncode != 0:
        raise RuntimeError(f"the load generator failed on {running.target.name}: {errors.strip()}")
    told = json.loads(output)
    return Result(
        answered=told["answered"],
        good=told["good"],
        failed=told["bad_status"] + told["bad_body"] + told["broken"],
        abandoned=told["abandoned"],
        rps=told["rps"],
        p50=told["p50"],
        p99=told["p99"],
        events_per_s=told["events_per_s"],
        first_event_p50=told["first_event_p50"],
        first_event_p99=told["first_event_p99"],
        gap_p99=told["gap_p99"],
        cpu_share=used / watched,
        foreign=strangers,
    )
