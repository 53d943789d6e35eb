"""Taking back what `connect --write` did: our settings to what they were, all else as it is now, the token revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from . import edits
from .client_files import ClientFile, look
from .connecting import say_difference
from .connections import Connections, WrittenFile, hash_of
from .output import note, say
from .recipes import Recipe
from .settings_text import ABSENT, Entry, SettingPath, SettingsFault, change, get, read

if TYPE_CHECKING:
    from .workbench import Workbench

__all__ = ["disconnect"]


@dataclass(frozen=True, slots=True)
class _Restoring:
    """One file and the text it goes back to; None removes it."""

    written: WrittenFile
    found: ClientFile
    text: str | None

    def run(self) -> None:
        if self.text is None:
            self.found.remove()
        else:
            mode = self.written.mode if self.written.mode is not None else self.found.mode
            self.found.restore(self.text.encode(), mode or 0o600)


def disconnect(bench: Workbench, recipe: Recipe, *, agreed: Callable[[], bool]) -> None:
    """Undo a connection.

    Raises:
        GatewayError: there is none, it was not agreed to, or it can't be done; no file has changed then.
    """
    connections = Connections(bench.home)
    standing = connections.all().get(recipe.client)
    if standing is None:
        raise InvalidRequest(f"{recipe.title} was not connected with --write, so there is nothing to take back.")
    due = [restoring for written in standing.files for restoring in _restorings(bench, written, standing.token)]
    for restoring in due:
        form = next((file for file in recipe.files if file.format == restoring.written.format), None)
        say_difference(restoring.found, restoring.text or "", form)
    agreed()
    _run(due)
    for written in standing.files:
        if written.backup is not None:
            written.backup.unlink(missing_ok=True)
    _revoke(bench, standing.token)
    connections.put(recipe.client, None)
    for restoring in due:
        say(f"{'Removed' if restoring.text is None else 'Restored'} {restoring.found.path}.")
    say(f"Revoked the token {standing.token!r}. A running gateway refuses it within 2 seconds.")


def _run(due: list[_Restoring]) -> None:
    """All files or none."""
    try:
        with ExitStack() as undo:
            for restoring in due:
                restoring.run()
                undo.callback(restoring.found.put_back)
            undo.pop_all()
    except OSError as error:
        raise InvalidRequest(f"{error.filename} can't be written: {error.strerror}. Nothing was changed.") from None


def _revoke(bench: Workbench, token: str) -> None:
    if token in bench.document.data.get("authorization", {}).get("tokens", {}):
        bench.file.update(edits.revoke_token(token))


def _restorings(bench: Workbench, written: WrittenFile, token: str) -> Iterator[_Restoring]:
    found = look(written.path, bench.environ)
    if not found.exists:
        note(f"{written.path} is gone, so there is nothing to put back in it.")
        return
    before = _before(written, token)
    if hash_of(found.raw) == written.digest:
        # Nobody has touched it since: byte for byte what it was.
        yield _Restoring(written, found, before)
        return
    text = _without_ours(written, found, before)
    if text is None or text.encode() != found.raw:
        yield _Restoring(written, found, text)


def _before(written: WrittenFile, token: str) -> str | None:
    """What the file held; None where there was none."""
    if written.backup is None:
        return None
    backup = look(written.backup, {"HOME": str(written.backup.parent)})
    if not backup.exists:
        raise InvalidRequest(
            f"The backup {written.backup} is gone, so what {written.path} held before is not known. Take the settings "
            f"out by hand, and revoke the token with: open-llm-auth tokens revoke {token}"
        )
    return backup.text()


def _without_ours(written: WrittenFile, found: ClientFile, before: str | None) -> str | None:
    """The text of now with our settings as they were; those that somebody changed since are theirs, and stay."""
    try:
        old = {} if before is None else read(written.format, before)
        text = found.text()
        now = read(written.format, text)
        ours = {path for path, digest in written.settings.items() if hash_of(_value(now, path)) == digest}
        for path in written.settings.keys() - ours:
            if get(now, path) is not ABSENT:
                note(f"{written.path}: {_named(path)} was changed since, and is left.")
        text = change(written.format, text, {path: get(old, path) for path in ours})
        text = _pruned(written, text, old)
        left = read(written.format, text)
    except SettingsFault as fault:
        raise InvalidRequest(
            f"{written.path} was left as it is: {fault}. Repair it and run the command again."
        ) from None
    return None if before is None and not left else text


def _value(document: Any, path: SettingPath) -> object:
    found = get(document, path)
    return None if found is ABSENT else found


def _named(path: SettingPath) -> str:
    return ".".join(step if isinstance(step, str) else step.value for step in path)


def _pruned(written: WrittenFile, text: str, old: Any) -> str:
    """Without the objects that were made for our settings and hold nothing any more."""
    ours = {(step.name, step.value) for path in written.settings for step in path if isinstance(step, Entry)}
    for path in written.settings:
        for length in range(1, len(path)):
            outer = path[:length]
            now = get(read(written.format, text), outer)
            if now is not ABSENT and get(old, outer) is ABSENT and _is_hollow(now, ours):
                text = change(written.format, text, {outer: ABSENT})
                break
    return text


def _is_hollow(value: object, ours: AbstractSet[tuple[str, str]]) -> bool:
    """Whether it holds no value, but the names of entries that are ours."""
    if isinstance(value, dict):
        return all(
            (name, each) in ours if isinstance(each, str) else _is_hollow(each, ours) for name, each in value.items()
        )
    return value is None or (isinstance(value, list) and all(_is_hollow(each, ours) for each in value))
