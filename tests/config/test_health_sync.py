"""Processes whose tables tell each other of their credentials, on clocks that are moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

import pytest

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.auth.history import History
from open_llm_auth.auth.kept import Reset
from open_llm_auth.config.health_file import HealthFile, read_health
from open_llm_auth.config.health_sync import HealthSync
from open_llm_auth.errors import UpstreamHTTPError
from open_llm_auth.testing import ManualClock
from open_llm_auth.values import Credential, Fault, FaultKind, Secret

KEY = Credential("openai:default", "openai", "profile", "api_key", Secret("sk-canary-sync"))
MINUTE, HOUR = 60.0, 3600.0


@dataclass
class Process:
    """One gateway's part in it. Its monotonic clock is its own, the wall clock everybody's."""

    path: Path
    clock: ManualClock
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table, self.history = HealthTable(), History(self.clock)
        self.file = HealthFile(self.path, now=self.clock.now, on_event=self.said.append)
        self.sync = HealthSync(self.file, self.table, self.history, self.clock, interval=0.01)
        self.sync.load()

    def fails(self, kind: FaultKind, stated: float | None = None, credential: Credential = KEY) -> None:
        fault = Fault(kind, UpstreamHTTPError("no"), 429, stated)
        self.table.failed(credential, "m", fault, self.clock.monotonic())
        self.history.failed(credential, fault)

    def answers(self, credential: Credential = KEY) -> None:
        self.table.succeeded(credential, "m", self.clock.monotonic())
        self.history.used(credential)

    def rest(self, credential: Credential = KEY) -> float | None:
        return self.table.resting(credential, "m", self.clock.monotonic())

    async def exchange(self) -> None:
        await self.sync.exchange()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "health.json"


class Machine:
    """Processes started at different times, all clocks moved together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.processes: list[Process] = []

    def start(self, monotonic: float = 1000.0) -> Process:
        now = self.processes[0].clock.now() if self.processes else 1_767_225_600.0
        process = Process(self.path, ManualClock(now, monotonic))
        self.processes.append(process)
        return process

    def advance(self, seconds: float) -> None:
        for process in self.processes:
            process.clock.advance(seconds)

    def set_clock(self, seconds: float) -> None:
        for process in self.processes:
            process.clock.set_wall(process.clock.now() + seconds)

    async def exchange(self, times: int = 2) -> None:
        for _ in range(times):
            for process in self.processes:
                await process.exchange()


@pytest.fixture
def machine(path: Path) -> Machine:
    return Machine(path)


async def test_what_rests_in_one_process_rests_in_all(machine: Machine) -> None:
    first, second = machine.start(), machine.start(5.0)
    first.fails("rate_limit", 10 * MINUTE)
    machine.advance(1.0)
    await machine.exchange()
    assert second.rest() == pytest.approx(10 * MINUTE - 1)
    machine.advance(2.0)
    second.answers()
    await machine.exchange()
    assert first.rest() is None
    assert len(first.table) == len(second.table) == 0


async def test_a_restart_keeps_what_was_known(machine: Machine) -> None:
    first = machine.start()
    first.fails("auth")
    first.fails("rate_limit", HOUR, replace(KEY, id="openai:two"))
    await first.sync.exchange(last=True)
    machine.advance(MINUTE)
    again = machine.start(9999.0)
    assert again.rest() == inf
    assert again.rest(replace(KEY, id="openai:two")) == pytest.approx(HOUR - MINUTE)
    assert again.rest(replace(KEY, secret=Secret("changed"))) is None


async def test_a_reset_by_a_command_is_heard(machine: Machine, path: Path) -> None:
    server = machine.start()
    server.fails("auth")
    await server.exchange()
    machine.advance(1.0)
    command = HealthFile(path, now=server.clock.now, on_event=lambda _: None)
    command.load()
    command.reset(Reset(server.clock.now(), "openai"))
    await server.exchange()
    assert server.rest() is None


async def test_a_reset_within_a_process_is_heard_by_the_others(machine: Machine) -> None:
    first, second = machine.start(), machine.start(5.0)
    first.fails("auth")
    await machine.exchange()
    assert second.rest() == inf
    machine.advance(1.0)
    second.table.reset("openai:default", provider="openai", now=second.clock.monotonic())
    await machine.exchange()
    assert first.rest() is None
    assert second.rest() is None


@pytest.mark.parametrize("jump", [-HOUR, -90.0, 90.0, HOUR])
async def test_a_clock_that_jumps_prolongs_no_rest_in_any_process(machine: Machine, jump: float) -> None:
    first, second = machine.start(), machine.start(5.0)
    first.fails("rate_limit", 10 * MINUTE)
    await machine.exchange()
    machine.advance(4 * MINUTE)
    machine.set_clock(jump)
    await machine.exchange()
    late = machine.start(77.0)
    left = 6 * MINUTE if jump < 0 else max(0.0, 6 * MINUTE - jump)
    for process in (first, second, late):
        assert (process.rest() or 0.0) == pytest.approx(left, abs=0.5)
    machine.advance(left + 1)
    await machine.exchange()
    assert [process.rest() for process in machine.processes] == [None, None, None]


async def test_a_clock_that_is_set_back_and_forth_prolongs_no_rest(machine: Machine) -> None:
    first, second = machine.start(), machine.start(5.0)
    first.fails("rate_limit", 10 * MINUTE)
    await machine.exchange()
    for jump in (HOUR, -HOUR, -HOUR, HOUR, 60.0, -60.0):
        machine.set_clock(jump)
        machine.advance(1.0)
        await machine.exchange()
    machine.advance(10 * MINUTE)
    await machine.exchange()
    late = machine.start(3.0)
    assert [process.rest() for process in (first, second, late)] == [None, None, None]


async def test_that_all_is_well_is_told_now_and_then_and_trouble_at_once(machine: Machine, path: Path) -> None:
    process = machine.start()
    process.answers()
    await process.exchange()
    assert read_health(path) is None
    machine.advance(10.0)
    process.answers()
    await process.exchange()
    found = read_health(path)
    assert found is not None
    (known,) = found[1].credentials.values()
    assert known.used == process.clock.now()
    machine.advance(1.5)
    process.answers()
    process.fails("server")
    await process.exchange()
    found = read_health(path)
    assert found is not None
    (known,) = found[1].credentials.values()
    assert known.used == process.clock.now()
    assert known.error is not None
    assert known.error.kind == "server"


async def test_the_last_exchange_waits_for_nothing(machine: Machine, path: Path) -> None:
    process = machine.start()
    process.answers()
    await process.sync.exchange(last=True)
    assert read_health(path) is not None


async def test_a_process_that_meets_another_salt_forgets_and_goes_on(machine: Machine) -> None:
    first, second = machine.start(), machine.start(5.0)
    second.fails("auth", None, replace(KEY, id="openai:two"))
    first.fails("auth")
    await machine.exchange()
    assert second.rest() == inf
    second.fails("auth", None, replace(KEY, id="openai:two"))
    await machine.exchange()
    assert first.rest(replace(KEY, id="openai:two")) == inf


async def test_without_a_place_to_write_health_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    process = Process(tmp_path / "file" / "health.json", ManualClock())
    process.fails("rate_limit", HOUR)
    for _ in range(3):
        await process.exchange()
    assert process.rest() == HOUR
    assert len(process.said) == 1


async def test_it_runs_until_it_is_cancelled(machine: Machine, path: Path) -> None:
    process = machine.start()
    task = asyncio.create_task(process.sync.run())
    process.fails("auth")
    await asyncio.sleep(0.5)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert "canary" not in repr(read_health(path))
    assert read_health(path) is not None
