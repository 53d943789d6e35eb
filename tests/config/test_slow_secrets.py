"""Secrets that take their time: asked for once, kept, asked for again in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.config.slow_secrets import SlowSecrets, Source
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.values import Secret, SecretRef

REF = parse_reference("keyring:service/name")
OTHER = parse_reference("keyring:service/other")
CANARY = "canary-of-a-slow-one-5511"


class Place:
    """A keyring that is told what to answer, and remembers who asked. A gate that is closed lets nobody through."""

    def __init__(self, answer: object = "one") -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self, ref: SecretRef) -> Secret | None:
        self.asked.append(ref.label)
        answer = self.answer
        self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return Secret(str(answer)) if answer is not None else None


class Bench:
    def __init__(self, *, wait: bool = False, patience: float = 5.0, width: int = 1) -> None:
        self.place = Place()
        self.now = 0.0
        source = Source(self.place.fetch, 300.0, patience, "it is locked", width)
        self.secrets = SlowSecrets({"keyring": source}, wait=wait, monotonic=lambda: self.now)

    def told(self, ref: SecretRef = REF) -> str:
        with pytest.raises(SecretUnavailable) as caught:
            self.secrets.get(ref)
        return caught.value.message

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.002)

    def until_is(self, text: str) -> None:
        self.until(lambda: self.secrets.get(REF) == Secret(text))


def test_who_waits_gets_the_secret_and_it_is_asked_for_once() -> None:
    bench = Bench(wait=True)
    assert [bench.secrets.get(REF) for _ in range(100)] == [Secret("one")] * 100
    assert bench.place.asked == ["keyring:service/name"]


def test_who_does_not_wait_is_told_that_it_is_on_its_way_and_never_held_up() -> None:
    bench = Bench()
    bench.place.gate.clear()
    began = time.monotonic()
    assert "being asked for" in bench.told()
    assert time.monotonic() - began < 1
    bench.place.gate.set()
    bench.until(lambda: bench.secrets.generation() == 1)
    assert bench.secrets.get(REF) == Secret("one")


def test_many_callers_at_once_are_one_question() -> None:
    bench = Bench(wait=True)
    bench.place.gate.clear()
    found: list[Secret] = []
    callers = [threading.Thread(target=lambda: found.append(bench.secrets.get(REF))) for _ in range(20)]
    for caller in callers:
        caller.start()
    bench.place.gate.set()
    for caller in callers:
        caller.join()
    assert found == [Secret("one")] * 20
    assert len(bench.place.asked) == 1


def test_what_is_due_is_asked_for_in_the_background_while_the_old_is_used() -> None:
    bench = Bench(wait=True)
    bench.secrets.get(REF)
    bench.place.answer = "two"
    bench.place.gate.clear()
    bench.now = 301
    assert [bench.secrets.get(REF) for _ in range(10)] == [Secret("one")] * 10
    bench.place.gate.set()
    bench.until_is("two")
    assert len(bench.place.asked) == 2


def test_a_reading_that_fails_keeps_the_last_good_secret_and_is_tried_again_ever_later() -> None:
    bench = Bench(wait=True)
    bench.secrets.get(REF)
    bench.place.answer = SecretUnavailable("it is locked")
    bench.now = 301
    for asked, pause in ((2, 5), (3, 10), (4, 20)):
        assert bench.secrets.get(REF) == Secret("one")
        bench.until(lambda asked=asked: len(bench.place.asked) == asked)
        time.sleep(0.05)
        assert bench.secrets.get(REF) == Secret("one")
        assert len(bench.place.asked) == asked
        bench.now += pause + 0.1
    bench.place.answer = "two"
    bench.until_is("two")


def test_what_was_removed_there_is_used_no_more() -> None:
    bench = Bench(wait=True)
    bench.secrets.get(REF)
    bench.place.answer = None
    bench.now = 301
    bench.secrets.get(REF)
    bench.until(lambda: bench.secrets.generation() == 2)
    assert "there is nothing there" in bench.told()


def test_whatever_a_plugin_raises_is_told_by_its_class_alone() -> None:
    bench = Bench(wait=True)
    bench.place.answer = ZeroDivisionError(f"says {CANARY}")
    message = bench.told()
    assert "ZeroDivisionError" in message
    assert CANARY not in message


def test_one_that_never_answers_holds_nobody_up_for_longer_than_its_patience_and_is_asked_once() -> None:
    bench = Bench(wait=True, patience=0.1)
    bench.place.gate.clear()
    ticking = threading.Event()

    def tick() -> None:
        while not ticking.wait(0.01):
            bench.now += 0.01

    clock = threading.Thread(target=tick)
    clock.start()
    try:
        began = time.monotonic()
        assert "it is locked" in bench.told()
        # the others stand behind it, and don't wait for what is stuck
        assert "it is locked" in bench.told(OTHER)
        assert time.monotonic() - began < 3
        assert bench.place.asked == ["keyring:service/name"]
        bench.place.gate.set()  # unlocked at last: the late answers count
        bench.until(lambda: bench.secrets.generation() == 2)
        assert bench.secrets.get(REF) == bench.secrets.get(OTHER) == Secret("one")
    finally:
        ticking.set()
        clock.join()


def test_warming_reads_all_that_is_new_and_forgets_what_is_not_named() -> None:
    bench = Bench()
    bench.secrets.warm([REF, OTHER], 5)
    assert bench.secrets.get(REF) == bench.secrets.get(OTHER) == Secret("one")
    bench.secrets.warm([OTHER, parse_reference("env:NAME")], 5)
    assert len(bench.place.asked) == 2
    assert list(bench.secrets._entries) == [OTHER]


def test_warming_waits_no_longer_than_it_is_told() -> None:
    bench = Bench()
    bench.place.gate.clear()
    bench.secrets.warm([REF], 0)
    assert "being asked for" in bench.told()
    bench.place.gate.set()


def test_a_refused_secret_is_asked_for_again_once_until_it_is_another() -> None:
    bench = Bench(wait=True)
    bench.secrets.get(REF)
    bench.secrets.refused(Secret("something else"))
    for _ in range(5):
        bench.secrets.refused(Secret("one"))
    bench.until(lambda: len(bench.place.asked) == 2)
    time.sleep(0.05)
    bench.secrets.refused(Secret("one"))
    time.sleep(0.05)
    assert len(bench.place.asked) == 2
    bench.place.answer = "two"
    bench.now = 301
    bench.until_is("two")
    bench.place.answer = "three"
    bench.secrets.refused(Secret("two"))
    bench.until_is("three")


def test_a_fresh_reading_goes_past_what_is_kept_and_does_not_make_do_with_it() -> None:
    bench = Bench(wait=True)
    bench.secrets.get(REF)
    bench.place.answer = "two"
    assert bench.secrets.get(REF) == Secret("one")
    assert bench.secrets.fresh(REF) == Secret("two")
    assert bench.secrets.get(REF) == Secret("two")
    bench.place.answer = SecretUnavailable("it is locked")
    with pytest.raises(SecretUnavailable, match="it is locked"):
        bench.secrets.fresh(REF)
    assert bench.secrets.get(REF) == Secret("two")


def test_a_fresh_reading_begins_after_it_is_asked_for() -> None:
    """A question that is under way may have been answered by what stood there before."""
    bench = Bench(wait=True)
    bench.place.gate.clear()
    threading.Thread(target=lambda: bench.secrets.get(REF)).start()
    bench.until(lambda: len(bench.place.asked) == 1)
    bench.place.answer = "two"
    threading.Timer(0.05, bench.place.gate.set).start()
    assert bench.secrets.fresh(REF) == Secret("two")
    assert bench.secrets.get(REF) == Secret("two")


def test_another_scheme_of_work_takes_its_turn_and_its_failures_are_translated() -> None:
    bench = Bench(wait=True)
    assert bench.secrets.call("keyring", lambda: 7) == 7
    for error in (SecretUnavailable("it is full"), ZeroDivisionError(CANARY)):

        def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(SecretUnavailable) as caught:
            bench.secrets.call("keyring", fail)
        assert CANARY not in caught.value.message
    bench.secrets.learn(REF, Secret("written"))
    assert bench.secrets.get(REF) == Secret("written")
    assert bench.place.asked == []


def test_programs_run_side_by_side_as_far_as_the_lane_is_wide() -> None:
    bench = Bench(width=3)
    bench.place.gate.clear()
    for number in range(6):
        bench.told(parse_reference(f"keyring:service/{number}"))
    bench.until(lambda: len(bench.place.asked) == 3)
    time.sleep(0.05)
    assert len(bench.place.asked) == 3
    bench.place.gate.set()
    bench.until(lambda: len(bench.place.asked) == 6)


def test_no_secret_prints() -> None:
    bench = Bench(wait=True)
    bench.place.answer = CANARY
    bench.secrets.get(REF)
    assert CANARY not in repr(bench.secrets) + repr(bench.secrets._entries)
