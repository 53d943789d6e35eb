"""Cool-downs as a table of transcripts, each from a complaint that somebody has made about a gateway or an agent.

Every one runs on a clock that is moved by hand, and again with a restart between any two steps: what is kept beyond a
process must tell the same story.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import pytest

from open_llm_auth.auth.health import BEING_TRIED, HealthTable
from open_llm_auth.auth.history import History
from open_llm_auth.auth.kept import Kept, Reset, differences, merged, pruned
from open_llm_auth.errors import UpstreamHTTPError
from open_llm_auth.testing import ManualClock
from open_llm_auth.values import Credential, Fault, FaultKind, Secret

KEY = Credential("openai:default", "openai", "profile", "api_key", Secret("sk-canary-health"))
SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86400.0
SALT = b"salt" * 8


@dataclass
class World:
    """One process and the file it shares, without the file."""

    clock: ManualClock = field(default_factory=ManualClock)
    table: HealthTable = field(default_factory=lambda: HealthTable(SALT))
    credential: Credential = KEY
    file: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.history = History(self.clock, SALT)

    @property
    def offset(self) -> float:
        return self.clock.now() - self.clock.monotonic()

    def exchange(self) -> None:
        before, now = self.file, self.clock.now()
        news = merged(self.table.changes(self.offset), self.history.changes(), now)
        self.file = pruned(merged(before, news, now), now)
        self.table.adopt(differences(self.file, merged(before, news, now)), self.offset, self.clock.monotonic())

    def restart(self, *, monotonic: float = 7.0) -> None:
        """Another process: what is not in the file is gone, and its monotonic clock stands elsewhere."""
        self.exchange()
        self.clock = ManualClock(self.clock.now(), monotonic)
        self.table, self.history = HealthTable(SALT), History(self.clock, SALT)
        self.table.adopt(self.file, self.offset, self.clock.monotonic())

    def rest(self, model: str = "m") -> float | None:
        return self.table.resting(self.credential, model, self.clock.monotonic())


Step = Callable[[World], object]


def fails(
    kind: FaultKind, model: str = "m", *, stated: float | None = None, account_wide: bool = False, times: int = 1
) -> Step:
    fault = Fault(kind, UpstreamHTTPError("no"), None, stated, account_wide=account_wide)

    def step(world: World) -> None:
        for _ in range(times):
            world.table.failed(world.credential, model, fault, world.clock.monotonic())

    return step


def answers(model: str = "m", *, after: float = 0.0) -> Step:
    """A call that began `after` seconds ago has answered."""

    def step(world: World) -> None:
        now = world.clock.monotonic()
        world.table.succeeded(world.credential, model, now, now - after)
        world.history.used(world.credential)

    return step


def waits(seconds: float) -> Step:
    return lambda world: world.clock.advance(seconds)


def rests(seconds: float, model: str = "m") -> Step:
    def step(world: World) -> None:
        rest = world.rest(model)
        assert rest is not None, f"{model} does not rest"
        assert rest == pytest.approx(seconds, abs=0.1)

    return step


def is_free(model: str = "m") -> Step:
    def step(world: World) -> None:
        assert world.rest(model) is None

    return step


def is_invalid(world: World) -> None:
    assert world.rest() == inf
    assert world.rest("any other") == inf


def is_reset(provider: str = "", credential: str = "") -> Step:
    """As `auth reset` does it: a word in the file."""

    def step(world: World) -> None:
        world.exchange()
        before = world.file
        at = world.clock.now()
        world.file = pruned(merged(before, Kept(resets=(Reset(at, provider, credential),)), at), at)
        world.table.adopt(differences(world.file, before), world.offset, world.clock.monotonic())

    return step


def changes(**fields: Any) -> Step:
    def step(world: World) -> None:
        world.credential = replace(world.credential, **fields)

    return step


def restarts(world: World) -> None:
    world.restart()


def jumps(seconds: float) -> Step:
    """Somebody sets the clock while no process runs, and then one starts."""

    def step(world: World) -> None:
        world.exchange()
        world.clock.set_wall(world.clock.now() + seconds)
        world.restart()

    return step


ROWS: dict[str, tuple[Step, ...]] = {
    "a stated reset is waited for and not a second longer": (
        fails("rate_limit", stated=7200.0),
        rests(7200.0),
        waits(7199.0),
        rests(1.0),
        waits(1.0),
        is_free(),
    ),
    "a weekly limit rests until the moment that was stated, days ahead": (
        fails("rate_limit", stated=5 * DAY, account_wide=True),
        waits(4 * DAY),
        rests(DAY),
        rests(DAY, "another model"),
        waits(DAY),
        is_free(),
        is_free("another model"),
    ),
    "a quota that came back early is free at the first success, whatever was stated": (
        fails("rate_limit", stated=5 * DAY, account_wide=True),
        waits(HOUR),
        answers("m"),
        is_free(),
        is_free("another model"),
    ),
    "a cool-down never outlives an hour where nobody stated a time": (
        *(step for _ in range(20) for step in (fails("rate_limit"), waits(HOUR))),
        is_free(),
        fails("rate_limit"),
        rests(HOUR),
    ),
    "the ladder is 1, 5, 25 and 60 minutes": (
        *(
            step
            for minutes in (1, 5, 25, 60, 60)
            for step in (fails("rate_limit"), rests(minutes * MINUTE), waits(minutes * MINUTE), is_free())
        ),
    ),
    "one success starts the ladder anew": (
        fails("rate_limit"),
        waits(MINUTE),
        fails("rate_limit"),
        rests(5 * MINUTE),
        waits(5 * MINUTE),
        answers(),
        fails("rate_limit"),
        rests(MINUTE),
    ),
    "sixty calls that fail in one second are one strike": (
        fails("rate_limit", times=60),
        rests(MINUTE),
        waits(MINUTE),
        fails("rate_limit", times=60),
        rests(5 * MINUTE),
    ),
    "a limit of one model leaves the others alone": (
        fails("rate_limit", "opus", stated=HOUR),
        rests(HOUR, "opus"),
        is_free("haiku"),
    ),
    "a limit that the provider says is the account's rests every model": (
        fails("rate_limit", "opus", stated=HOUR, account_wide=True),
        rests(HOUR, "opus"),
        rests(HOUR, "haiku"),
    ),
    "a second model at its limit shows that the limit is the account's": (
        fails("rate_limit", "opus", stated=HOUR),
        fails("rate_limit", "sonnet", stated=2 * HOUR),
        rests(2 * HOUR, "haiku"),
        answers("haiku"),
        is_free("haiku"),
        rests(HOUR, "opus"),
    ),
    "a model that timed out and another at its limit say nothing of the account": (
        fails("timeout", "slow"),
        fails("rate_limit", "opus"),
        is_free("haiku"),
    ),
    "a 401 is not a rate limit: it is invalid for good, and not for a minute": (
        fails("auth", stated=5.0),
        is_invalid,
        waits(30 * DAY),
        is_invalid,
    ),
    "a 401 during a cool-down counts too": (
        fails("rate_limit", stated=HOUR, account_wide=True),
        fails("auth"),
        is_invalid,
    ),
    "a changed secret is another credential, free at once": (
        fails("auth"),
        is_invalid,
        changes(secret=Secret("sk-canary-changed")),
        is_free(),
        changes(secret=KEY.secret),
        is_invalid,
    ),
    "a credential that answered since makes an older secret of its name nobody's": (
        fails("auth"),
        waits(SECOND),
        changes(secret=Secret("sk-canary-changed")),
        fails("rate_limit"),
        answers(),
        is_free(),
        changes(secret=KEY.secret),
        is_free(),
    ),
    "a renewed sign-in is the same account, whose limit does not begin anew": (
        changes(type="oauth", account_id="acc-1"),
        fails("rate_limit", stated=HOUR, account_wide=True),
        changes(secret=Secret("canary-renewed")),
        rests(HOUR),
        changes(account_id="acc-2"),
        is_free(),
    ),
    "a renewed sign-in is not the one that was rejected": (
        changes(type="oauth", account_id="acc-1"),
        fails("auth"),
        is_invalid,
        changes(secret=Secret("canary-renewed")),
        is_free(),
    ),
    "a 403 about a model rests that model alone": (
        fails("denied", "opus"),
        rests(MINUTE, "opus"),
        is_free("haiku"),
    ),
    "a spent account rests for hours, though its minute begins anew in a second": (
        fails("billing", stated=1.0),
        rests(2 * HOUR),
        rests(2 * HOUR, "another model"),
        waits(2 * HOUR),
        fails("billing"),
        rests(6 * HOUR),
        waits(6 * HOUR),
        fails("billing"),
        rests(24 * HOUR),
        waits(24 * HOUR),
        fails("billing"),
        rests(24 * HOUR),
    ),
    "a bill that was paid is noticed at the first success": (fails("billing"), answers(), is_free(), is_free("x")),
    "an overloaded provider cools nothing for long": (
        fails("overloaded"),
        is_free(),
        fails("overloaded", stated=6 * HOUR),
        rests(MINUTE),
        is_free("another model"),
    ),
    "trouble of the network is nobody's fault": (
        fails("unreachable"),
        fails("server"),
        fails("invalid"),
        fails("rejected"),
        is_free(),
    ),
    "a success of a call that began before the limit was met says nothing": (
        fails("rate_limit", stated=HOUR),
        waits(5 * SECOND),
        answers(after=30 * SECOND),
        rests(HOUR - 5 * SECOND),
        answers(after=2 * SECOND),
        is_free(),
    ),
    "a reset of the credential clears it, and is not undone by what was known before": (
        fails("rate_limit", stated=DAY, account_wide=True),
        waits(SECOND),
        is_reset("openai", "openai:default"),
        is_free(),
    ),
    "a reset of its provider, and of all, clears it too": (
        fails("auth"),
        waits(SECOND),
        is_reset("openai"),
        is_free(),
        fails("billing"),
        waits(SECOND),
        is_reset(),
        is_free(),
    ),
    "a reset of another credential does not": (
        fails("auth"),
        waits(SECOND),
        is_reset("openai", "openai:backup"),
        is_reset("anthropic"),
        is_invalid,
    ),
    "what fails after a reset rests": (
        fails("rate_limit", stated=DAY),
        waits(SECOND),
        is_reset(),
        waits(SECOND),
        fails("rate_limit", stated=HOUR),
        rests(HOUR),
    ),
    "a restart keeps a rest, its strikes and what is invalid": (
        fails("rate_limit"),
        waits(MINUTE),
        fails("rate_limit"),
        restarts,
        rests(5 * MINUTE),
        waits(5 * MINUTE),
        fails("rate_limit"),
        rests(25 * MINUTE),
        fails("auth"),
        restarts,
        is_invalid,
    ),
    "a clock set back by an hour prolongs nothing beyond what was stated": (
        fails("rate_limit", stated=2 * MINUTE),
        waits(MINUTE),
        jumps(-HOUR),
        rests(2 * MINUTE),
        waits(2 * MINUTE),
        is_free(),
    ),
    "a clock set forward by an hour ends what would have ended": (
        fails("rate_limit", stated=2 * MINUTE),
        jumps(HOUR),
        is_free(),
    ),
    "after a clock was set back, what happens counts more than what the future had said": (
        fails("rate_limit", stated=2 * DAY),
        jumps(-HOUR),
        answers(),
        is_free(),
        restarts,
        is_free(),
        fails("rate_limit", stated=HOUR),
        restarts,
        rests(HOUR),
    ),
}


@pytest.mark.parametrize("steps", ROWS.values(), ids=ROWS.keys())
def test_the_table_of_complaints(steps: tuple[Step, ...]) -> None:
    world = World()
    for step in steps:
        step(world)


#: A call that is under way does not outlive its process.
WITHOUT_CALLS = {name: steps for name, steps in ROWS.items() if "a call that began" not in name}


@pytest.mark.parametrize("steps", WITHOUT_CALLS.values(), ids=WITHOUT_CALLS.keys())
def test_a_restart_between_any_two_steps_changes_nothing(steps: tuple[Step, ...]) -> None:
    world = World()
    for number, step in enumerate(steps):
        step(world)
        world.restart(monotonic=1000.0 * number)


@pytest.mark.parametrize("steps", ROWS.values(), ids=ROWS.keys())
def test_nothing_that_is_kept_holds_the_secret(steps: tuple[Step, ...]) -> None:
    world = World()
    for step in steps:
        step(world)
        world.exchange()
        assert "canary" not in repr(world.file)


# --- half-open -----------------------------------------------------------------------------------------------------


def test_one_call_tries_what_is_due_and_the_others_see_it_being_tried() -> None:
    world = World()
    fails("rate_limit")(world)
    waits(MINUTE)(world)
    first = world.table.begin(KEY, "m", world.clock.monotonic())
    assert world.rest() == BEING_TRIED
    assert world.rest("another model") is None, "only what was resting is being tried"
    world.table.end(first)
    assert world.rest() is None, "a call that was given up has tried nothing"


def test_what_came_of_the_trial_counts() -> None:
    world = World()
    fails("rate_limit")(world)
    waits(MINUTE)(world)
    due = world.table.begin(KEY, "m", world.clock.monotonic())
    fails("rate_limit")(world)
    world.table.end(due)
    assert world.rest() == 5 * MINUTE
    waits(5 * MINUTE)(world)
    due = world.table.begin(KEY, "m", world.clock.monotonic())
    answers()(world)
    world.table.end(due)
    assert world.rest() is None
    assert len(world.table) == 0


def test_a_call_to_one_that_still_rests_is_no_trial() -> None:
    world = World()
    fails("rate_limit")(world)
    assert world.table.begin(KEY, "m", world.clock.monotonic()) == []


def test_time_that_the_monotonic_clock_did_not_count_has_passed_all_the_same() -> None:
    world = World()
    fails("rate_limit", stated=HOUR)(world)
    world.table.pass_time(HOUR - MINUTE)
    assert world.rest() == MINUTE


def test_it_counts_what_rests_by_level() -> None:
    world = World()
    now = world.clock.monotonic()
    assert world.table.counts(now) == {"credentials": 0, "invalid": 0, "models": 0}
    fails("rate_limit", "a")(world)
    world.credential = replace(KEY, id="openai:two")
    fails("auth")(world)
    world.credential = replace(KEY, id="openai:three")
    fails("billing")(world)
    assert world.table.counts(now) == {"credentials": 1, "invalid": 1, "models": 1}
    assert world.table.counts(now + 3 * HOUR) == {"credentials": 0, "invalid": 1, "models": 0}
