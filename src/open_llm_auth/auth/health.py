"""Which credentials rest, and until when (SPEC §5): in memory, per credential and per model of it, bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from types import MappingProxyType
from typing import Final, Literal

from ..values import Credential, Fault, FaultKind
from .kept import CLOCK_JUMP, WHOLE, Kept, KeptCredential, KeptRest, Reset
from .marks import account_mark, marks_of, secret_mark

__all__ = ["BEING_TRIED", "HealthTable", "Rest"]

_MINUTE: Final = 60.0
_HOUR: Final = 60 * _MINUTE

#: A provider may state a reset of a week or a month; beyond this it is a mistake in its header.
_LONGEST_STATED: Final = 31 * 24 * _HOUR
#: Overload passes: what the provider states is kept, but not for long.
_LONGEST_OVERLOAD: Final = _MINUTE

_MOST_CREDENTIALS: Final = 1024
_MOST_MODELS: Final = 64
#: A file, a reload and a renewal leave older secrets of the same name behind.
_MOST_SECRETS: Final = 4
_MOST_CHANGES: Final = 4096
#: Two times nearer than this are one.
_TICK: Final = 0.05

#: What `resting` gives for one that is due, while another call is finding out whether it works again.
BEING_TRIED: Final = 0.0


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a kind of fault does: rest `level` for the next of `ladder` (seconds), or as long as the provider states.

    An empty ladder rests only for a stated time, of at most `longest`. `least`: a stated time counts only where it is
    longer than the ladder's.
    """

    level: Literal["model", "credential"]
    ladder: tuple[float, ...] = ()
    longest: float = _LONGEST_STATED
    least: bool = False


_COOL_DOWN: Final = (_MINUTE, 5 * _MINUTE, 25 * _MINUTE, _HOUR)

#: Kinds that are absent say nothing about the credential: `server`, `invalid`, `unreachable`, `rejected`. A time-out
#: says little, but somebody has waited for it, and the next caller need not while another credential answers. A spent
#: account often comes with the resets of its requests per minute, which nobody waits for.
_RULES: Final[Mapping[FaultKind, _Rule]] = MappingProxyType(
    {
        "auth": _Rule("credential", (inf,), longest=0.0),
        "billing": _Rule("credential", (2 * _HOUR, 6 * _HOUR, 24 * _HOUR), least=True),
        "rate_limit": _Rule("model", _COOL_DOWN),
        "denied": _Rule("model", _COOL_DOWN),
        "overloaded": _Rule("model", longest=_LONGEST_OVERLOAD),
        "timeout": _Rule("model", (_MINUTE,), longest=_LONGEST_OVERLOAD),
    }
)

#: A caller without a secret has none to change, so a 401 can't invalidate it for good.
_NAMELESS: Final = _Rule("credential", _COOL_DOWN)


@dataclass(slots=True)
class Rest:
    """`since` and `until` are monotonic seconds, `seconds` is how long it was meant for when it began; `strikes` counts
    rests in a row since the last success, `probes` the calls that are trying it now that it is due."""

    since: float = 0.0
    until: float = 0.0
    seconds: float = 0.0
    strikes: int = 0
    kind: str = ""
    probes: int = 0

    def extend(self, kind: str, rule: _Rule, stated: float | None, now: float) -> None:
        """Calls that were under way together are one strike: a fault during a rest of its kind only prolongs a stated
        one."""
        together = now < self.until and kind == self.kind
        strikes = self.strikes if kind == self.kind else 0
        wait = min(stated, rule.longest) if stated is not None and rule.longest else None
        if rule.ladder and not together and (wait is None or rule.least):
            wait = max(wait or 0.0, rule.ladder[min(strikes, len(rule.ladder) - 1)])
        if wait is None or now + wait <= self.until > now:
            return
        self.begin(kind, now + wait, now)
        self.strikes = strikes + (not together)

    def begin(self, kind: str, until: float, now: float) -> None:
        self.kind, self.since, self.until, self.seconds = kind, now, until, until - now


