"""Where the gateway's time goes under load, sampled from outside by py-spy."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from load import Load, put_load_on
from measure import CASES, Plan
from targets import Running, Target
from workshop import WORKSHOP, install_py_spy

__all__ = ["profile"]

SECONDS = 6
SAMPLES_PER_SECOND = 200
ROWS = 30

#: A pool's thread that waits for work; it is sampled now and then as if it did some.
WAITING_WORKER = ("futures/thread.py", "_worker")

#: The frames above these are how any program gets into its loop, and in every sample.
LOOP_ENTRY = "runners.py"


def _frames(stack: str) -> Iterator[tuple[str, str]]:
    """File and function of each frame of `function (path/file.py:12);…`, from the loop downwards."""
    frames = []
    for frame in stack.split(";"):
        function, _, place = frame.rpartition(" (")
        path = Path(place.rstrip(")").partition(":")[0])
        frames.append(("/".join(path.parts[-2:]), function or frame))
    entries = [i for i, (file, _) in enumerate(frames) if file.endswith(LOOP_ENTRY)]
    return iter(frames[max(entries) + 1 if entries else 0 :])


def _print_shares(title: str, counts: Counter[str], total: int) -> None:
    print(f"\n{title}\n")
    for name, count in counts.most_common(ROWS):
        print(f"{count / total:7.1%}  {name}")


def _summarise(lines: Iterable[str]) -> None:
    """Three tables. Time spent in C is its Python caller's."""
    file_own: Counter[str] = Counter()
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = list(_frames(stack))
        if not frames or frames[-1] == WAITING_WORKER:
            continue
        total += int(count)
        file_own[frames[-1][0]] += int(count)
        own[" ".join(frames[-1])] += int(count)
        for frame in set(frames):
            whole[" ".join(frame)] += int(count)
    if total:
        _print_shares("by file, what its own lines cost", file_own, total)
        _print_shares("by function, what its own lines cost", own, total)
        _print_shares("by function, with what it calls", whole, total)


def profile(programs: Path, target: Target, plan: Plan) -> int:
    """Print the tables for each case that is asked for; only those of the interleaved rounds can be profiled."""
    py_spy = install_py_spy()
    if not py_spy:
        sys.exit("py-spy can't be installed from PyPI: see what pip said above")
    out = WORKSHOP / "profile"
    out.mkdir(parents=True, exist_ok=True)
    for name in (name for name in CASES if name in plan.cases):
        running = Running(target)
        try:
            raw = out / f"{name.replace(':', '-')}.txt"
            options = ["--pid", str(running.pid), "--duration", str(SECONDS), "--rate", str(SAMPLES_PER_SECOND)]
            command = [py_spy, "record", *options, "--format", "raw", "--output", str(raw)]
            watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            case = CASES[name]
            result = put_load_on(programs, running, Load(case.kind, case.connections, SECONDS + 1.0, warm_up=0.5))
            _, errors = watcher.communicate()
            if watcher.returncode != 0:
                sys.exit(f"py-spy failed: {errors.strip()}")
            print(f"\n== {name}: {result.rps:.0f} answers/s while watched, {result.cpu_share:.0%} of the core")
            _summarise(raw.read_text().splitlines())
        finally:
            running.stop()
    return 0
