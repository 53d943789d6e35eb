"""Looks for the sign-ins of other programs on this machine: which files are read, and whose. Nothing is written or
sent."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..auth.imports.found import Found, Known, Store, Unreadable
from ..auth.imports.places import Folders, Place, names_of, places
from ..auth.imports.sources import SOURCES, guess
from ..auth.imports.variables import ENVIRONMENT, of_environment
from ..auth.secrets import parse_reference
from ..config.dotenv import parse_dotenv
from ..config.paths import expand
from ..config.reading import read_regular
from ..errors import InvalidRequest, SecretUnavailable
from .workbench import Workbench

__all__ = ["Finding", "look_around", "look_at"]

#: Bytes. A store holds a page; the settings that Claude Code keeps a key in grow to some megabytes.
_LARGEST: Final = 16 * 1024 * 1024
#: Files of one pattern; there is one for each sign-in, or each agent.
_MOST_FILES: Final = 200


@dataclass
class Finding:
    """What was found, in the order it was, and a sentence for each file that could not be read."""

    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, more: Iterable[Found]) -> None:
        """Add those that are not in it yet: a file can be found in two ways."""
        known = {(each.source, each.reference, each.secret, each.title) for each in self.found}
        self.found += (each for each in more if (each.source, each.reference, each.secret, each.title) not in known)


def look_around(bench: Workbench, sources: frozenset[str]) -> Finding:
    """What the programs of `sources` keep where they usually do; none means all of them."""
    finding = Finding()
    known = _known(bench)
    home = str(expand("~", bench.environ))
    folders = Folders(home, str(Path.cwd()), sys.platform if sys.platform in ("darwin", "win32") else "linux")
    for place in places(bench.environ, folders):
        if not sources or place.source in sources:
            _look_into(bench, place, home, known, finding)
    if not sources or ENVIRONMENT in sources:
        finding.add(of_environment(bench.environ, known))
    return finding


def look_at(bench: Workbench, path: Path, source: str | None) -> Finding:
    """What one file holds, or the files of one directory, whoever they belong to: the person named them.

    Raises:
        InvalidRequest: there is nothing, or nothing of `source`, that could be read there.
    """
    finding = Finding()
    known = _known(bench)
    place = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  # without `..`, and with links as they are
    home = str(expand("~", bench.environ))
    files = _files_in(place, source) if place.is_dir() else [place]
    for file in files:
        try:
            store = Store(_tilde(file, home), f"file:{_tilde(file, home)}", read_regular(file, _LARGEST)[1])
        except (OSError, ValueError) as error:
            finding.notes.append(f"{file}: {_why(error)}")
        else:
            finding.add(_recognised(store, source, known, finding))
    if not finding.found:
        told = "; ".join(finding.notes) or f"{place} holds no sign-in or key that is known"
        raise InvalidRequest(f"Nothing to import: {told}.", param="PATH")
    return finding


def _known(bench: Workbench) -> Known:
    return Known(bench.catalog, bench.snapshot.sign_ins, lambda text: parse_dotenv(text).values)


def _look_into(bench: Workbench, place: Place, home: str, known: Known, finding: Finding) -> None:
    files = list(_files_of(place))
    for file in files:
        if file in (bench.path.absolute(), bench.path.absolute().parent / ".env"):
            continue  # our own
        try:
            raw = read_regular(file, _LARGEST, owner=os.geteuid())[1]
        except (FileNotFoundError, NotADirectoryError):
            _look_into_keyring(bench, place, known, finding)
        except (OSError, ValueError) as error:
            finding.notes.append(f"{_tilde(file, home)}: {_why(error)}")
        else:
            store = Store(_tilde(file, home), f"file:{_tilde(file, home)}", raw)
            _read(store, place.source, known, finding)


def _files_of(place: Place) -> Iterator[Path]:
    folder = Path(place.folder)
    if "*" not in place.name:
        yield folder / place.name
        return
    try:
        yield from sorted(folder.glob(place.name))[:_MOST_FILES]
    except OSError:
        return  # what can't be listed holds nothing for us


def _look_into_keyring(bench: Workbench, place: Place, known: Known, finding: Finding) -> None:
    """The same text where a program keeps it in the keyring, which is asked only if the program is there."""
    folder = Path(place.folder)
    if not place.keyring or not folder.is_dir():
        return
    mark = hashlib.sha256(os.path.realpath(folder).encode()).hexdigest()[:16]
    item = place.keyring.format(user=bench.environ.get("USER", ""), mark=mark)
    try:
        text = bench.secrets.get(parse_reference(f"keyring:{item}")).reveal()
    except SecretUnavailable:
        return  # most people have no such item, and many no keyring
    _read(Store(f"keyring:{item}", f"keyring:{item}", text.encode()), place.source, known, finding)


def _read(store: Store, source: str, known: Known, finding: Finding) -> None:
    read = SOURCES[source].reader(store.path if store.place.startswith("file:") else ".json")
    if read is None:
        return
    try:
        finding.add(read(store, known))
    except Unreadable as error:
        finding.notes.append(f"{store.path}: {error}")


def _recognised(store: Store, source: str | None, known: Known, finding: Finding) -> tuple[Found, ...]:
    """What the first source that can read a file makes of it."""
    why: Unreadable | None = None
    for name, read in guess(store):
        if source not in (None, name):
            continue
        try:
            if found := read(store, known):
                return found
        except Unreadable as error:
            why = why or error
    if why is not None:
        finding.notes.append(f"{store.path}: {why}")
    return ()


def _files_in(folder: Path, source: str | None) -> list[Path]:
    """Files of a directory that are called as a source calls its own, from any folder on that would be above them."""
    found: dict[Path, None] = {}
    for name in names_of(source):
        parts = Path(name).parts
        for start in range(len(parts)):
            pattern = "/".join(parts[start:])
            found |= dict.fromkeys(sorted(folder.glob(pattern))[:_MOST_FILES])
    return [file for file in found if file.is_file()][:_MOST_FILES]


def _tilde(path: Path, home: str) -> str:
    """How a reference writes a path: short where it is below the home directory."""
    text = str(path)
    return f"~/{text[len(home) + 1 :]}" if home != "/" and text.startswith(f"{home}/") else text


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, PermissionError):
        return "this user may not read it"
    return f"{error.strerror}" if isinstance(error, OSError) else f"{error}"