#: What rests of one credential by one of its marks: models by their names, and the whole of it under `WHOLE`.
_Levels = dict[str, Rest]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something changed: provider and credential, the mark, and the level."""

    provider: str
    id: str
    mark: str
    level: str


class HealthTable:
    """The health of every credential that failed lately. Times are monotonic seconds, handed in.

    A rest that ended keeps its strikes until a success, so that the next failure rests longer. At most 1,024
    credentials and 64 models of each are remembered; the oldest goes first. `salt` keys the marks by which a changed
    secret is another credential; who shares what `changes` gives shares the salt.
    """

    def __init__(self, salt: bytes = b"") -> None:
        self._salt = salt
        self._states: dict[tuple[str, str], dict[str, _Levels]] = {}
        self._changes: dict[_Place, float] = {}
        self._resets: list[tuple[str, str, float]] = []

    def __len__(self) -> int:
        """How many credentials have a record; 0 lets a caller skip asking."""
        return len(self._states)

    def resting(self, credential: Credential, model: str, now: float) -> float | None:
        """Seconds until this model of the credential is due; inf when it is invalid, None when it is not resting, and
        `BEING_TRIED` when it is due and another call is trying it."""
        rests = self._rests(credential, model)
        until = max((rest.until for rest in rests), default=0.0)
        if until > now:
            return until - now
        return BEING_TRIED if any(rest.probes for rest in rests) else None

    def begin(self, credential: Credential, model: str, now: float) -> Sequence[Rest]:
        """A call is about to try it: what is due counts as being tried until `end`, so that others go elsewhere."""
        due = [rest for rest in self._rests(credential, model) if rest.until <= now]
        for rest in due:
            rest.probes += 1
        return due

    def end(self, due: Sequence[Rest]) -> None:
        """The call has come to something, or was given up."""
        for rest in due:
            rest.probes -= 1

    def succeeded(self, credential: Credential, model: str, now: float, began: float = inf) -> None:
        """The first success clears the credential and this model of it; its other models rest on. A call that `began`
        before a rest did says nothing about it."""
        if not self._states or (states := self._states.get((credential.provider, credential.id))) is None:
            return
        marks = marks_of(self._salt, credential)
        for mark in [mark for mark in states if mark not in marks]:
            del states[mark]  # an older secret of that name
        for mark in marks:
            if (state := states.get(mark)) is not None:
                self._clear(_Place(credential.provider, credential.id, mark, ""), state, (WHOLE, model), began, now)
                if not any(rest.until > now for rest in state.values()):
                    del states[mark]
        if not states:
            del self._states[credential.provider, credential.id]

    def failed(self, credential: Credential, model: str, fault: Fault, now: float) -> None:
        """Let the credential, or this model of it, rest as the fault deserves."""
        rule = _RULES.get(fault.kind)
        if rule is None:
            return
        if fault.kind == "auth" and credential.secret is None:
            rule = _NAMELESS
        stated = _stated(fault.retry_after)
        if stated is None and not rule.ladder:
            return
        mark_of = secret_mark if fault.kind == "auth" else account_mark
        state, place = self._record(credential, mark_of(self._salt, credential))
        if rule.level == "credential" or (fault.account_wide and fault.kind == "rate_limit"):
            _remembered(state, WHOLE).extend(fault.kind, rule, stated, now)
            self._note(place, WHOLE, now)
            return
        rest = _remembered(state, model)
        rest.extend(fault.kind, rule, stated, now)
        self._note(place, model, now)
        if fault.kind == "rate_limit":
            self._rise(state, place, rest, now)

    def _rise(self, state: _Levels, place: _Place, rest: Rest, now: float) -> None:
        """A second model that hits its limit shows that the limit is the account's."""
        others = (other for level, other in state.items() if level != WHOLE and other is not rest)
        if not any(other.kind == "rate_limit" and other.until > now for other in others):
            return
        whole = _remembered(state, WHOLE)
        if rest.until > whole.until:
            whole.begin(rest.kind, rest.until, now)
            self._note(place, WHOLE, now)

    def reset(self, credential_id: str | None = None, *, provider: str | None = None, now: float | None = None) -> None:
        """Forget what is known of one credential id (of one provider, where two share it), of a provider, or of all.
        With `now` whoever shares it forgets it too."""
        for key in [key for key in self._states if credential_id in {None, key[1]} and provider in {None, key[0]}]:
            del self._states[key]
        if now is not None:
            self._resets.append((provider or "", credential_id or "", now))

    def counts(self, now: float) -> Mapping[str, int]:
        """How many credentials rest as a whole, are invalid, and how many models of others rest."""
        whole = invalid = models = 0
        for states in self._states.values():
            until = max((s[WHOLE].until for s in states.values() if WHOLE in s), default=0.0)
            whole += now < until < inf
            invalid += until == inf
            if until <= now:
                models += len({level for s in states.values() for level, rest in s.items() if rest.until > now})
        return {"credentials": whole, "invalid": invalid, "models": models}

    # -- what others know --------------------------------------------------------------------------------------

    def changes(self, offset: float) -> Kept:
        """What changed since the last time. `offset` is the wall clock less the monotonic one."""
        changes, self._changes = self._changes, {}
        resets, self._resets = self._resets, []
        found: dict[str, KeptCredential] = {}
        for place, at in changes.items():
            state = self._states.get((place.provider, place.id), {}).get(place.mark)
            rest = None if state is None else state.get(place.level)
            credential = found.setdefault(place.mark, KeptCredential(place.provider, place.id))
            credential.rests[place.level] = KeptRest(at + offset) if rest is None else _kept(rest, offset)
        return Kept(found, tuple(Reset(at + offset, provider, credential) for provider, credential, at in resets))

    def adopt(self, kept: Kept, offset: float, now: float) -> None:
        """What others know and this table did not; what changed here since is newer."""
        for reset in kept.resets:
            self._adopt_reset(reset, offset, now)
        for mark, credential in kept.credentials.items():
            for level, rest in credential.rests.items():
                place = _Place(credential.provider, credential.id, mark, level)
                if place not in self._changes:
                    self._adopt(place, rest, offset, now)

    def restart(self, salt: bytes) -> None:
        """Forget everything: by another salt every credential is another."""
        self._salt = salt
        self._states.clear()
        self._changes.clear()

    def pass_time(self, seconds: float) -> None:
        """Time that the monotonic clock did not count, as while a machine sleeps: rests end by so much sooner."""
        for _, rest in self._all():
            rest.until -= seconds

    def _adopt(self, place: _Place, kept: KeptRest, offset: float, now: float) -> None:
        key = (place.provider, place.id)
        state = self._states.get(key, {}).get(place.mark)
        if not kept.kind:
            if state is not None and state.pop(place.level, None) is not None and not state:
                self._drop(key, place.mark)
            return
        since = min(kept.at - offset, now)
        until = inf if kept.until is None else min(kept.until - offset, now + _meant(kept.seconds))
        if until <= now and not kept.strikes:
            return
        rest = _remembered(self._levels_at(key, place.mark), place.level)
        if abs(rest.since - since) < _TICK and rest.kind == kept.kind:
            return
        rest.begin(kept.kind, until, since)
        rest.strikes = kept.strikes
        if kept.at - offset > now + CLOCK_JUMP:  # the clock was set back: from now on it is counted by its new time
            self._note(place, place.level, now)

    def _adopt_reset(self, reset: Reset, offset: float, now: float) -> None:
        at = reset.at - offset
        if at > now + CLOCK_JUMP:
            return
        for place, rest in list(self._all()):
            if reset.covers(place.provider, place.id) and rest.since <= at:
                models = self._states[place.provider, place.id][place.mark]
                del models[place.level]
                self._changes.pop(place, None)
                if not models:
                    self._drop((place.provider, place.id), place.mark)

    # -- the record --------------------------------------------------------------------------------------------

    def _rests(self, credential: Credential, model: str) -> list[Rest]:
        """What there is of the whole credential and of this model, by each of its marks."""
        states = self._states.get((credential.provider, credential.id))
        if states is None:
            return []
        found = (states[mark] for mark in marks_of(self._salt, credential) if mark in states)
        return [models[level] for models in found for level in (WHOLE, model) if level in models]

    def _all(self) -> Iterator[tuple[_Place, Rest]]:
        for (provider, credential), states in self._states.items():
            for mark, state in states.items():
                for level, rest in state.items():
                    yield _Place(provider, credential, mark, level), rest

    def _clear(self, place: _Place, state: _Levels, levels: Sequence[str], began: float, now: float) -> None:
        for level in levels:
            rest = state.get(level)
            if rest is not None and began >= rest.since:
                del state[level]
                self._note(place, level, now)

    def _note(self, place: _Place, level: str, now: float) -> None:
        place = _Place(place.provider, place.id, place.mark, level)
        self._changes.pop(place, None)
        if len(self._changes) >= _MOST_CHANGES:
            del self._changes[next(iter(self._changes))]
        self._changes[place] = now

    def _record(self, credential: Credential, mark: str) -> tuple[_Levels, _Place]:
        state = self._levels_at((credential.provider, credential.id), mark)
        return state, _Place(credential.provider, credential.id, mark, "")

    def _levels_at(self, key: tuple[str, str], mark: str) -> _Levels:
        states = self._states.get(key)
        if states is None:
            if len(self._states) >= _MOST_CREDENTIALS:
                del self._states[next(iter(self._states))]
            states = self._states[key] = {}
        if mark not in states:
            if len(states) >= _MOST_SECRETS:
                del states[next(iter(states))]
            states[mark] = {}
        return states[mark]

    def _drop(self, key: tuple[str, str], mark: str) -> None:
        states = self._states[key]
        del states[mark]
        if not states:
            del self._states[key]


def _kept(rest: Rest, offset: float) -> KeptRest:
    good = rest.until == inf
    until, seconds = (None, None) if good else (rest.until + offset, rest.seconds)
    return KeptRest(rest.since + offset, rest.kind, until, seconds, rest.strikes)


def _meant(seconds: float | None) -> float:
    return _LONGEST_STATED if seconds is None else max(0.0, min(seconds, _LONGEST_STATED))


def _remembered(levels: _Levels, model: str) -> Rest:
    """The rest of that level, new where there is none; the oldest model goes where there are too many."""
    rest = levels.pop(model, None) or Rest()
    if len(levels) >= _MOST_MODELS:
        del levels[next(level for level in levels if level != WHOLE)]
    levels[model] = rest
    return rest


def _stated(retry_after: float | None) -> float | None:
    """A stated time that makes sense; a provider can write anything into a header."""
    return retry_after if retry_after is not None and isfinite(retry_after) and retry_after >= 0 else None
