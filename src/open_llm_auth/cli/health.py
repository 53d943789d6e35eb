"""How credentials are, as the gateways of this home found them; and `open-llm-auth auth reset`, which clears that."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated

import typer

from .inventory import inventory
from .output import say
from .workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..auth.kept import Kept, KeptCredential, LastError
    from ..auth.limits import Told
    from ..values import Credential

__all__ = ["State", "credential_states", "reset"]


@dataclass(frozen=True, slots=True)
class State:
    """One credential. Times are seconds since the epoch.

    `until` is None where nothing rests, and inf for what is invalid until its secret changes. `models` are those that
    rest where the whole does not; `reason` is the kind of fault (values.FaultKind) that the longest rest began with.
    """

    id: str
    provider: str
    until: float | None = None
    models: tuple[str, ...] = ()
    reason: str = ""
    last_used: float | None = None
    last_error: LastError | None = None
    told: Told | None = None

    @property
    def level(self) -> str | None:
        """`credential` or `model`; None where nothing rests."""
        if self.until is None:
            return None
        return "model" if self.models else "credential"


def credential_states(bench: Workbench) -> Mapping[str, State]:
    """What is known of the credentials of this machine, by their ids; nothing of those that were never called.

    Of one that can't be used now there is what it did last.

    Raises:
        ConfigUnavailable: it can't be read.
    """
    from ..config.health_file import health_path, read_health

    found = read_health(health_path(bench.path))
    if found is None:
        return {}
    salt, kept = found
    now = bench.clock.now()
    states: dict[str, State] = {}
    for item in inventory(bench):
        known = _newest_first(kept, item.provider.id, item.id)
        if item.credential is not None:
            known = _of_secret(salt, kept, item.credential)
        state = _state(item.id, item.provider.id, known, now, rests=item.credential is not None)
        if state is not None and _says_more(state, states.get(item.id)):
            states[item.id] = state
    return states


def _of_secret(salt: bytes, kept: Kept, credential: Credential) -> list[KeptCredential]:
    from ..auth.marks import marks_of

    return [kept.credentials[mark] for mark in marks_of(salt, credential) if mark in kept.credentials]


def _newest_first(kept: Kept, provider: str, credential: str) -> list[KeptCredential]:
    same = [each for each in kept.credentials.values() if (each.provider, each.id) == (provider, credential)]
    return sorted(same, key=lambda each: -each.touched)


def _says_more(state: State, other: State | None) -> bool:
    """One variable may be the key of two providers: the one that rests longer is shown, else the one used later."""
    if other is None:
        return True
    return (state.until or 0.0, state.last_used or 0.0) > (other.until or 0.0, other.last_used or 0.0)


def _state(
    credential: str, provider: str, known: list[KeptCredential], now: float, *, rests: bool = True
) -> State | None:
    if not known:
        return None
    found = list(_resting(known, now)) if rests else []
    whole = [(until, kind) for level, until, kind in found if not level]
    until, reason = max(whole or [(until, kind) for _, until, kind in found], default=(None, ""))
    told = [each.told for each in known if each.told is not None]
    errors = [each.error for each in known if each.error is not None]
    return State(
        id=credential,
        provider=provider,
        until=until,
        models=() if whole else tuple(sorted(level for level, _, _ in found)),
        reason=reason,
        last_used=max(each.used for each in known) or None,
        last_error=max(errors, key=lambda error: error.at, default=None),
        told=max(told, key=lambda each: each.at, default=None),
    )


def _resting(known: Iterable[KeptCredential], now: float) -> Iterator[tuple[str, float, str]]:
    """Level, end and kind of every rest that is not over. After a clock was set back it lasts as long as was meant."""
    for credential in known:
        for level, rest in credential.rests.items():
            longest = inf if rest.seconds is None else now + rest.seconds
            if rest.kind and min(rest.ends, longest) > now:
                yield level, min(rest.ends, longest), rest.kind


# ---------------------------------------------------------------------------------------------- auth reset


def reset(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[PROFILE|PROVIDER]", help="Such as openai:default, env:OPENAI_API_KEY or openai."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Of every credential.")] = False,
) -> None:
    """Let a credential that rests, or was found invalid, be tried again at once. A running gateway hears of it within
    2 seconds."""
    from ..auth.kept import Kept, Reset
    from ..config.health_file import HealthFile, health_path, read_health

    if (name is None) != everything:
        raise typer.BadParameter("name a credential or a provider, or give --all")
    bench = Workbench.here()
    now = bench.clock.now()
    path = health_path(bench.path)
    found = read_health(path)
    kept = Kept() if found is None else found[1]
    scopes = [("", "")] if name is None else _scopes(bench, kept, name)
    if found is None:
        say("Nothing rests: no gateway of this home has noted anything yet.")
        return
    cleared = [_describe(each, now) for each in _covered(kept, scopes)]
    file = HealthFile(path, now=bench.clock.now, on_event=lambda _: None)
    file.load()
    file.reset(*(Reset(now, provider, credential) for provider, credential in scopes))
    for text in filter(None, cleared):
        say(text)
    if not any(cleared):
        say("Nothing rested.")


def _scopes(bench: Workbench, kept: Kept, name: str) -> list[tuple[str, str]]:
    """Provider and credential id that `name` means; of a whole provider no id.

    Raises:
        ProviderNotFound, ProfileNotFound: it means nothing.
    """
    known = {(each.provider, each.id) for each in kept.credentials.values()}
    known |= {(item.provider.id, item.id) for item in inventory(bench)}
    exact = sorted(scope for scope in known if scope[1] == name)
    if exact:
        return exact
    if ":" in name:
        stored = bench.profile(name)
        return [(stored.provider, stored.id)]
    return [(bench.provider(name).id, "")]


def _covered(kept: Kept, scopes: list[tuple[str, str]]) -> list[KeptCredential]:
    return [
        each
        for each in kept.credentials.values()
        if any(provider in {"", each.provider} and credential in {"", each.id} for provider, credential in scopes)
    ]


def _describe(credential: KeptCredential, now: float) -> str:
    state = _state(credential.id, credential.provider, [credential], now)
    if state is None or state.until is None:
        return ""
    what = f"{len(state.models)} models of {state.id}" if state.models else state.id
    if state.until == inf:
        return f"Cleared {what}: its provider had rejected it."
    return f"Cleared {what}: {_minutes(state.until - now)} of rest were left ({state.reason})."


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
