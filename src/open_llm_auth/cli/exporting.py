"""`open-llm-auth auth export` and `auth import-sealed`: profiles in a file that a passphrase seals."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .asking import StdinOption, ask_passphrase
from .output import note, printable, say
from .storing import PICKED_UP
from .workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config.sealed_export import Export

__all__ = ["export", "import_sealed", "is_sealed"]

_SECRETS = ("key", "token", "access", "refresh")


def export(
    profiles: Annotated[
        list[str] | None, typer.Argument(metavar="[PROFILE...]", help="Which ones; without a name all of them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to; must not be there yet.", show_default=False)
    ] = None,
    references: Annotated[
        bool, typer.Option("--references", help="Export references as they are, not what stands behind them.")
    ] = False,
    stdin: StdinOption = False,
) -> None:
    """Write profiles and their order into a file that a passphrase seals, for another machine or as a backup."""
    from ..config.sealed_export import write_sealed_export
    from ..config.sealing import check_passphrase
    from ..errors import InvalidRequest

    bench = Workbench.here()
    chosen = [bench.profile(name).id for name in profiles or bench.snapshot.profiles]
    if not chosen:
        raise InvalidRequest("There are no profiles to export.")
    content = _exported(bench, chosen, references=references)
    passphrase = ask_passphrase("Passphrase for the export", stdin=stdin, twice=True)
    wrong = "nothing was given" if passphrase is None else check_passphrase(passphrase)
    if passphrase is None or wrong:
        raise InvalidRequest(f"An export wants a passphrase: {wrong}. Nothing was written.")
    path = out or Path(f"open-llm-auth-export-{datetime.fromtimestamp(bench.clock.now(), UTC):%Y%m%dT%H%M%SZ}.json")
    _write_new(path, write_sealed_export(content, passphrase))
    say(f"Exported {', '.join(map(printable, chosen))} to {path}.")
    say(f"Take it back with: open-llm-auth auth import-sealed {path}")
    for id_, profile in content.profiles.items():
        if profile.get("refresh"):
            note(
                f"{printable(id_)} is a sign-in that renews itself, and every renewal ends the token before it: use it "
                "on one machine only, and sign in anew on the other."
            )


def import_sealed(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `auth export` wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace profiles that are there already.")] = False,
    references: Annotated[
        bool,
        typer.Option("--references", help="Take profiles too that refer to files, programs or variables of a machine."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be imported.")] = False,
    stdin: StdinOption = False,
) -> None:
    """Take profiles from a sealed export."""
    from ..config.sealed_export import read_sealed_export
    from ..errors import InvalidRequest

    bench = Workbench.here()
    raw = _read(file)
    passphrase = ask_passphrase("Passphrase of the export", stdin=stdin)
    if passphrase is None:
        raise InvalidRequest("The export is sealed, and no passphrase was given. Nothing was imported.")
    found = read_sealed_export(raw, passphrase)
    wanted = {
        id_: dict(entry) for id_, entry in found.profiles.items() if _takes(bench, id_, entry, replace, references)
    }
    verb = "would be imported" if dry_run else "imported"
    if wanted and not dry_run:
        bench.file.update(_importing(wanted, found))
    for id_ in wanted:
        say(f"  {verb}: {printable(id_)}")
    say(f"{len(wanted)} of {len(found.profiles)} profiles {verb}.{'' if dry_run or not wanted else ' ' + PICKED_UP}")
    if wanted and not dry_run:
        note("They stand in the config file; move their secrets out of it with: open-llm-auth auth secure")


def is_sealed(path: Path) -> bool:
    """Whether the file looks like what `export` writes."""
    from ..config.sealed_export import is_sealed_export

    try:
        if not path.is_file():  # a pipe that nobody writes to would never be read
            return False
        with path.open("rb") as file:
            return is_sealed_export(file.read(200))
    except OSError:
        return False


def _exported(bench: Workbench, chosen: list[str], *, references: bool) -> Export:
    from ..config.sealed_export import Export

    stored = bench.document.data.get("authProfiles", {})
    order = {
        provider: kept
        for provider, ids in bench.snapshot.order.items()
        if (kept := [profile_id for profile_id in ids if profile_id in chosen])
    }
    return Export({id_: dict(stored[id_]) if references else _resolved(bench, stored[id_]) for id_ in chosen}, order)


def _resolved(bench: Workbench, profile: Mapping[str, Any]) -> dict[str, Any]:
    """A profile with its secrets in it. Sign-ins of other programs stay where they are: a copy would grow stale."""
    from ..auth.secrets import parse_reference

    fields = dict(profile)
    if (fields.get("metadata") or {}).get("mayRotate") is False:
        return fields
    for name in _SECRETS:
        if isinstance(fields.get(name), str) and fields[name].strip():
            fields[name] = bench.secrets.get(parse_reference(fields[name])).reveal()
    return fields


def _takes(bench: Workbench, id_: str, entry: Mapping[str, Any], replace: bool, references: bool) -> bool:
    """Whether it is imported, said why where it is not."""
    from ..auth.secrets import is_reference

    if id_ in bench.snapshot.profiles and not replace:
        note(f"left out: {printable(id_)} is there already; take it all the same with --replace")
        return False
    if not references and any(is_reference(str(entry[name])) for name in _SECRETS if entry.get(name)):
        note(f"left out: {printable(id_)} refers to a place of the machine it came from; take it with --references")
        return False
    return True


def _importing(wanted: Mapping[str, dict[str, Any]], found: Export) -> Any:
    def change(data: dict[str, Any]) -> None:
        profiles = data.setdefault("authProfiles", {})
        profiles.update(wanted)
        orders = data.setdefault("authOrder", {})
        for provider, ids in found.order.items():
            # An order of this machine's own is somebody's decision.
            kept = [profile_id for profile_id in ids if profile_id in profiles]
            if kept and not orders.get(provider):
                orders[provider] = kept

    return change


def _read(path: Path) -> bytes:
    from ..config.reading import read_regular
    from ..config.sealed_export import LARGEST_EXPORT
    from ..errors import InvalidRequest

    try:
        return read_regular(path, LARGEST_EXPORT)[1]
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{error}"
        raise InvalidRequest(f"{str(path)!r} can't be read: {why}.", param="FILE") from None


def _write_new(path: Path, raw: bytes) -> None:
    """A file that only this user reads, whole or not at all, and never over another."""
    from ..errors import InvalidRequest

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(descriptor)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        why = "it is there already" if isinstance(error, FileExistsError) else error.strerror
        raise InvalidRequest(f"{str(path)!r} can't be written: {why}. Choose another place with --out.") from None
