"""`open-llm-auth auth import`: refer to the sign-ins that other programs on this machine have, or copy their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from . import edits
from .asking import ask, at_terminal
from .exporting import import_sealed, is_sealed
from .output import JsonOption, note, printable, say, say_json, say_table
from .storing import PICKED_UP, say_obstacles
from .workbench import Workbench

if TYPE_CHECKING:
    from ..auth.imports.found import Found
    from .finding import Finding

__all__ = ["import_credentials"]

Way = Literal["reference", "copy"]

_ANSWERS: dict[str, Way | Literal["skip"]] = {
    "r": "reference",
    "reference": "reference",
    "c": "copy",
    "copy": "copy",
    "s": "skip",
    "skip": "skip",
}
_YES = frozenset({"y", "yes"})
#: Schemes that are looked up when it is asked whether a credential is stored already; the others ask other programs.
_QUICK = frozenset({"literal", "env", "file"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One credential that was found, and where it stands with it. `taken` is the profile that has it already."""

    found: Found
    taken: str
    state: str
    expired: bool

    @property
    def is_open(self) -> bool:
        """Whether it can be imported at all."""
        return not self.taken and not self.found.flaw and self.found.offer != "never"

    @property
    def ways(self) -> tuple[Way, ...]:
        """How it may be imported, the better way first."""
        ways: list[Way] = ["reference"] if self.found.reference else []
        return (*ways, "copy") if self.found.kind == "key" and self.found.secret is not None else tuple(ways)


