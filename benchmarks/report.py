"""A run as text: the conditions, the gates and the medians, in Markdown and in JSON."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gates import Gate, judge
from measure import Findings

__all__ = ["as_json", "as_markdown", "publish"]

BEGIN, END = "<!-- scripts/bench: begin -->", "<!-- scripts/bench: end -->"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _gate_row(gate: Gate) -> tuple[str, ...]:
    sign = "≥" if gate.at_least else "≤"
    wanted = f"{sign} {gate.wanted:g}" if gate.wanted != gate.bound else ""
    value = "" if gate.value is None else f"{_number(gate.value)} {gate.unit}".strip()
    return (gate.what, value, f"{sign} {gate.bound:g} {gate.unit}".strip(), wanted, f"**{gate.verdict}**", gate.note)


def _case_rows(findings: Findings, case: str) -> list[tuple[str, ...]]:
    rows = []
    nginx = findings.rounds[case].get("nginx")
    for name, runs in findings.rounds[case].items():
        told = [run.as_dict() for run in runs]
        median = {value: statistics.median(run[value] for run in told) for value in told[0]}
        share = median["rps"] / statistics.median(run.rps for run in nginx) if nginx else None
        row = [name, _number(median["rps"]), f"{share:.1%}" if share is not None else ""]
        row += [_number(median["p50"]), _number(median["p99"])]
        if case.startswith("paced"):
            row += [_number(median["first_event_p50"]), _number(median["gap_p99"]), _number(median["events_per_s"])]
        row += [_number(median["cpu_us_per_event" if case.startswith("paced") else "cpu_us_per_answer"])]
        rows.append(tuple(row))
    return rows


def as_markdown(findings: Findings, conditions: Mapping[str, str]) -> str:
    """The whole report."""
    lines = ["### Conditions", "", *(f"* {name}: {value}" for name, value in conditions.items()), ""]
    lines += ["### Gates", ""]
    lines += _table(
        ("what", "measured", "must", "wanted", "verdict", "numbers"), [_gate_row(g) for g in judge(findings)]
    )
    for case in findings.rounds:
        paced = case.startswith("paced")
        head = ["in front of one upstream", "answers/s", "of nginx's", "p50 µs", "p99 µs"]
        head += ["first chunk p50 µs", "gap p99 µs", "chunks/s", "CPU µs a chunk"] if paced else ["CPU µs a request"]
        lines += [f"### {case}", "", *_table(tuple(head), _case_rows(findings, case))]
    if findings.idle or findings.cold:
        lines += ["### At rest", ""]
        names = sorted({*findings.idle, *findings.cold})
        rows = [
            (
                name,
                f"{findings.idle[name]:.1f}" if name in findings.idle else "",
                f"{statistics.median(findings.cold[name]):.2f}" if name in findings.cold else "",
            )
            for name in names
        ]
        lines += _table(("", "idle MB", "cold start s"), rows)
    return "\n".join(lines)


def as_json(findings: Findings, conditions: Mapping[str, str]) -> str:
    """Every run of every round, for comparing one day with another."""
    gates = [
        {"what": g.what, "unit": g.unit, "value": g.value, "must": g.bound, "wanted": g.wanted, "verdict": g.verdict}
        for g in judge(findings)
    ]
    rounds = {
        case: {name: [run.as_dict() for run in runs] for name, runs in targets.items()}
        for case, targets in {**findings.rounds, "body": findings.body}.items()
    }
    told = {"conditions": dict(conditions), "gates": gates, "rounds": rounds}
    told |= {"cold_s": findings.cold, "idle_mb": findings.idle, "upstream": findings.upstream}
    return json.dumps(told, indent=1)


def publish(page: Path, report: str) -> None:
    """Put the report between the two marks of a page; what people wrote around them stays."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no {BEGIN!r} and {END!r} to put the report between")
    page.write_text(f"{before}{BEGIN}\n\n{report}\n{END}{after}")
