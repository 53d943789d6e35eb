"""Renewals over real files, a real transport and an issuer that spends its refresh tokens."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.auth.refresh import digest_of
from open_llm_auth.config.renewals import FileSignIns
from open_llm_auth.config.source import LiveConfig
from open_llm_auth.errors import RenewalUncertain, SignInLapsed
from open_llm_auth.server.renewals import Renewals
from open_llm_auth.testing import ManualClock
from open_llm_auth.testing.issuer import CLIENT_ID, FakeIssuer, Issued
from open_llm_auth.transport import HttpTransport
from open_llm_auth.values import Credential, RenewalNote, Secret

PROFILE = "lab:default"
COMMAND = "open-llm-auth auth login lab --profile default"


@pytest.fixture
def issuer(clock: ManualClock) -> Iterator[FakeIssuer]:
    with FakeIssuer(now=clock.now) as issuer:
        yield issuer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@dataclass
class Bench:
    """One process's Renewals over a home that several may share."""

    home: Path
    live: LiveConfig
    store: FileSignIns
    renewals: Renewals
    log: list[str] = field(default_factory=list)

    def stored(self) -> dict[str, Any]:
        document = json.loads((self.home / "config.json").read_text())
        entry: dict[str, Any] = document["authProfiles"][PROFILE]
        return entry

    def credential(self) -> Credential:
        """As a plan of now would have it."""
        profile = self.live.current().profiles[PROFILE]
        assert profile.secret is not None
        return Credential(
            id=PROFILE,
            provider="lab",
            source="profile",
            type="oauth",
            secret=self.live.secrets.get(profile.secret),
            expires=profile.expires,
            renewable=True,
        )

    def note(self) -> RenewalNote | None:
        return self.store.note(PROFILE)


def write_home(home: Path, issuer: FakeIssuer, issued: Issued, **fields: Any) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    entry = {"provider": "lab", "type": "oauth", "access": issued.access, "refresh": issued.refresh}
    document = {
        "authProfiles": {PROFILE: {**entry, "expires": issued.expires, **fields}},
        "providers": {"lab": {"baseUrl": "http://127.0.0.1:1/v1", "auth": "oauth", "api": "openai-completions"}},
        "oauth": {"lab": {"tokenUrl": issuer.token_url, "clientId": CLIENT_ID}},
        "egressPolicy": {"allowLocalProviders": ["lab"]},
    }
    path = home / "config.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)


@asynccontextmanager
async def bench_at(home: Path, clock: ManualClock, sweep_seconds: float = 0.05) -> AsyncIterator[Bench]:
    log: list[str] = []
    environ = {"HOME": str(home)}
    live = LiveConfig(home / "config.json", environ)
    live.load()
    transport = HttpTransport(lambda: live.current().egress, live.secrets, clock)
    store = FileSignIns(live, live.stores)
    renewals = Renewals(
        config=live,
        store=store,
        transport=transport,
        secrets=live.secrets,
        clock=clock,
        log=log.append,
        sweep_seconds=sweep_seconds,
    )
    try:
        yield Bench(home, live, store, renewals, log)
    finally:
        await renewals.aclose()
        await transport.aclose()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


