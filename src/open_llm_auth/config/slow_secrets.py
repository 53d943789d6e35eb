"""Secrets that take their time: asked for in a thread, kept, and asked for again before anybody has to wait (SPEC §3).

A keyring that is locked may never answer, and a password manager takes seconds. So nothing here is done in line.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from ..errors import SecretUnavailable
from ..values import Secret, SecretRef, SecretScheme

__all__ = ["SlowSecrets", "Source", "unavailable"]

_Answer = TypeVar("_Answer")

#: Seconds that a thread with nothing to do stays.
_IDLE: Final = 10.0
#: Seconds until what failed is asked for again; doubled each time, up to the time a good answer is kept.
_FIRST_PAUSE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of place. `fetch` blocks, gives None for what is surely not there, and raises SecretUnavailable.

    `keep` is how long an answer is good for, `patience` how long one is waited for, in seconds. `late` is the sentence
    for one that does not come, and `width` how many are asked at a time.
    """

    fetch: Callable[[SecretRef], Secret | None]
    keep: float
    patience: float
    late: str
    width: int = 1


@dataclass(slots=True)
class _Flight:
    """One question under way. Who waits for it does not wait beyond the patience of its source."""

    began: float
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Entry:
    """What is known of one reference. A secret that was read once stays until there is another, or surely none."""

    secret: Secret | None = None
    error: SecretUnavailable | None = None
    due: float = float("-inf")
    failures: int = 0
    #: refused by a provider, and asked for again because of it
    refused: bool = False
    flight: _Flight | None = None


