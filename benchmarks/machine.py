"""What the operating system tells about processes and cores, read from /proc."""

import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "LOAD_CORE",
    "SERVER_CORE",
    "ForeignCpu",
    "cpu_seconds",
    "on_core",
    "process_tree",
    "processor",
    "resident_mb",
    "work_ms",
]

#: The server under test has a core to itself; the load generator and the upstream share the other one.
SERVER_CORE = 0
LOAD_CORE = 1

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command's name, or None once the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _everyone() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def process_tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for other in _everyone():
        if fields := _stat_fields(other):
            children.setdefault(int(fields[1]), []).append(other)
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time that the processes have used since they started."""
    return sum(int(f[11]) + int(f[12]) for f in map(_stat_fields, pids) if f) / TICKS_PER_SECOND


def resident_mb(pids: Iterable[int]) -> float:
    """Resident memory in megabytes (10⁶ bytes), pages that the processes share counted for each."""
    return sum(int(f[21]) for f in map(_stat_fields, pids) if f) * PAGE_MB


class ForeignCpu:
    """Watches, from its making on, what programs outside this benchmark do."""

    def __init__(self) -> None:
        ours = set(process_tree(os.getpid()))
        self._before = {pid: cpu_seconds([pid]) for pid in _everyone() if pid not in ours}
        self._ours = ours
        self._start = time.monotonic()

    def cores(self) -> float:
        """Cores' worth of foreign work since then, that of programs started meanwhile included."""
        ours = self._ours.union(process_tree(os.getpid()))
        strangers = [pid for pid in _everyone() if pid not in ours]
        used = sum(max(0.0, cpu_seconds([pid]) - self._before.get(pid, 0.0)) for pid in strangers)
        return used / (time.monotonic() - self._start)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run the block, and every process started in it, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def work_ms(core: int) -> float:
    """Milliseconds for a fixed piece of work on a core: tells a slow program from a slow quarter of an hour."""
    best = float("inf")
    with on_core(core):
        for _ in range(3):
            start = time.perf_counter()
            sum(i * i for i in range(100_000))
            best = min(best, time.perf_counter() - start)
    return best * 1e3


def processor() -> str:
    """The processor's name, as the kernel gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
