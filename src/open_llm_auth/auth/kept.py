"""What is kept of the health of credentials beyond a process, and how what two of them know becomes one (SPEC §5).

All times are seconds since the epoch. The newest word about a thing counts; that a rest is over is a word too. A word
from the future was spoken before the clock was set back, and counts less than any other.
"""

from __future__ import annotations

from math import inf
from typing import Annotated, Final, TypeVar

import msgspec

from .limits import Told

__all__ = [
    "CLOCK_JUMP",
    "WHOLE",
    "Kept",
    "KeptCredential",
    "KeptRest",
    "LastError",
    "Reset",
    "differences",
    "merged",
    "moved_back",
    "pruned",
]

#: The level that is the whole credential; every other one is a model's name.
WHOLE: Final = ""
#: Seconds. So far may two readings of the clock lie apart without its having been set.
CLOCK_JUMP: Final = 1.0

_DAY: Final = 24 * 3600.0
#: A provider may state a month.
_FORGET_SECONDS: Final = 35 * _DAY
_MOST_CREDENTIALS: Final = 256
_MOST_LEVELS: Final = 32
_MOST_RESETS: Final = 64
_LONGEST: Final = 256

Text = Annotated[str, msgspec.Meta(max_length=_LONGEST)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class KeptRest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rest as it became at `at`: meant for `seconds`, None for good. A rest without a `kind` is none any more."""

    at: float
    kind: Text = ""
    until: float | None = 0.0
    seconds: float | None = 0.0
    strikes: Count = 0

    @property
    def ends(self) -> float:
        return inf if self.until is None else self.until


class LastError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a credential failed with last. `message` is a sentence without secrets and without anybody's prompt."""

    at: float
    kind: Text
    code: Text
    status: int | None = None
    message: Text = ""


class KeptCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one credential; `used` is when it last answered well."""

    provider: Text
    id: Text
    rests: dict[str, KeptRest] = {}
    used: float = 0.0
    error: LastError | None = None
    told: Told | None = None

    @property
    def touched(self) -> float:
        """When anything was last learnt of it."""
        about = (self.error.at if self.error else 0.0, self.told.at if self.told else 0.0)
        return max(self.used, *about, *(rest.at for rest in self.rests.values()))


_Word = TypeVar("_Word", LastError, Told)


class Reset(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's word that whatever rested until then does not: of one credential, one provider, or all."""

    at: float
    provider: Text = ""
    id: Text = ""

    def covers(self, provider: str, credential: str) -> bool:
        return self.provider in {"", provider} and self.id in {"", credential}


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything, credentials by their mark (`auth/marks.py`)."""

    credentials: dict[str, KeptCredential] = {}
    resets: tuple[Reset, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.credentials or self.resets)


def merged(old: Kept, new: Kept, now: float) -> Kept:
    """What both know together; where they say as much, `new` counts."""
    credentials = dict(old.credentials)
    for mark, credential in new.credentials.items():
        known = credentials.get(mark)
        credentials[mark] = credential if known is None else _merged_credential(known, credential, now)
    newest: dict[tuple[str, str], Reset] = {}
    for reset in (*old.resets, *new.resets):
        scope = (reset.provider, reset.id)
        if scope not in newest or _standing(reset.at, now) >= _standing(newest[scope].at, now):
            newest[scope] = reset
    return Kept(credentials, tuple(newest.values()))


def _merged_credential(old: KeptCredential, new: KeptCredential, now: float) -> KeptCredential:
    rests = dict(old.rests)
    for level, rest in new.rests.items():
        if level not in rests or _standing(rest.at, now) >= _standing(rests[level].at, now):
            rests[level] = rest
    return KeptCredential(
        provider=new.provider,
        id=new.id,
        rests=rests,
        used=max((old.used, new.used), key=lambda at: _standing(at, now)),
        error=_newer(old.error, new.error, now),
        told=_newer(old.told, new.told, now),
    )


def _newer(old: _Word | None, new: _Word | None, now: float) -> _Word | None:
    if old is None or new is None:
        return old or new
    return new if _standing(new.at, now) >= _standing(old.at, now) else old


def _standing(at: float, now: float) -> float:
    return at if at <= now + CLOCK_JUMP else -at


def pruned(kept: Kept, now: float) -> Kept:
    """Without what means nothing any more, and no more of the rest than a small file holds, the newest of it."""
    resets = [reset for reset in kept.resets if now - _DAY < reset.at <= now + CLOCK_JUMP]
    resets = sorted(resets, key=lambda reset: reset.at)[-_MOST_RESETS:]
    found = {mark: _pruned_credential(each, resets, now) for mark, each in kept.credentials.items()}
    answered: dict[tuple[str, str], float] = {}
    for each in found.values():
        place = (each.provider, each.id)
        answered[place] = max(answered.get(place, 0.0), each.used)
    # A credential that has answered since stands for its name: an older secret of that name is nobody's.
    alive = [
        (mark, each)
        for mark, each in found.items()
        if now - each.touched < _FORGET_SECONDS
        and (each.touched >= answered[each.provider, each.id])
        and (each.rests or each.used or each.error or each.told)
    ]
    alive = sorted(alive, key=lambda pair: pair[1].touched)[-_MOST_CREDENTIALS:]
    return Kept(dict(alive), tuple(resets))


def _pruned_credential(credential: KeptCredential, resets: list[Reset], now: float) -> KeptCredential:
    over = max((each.at for each in resets if each.covers(credential.provider, credential.id)), default=0.0)
    rests = [
        (level, rest)
        for level, rest in credential.rests.items()
        if max(rest.at, rest.ends) > now - _DAY and rest.at > over and len(level) <= _LONGEST
    ]
    rests = sorted(rests, key=lambda pair: pair[1].at)[-_MOST_LEVELS:]
    return msgspec.structs.replace(credential, rests=dict(rests))


def moved_back(kept: Kept, known: Kept, seconds: float) -> Kept:
    """`kept` after the clock was set back by `seconds`. What differs from `known` was written since, by its word."""
    return Kept(
        {
            mark: _moved_credential(each, known.credentials.get(mark), seconds)
            for mark, each in kept.credentials.items()
        },
        tuple(
            msgspec.structs.replace(reset, at=reset.at - seconds) if reset in known.resets else reset
            for reset in kept.resets
        ),
    )


def _moved_credential(credential: KeptCredential, known: KeptCredential | None, seconds: float) -> KeptCredential:
    if known is None:
        return credential
    rests = {
        level: _moved(rest, seconds) if rest == known.rests.get(level) else rest
        for level, rest in credential.rests.items()
    }
    return msgspec.structs.replace(credential, rests=rests)


def _moved(rest: KeptRest, seconds: float) -> KeptRest:
    until = None if rest.until is None else rest.until - seconds
    return msgspec.structs.replace(rest, at=rest.at - seconds, until=until)


def differences(kept: Kept, known: Kept) -> Kept:
    """What of `kept` is new to one who knows `known`."""
    news = {}
    for mark, each in kept.credentials.items():
        before = known.credentials.get(mark)
        if before is None:
            news[mark] = each
        elif each != before:
            rests = {level: rest for level, rest in each.rests.items() if rest != before.rests.get(level)}
            news[mark] = msgspec.structs.replace(each, rests=rests)
    return Kept(news, tuple(reset for reset in kept.resets if reset not in known.resets))