def import_credentials(
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="A file of another program, or the directory it is in.")
    ] = None,
    sources: Annotated[
        list[str] | None, typer.Option("--from", metavar="SOURCE", help="Only what this program has; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Import all that may be, without asking for each.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy plain keys into the config file.")] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Refer to everything where it is, and copy nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="With --from: say yes to what its provider restricts too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Use the sign-ins and keys that other programs on this machine have. Sign-ins are referred to, never copied, and
    stay with the program that renews them. Nothing is sent anywhere."""
    if path is not None and is_sealed(path):
        import_sealed(path, replace=False, references=reference, dry_run=dry_run, stdin=False)
        return
    wanted = _sources(sources)
    if copy and reference:
        raise typer.BadParameter("--copy and --reference can't both be")
    if yes and not wanted:
        raise typer.BadParameter("--yes says yes to one program's sign-in: name it with --from SOURCE")
    asks = at_terminal() and not (everything or dry_run or json or yes)
    if not (asks or everything or dry_run or wanted):
        raise typer.BadParameter(
            "there is nobody to ask: name what to import with --from SOURCE, take all with --all, or only look with "
            "--dry-run"
        )
    bench = Workbench.here()
    finding = _look(bench, path, wanted)
    entries = _entries(bench, finding.found)
    if not json:
        _show(entries, finding.notes)
    way: Way | None = "copy" if copy else "reference" if reference else None
    agrees = yes or None if wanted and not (json or dry_run) else yes
    chosen = _chosen(entries, way, asks=asks, agrees=agrees)
    profiles = _profiles(bench, chosen)
    if profiles and not dry_run:
        bench.file.update(_change(profiles))
    imported = [
        {"id": id_, "provider": found.provider, "copied": way == "copy"}
        for id_, (found, way) in zip(profiles, chosen, strict=True)
    ]
    if json:
        told = {"found": list(map(_described, entries)), "imported": imported, "dryRun": dry_run}
        say_json({**told, "notes": finding.notes})
    else:
        _tell(bench, imported, dry_run)
    if wanted and not profiles and not any(entry.taken for entry in entries):
        raise typer.Exit(1)


def _sources(named: Sequence[str] | None) -> frozenset[str]:
    # Late, as everything of the gateway's own is: see application.py.
    from ..auth.imports.sources import SOURCES

    for name in named or ():
        if name not in SOURCES:
            raise typer.BadParameter(f"no source is called {name!r}; there are: {', '.join(SOURCES)}")
    return frozenset(named or ())


def _look(bench: Workbench, path: Path | None, wanted: frozenset[str]) -> Finding:
    from .finding import look_around, look_at

    if path is None:
        return look_around(bench, wanted)
    if len(wanted) > 1:
        raise typer.BadParameter("with a PATH, --from names one program")
    return look_at(bench, path, next(iter(wanted), None))


# --- what there is ----------------------------------------------------------------------------------------------


def _entries(bench: Workbench, found: Sequence[Found]) -> list[_Entry]:
    now = bench.clock.now() * 1000
    entries = []
    for each in found:
        taken = _taken(bench, each)
        expired = each.is_expired(now)
        entries.append(_Entry(each, taken, _state(each, taken, expired), expired))
    return entries


def _state(found: Found, taken: str, expired: bool) -> str:
    if taken:
        return f"imported: {taken}"
    if found.flaw:
        return "not usable"
    if found.offer != "free":
        return "forbidden" if found.offer == "never" else "restricted"
    if expired:
        return "expired"
    return "in use" if _serves_already(found) else "usable"


def _serves_already(found: Found) -> bool:
    """A variable that the gateway looks at by itself, if it is started from the same shell."""
    from ..auth.imports.variables import ENVIRONMENT

    return found.source == ENVIRONMENT and found.offer == "free"


def _taken(bench: Workbench, found: Found) -> str:
    """The stored profile that is the same credential; "" for none."""
    from ..auth.secrets import parse_reference
    from ..errors import SecretUnavailable

    wanted = parse_reference(found.reference, all_caps=False) if found.reference else None
    for profile in bench.snapshot.profiles.values():
        ref = profile.secret
        if ref is None or profile.provider != found.provider:
            continue
        if ref == wanted:
            return profile.id
        if ref.scheme in _QUICK and found.secret is not None:
            try:
                if bench.secrets.get(ref) == found.secret:
                    return profile.id
            except SecretUnavailable:
                pass  # what can't be had now is not this one
    return ""


def _show(entries: Sequence[_Entry], notes: Sequence[str]) -> None:
    if entries:
        say_table(_HEADINGS, [_row(entry) for entry in entries])
    else:
        say("Nothing was found.")
    # what a provider says of its sign-ins it says of all of them
    remarks = dict.fromkeys(text for entry in entries for text in _remarks(entry))
    for text in (*remarks, *notes):
        note(printable(text))


_HEADINGS = ("SOURCE", "PROVIDER", "WHAT", "ACCOUNT", "EXPIRES", "STATE")


def _row(entry: _Entry) -> tuple[str, ...]:
    found = entry.found
    who = found.email or found.account or "-"
    return found.source, found.provider or "-", found.title, who, _date(found.expires) or "-", entry.state


def _remarks(entry: _Entry) -> list[str]:
    """What a person should know before importing it."""
    found = entry.found
    if entry.taken:
        return []
    said = [f"{found.title}: {text}" for text in (found.flaw, found.note) if text]
    if entry.expired and not found.flaw and found.offer != "never":
        said.append(f"{found.title}: it has expired. Repair: {found.repair or 'a new one'}")
    return [*said, _risk(found)] if found.risk else said


def _risk(found: Found) -> str:
    return f"{found.provider}: {found.risk} See {found.terms_url}"


def _date(milliseconds: int | None) -> str:
    from datetime import UTC, datetime

    if milliseconds is None:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "far away"


# --- what is taken ----------------------------------------------------------------------------------------------


def _chosen(entries: Sequence[_Entry], way: Way | None, *, asks: bool, agrees: bool | None) -> list[tuple[Found, Way]]:
    """What is imported, and how. `agrees` is the word on what a provider restricts, None to be asked for each."""
    chosen: list[tuple[Found, Way]] = []
    seen: set[object] = set()
    for entry in entries:
        marks = _marks(entry.found)
        if not entry.is_open or (not asks and not seen.isdisjoint(marks)):
            continue
        answer = _asked(entry, way) if asks else _unasked(entry, way, agrees)
        if answer is not None:
            chosen.append((entry.found, answer))
            seen |= marks
    return chosen


def _marks(found: Found) -> set[object]:
    """What two entries share that are the same credential: its text, or the account of a sign-in in one program."""
    marks: set[object] = set() if found.secret is None else {found.secret}
    account = found.email or found.account
    return marks | {(found.source, found.provider, account)} if account and found.kind == "reference" else marks


def _unasked(entry: _Entry, way: Way | None, agrees: bool | None) -> Way | None:
    """What becomes of it when nobody is asked. A restricted one wants an explicit yes all the same, which without a
    terminal is a line of standard input."""
    found = entry.found
    if _serves_already(found) and way != "copy":
        return None
    if found.kind == "key" and entry.expired:
        return None
    if found.offer == "ask" and not (_insists(found) if agrees is None else agrees):
        return None
    return _way(entry, way)


def _way(entry: _Entry, way: Way | None) -> Way | None:
    """The way that was asked for where it is possible; a sign-in is referred to even where keys are copied."""
    if way == "copy":
        return "copy" if "copy" in entry.ways else next(iter(entry.ways), None)
    return next((each for each in entry.ways if way in (None, each)), None)


def _asked(entry: _Entry, way: Way | None) -> Way | None:
    found = entry.found
    say()
    say(printable(f"{found.title} ({found.source}), for {found.provider}: {entry.state}"))
    if found.offer == "ask":
        say(printable(_risk(found)))
        if not _insists(found):
            return None
    ways = entry.ways if way is None else tuple(each for each in (_way(entry, way),) if each is not None)
    if not ways:
        return None
    offered = ", ".join(f"[{each[0]}]{each[1:]}" for each in ways)
    default = "s" if _serves_already(found) else ways[0][0]
    while True:
        answer = _ANSWERS.get(ask(f"{offered} or [s]kip", default).lower())
        if answer == "skip":
            return None
        if answer in ways:
            return answer
        say("Please answer with one of those letters.")


def _insists(found: Found) -> bool:
    """An explicit yes to this very one."""
    return ask(f"Import the {printable(found.title)} all the same? (yes or no)", "no").lower() in _YES


def _profiles(bench: Workbench, chosen: Sequence[tuple[Found, Way]]) -> dict[str, dict[str, Any]]:
    """The profiles to store, each under an id that is free."""
    now = bench.clock.now() * 1000
    made: dict[str, dict[str, Any]] = {}
    for found, way in chosen:
        made[_free_id(f"{found.provider}:{found.source}", {*bench.snapshot.profiles, *made})] = found.profile(
            now, copied=way == "copy"
        )
    return made


def _free_id(wanted: str, used: set[str]) -> str:
    number = 2
    free = wanted
    while free in used:
        free = f"{wanted}-{number}"
        number += 1
    return free


def _change(profiles: dict[str, dict[str, Any]]) -> edits.Change:
    def change(data: dict[str, Any]) -> None:
        for profile_id, fields in profiles.items():
            edits.put_profile(profile_id, fields)(data)

    return change


# --- what is said of it -----------------------------------------------------------------------------------------


def _tell(bench: Workbench, imported: Sequence[dict[str, Any]], dry_run: bool) -> None:
    verb = "Would import" if dry_run else "Imported"
    for row in imported:
        say(f"{verb} {row['id']} ({'copied' if row['copied'] else 'referred to where it is'}).")
    if not imported:
        say("Nothing was imported.")
    elif not dry_run:
        say(f"Stored in {bench.path}. {PICKED_UP}")
        for provider_id in dict.fromkeys(row["provider"] for row in imported):
            say_obstacles(bench, bench.provider(provider_id))


def _described(entry: _Entry) -> dict[str, Any]:
    """All that may be said of it; never its secret."""
    found = entry.found
    return {
        "source": found.source,
        "provider": found.provider or None,
        "title": found.title,
        "kind": found.kind,
        "type": found.type,
        "path": found.path,
        "reference": found.reference or None,
        "account": found.account,
        "email": found.email,
        "expires": found.expires,
        "state": entry.state.partition(":")[0],
        "profile": entry.taken or None,
        "ways": list(entry.ways) if entry.is_open else [],
        "note": found.note or found.flaw or None,
        "risk": found.risk or None,
        "termsUrl": found.terms_url or None,
        "repair": found.repair or None,
    }