class SlowSecrets:
    """Resolves references of the schemes in `sources`. `wait`: whether `get` waits for what was never read yet.

    Threads may share it. `monotonic` are seconds that never jump.
    """

    def __init__(
        self,
        sources: Mapping[SecretScheme, Source],
        *,
        wait: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wait = wait
        self._sources = dict(sources)
        self._monotonic = monotonic
        self._lanes = {scheme: _Lane(scheme, source.width, monotonic) for scheme, source in sources.items()}
        self._entries: dict[SecretRef, _Entry] = {}
        self._lock = threading.Lock()
        self._generation = 0

    def configure(self, sources: Mapping[SecretScheme, Source]) -> None:
        """Other times for the same schemes, from the next question on."""
        self._sources.update(sources)

    def generation(self) -> int:
        """Another number whenever a reference has come to mean something else."""
        return self._generation

    def get(self, ref: SecretRef) -> Secret:
        """The secret as last read; one that is due is asked for behind the caller's back.

        Raises:
            SecretUnavailable: it was never read, and why.
        """
        entry = self._entries.get(ref)
        if entry is None or self._monotonic() >= entry.due:
            entry = self._ask(ref)
        if entry.secret is None and entry.error is None and self.wait and not self._await(ref, entry.flight):
            raise self._late(ref)
        if entry.secret is not None:
            return entry.secret
        raise entry.error or self._pending(ref, entry)

    def fresh(self, ref: SecretRef) -> Secret:
        """The secret as it is now, whatever is known of it. Blocks.

        Raises:
            SecretUnavailable: it can't be had now.
        """
        if not self._await(ref, self._ask(ref, anew=True).flight):
            raise self._late(ref)
        entry = self._entries.get(ref, _Entry())
        if entry.secret is None or entry.error is not None:
            raise entry.error or self._pending(ref, entry)
        return entry.secret

    def warm(self, refs: Iterable[SecretRef], seconds: float) -> None:
        """Ask for those of `refs` that were never asked for, and wait for them, for at most so long. What is not among
        them is forgotten, so that no secret outlives the config that named it."""
        wanted = dict.fromkeys(ref for ref in refs if ref.scheme in self._sources)
        with self._lock:
            new = [ref for ref in wanted if ref not in self._entries]
            for gone in self._entries.keys() - wanted.keys():
                del self._entries[gone]
        flights = [(ref, self._ask(ref).flight) for ref in new]
        deadline = self._monotonic() + seconds
        for ref, flight in flights:
            if flight is not None:
                self._lanes[ref.scheme].outwaits(flight.done, max(0.0, deadline - self._monotonic()))

    def renew(self, scheme: SecretScheme) -> None:
        """Ask again, in the background, for all that was read of one scheme: another process may have written there."""
        for ref, entry in list(self._entries.items()):
            if ref.scheme == scheme and entry.secret is not None:
                self._ask(ref)

    def refused(self, secret: Secret) -> None:
        """A provider refused it: ask again, in the background, once until it is another."""
        for ref, entry in list(self._entries.items()):
            if entry.secret == secret and not entry.refused:
                entry.refused = True
                self._ask(ref)

    def call(self, scheme: SecretScheme, ask: Callable[[], _Answer]) -> _Answer:
        """Do something else with a source, in its turn. Blocks.

        Raises:
            SecretUnavailable: it failed, or did not end in time.
        """
        outcome: list[tuple[_Answer | None, SecretUnavailable | None]] = []
        done = threading.Event()

        def work() -> None:
            outcome.append(_outcome(ask, f"The {scheme} failed"))
            done.set()

        lane, source = self._lanes[scheme], self._sources[scheme]
        lane.put(work)
        if not lane.outwaits(done, source.patience):
            raise SecretUnavailable(f"The {scheme} could not be asked: {source.late}.")
        answer, error = outcome[0]
        if error is not None:
            raise error
        return cast("_Answer", answer)

    def learn(self, ref: SecretRef, secret: Secret | None) -> None:
        """What was just written there; None for what was removed."""
        with self._lock:
            self._settle(ref, self._entries.setdefault(ref, _Entry()), secret, None)

    # --- asking ---

    def _is_known(self, ref: SecretRef) -> bool:
        entry = self._entries.get(ref)
        return entry is not None and entry.secret is not None

    def _ask(self, ref: SecretRef, *, anew: bool = False) -> _Entry:
        """The entry of `ref`, a question about it under way: the one that is, unless one must begin after now."""
        with self._lock:
            entry = self._entries.setdefault(ref, _Entry())
            if entry.flight is None or anew:
                flight = entry.flight = _Flight(self._monotonic())
                # What is known is good until the answer: nobody else asks meanwhile.
                entry.due = float("inf")
                self._lanes[ref.scheme].put(lambda: self._fetch(ref, entry, flight))
            return entry

    def _fetch(self, ref: SecretRef, entry: _Entry, flight: _Flight) -> None:
        """In a thread."""
        secret, error = _outcome(
            lambda: self._sources[ref.scheme].fetch(ref), f"The secret {ref.label!r} can't be read"
        )
        is_gone = secret is None and error is None
        if is_gone:
            error = unavailable(ref, "there is nothing there; store it, or name another place")
        with self._lock:
            if entry.flight is flight:
                entry.flight = None
            self._settle(ref, entry, secret if is_gone or secret is not None else entry.secret, error)
        flight.done.set()

    def _settle(self, ref: SecretRef, entry: _Entry, secret: Secret | None, error: SecretUnavailable | None) -> None:
        """Only under the lock."""
        if secret != entry.secret:
            self._generation += 1
            entry.refused = False
        keep = self._sources[ref.scheme].keep
        entry.failures = entry.failures + 1 if error is not None else 0
        pause = keep if error is None else min(keep, _FIRST_PAUSE * 2 ** min(entry.failures - 1, 16))
        entry.secret, entry.error = secret, error
        entry.due = self._monotonic() + pause

    def _await(self, ref: SecretRef, flight: _Flight | None) -> bool:
        """Whether the answer has come."""
        patience = self._sources[ref.scheme].patience
        return flight is None or self._lanes[ref.scheme].outwaits(flight.done, patience)

    def _pending(self, ref: SecretRef, entry: _Entry) -> SecretUnavailable:
        flight, patience = entry.flight, self._sources[ref.scheme].patience
        young = flight is not None and self._monotonic() - flight.began < patience
        if young and not self._lanes[ref.scheme].is_stuck(patience):
            return unavailable(ref, "it is being asked for; try again in a moment")
        return self._late(ref)

    def _late(self, ref: SecretRef) -> SecretUnavailable:
        return unavailable(ref, self._sources[ref.scheme].late)


class _Lane:
    """A few threads for one kind of place, there while there is work. They are daemons: one that never gets its answer
    must not keep the process from ending."""

    def __init__(self, name: str, width: int, monotonic: Callable[[], float]) -> None:
        self._name = name
        self._width = width
        self._monotonic = monotonic
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        #: when each thread that is at work began with what it does
        self._working: dict[int, float] = {}
        self._threads = 0
        self._unbegun = 0

    def put(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._unbegun += 1
            self._waiting.put(work)
            idle = self._threads - len(self._working)
            if idle < self._unbegun and self._threads < self._width:
                self._threads += 1
                threading.Thread(target=self._run, name=f"secrets-{self._name}", daemon=True).start()

    def outwaits(self, done: threading.Event, patience: float) -> bool:
        """Wait for `done`, for as long as `patience` and no longer than that on work that holds everybody up."""
        deadline = self._monotonic() + patience
        while not done.wait(0.02):
            if self._monotonic() >= deadline or self.is_stuck(patience):
                return done.is_set()
        return True

    def is_stuck(self, patience: float) -> bool:
        """Whether all of it hangs on work that has taken longer than that."""
        with self._lock:
            began = list(self._working.values())
        return len(began) >= self._width and all(self._monotonic() - each >= patience for each in began)

    def _run(self) -> None:
        me = threading.get_ident()
        while True:
            try:
                work = self._waiting.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    if self._unbegun:
                        continue
                    self._threads -= 1
                    return
            with self._lock:
                self._unbegun -= 1
                self._working[me] = self._monotonic()
            try:
                work()
            finally:
                with self._lock:
                    del self._working[me]


def _outcome(ask: Callable[[], _Answer], failed: str) -> tuple[_Answer | None, SecretUnavailable | None]:
    """What came of it. What a foreign program or library says of its failure is not repeated: it may say too much."""
    try:
        return ask(), None
    except SecretUnavailable as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - the threads' one edge: keyrings are plugins, and raise what they like
        return None, SecretUnavailable(f"{failed} ({type(error).__name__}).")


def unavailable(ref: SecretRef, why: str) -> SecretUnavailable:
    """The refusal of a reference, in the words of every other."""
    return SecretUnavailable(f"The secret {ref.label!r} can't be resolved: {why}.", details={"reference": ref.label})
