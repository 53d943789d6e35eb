"""Which credentials rest, and until when (SPEC §5): in memory, per credential and per model of it, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from types import MappingProxyType
from typing import Final, Literal

from ..values import Credential, Fault, FaultKind

__all__ = ["HealthTable"]

_MINUTE: Final = 60.0
_HOUR: Final = 60 * _MINUTE

#: A provider may state a reset of a week or a month; beyond this it is a mistake in its header.
_LONGEST_STATED: Final = 31 * 24 * _HOUR
#: Overload passes: what the provider states is kept, but not for long.
_LONGEST_OVERLOAD: Final = _MINUTE

_MOST_CREDENTIALS: Final = 1024
_MOST_MODELS: Final = 64


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a kind of fault does: rest `level` for the next of `ladder` (seconds), or as long as the provider states.

    An empty ladder rests only for a stated time, of at most `longest`.
    """

    level: Literal["model", "credential"]
    ladder: tuple[float, ...] = ()
    longest: float = _LONGEST_STATED


_COOL_DOWN: Final = (_MINUTE, 5 * _MINUTE, 25 * _MINUTE, _HOUR)

#: Kinds that are absent say nothing about the credential: `server`, `invalid`, `unreachable`, `rejected`. A time-out
#: says little, but somebody has waited for it, and the next caller need not while another credential answers.
_RULES: Final[Mapping[FaultKind, _Rule]] = MappingProxyType(
    {
        "auth": _Rule("credential", (inf,), longest=0.0),
        "billing": _Rule("credential", (2 * _HOUR, 6 * _HOUR, 24 * _HOUR)),
        "rate_limit": _Rule("model", _COOL_DOWN),
        "denied": _Rule("model", _COOL_DOWN),
        "overloaded": _Rule("model", longest=_LONGEST_OVERLOAD),
        "timeout": _Rule("model", (_MINUTE,), longest=_LONGEST_OVERLOAD),
    }
)

#: A caller without a secret has none to change, so a 401 can't invalidate it for good.
_NAMELESS: Final = _Rule("credential", _COOL_DOWN)


@dataclass(slots=True)
class _Rest:
    """`until` is monotonic seconds; `strikes` counts rests in a row since the last success."""

    until: float = 0.0
    strikes: int = 0

    def extend(self, rule: _Rule, stated: float | None, now: float) -> None:
        """Calls that were under way together are one strike: a fault during a rest only prolongs a stated one."""
        rested = now >= self.until
        if stated is not None and rule.longest:
            self.until = max(self.until, now + min(stated, rule.longest))
        elif rested and rule.ladder:
            self.until = now + rule.ladder[min(self.strikes, len(rule.ladder) - 1)]
        self.strikes += rested


@dataclass(slots=True)
class _State:
    """One credential. A changed secret or address makes it another one, so `mark` is compared at every use."""

    mark: int
    whole: _Rest = field(default_factory=_Rest)
    models: dict[str, _Rest] = field(default_factory=dict)


class HealthTable:
    """The health of every credential that failed lately. Times are monotonic seconds, handed in.

    A rest that ended keeps its strikes until a success, so that the next failure rests longer. At most 1,024
    credentials and 64 models of each are remembered; the oldest goes first.
    """

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], _State] = {}

    def __len__(self) -> int:
        """How many credentials have a record; 0 lets a caller skip asking."""
        return len(self._states)

    def resting(self, credential: Credential, model: str, now: float) -> float | None:
        """Seconds until this model of the credential is due; inf when it is invalid, None when it is not resting."""
        state = self._state(credential)
        if state is None:
            return None
        until = state.whole.until
        if (rest := state.models.get(model)) is not None:
            until = max(until, rest.until)
        return until - now if until > now else None

    def succeeded(self, credential: Credential, model: str, now: float) -> None:
        """The first success clears the credential and this model of it; its other models rest on."""
        if not self._states or (state := self._state(credential)) is None:
            return
        state.models.pop(model, None)
        state.whole = _Rest()
        if not any(rest.until > now for rest in state.models.values()):
            self.reset(credential.id, provider=credential.provider)

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
        state = self._record(credential)
        if rule.level == "credential":
            state.whole.extend(rule, stated, now)
            return
        rest = _remembered(state.models, model)
        rest.extend(rule, stated, now)
        # A second model that hits its limit shows that the limit is the account's.
        if fault.kind == "rate_limit" and any(
            other is not rest and other.until > now for other in state.models.values()
        ):
            state.whole.until = max(state.whole.until, rest.until)

    def reset(self, credential_id: str | None = None, *, provider: str | None = None) -> None:
        """Forget what is known of one credential id (of one provider, where two share it), or of all."""
        if credential_id is None:
            self._states.clear()
            return
        for key in [key for key in self._states if key[1] == credential_id and provider in {None, key[0]}]:
            del self._states[key]

    def _state(self, credential: Credential) -> _State | None:
        state = self._states.get((credential.provider, credential.id))
        return state if state is not None and state.mark == _mark(credential) else None

    def _record(self, credential: Credential) -> _State:
        if (state := self._state(credential)) is not None:
            return state
        key = (credential.provider, credential.id)
        self._states.pop(key, None)
        if len(self._states) >= _MOST_CREDENTIALS:
            del self._states[next(iter(self._states))]
        state = self._states[key] = _State(_mark(credential))
        return state


def _mark(credential: Credential) -> int:
    """What makes it the same credential. A hash, so that no secret outlives the config that held it."""
    return hash((credential.secret, credential.endpoint, credential.aws_profile, credential.aws_region))


def _remembered(models: dict[str, _Rest], model: str) -> _Rest:
    rest = models.pop(model, None) or _Rest()
    if len(models) >= _MOST_MODELS:
        del models[next(iter(models))]
    models[model] = rest
    return rest


def _stated(retry_after: float | None) -> float | None:
    """A stated time that makes sense; a provider can write anything into a header."""
    return retry_after if retry_after is not None and isfinite(retry_after) and retry_after >= 0 else None
