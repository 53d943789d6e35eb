"""How one credential is: whether it serves, until when it rests, what it failed with last, and what repairs it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf
from typing import TYPE_CHECKING, Literal

from .inventory import inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..values import RenewalNote
    from .health import State
    from .inventory import Item
    from .workbench import Workbench

__all__ = ["Condition", "conditions", "moment"]

Word = Literal["ok", "expires soon", "uncertain", "resting", "invalid", "needs login", "expired", "unusable"]

#: What expires so soon is worth a word before it does.
_SOON_SECONDS = 7 * 24 * 3600
_ADDS = {"oauth": "add-oauth", "token": "add-token"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One credential of this machine. `why` is a sentence and `repair` a command, "" where there is nothing to say.
    `expires` is milliseconds since the epoch, None for what does not or does not say."""

    item: Item
    word: Word
    why: str = ""
    repair: str = ""
    expires: int | None = None
    health: State | None = None

    @property
    def is_broken(self) -> bool:
        """Whether a person has to do something before it serves again."""
        return self.word in {"invalid", "needs login", "expired", "unusable"}


def conditions(bench: Workbench) -> list[Condition]:
    """Every credential but the demo's, as the gateways of this home found it."""
    from .health import credential_states

    states = credential_states(bench)
    notes = _notes(bench)
    return [_condition(bench, item, states, notes) for item in inventory(bench) if item.provider.id != "demo"]


def moment(seconds: float | None) -> str | None:
    """A time of the epoch for a person."""
    from datetime import UTC, datetime

    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "far away"


def _notes(bench: Workbench) -> Mapping[str, RenewalNote]:
    """What is noted of the renewal of each stored sign-in."""
    from ..config.renewals import FileSignIns
    from ..config.source import LiveConfig

    signed_in = [profile.id for profile in bench.snapshot.profiles.values() if profile.refresh is not None]
    if not signed_in:
        return {}
    store = FileSignIns(LiveConfig(bench.path, bench.environ, catalog=bench.catalog))
    return {id_: note for id_ in signed_in if (note := store.note(id_)) is not None}


def _condition(
    bench: Workbench, item: Item, states: Mapping[str, State], notes: Mapping[str, RenewalNote]
) -> Condition:
    health = states.get(item.id)
    expires = _expires(item)
    note = notes.get(item.id)
    for word, why, repair in _findings(item, health, note, expires, bench.clock.now()):
        return Condition(item, word, why, repair, expires, health)
    return Condition(item, "ok", "", "", expires, health)


def _expires(item: Item) -> int | None:
    stored = None if item.profile is None else item.profile.expires
    return stored if item.credential is None or item.credential.expires is None else item.credential.expires


def _findings(
    item: Item, health: State | None, note: RenewalNote | None, expires: int | None, now: float
) -> Iterator[tuple[Word, str, str]]:
    """What is to be said, the worst first."""
    if note is not None and note.state == "needs_login":
        yield "needs login", note.error or "its sign-in has ended", _login(item)
    if item.credential is None:
        lapsed = expires is not None and expires <= now * 1000
        yield ("expired" if lapsed else "unusable"), item.flaw, ""
        return
    until = None if health is None else health.until
    if health is not None and until is not None and isinf(until):
        yield "invalid", "its provider has rejected it", _renewal(item)
    if health is not None and until is not None:
        of = f" ({', '.join(health.models)})" if health.models else ""
        yield "resting", f"until {moment(until)}{of}: {health.reason}", ""
    if note is not None and note.state == "uncertain":
        yield "uncertain", f"its renewal gave no answer: {note.error}", ""
    if expires is not None and not _is_renewed(item) and expires <= (now + _SOON_SECONDS) * 1000:
        yield "expires soon", f"on {moment(expires / 1000)}", _renewal(item)


def _is_renewed(item: Item) -> bool:
    """Whether somebody sees to it: the gateway itself, or the program that it belongs to."""
    return (item.credential is not None and item.credential.renewable) or bool(_owner(item))


def _owner(item: Item) -> str:
    """What renews a sign-in of another program, by that program's own command."""
    from ..auth.imports.repairs import owners_repair

    if item.profile is None or item.profile.refresh is not None:
        return ""
    return owners_repair(item.profile.metadata.get("source"))


def _login(item: Item) -> str:
    name = item.id.partition(":")[2]
    more = "" if name in ("", "default") else f" --profile {name}"
    return f"open-llm-auth auth login {item.provider.id}{more}"


def _renewal(item: Item) -> str:
    """The command that gives this credential anew: its owner's, the sign-in, or that which stored it."""
    from ..provider_catalog import load_sign_ins

    if item.profile is None:
        place = item.id.partition(":")[2] if item.id.startswith("env:") else ""
        return f"set {place} anew" if place else ""
    if owner := _owner(item):
        return owner
    if item.profile.type == "oauth" and item.provider.id in load_sign_ins():
        return _login(item)
    name = item.id.partition(":")[2]
    return f"open-llm-auth auth {_ADDS.get(item.profile.type, 'add-api-key')} {item.provider.id} --profile {name}"
