"""`open-llm-auth doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .output import JsonOption, printable, say, say_json
from .workbench import Workbench

if TYPE_CHECKING:
    from ..values import SecretRef
    from .probe import Reached

__all__ = ["doctor"]

#: Seconds by which a clock may be off before expiry times stop making sense.
_SKEW_WARNING = 60.0
_SKEW_FAILURE = 600.0

State = Literal["ok", "warning", "broken", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    state: State
    message: str


def doctor(
    json: JsonOption = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no provider anything.")] = False,
) -> None:
    """Look over config, permissions, secrets, port, providers and clock. Exit 1 when something is broken."""
    bench = Workbench.here()
    findings = list(_findings(bench, offline=offline))
    broken = any(finding.state == "broken" for finding in findings)
    if json:
        say_json({"ok": not broken, "findings": [asdict(finding) for finding in findings]})
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            say(f"{finding.state:8} {printable(finding.check):{width}}  {printable(finding.message)}")
    raise typer.Exit(1 if broken else 0)


def _findings(bench: Workbench, *, offline: bool) -> Iterator[Finding]:
    from ..errors import GatewayError

    try:
        exists = bench.document.exists
        snapshot = bench.snapshot
    except GatewayError as error:
        yield Finding("config", "broken", error.message)
        yield from _permissions(bench.path)
        return
    yield Finding("config", "ok", str(bench.path) if exists else f"{bench.path} is not there yet; defaults in force")
    for warning in snapshot.warnings:
        yield Finding("config", "warning", warning)
    for look in _LOOKS:
        yield from look(bench)
    yield from _providers(bench, offline=offline)


def _permissions_of(bench: Workbench) -> Iterator[Finding]:
    yield from _permissions(bench.path)


def _permissions(path: Path) -> Iterator[Finding]:
    import os

    folder = path.parent
    nearest = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield Finding("permissions", "broken", f"{nearest} can't be written: nothing can be saved")
    elif path.exists() and not os.access(path, os.R_OK):
        yield Finding("permissions", "broken", f"{path} can't be read")
    loose = False
    for place, wanted in ((folder, 0o700), (path, 0o600)):
        mode = _mode(place)
        if mode is not None and mode & 0o077:
            loose = True
            message = f"{place} is open to others ({mode:04o}); the next save tightens it, or: chmod {wanted:o} {place}"
            yield Finding("permissions", "warning", message)
    if not loose and path.exists():
        yield Finding("permissions", "ok", "the config is readable by you alone")


def _mode(place: Path) -> int | None:
    try:
        return stat.S_IMODE(place.stat().st_mode)
    except OSError:
        return None


def _tokens(bench: Workbench) -> Iterator[Finding]:
    tokens = bench.snapshot.tokens
    if tokens.callers:
        yield Finding("tokens", "ok", f"{len(tokens.callers)} in force")
    elif bench.anonymous_wanted and bench.tokenless:
        yield Finding("tokens", "warning", "anonymous mode: whoever reaches the port is admin")
    else:
        how = "make one with: open-llm-auth tokens create NAME --admin"
        if bench.tokenless:
            how += " (or let `serve` make one on its first run)"
        yield Finding("tokens", "warning", f"no token is in force, so nobody may call; {how}")


def _references(bench: Workbench) -> Iterator[Finding]:
    from ..errors import SecretUnavailable

    broken = False
    for place, ref in _secret_fields(bench):
        try:
            bench.secrets.get(ref)
        except SecretUnavailable as error:
            broken = True
            yield Finding("secrets", "broken", f"{place}: {error.message}")
    if not broken:
        yield Finding("secrets", "ok", "every secret can be resolved")


def _credentials(bench: Workbench) -> Iterator[Finding]:
    from .condition import conditions

    found = conditions(bench)
    for each in found:
        if each.word != "ok":
            repair = f" Repair: {each.repair}" if each.repair else ""
            yield Finding(
                f"credential {each.item.id}", "warning", f"{each.word}: {each.why}.{repair}".replace("..", ".")
            )
    fine = sum(each.word == "ok" for each in found)
    if fine:
        yield Finding("credentials", "ok", f"{fine} of {len(found)} as they should be")


def _secret_fields(bench: Workbench) -> Iterator[tuple[str, SecretRef]]:
    snapshot = bench.snapshot
    for profile in snapshot.profiles.values():
        for name, ref in (("secret", profile.secret), ("refresh", profile.refresh)):
            if ref is not None:
                yield f"profile {profile.id}, {name}", ref
    for provider in snapshot.providers.values():
        if provider.api_key is not None:
            yield f"provider {provider.id}, apiKey", provider.api_key
        for name, ref in provider.headers:
            yield f"provider {provider.id}, header {name}", ref
    if snapshot.egress.proxy is not None:
        yield "egressPolicy.proxy", snapshot.egress.proxy


def _port(bench: Workbench) -> Iterator[Finding]:
    from .serve import PortTaken, listen

    server = bench.snapshot.server
    try:
        listen(server.host, server.port).close()
    except PortTaken as error:
        state: State = "ok" if error.holder is not None and error.holder.is_gateway else "warning"
        yield Finding("port", state, error.message)
    except OSError as error:
        yield Finding("port", "broken", f"{server.host}:{server.port}: {error.strerror or error}")
    else:
        yield Finding("port", "ok", f"{server.host}:{server.port} is free")


_LOOKS: tuple[Callable[[Workbench], Iterator[Finding]], ...] = (
    _permissions_of,
    _tokens,
    _references,
    _credentials,
    _port,
)


def _providers(bench: Workbench, *, offline: bool) -> Iterator[Finding]:
    usable = [provider for provider in bench.usable() if provider.id != "demo"]
    if not usable:
        message = "nothing but the demo can be called; add one with: open-llm-auth auth add-api-key PROVIDER"
        yield Finding("providers", "warning", message)
    if offline:
        for provider in usable:
            yield Finding(f"provider {provider.id}", "unknown", "not asked (--offline)")
        yield Finding("clock", "unknown", "not compared (--offline)")
        return
    answers = _reach_all(bench, {provider.id for provider in usable})
    for answer in answers:
        yield _reached(answer)
    yield _clock(bench.clock.now(), [answer.date for answer in answers if answer.date is not None])


def _reach_all(bench: Workbench, wanted: set[str]) -> list[Reached]:
    import asyncio

    from ..transport import HttpTransport
    from .probe import reach

    async def ask() -> list[Reached]:
        egress = bench.snapshot.egress
        transport = HttpTransport(lambda: egress, bench.secrets, bench.clock)
        rows = [provider for provider in bench.usable() if provider.id in wanted]
        try:
            return list(await asyncio.gather(*(reach(provider, transport, egress) for provider in rows)))
        finally:
            await transport.aclose()

    return asyncio.run(ask())


def _reached(answer: Reached) -> Finding:
    check = f"provider {answer.provider}"
    if answer.error is not None:
        return Finding(check, "broken", answer.error.message)
    if answer.status is None:
        return Finding(check, "unknown", "it has no address to ask")
    return Finding(check, "ok", f"answers (HTTP {answer.status} without a credential)")


def _clock(now: float, dates: list[float]) -> Finding:
    if not dates:
        return Finding("clock", "unknown", "nobody told the time")
    skew = min((now - date for date in dates), key=abs)
    # A Date header is cut to the second, and old by the time the answer took.
    if abs(skew) < _SKEW_WARNING:
        return Finding("clock", "ok", "agrees with the providers' clocks")
    word = "ahead of" if skew > 0 else "behind"
    state: State = "broken" if abs(skew) >= _SKEW_FAILURE else "warning"
    return Finding("clock", state, f"{abs(skew):.0f} s {word} the providers' clocks; set it, or expiry times mislead")
