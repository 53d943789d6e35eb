"""Where the gateway's time goes under load, sampled from outside by py-spy."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from load import Load, put_load_on
from measure import CASES, Plan
from targets import Running, Target
from workshop import WORKSHOP, install_py_spy

__all__ = ["profile"]

SECONDS = 6.0
ROWS = 25


def _frames(stack: str) -> list[str]:
    """`function (file.py:12)` becomes `file.py function`: lines of one function belong together."""
    frames = []
    for frame in stack.split(";"):
        function, _, place = frame.rpartition(" (")
        file = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
        frames.append(f"{'/'.join(Path(file).parts[-2:])} {function}" if function else frame)
    return frames


def _print_shares(title: str, counts: Counter[str], total: int) -> None:
    print(f"\n{title}\n")
    for name, count in counts.most_common(ROWS):
        print(f"{count / total:7.1%}  {name}")


def _summarise(collapsed: str) -> None:
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = _frames(stack)
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    if total:
        _print_shares("in the function itself", own, total)
        _print_shares("in the function and what it calls", whole, total)


def profile(programs: Path, target: Target, plan: Plan) -> int:
    """Print two tables for each case that is asked for; only those of the interleaved rounds can be profiled."""
    py_spy = install_py_spy()
    if not py_spy:
        sys.exit("py-spy can't be installed from PyPI: see what pip said above")
    out = WORKSHOP / "profile"
    out.mkdir(parents=True, exist_ok=True)
    for name in (name for name in CASES if name in plan.cases):
        running = Running(target)
        try:
            raw = out / f"{name.replace(':', '-')}.txt"
            options = ["--pid", str(running.pid), "--duration", str(int(SECONDS)), "--rate", "250", "--native"]
            command = [py_spy, "record", *options, "--format", "raw", "--output", str(raw)]
            watcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            case = CASES[name]
            result = put_load_on(programs, running, Load(case.kind, case.connections, SECONDS + 1, warm_up=0.5))
            _, errors = watcher.communicate()
            if watcher.returncode != 0:
                sys.exit(f"py-spy failed: {errors.strip()}")
            print(f"\n== {name}: {result.rps:.0f} answers/s while watched, {result.cpu_share:.0%} of the core")
            _summarise(raw.read_text())
        finally:
            running.stop()
    return 0
