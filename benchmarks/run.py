"""The gateway against a bare nginx relay, LiteLLM's proxy and a direct call: same upstream, same load, a core each."""

import argparse
import datetime as dt
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import profiler
import targets
from gates import judge
from machine import LOAD_CORE, processor, resident_mb
from measure import (
    CASES,
    EXTRA_CASES,
    Findings,
    Plan,
    measure_big_body,
    measure_cold,
    measure_memory,
    measure_rounds,
)
from report import as_json, as_markdown, publish
from targets import Running, Target, Upstream
from workshop import ROOT, WORKSHOP, build_native, find_nginx, free_port, install_litellm

QUICK = Plan(rounds=3, seconds=1.0, cold_starts=3, requests=50_000, abandoned_streams=500)

NEEDED = {
    "nginx": "nginx is missing and apt-get can't fetch it: install Debian's package `nginx`, or pass --without nginx",
    "litellm": "LiteLLM can't be installed from PyPI: see what pip said above, or pass --without litellm",
}


def read_arguments() -> argparse.Namespace:
    names = (*CASES, *EXTRA_CASES)
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, fewer of them: a first impression")
    parser.add_argument("--only", action="append", choices=names, metavar="CASE", help=f"one of {', '.join(names)}")
    parser.add_argument("--without", action="append", choices=("nginx", "litellm", "gateway"), default=[])
    parser.add_argument("--profile", action="store_true", help="instead: where the gateway's time goes, by py-spy")
    parser.add_argument("--publish", action="store_true", help="also put the report into docs/measured.md")
    return parser.parse_args()


def choose_targets(without: list[str], upstream_port: int, versions: dict[str, str]) -> list[Target]:
    """The direct call and every server that is wanted and can be had; their versions are noted."""
    chosen = [targets.direct(upstream_port)]
    if "nginx" not in without:
        program = find_nginx() or sys.exit(NEEDED["nginx"])
        told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
        versions["nginx"] = told.stderr.strip().rpartition("/")[2]
        chosen.append(targets.nginx(program, free_port(), upstream_port))
    if "litellm" not in without:
        installed = install_litellm() or sys.exit(NEEDED["litellm"])
        versions["LiteLLM"] = installed[1]
        chosen.append(targets.litellm(installed[0], free_port(), upstream_port))
    if "gateway" not in without:
        chosen.append(targets.gateway(Path(sys.executable).parent / "open-llm-auth", free_port(), upstream_port))
    return chosen


def commit_under_test() -> str:
    """The checkout's commit, and whether its source differs from it."""
    git = shutil.which("git")
    if not git:
        return "unknown"
    head = subprocess.run([git, "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    changed = subprocess.run([git, "status", "--porcelain", "src"], cwd=ROOT, capture_output=True, text=True)
    return head.stdout.strip() + (" with uncommitted changes in src" if changed.stdout.strip() else "")


def describe(findings: Findings, versions: dict[str, str], plan: Plan, commit: str) -> dict[str, str]:
    """The conditions that a reader needs in order to believe the numbers, or to get them again."""
    if (now := commit_under_test()) != commit:
        commit += f" at the start, {now} at the end: the source changed during the run"
    told = {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "CPython": f"{platform.python_version()}, with " + ", ".join(f"{k} {v}" for k, v in versions.items()),
        "machine": f"{os.cpu_count()} cores ({processor()}), Linux {platform.release()}",
        "each server": "one process on one core; load generator and upstream share another; no TLS",
        "rounds": f"{plan.rounds} of {plan.seconds:g} s for each case and target, interleaved; medians",
    }
    if findings.foreign:
        busy = sorted(findings.foreign)
        told["other programs' CPU during a run, in cores"] = (
            f"median {statistics.median(busy):.2f}, most {busy[-1]:.2f}"
        )
    if findings.core_ms:
        low, high = min(findings.core_ms), max(findings.core_ms)
        told["speed of the core"] = f"a fixed piece of work took {low:.1f} to {high:.1f} ms during the run"
    return told


def measure(chosen: list[Target], upstream: Upstream, programs: Path, plan: Plan) -> Findings:
    findings = Findings()
    ours = [target for target in chosen if target.name == "gateway"]
    if "cold" in plan.cases:
        for target in ours:
            measure_cold(target, plan, findings)
    if plan.cases & {*CASES, "body"}:
        with ExitStack() as stack:
            up = []
            for target in chosen:
                running = Running(target)
                stack.callback(running.stop)
                up.append(running)
                if target.command:
                    findings.cold.setdefault(target.name, [running.cold_start_s])
            time.sleep(2)
            findings.idle = {running.target.name: resident_mb(running.pids()) for running in up if running.pid}
            measure_rounds(programs, up, plan, findings)
            if "body" in plan.cases:
                measure_big_body(programs, up, upstream, plan, findings)
    if "memory" in plan.cases:
        for target in ours:
            measure_memory(programs, target, upstream, plan, findings)
    findings.upstream = upstream.stats()
    return findings


def main() -> int:
    arguments = read_arguments()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) <= LOAD_CORE:
        sys.exit("The benchmarks need Linux and two cores: one for the server, one for the load.")
    plan = QUICK if arguments.quick else Plan()
    if arguments.only:
        plan = replace(plan, cases=frozenset(arguments.only))
    commit = commit_under_test()
    programs = build_native()
    versions: dict[str, str] = {}
    awake = subprocess.Popen([programs / "awake"])
    upstream = Upstream(programs, free_port())
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        chosen = choose_targets(arguments.without, upstream.port, versions)
        if arguments.profile:
            return profiler.profile(programs, chosen[-1], plan)
        findings = measure(chosen, upstream, programs, plan)
    finally:
        upstream.stop()
        awake.kill()
        awake.wait()
    conditions = describe(findings, versions, plan, commit)
    report = as_markdown(findings, conditions)
    print(report)
    results = WORKSHOP / "results"
    results.mkdir(parents=True, exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
    (results / f"{stamp}.md").write_text(report)
    (results / f"{stamp}.json").write_text(as_json(findings, conditions))
    if arguments.publish:
        publish(ROOT / "docs" / "measured.md", report)
    return 1 if any(gate.verdict == "missed" for gate in judge(findings)) else 0


if __name__ == "__main__":
    sys.exit(main())
