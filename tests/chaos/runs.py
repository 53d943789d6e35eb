"""Eight gateways on one home, sign-ins that expire again and again, and somebody who kills: no refresh token is
presented without a reason, and whatever happens a sign-in works afterwards or says that it needs its person.

`scripts/chaos` runs it. All gateways are real processes on real files before a real issuer that spends its refresh
tokens and ends a sign-in whose spent token comes again; their clock runs fast, so that an hour takes a moment.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import random
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, Final

from worker import FastClock, Task, work

from open_llm_auth.auth.refresh import digest_of
from open_llm_auth.config.file import ConfigFile
from open_llm_auth.config.renewals import FileSignIns
from open_llm_auth.config.source import LiveConfig
from open_llm_auth.testing import FakeProvider
from open_llm_auth.testing.issuer import CLIENT_ID, FakeIssuer, Turn
from open_llm_auth.values import RenewalNote

_PROCESSES: Final = 8
_PROVIDERS: Final = ("fake-a", "fake-b")
_LIFETIME: Final = 3600.0
_TOKEN: Final = "chaos-client-token"
_POLL_SECONDS: Final = 0.02
#: what an honest gateway may answer while somebody kills its neighbours
_HONEST: Final = frozenset({"", "needs_login", "upstream_credential_rejected"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of it: calls of each process, expiries of each sign-in, kills, and the seconds between two expiries."""

    calls: int
    expiries: int
    kills: int
    expiry_seconds: float

    @property
    def seconds(self) -> float:
        return self.expiries * self.expiry_seconds


FULL: Final = Shape(calls=200, expiries=20, kills=10, expiry_seconds=0.3)
SHORT: Final = Shape(calls=30, expiries=4, kills=5, expiry_seconds=0.25)


@dataclass(slots=True)
class Figures:
    """What one run came to."""

    seed: int
    calls: int = 0
    answered: int = 0
    needs_login: int = 0
    rejected: int = 0
    expiries: int = 0
    tokens: int = 0
    once: int = 0
    twice: int = 0
    kills: int = 0
    of_holders: int = 0
    sign_ins: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def row(self) -> list[str]:
        values = [getattr(self, each.name) for each in fields(self) if each.name != "faults"]
        return [f"{value:.1f}" if isinstance(value, float) else str(value) for value in values]


@dataclass(frozen=True, slots=True)
class Kill:
    """Moments of the fast clock: before and after the process was gone. `held` are the sign-ins it was renewing."""

    before: float
    after: float
    held: frozenset[str]