async def test_fifty_calls_at_once_present_an_expired_token_once(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.turn = "slow"

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        credential = bench.credential()
        fresh = await asyncio.gather(*(bench.renewals.ready(credential) for _ in range(50)))
        assert len({each.secret for each in fresh}) == 1
        assert fresh[0].secret is not None
        assert issuer.accepts_access(fresh[0].secret.reveal())
        assert issuer.presented(issued.refresh) == 1
        assert bench.stored()["access"] == fresh[0].secret.reveal()
        assert bench.stored()["refresh"] != issued.refresh
        assert bench.stored()["expires"] == fresh[0].expires == int((clock.now() + 3600) * 1000)
        assert bench.credential() == replace(fresh[0])
        note = bench.note()
        assert note is not None
        assert (note.state, note.spent) == ("renewed", digest_of(PROFILE, Secret(issued.refresh)))


async def test_a_token_with_time_left_is_not_renewed(home: Path, issuer: FakeIssuer, clock: ManualClock) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as bench:
        clock.advance(3200)
        assert await bench.renewals.ready(bench.credential()) == bench.credential()
    assert issuer.presentations == []


async def test_a_token_that_is_due_is_used_while_it_is_renewed_beside_the_call(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.turn = "slow"

    async with bench_at(home, clock) as bench:
        clock.advance(3400)
        credential = bench.credential()
        assert await bench.renewals.ready(credential) is credential
        await until(lambda: bench.stored()["access"] != issued.access)
    assert issuer.presented(issued.refresh) == 1


async def test_an_idle_process_renews_what_is_due(home: Path, issuer: FakeIssuer, clock: ManualClock) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    clock.advance(3301)

    async with bench_at(home, clock) as bench:
        sweeping = asyncio.create_task(bench.renewals.run())
        await until(lambda: bench.stored()["access"] != issued.access)
        await asyncio.sleep(0.2)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    assert [each.outcome for each in issuer.presentations] == ["issued"]


async def test_what_another_process_renewed_is_adopted(home: Path, issuer: FakeIssuer, clock: ManualClock) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as one, bench_at(home, clock) as other:
        clock.advance(3601)
        held_by_one, held_by_other = one.credential(), other.credential()
        first, second = await asyncio.gather(one.renewals.ready(held_by_one), other.renewals.ready(held_by_other))
        assert first.secret == second.secret
        assert other.credential().secret == first.secret
    assert len(issuer.presentations) == 1


@pytest.mark.parametrize("turn", ["invalid_grant"])
async def test_a_terminal_code_asks_for_the_person_and_is_the_last_presentation(
    home: Path, issuer: FakeIssuer, clock: ManualClock, turn: str
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.turn = turn

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        for _ in range(3):
            with pytest.raises(SignInLapsed) as caught:
                await bench.renewals.ready(bench.credential())
            assert caught.value.details["command"] == COMMAND
            clock.advance(7200)
        access = bench.credential().secret
        assert access is not None
        assert "invalid_grant" in bench.renewals.lapsed(PROFILE, access, expired=True)
        assert bench.renewals.lapsed(PROFILE, access, expired=False) == ""
        assert bench.renewals.lapsed(PROFILE, Secret("signed in anew"), expired=True) == ""
        assert bench.stored()["refresh"] == issued.refresh
    assert len(issuer.presentations) == 1
    async with bench_at(home, clock) as restarted:
        with pytest.raises(SignInLapsed):
            await restarted.renewals.ready(restarted.credential())
    assert len(issuer.presentations) == 1


async def test_a_sign_in_anew_ends_what_was_noted_of_the_old_one(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    write_home(home, issuer, issuer.sign_in())
    issuer.next("invalid_grant")

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        with pytest.raises(SignInLapsed):
            await bench.renewals.ready(bench.credential())
        again = issuer.sign_in()
        write_home(home, issuer, again)
        bench.live.check()
        clock.advance(3601)
        fresh = await bench.renewals.ready(bench.credential())
        assert fresh.secret is not None
        assert issuer.accepts_access(fresh.secret.reveal())


@pytest.mark.parametrize(
    ("turn", "word"),
    [
        ("server_error", "HTTP 500"),
        ("overloaded", "HTTP 503"),
        ("html", "HTML"),
        ("no_access_token", "access_token"),
        ("invalid_client", "invalid_client"),
        ("hang_up_before", "closed"),
        ("hang_up_after", "closed"),
    ],
)
async def test_an_answer_that_says_nothing_keeps_the_pair_and_backs_off(
    home: Path, issuer: FakeIssuer, clock: ManualClock, turn: str, word: str
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.turn = turn

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        for _ in range(3):
            with pytest.raises(RenewalUncertain) as caught:
                await bench.renewals.ready(bench.credential())
            assert word in caught.value.message
        assert len(issuer.presentations) == 1
        note = bench.note()
        assert note is not None
        assert note.state == "uncertain"
        assert word in note.error
        assert note.not_before == clock.now() + 60
        assert bench.stored()["access"] == issued.access
        if turn != "no_access_token":
            assert bench.stored()["refresh"] == issued.refresh
        clock.advance(59)
        with pytest.raises(RenewalUncertain):
            await bench.renewals.ready(bench.credential())
        assert len(issuer.presentations) == 1
        issuer.turn = "documented"
        clock.advance(2)
        if turn == "hang_up_after":
            with pytest.raises(SignInLapsed):
                await bench.renewals.ready(bench.credential())
            return
        fresh = await bench.renewals.ready(bench.credential())
        assert fresh.secret is not None
        assert issuer.accepts_access(fresh.secret.reveal())


async def test_a_refresh_token_is_kept_even_of_an_answer_without_an_access_token(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.next("no_access_token")

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        with pytest.raises(RenewalUncertain):
            await bench.renewals.ready(bench.credential())
        assert bench.stored()["access"] == issued.access
        assert bench.stored()["refresh"] not in ("", issued.refresh)
        clock.advance(61)
        await bench.renewals.ready(bench.credential())
    assert [each.outcome for each in issuer.presentations] == ["issued", "issued"]


async def test_an_uncertain_renewal_fails_no_call_while_the_access_token_is_good(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    write_home(home, issuer, issuer.sign_in())
    issuer.turn = "server_error"

    async with bench_at(home, clock) as bench:
        clock.advance(3595)
        credential = bench.credential()
        for _ in range(5):
            assert await bench.renewals.ready(credential) == credential
    assert len(issuer.presentations) == 1


async def test_back_off_grows_from_one_minute_to_an_hour(home: Path, issuer: FakeIssuer, clock: ManualClock) -> None:
    write_home(home, issuer, issuer.sign_in())
    issuer.turn = "server_error"

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        waits = []
        for _ in range(5):
            with pytest.raises(RenewalUncertain):
                await bench.renewals.ready(bench.credential())
            note = bench.note()
            assert note is not None
            waits.append(note.not_before - clock.now())
            clock.advance(waits[-1])
        assert waits == pytest.approx([60, 300, 1500, 3600, 3600])


async def test_what_was_not_sent_clears_the_mark_and_is_no_presentation(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.stop()

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        with pytest.raises(RenewalUncertain):
            await bench.renewals.ready(bench.credential())
        note = bench.note()
        assert note is not None
        assert (note.state, note.presented, note.not_before) == ("waiting", 0, clock.now() + 5)
        issuer.start()
        clock.advance(6)
        await bench.renewals.ready(bench.credential())
    assert issuer.presented(issued.refresh) == 1


async def test_tokens_of_another_account_are_refused(tmp_path: Path, clock: ManualClock) -> None:
    home = tmp_path / "home"
    with FakeIssuer(now=clock.now, jwt=True) as issuer:
        issued = issuer.sign_in("acct-1")
        write_home(home, issuer, issued, accountId="acct-1")
        issuer.next("another_account")

        async with bench_at(home, clock) as bench:
            clock.advance(3601)
            with pytest.raises(SignInLapsed):
                await bench.renewals.ready(bench.credential())
            assert (bench.stored()["access"], bench.stored()["refresh"]) == (issued.access, issued.refresh)
            note = bench.note()
            assert note is not None
            assert (note.state, note.code) == ("needs_login", "another_account")
            assert "another account" in note.error


async def test_the_same_account_is_no_other(tmp_path: Path, clock: ManualClock) -> None:
    home = tmp_path / "home"
    with FakeIssuer(now=clock.now, jwt=True) as issuer:
        write_home(home, issuer, issuer.sign_in("acct-1"), accountId="acct-1")

        async with bench_at(home, clock) as bench:
            clock.advance(3601)
            fresh = await bench.renewals.ready(bench.credential())
            assert fresh.account_id == "acct-1"


def mark_of_a_dead_holder(bench: Bench, issued: Issued, now: float, *, again: bool = False) -> None:
    token = digest_of(PROFILE, Secret(issued.refresh))
    lease = bench.store.try_lease(PROFILE)
    assert lease is not None
    bench.store.write_note(RenewalNote(PROFILE, token, "refreshing", now, presented=1 + again, again=again))
    lease.release()


async def test_the_mark_of_a_dead_holder_lets_the_token_be_presented_once_more(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as bench:
        mark_of_a_dead_holder(bench, issued, clock.now())
        clock.advance(3601)
        await bench.renewals.ready(bench.credential())
    assert issuer.presented(issued.refresh) == 1


async def test_after_two_dead_holders_a_token_is_not_presented_again(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as bench:
        mark_of_a_dead_holder(bench, issued, clock.now(), again=True)
        clock.advance(3601)
        with pytest.raises(SignInLapsed):
            await bench.renewals.ready(bench.credential())
    assert issuer.presentations == []


async def test_a_token_whose_answer_a_dead_holder_lost_needs_its_person(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        issuer.next("hang_up_after")
        with pytest.raises(RenewalUncertain):
            await bench.renewals.ready(bench.credential())
        mark_of_a_dead_holder(bench, issued, clock.now())
    async with bench_at(home, clock) as successor:
        with pytest.raises(SignInLapsed):
            await successor.renewals.ready(successor.credential())
    assert [each.outcome for each in issuer.presentations] == ["issued", "reused"]


async def test_an_older_copy_of_the_config_does_not_present_a_spent_token(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        await bench.renewals.ready(bench.credential())
        write_home(home, issuer, issued)
        bench.live.check()
        with pytest.raises(SignInLapsed):
            await bench.renewals.ready(bench.credential())
        note = bench.note()
        assert note is not None
        assert "older copy" in note.error
    assert issuer.presented(issued.refresh) == 1


async def test_a_401_leads_to_one_renewal(home: Path, issuer: FakeIssuer, clock: ManualClock) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as bench:
        rejected = bench.credential()
        renewed = await asyncio.gather(*(bench.renewals.after_rejection(rejected) for _ in range(10)))
        first = renewed[0]
        assert first is not None
        assert all(each == first for each in renewed)
        assert first.secret != rejected.secret
        assert await bench.renewals.after_rejection(rejected) == first
        assert await bench.renewals.after_rejection(first) is None
        clock.advance(61)
        assert await bench.renewals.after_rejection(first) is not None
    assert [each.outcome for each in issuer.presentations] == ["issued", "issued"]


async def test_a_rejected_token_that_can_not_be_renewed_is_passed_over(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    write_home(home, issuer, issuer.sign_in())
    issuer.turn = "invalid_grant"

    async with bench_at(home, clock) as bench:
        rejected = bench.credential()
        with pytest.raises(SignInLapsed):
            await bench.renewals.after_rejection(rejected)
        assert rejected.secret is not None
        assert bench.renewals.lapsed(PROFILE, rejected.secret, expired=False)


async def test_a_clock_that_is_wrong_renews_neither_for_ever_nor_never(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    """The issuer's answers end an hour ago by this clock, as absolute times of a clock that is behind do."""
    write_home(home, issuer, issuer.sign_in())

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        issuer.lifetime = 0
        for _ in range(20):
            await bench.renewals.ready(bench.credential())
            clock.advance(1)
        assert len(issuer.presentations) == 1
        issuer.lifetime = 3600
        clock.advance(60)
        await bench.renewals.ready(bench.credential())
        assert len(issuer.presentations) == 2
        clock.set_wall(clock.now() - 7200)
        assert await bench.renewals.after_rejection(bench.credential()) is not None
        assert len(issuer.presentations) == 3


async def test_a_caller_that_goes_away_takes_no_renewal_down(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.turn = "slow"

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        caller = asyncio.create_task(bench.renewals.ready(bench.credential()))
        await until(lambda: bool(issuer.exchanges))
        caller.cancel()
        await until(lambda: bench.stored()["access"] != issued.access)
    assert issuer.presented(issued.refresh) == 1


async def test_a_sign_in_that_a_person_made_meanwhile_is_not_written_over(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    write_home(home, issuer, issuer.sign_in())
    issuer.turn = "slow"

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        call = asyncio.create_task(bench.renewals.ready(bench.credential()))
        await until(lambda: bool(issuer.exchanges))
        own = issuer.sign_in("acct-2")
        write_home(home, issuer, own)
        fresh = await call
        assert fresh.secret == Secret(own.access)
        assert bench.stored()["refresh"] == own.refresh


async def test_a_config_that_can_not_be_written_keeps_a_token_from_being_spent(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        (home / "renewals").write_text("in the way")
        with pytest.raises(RenewalUncertain) as caught:
            await bench.renewals.ready(bench.credential())
        assert "renewals" in caught.value.message
        assert issuer.presentations == []
        (home / "renewals").unlink()
        await bench.renewals.ready(bench.credential())


async def test_a_pair_that_could_not_be_stored_at_once_is_stored_when_it_can_be(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    issued = issuer.sign_in()
    write_home(home, issuer, issued)
    issuer.turn = "slow"

    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        call = asyncio.create_task(bench.renewals.ready(bench.credential()))
        await until(lambda: bool(issuer.exchanges))
        good = (home / "config.json").read_text()
        (home / "config.json").write_text(good + "oops")
        await until(lambda: any("could not be stored" in line for line in bench.log))
        assert not call.done()
        (home / "config.json").write_text(good)
        fresh = await call
        assert fresh.secret is not None
        assert bench.stored()["access"] == fresh.secret.reveal()
    assert issuer.presented(issued.refresh) == 1


@pytest.mark.parametrize(
    "turn",
    ["documented", "server_error", "html", "no_access_token", "hang_up_after", "another_account", "invalid_grant"],
)
async def test_no_token_is_said_by_anything(home: Path, clock: ManualClock, turn: str) -> None:
    canary = f"canary-{secrets.token_hex(12)}"
    said: list[str] = []
    with FakeIssuer(now=clock.now) as issuer:
        issued = issuer.sign_in(canary)
        write_home(home, issuer, issued)
        issuer.turn = turn
        async with bench_at(home, clock) as bench:
            clock.advance(3601)
            try:
                said.append(repr(await bench.renewals.ready(bench.credential())))
            except (SignInLapsed, RenewalUncertain) as error:
                said.append(f"{error!r} {error.details} {error.headers} {error.__cause__!r}")
            said += bench.log
            said.append(f"{bench.note()!r} {bench.store.read(PROFILE)!r} {bench.renewals.hidden()!r}")
            assert Secret(issued.refresh) in tuple(bench.renewals.hidden())
            assert Secret(bench.stored()["refresh"]) in tuple(bench.renewals.hidden())
    said += [path.read_text() for path in (home / "renewals").iterdir()]
    assert len(said) > 3
    assert canary not in "\n".join(said)


async def test_a_restarted_process_hears_what_another_noted_before_anybody_calls(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    write_home(home, issuer, issuer.sign_in())
    issuer.turn = "invalid_grant"
    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        with pytest.raises(SignInLapsed):
            await bench.renewals.ready(bench.credential())
    async with bench_at(home, clock) as restarted:
        access = restarted.credential().secret
        assert access is not None
        sweeping = asyncio.create_task(restarted.renewals.run())
        await until(lambda: bool(restarted.renewals.lapsed(PROFILE, access, expired=True)))
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    assert len(issuer.presentations) == 1


async def test_what_keeps_a_sign_in_from_being_renewed_is_said_once(
    home: Path, issuer: FakeIssuer, clock: ManualClock
) -> None:
    write_home(home, issuer, issuer.sign_in())
    async with bench_at(home, clock) as bench:
        clock.advance(3601)
        credential = bench.credential()
        good = (home / "config.json").read_text()
        (home / "config.json").write_text("{ not json")
        for _ in range(5):
            with pytest.raises(RenewalUncertain):
                await bench.renewals.ready(credential)
        assert len(bench.log) == 1
        (home / "config.json").write_text(good)
        await bench.renewals.ready(credential)
    assert len(issuer.presentations) == 1


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - files change without telling anybody
            await asyncio.sleep(0.005)