class Run:
    """One run, from its seed."""

    def __init__(self, seed: int, shape: Shape, context: ForkServerContext, folder: Path) -> None:
        self.figures = Figures(seed)
        self._shape = shape
        self._context = context
        self._folder = folder
        self._home = folder / "home"
        self._random = random.Random(seed)
        self._start = time.time()
        self._speed = _LIFETIME / shape.expiry_seconds
        self._clock = FastClock(self._start, self._speed)
        # Some issuers forgive a spent token once; with those the successor of a killed process gets a new pair.
        self._issuer = FakeIssuer(lifetime=_LIFETIME, leeway=seed % 2, now=self._clock.now)
        self._provider = FakeProvider(keys=self._issuer, models=("fake-chat",))
        self._go = folder / "go"
        self._began = self._start
        self._kills: list[Kill] = []
        #: how a process ended is told once, to the thread that asks first
        self._waiting = threading.Lock()
        self._processes: dict[int, ForkServerProcess] = {}
        #: the sign-in of each family of tokens, by the account that the issuer knows it under
        self._accounts: dict[str, str] = {}

    def go(self) -> Figures:
        began = time.monotonic()
        with self._issuer, self._provider:
            self._write_config()
            killer = threading.Thread(target=self._kill_now_and_then)
            for number in range(_PROCESSES):
                self._begin(number)
            self._let_go()
            killer.start()
            try:
                self._attend()
            finally:
                killer.join()
                for process in self._processes.values():
                    process.kill()
                    process.join()
            self._count()
            self._judge_tokens()
            self._judge_end()
            self._judge_words()
        self.figures.seconds = time.monotonic() - began
        return self.figures

    # --- the run ---

    def _let_go(self) -> None:
        """All at once, when all are ready."""
        deadline = time.monotonic() + 60
        while any(not (self._folder / f"ready-{number}").exists() for number in range(_PROCESSES)):
            if time.monotonic() > deadline:
                raise TimeoutError("the processes are not ready after a minute")
            time.sleep(_POLL_SECONDS)
        self._began = time.time()
        self._go.touch()

    def _write_config(self) -> None:
        self._home.mkdir(mode=0o700)
        document = {
            "providers": {
                name: {
                    "baseUrl": self._provider.base_url,
                    "auth": "oauth",
                    "api": "openai-completions",
                    "models": [{"id": "fake-chat"}],
                }
                for name in _PROVIDERS
            },
            "oauth": {name: {"tokenUrl": self._issuer.token_url, "clientId": CLIENT_ID} for name in _PROVIDERS},
            "authorization": {"tokens": {"client": {"token": _TOKEN, "scopes": ["read", "write"]}}},
            "authProfiles": {f"{name}:default": self._sign_in(name) for name in _PROVIDERS},
            "egressPolicy": {"allowLocalProviders": list(_PROVIDERS)},
        }
        path = self._home / "config.json"
        path.write_text(json.dumps(document))
        path.chmod(0o600)
        # The moment between the token that is spent and the pair that is stored is what kills aim for.
        self._issuer.turn = Turn(delay=0.01)

    def _sign_in(self, name: str) -> dict[str, Any]:
        account = f"{name}-{len(self._accounts)}"
        self._accounts[account] = f"{name}:default"
        issued = self._issuer.sign_in(account)
        pair = {"access": issued.access, "refresh": issued.refresh, "expires": issued.expires}
        return {"provider": name, "type": "oauth", **pair, "madeUp": "kept"}

    def _begin(self, number: int) -> None:
        """Start a process, or the one that takes a killed one's place and makes the calls it did not get to."""
        done = sum(1 for _ in self._results(number))
        gone = time.time() - self._began if self._go.exists() else 0.0
        task = self._task(number, done, self._shape.calls - done, max(0.0, self._shape.seconds - gone))
        process = self._context.Process(target=work, args=(task,), daemon=True)
        process.start()
        self._processes[number] = process

    def _task(self, number: int, first: int, calls: int, seconds: float) -> Task:
        return Task(
            number=number,
            home=str(self._home),
            token=_TOKEN,
            models=tuple(f"{name}/fake-chat" for name in _PROVIDERS),
            first=first,
            calls=calls,
            seconds=seconds,
            start=self._start,
            speed=self._speed,
            results=str(self._folder / f"results-{number}.jsonl"),
            log=str(self._folder / f"log-{number}.txt"),
            ready=str(self._folder / f"ready-{number}"),
            go=str(self._go),
        )

    def _attend(self) -> None:
        """Put a new process in the place of each that was killed, and sign in anew where that is asked for, until all
        have made their calls."""
        signing = LiveConfig(self._home / "config.json", {"HOME": str(self._home)})
        signing.load()
        store = FileSignIns(signing)
        deadline = time.monotonic() + 60 + 4 * self._shape.seconds
        while self._are_at_it():
            for number, process in list(self._processes.items()):
                if self._ended(process):
                    if (process.exitcode or 0) > 0:
                        self.figures.faults.append(f"process {number} ended with {process.exitcode}")
                        return
                    self._begin(number)
            for name in _PROVIDERS:
                note = store.note(f"{name}:default")
                if note is not None and note.state == "needs_login":
                    self._sign_in_anew(name, store, note)
            if time.monotonic() > deadline:
                self.figures.faults.append("it did not end in time")
                return
            time.sleep(_POLL_SECONDS)

    def _are_at_it(self) -> bool:
        """Whether a process runs, or was killed and nobody has taken its place yet."""
        with self._waiting:
            return any(process.is_alive() or process.exitcode for process in self._processes.values())

    def _ended(self, process: ForkServerProcess) -> bool:
        with self._waiting:
            return not process.is_alive() and bool(process.exitcode)

    def _sign_in_anew(self, name: str, store: FileSignIns, note: RenewalNote) -> None:
        """What a person does who reads the command, and only while it still holds."""
        file = ConfigFile(self._home / "config.json")
        stored = store.read(f"{name}:default")
        if stored is None or digest_of(note.profile, stored.refresh) != note.token:
            return
        fresh = self._sign_in(name)
        file.update(lambda data: data["authProfiles"].update({f"{name}:default": fresh}))
        self.figures.sign_ins += 1

    def _kill_now_and_then(self) -> None:
        """Half of the kills hit any process at any moment, half one that holds a lease, at any moment of holding it."""
        for at in sorted(self._random.uniform(0.1, self._shape.seconds) for _ in range(self._shape.kills)):
            time.sleep(max(0.0, self._began + at - time.time()))
            aim = self._random.random() < 0.5
            within = self._random.uniform(0, 0.015)
            number = self._wait_for_holder(within) if aim else None
            if number is None:
                number = self._random.randrange(_PROCESSES)
            process = self._processes[number]
            held = self._held_by(process.pid)
            before = self._clock.now()
            with self._waiting:
                process.kill()
                process.join()
            self._kills.append(Kill(before, self._clock.now(), held))

    def _wait_for_holder(self, within: float) -> int | None:
        deadline = time.monotonic() + self._shape.expiry_seconds
        while time.monotonic() < deadline:
            for number, process in list(self._processes.items()):
                if self._held_by(process.pid):
                    time.sleep(within)
                    return number
            time.sleep(0.001)
        return None

    def _held_by(self, pid: int | None) -> frozenset[str]:
        """The leases that a process holds, by the inodes of /proc/locks; none where there is no such file."""
        locks = Path("/proc/locks")
        if not locks.exists():
            return frozenset()
        inodes = {path.stat().st_ino: path.stem for path in (self._home / "renewals").glob("*.lock")}
        rows = (line.split() for line in locks.read_text().splitlines() if "FLOCK" in line and "->" not in line)
        found = (inodes.get(int(row[5].rpartition(":")[2])) for row in rows if row[4] == str(pid))
        return frozenset(name for name in found if name)

    # --- what came of it ---

    def _results(self, number: int) -> Iterator[tuple[str, int, str]]:
        path = self._folder / f"results-{number}.jsonl"
        for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
            if line.endswith("\n"):  # a kill may have cut the last one
                model, status, code = json.loads(line)
                yield model, status, code

    def _count(self) -> None:
        figures = self.figures
        codes = Counter(code for number in range(_PROCESSES) for _, _, code in self._results(number))
        figures.calls, figures.answered = codes.total(), codes[""]
        figures.needs_login = codes["needs_login"]
        figures.rejected = codes["upstream_credential_rejected"]
        figures.kills = len(self._kills)
        figures.of_holders = sum(1 for kill in self._kills if kill.held)
        figures.expiries = int((time.time() - self._began) * self._speed / _LIFETIME)
        figures.faults += [f"{count} answers with {code!r}" for code, count in codes.items() if code not in _HONEST]
        if figures.calls < _PROCESSES * self._shape.calls:
            figures.faults.append(f"only {figures.calls} calls were made")
        if figures.expiries < self._shape.expiries:
            figures.faults.append(f"only {figures.expiries} expiries went by")
        if codes[""] < figures.calls * 0.5:
            figures.faults.append(f"only {codes['']} calls were answered")

    def _judge_tokens(self) -> None:
        """Once, or twice where the holder died before the answer was stored."""
        moments: dict[str, list[float]] = {}
        for each in self._issuer.presentations:
            moments.setdefault(each.refresh, []).append(each.at)
        figures = self.figures
        figures.tokens = len(moments)
        for token, at in moments.items():
            figures.once += len(at) == 1
            figures.twice += len(at) == 2
            if len(at) > 2:
                figures.faults.append(f"{token} was presented {len(at)} times")
            elif len(at) == 2 and not self._died_between(token, *at):
                figures.faults.append(f"{token} was presented twice, and nobody who renewed it had died")

    def _died_between(self, token: str, first: float, second: float) -> bool:
        """Whether somebody who held this sign-in's lease was killed after the one and before the other."""
        account = token.split("-", 2)[2]
        lease = lease_name(self._accounts[account])
        known = Path("/proc/locks").exists()
        # The issuer notes a presentation when it looks at the token, which is a moment after it was sent.
        slack = 0.05 * self._speed
        return any(
            first - slack <= kill.after and kill.before <= second and (lease in kill.held or not known)
            for kill in self._kills
        )

    def _judge_end(self) -> None:
        """Every sign-in works, or says that it needs its person. On a busy machine an hour of theirs may be too
        short for one call, and that is not asked here."""
        self._issuer.lifetime = _LIFETIME * 1000
        asked = self._task(99, 0, len(_PROVIDERS), 0.0)
        process = self._context.Process(target=work, args=(asked,), daemon=True)
        process.start()
        process.join(60)
        answers = list(self._results(99))
        if len(answers) < len(_PROVIDERS):
            self.figures.faults.append("the gateway at the end does not answer")
        for model, status, code in answers:
            if status != 200 and code != "needs_login":
                self.figures.faults.append(f"{model} ends with HTTP {status} {code}")
        data = json.loads((self._home / "config.json").read_text())
        if any(entry.get("madeUp") != "kept" for entry in data["authProfiles"].values()):
            self.figures.faults.append("a profile lost a field")

    def _judge_words(self) -> None:
        """No token stands in anything that was said or noted."""
        said = "".join(path.read_text() for path in self._folder.glob("*.txt"))
        said += "".join(path.read_text() for path in self._folder.glob("*.jsonl"))
        said += "".join(path.read_text() for path in (self._home / "renewals").glob("*.json"))
        if any(token in said for token in self._issuer.tokens()):
            self.figures.faults.append("a token stands in a log, an answer or a note")


def lease_name(profile: str) -> str:
    """What a profile's lease is called in its folder."""
    return hashlib.sha256(profile.encode()).hexdigest()[:32]


def table(rows: list[Figures]) -> Iterator[str]:
    names = [each.name.replace("_", " ") for each in fields(Figures) if each.name != "faults"]
    widths = [max(len(name), 7) for name in names]
    yield "  ".join(name.rjust(width) for name, width in zip(names, widths, strict=True))
    for figures in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(figures.row, widths, strict=True))


def total(rows: list[Figures]) -> Figures:
    whole = Figures(len(rows))
    for figures in rows:
        for each in fields(Figures):
            if each.name != "seed":
                setattr(whole, each.name, getattr(whole, each.name) + getattr(figures, each.name))
    return whole


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many runs (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one has the next (1)")
    parser.add_argument("--short", action="store_true", help="shorter runs, as the test suite makes them")
    parser.add_argument("--keep", type=Path, help="leave the files of runs with faults in this folder")
    asked = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["worker", "open_llm_auth.main"])
    rows: list[Figures] = []
    for seed in range(asked.seed, asked.seed + asked.runs):
        with tempfile.TemporaryDirectory(prefix="chaos-") as name:
            figures = Run(seed, SHORT if asked.short else FULL, context, Path(name)).go()
            if figures.faults and asked.keep:
                asked.keep.mkdir(parents=True, exist_ok=True)
                Path(name).rename(asked.keep / f"seed-{seed}-{secrets.token_hex(3)}")
                Path(name).mkdir()
        rows.append(figures)
        lines = list(table([figures]))
        for line in lines if len(rows) == 1 else lines[1:]:
            print(line, flush=True)
        for fault in figures.faults:
            print(f"  seed {seed}: {fault}", flush=True)
    print("\nall runs (the first column is how many)")
    for line in table([total(rows)]):
        print(line)
    faulty = [figures for figures in rows if figures.faults]
    print(f"\n{len(rows) - len(faulty)} of {len(rows)} runs without a fault")
    return 1 if faulty else 0
