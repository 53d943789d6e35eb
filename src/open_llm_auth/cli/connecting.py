"""Writing a client's settings: compared with what stands there, shown, agreed to, backed up, written all or none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidRequest
from . import edits
from .client_files import ClientFile, look
from .connections import Connection, Connections, WrittenFile, hash_of
from .output import note, printable, say
from .recipes import Recipe, SettingsFile, Values
from .settings_text import SettingPath, SettingsFault, change, get, read
from .tokens import new_token

if TYPE_CHECKING:
    from .workbench import Workbench

__all__ = ["new_text", "places", "say_difference", "write_settings"]

_SECRET_NAME: Final = re.compile(r"key|token|secret|passw|credential|bearer|cookie|authorization", re.IGNORECASE)
_PAIR: Final = re.compile(r"""(?P<name>[\w.-]+)(?P<is>["']?\s*[:=]\s*["']?)(?P<value>[^\s"',}\[\]]+)""")
_SHORTEST: Final = 8
_MASK: Final = "[the token]"


@dataclass(frozen=True, slots=True)
class _Rewriting:
    """One file of a client: as it is, what its settings shall be, and the text that has them."""

    recipe: SettingsFile
    found: ClientFile
    wanted: Mapping[SettingPath, str | bool] = field(repr=False)
    text: str = field(repr=False)

    @property
    def changes(self) -> bool:
        return self.text.encode() != self.found.raw


def places(bench: Workbench, recipe: Recipe) -> list[Path]:
    """Where the files of a client stand on this machine."""
    import sys

    from ..config.paths import expand

    return [expand(file.located(bench.environ, sys.platform), bench.environ) for file in recipe.files]


def new_text(file: SettingsFile, values: Values) -> str:
    """What a new file would hold."""
    return change(file.format, "", file.filled(values, new=True))


def write_settings(
    bench: Workbench, recipe: Recipe, address: str, model: str | None, *, agreed: Callable[[str], bool]
) -> None:
    """Write what the client needs, with a token made for it alone; what stands there already is left.

    Raises:
        GatewayError: it was not agreed to, or can't be done; nothing has changed then.
    """
    connections = Connections(bench.home)
    standing = connections.all().get(recipe.client)
    if not recipe.files:
        _show_token(bench, recipe, address, model, connections, standing, agreed)
        return
    found = [look(place, bench.environ) for place in places(bench, recipe)]
    known = _known_token(bench, recipe, found)
    token, token_hash = (known[1], None) if known else new_token()
    values = Values(address, token, model)
    rewritings = [_rewriting(file, each, values) for file, each in zip(recipe.files, found, strict=True)]
    due = [rewriting for rewriting in rewritings if rewriting.changes]
    if not due:
        say(f"{recipe.title} is connected to {address} already. Nothing was changed.")
        return
    for rewriting in due:
        say_difference(rewriting.found, rewriting.text, rewriting.recipe, token)
    agreed("Write this?")
    name = known[0] if known else _free_name(bench, recipe)
    _Writing(bench, connections, recipe, standing, name, token_hash).run(due)
    say(f"Wrote {', '.join(str(rewriting.found.path) for rewriting in due)}.")
    if not known:
        say(f"The token {name!r} was made for {recipe.title} alone. A running gateway knows it within 2 seconds.")
    say(f"To take it back: open-llm-auth connect {recipe.client} --undo")


# what is to be written


def _rewriting(recipe: SettingsFile, found: ClientFile, values: Values) -> _Rewriting:
    try:
        text = found.text()
        document = read(recipe.format, text)
        wanted = recipe.filled(values, new=not document)
        due = {path: value for path, value in wanted.items() if get(document, path) != value}
        return _Rewriting(recipe, found, wanted, change(recipe.format, text, due))
    except SettingsFault as fault:
        raise InvalidRequest(
            f"{found.path} was left as it is: {fault}. Repair it, or write the settings by hand."
        ) from None


def _known_token(bench: Workbench, recipe: Recipe, found: Sequence[ClientFile]) -> tuple[str, str] | None:
    """The name and the text of the token in the client's file, if it was made for this client and is in force."""
    for file, each in zip(recipe.files, found, strict=True):
        if file.token_path is None or not each.exists:
            continue
        try:
            token = get(read(file.format, each.text()), file.token_path)
        except SettingsFault:
            continue  # said when it is to be rewritten
        token_hash = f"sha256:{hashlib.sha256(str(token).encode()).hexdigest()}"
        for name, entry in _tokens(bench).items():
            ours = re.fullmatch(rf"connect-{re.escape(recipe.client)}(-\d+)?", name)
            if ours and entry.get("tokenHash") == token_hash and entry.get("enabled", True):
                return name, str(token)
    return None


def _tokens(bench: Workbench) -> Mapping[str, Any]:
    tokens: Mapping[str, Any] = bench.document.data.get("authorization", {}).get("tokens", {})
    return tokens


def _free_name(bench: Workbench, recipe: Recipe) -> str:
    """`connect-<client>`, with a number where that name was given before: a name is never given twice."""
    taken = {name for key, entry in _tokens(bench).items() for name in (key, entry.get("id"))}
    names = [f"connect-{recipe.client}", *(f"connect-{recipe.client}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


# showing it


def say_difference(found: ClientFile, text: str, recipe: SettingsFile | None, token: str = "") -> None:
    """The lines that change, without a secret: not the new one, and none that stood there."""
    before = found.text()
    name = printable(str(found.path))
    if found.linked:
        note(f"{name} is a link: {printable(str(found.target))} is the file that changes.")
    if not found.exists:
        note(f"{name} does not exist yet.")
    lines = unified_diff(before.splitlines(), text.splitlines(), name, name, n=0, lineterm="")
    hide = _hiding(token, *_secrets(recipe, before, text))
    for line in lines:
        say(printable(hide(line), keep="\t"))
    say()


def _secrets(recipe: SettingsFile | None, *texts: str) -> Iterator[str]:
    for text in texts if recipe else ():
        try:
            yield from _secret_values(read(recipe.format, text), secret=False)  # type: ignore[union-attr]
        except SettingsFault:
            continue


def _secret_values(document: Any, *, secret: bool) -> Iterator[str]:
    """The texts below names that sound like secrets."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _secret_values(value, secret=secret or _sounds_secret(str(name)))
    elif isinstance(document, list):
        for value in document:
            yield from _secret_values(value, secret=secret)
    elif secret and isinstance(document, str):
        yield from (line for line in document.splitlines() if len(line) >= _SHORTEST)


def _sounds_secret(name: str) -> bool:
    # The name of a key is none.
    return bool(_SECRET_NAME.search(name)) and not name.lower().endswith("name")


def _hiding(token: str, *secrets: str) -> Callable[[str], str]:
    from ..policy.redaction import REDACTED, Scrubber

    scrub = Scrubber(secret for secret in secrets if secret != token)

    def pair(found: re.Match[str]) -> str:
        return f"{found['name']}{found['is']}{REDACTED}" if _sounds_secret(found["name"]) else found[0]

    def hide(line: str) -> str:
        return _PAIR.sub(pair, scrub(line.replace(token, _MASK) if token else line))

    return hide


# writing it


@dataclass(frozen=True, slots=True)
class _Writing:
    """All of it or nothing: whatever fails, the files are as they were and no token is left in force.

    `name` is that of the token, `token_hash` what is stored of it; None where it is known already.
    """

    bench: Workbench
    connections: Connections
    recipe: Recipe
    standing: Connection | None
    name: str
    token_hash: str | None

    def run(self, due: Sequence[_Rewriting]) -> None:
        """Raises GatewayError: it could not be done."""
        try:
            with ExitStack() as undo:
                after = Connection(self.name, tuple(self._files(due, undo)))
                if self.token_hash is not None:
                    _mint(self.bench, self.name, self.token_hash, self.standing)
                    undo.callback(self.bench.file.update, edits.revoke_token(self.name))
                self.connections.put(self.recipe.client, after)
                undo.callback(self.connections.put, self.recipe.client, self.standing)
                for rewriting in due:
                    private = rewriting.recipe.token_path is not None
                    rewriting.found.write(rewriting.text.encode(), private=private)
                    undo.callback(rewriting.found.put_back)
                undo.pop_all()
        except OSError as error:
            raise InvalidRequest(f"{error.filename} can't be written: {error.strerror}. Nothing was changed.") from None

    def _files(self, due: Sequence[_Rewriting], undo: ExitStack) -> Iterator[WrittenFile]:
        """What is remembered of each file. One that was written before keeps its backup: it is the older one."""
        before = {} if self.standing is None else {file.path: file for file in self.standing.files}
        for rewriting in due:
            found, settings = rewriting.found, {path: hash_of(value) for path, value in rewriting.wanted.items()}
            digest = hash_of(rewriting.text.encode())
            older = before.pop(found.path, None)
            if older is not None:
                yield replace(older, digest=digest, settings={**older.settings, **settings})
                continue
            backup = found.back_up() if found.exists else None
            if backup is not None:
                undo.callback(backup.unlink, missing_ok=True)
            yield WrittenFile(found.path, rewriting.recipe.format, digest, settings, backup, found.mode)
        yield from before.values()


def _mint(bench: Workbench, name: str, token_hash: str, standing: Connection | None) -> None:
    """Make the token known, and end the one made before, which stands nowhere any more."""
    fields = {"tokenHash": token_hash, "scopes": ["read", "write"], "admin": False, "enabled": True}

    def apply(data: dict[str, Any]) -> None:
        edits.add_token(name, fields)(data)
        if standing is not None and standing.token in data["authorization"]["tokens"]:
            edits.revoke_token(standing.token)(data)

    bench.file.update(apply)


# clients without a file


def _show_token(
    bench: Workbench,
    recipe: Recipe,
    address: str,
    model: str | None,
    connections: Connections,
    standing: Connection | None,
    agreed: Callable[[str], bool],
) -> None:
    """A client of the environment has no file to write: make its token, and show once what to paste."""
    if standing is not None:
        raise InvalidRequest(
            f"The token {standing.token!r} was made for {recipe.title} before, and can't be shown again. End it with: "
            f"open-llm-auth connect {recipe.client} --undo"
        )
    note(f"{recipe.title} read the environment: there is no file to write, only a token to make and lines to paste.")
    agreed("Make a token, and show it this once?")
    token, token_hash = new_token()
    name = _free_name(bench, recipe)
    _mint(bench, name, token_hash, None)
    connections.put(recipe.client, Connection(name))
    values = Values(address, token, model)
    say(f"The token {name!r}, shown this once:")
    say("\n".join(f"  export {variable}={values.fill(template)}" for variable, template in recipe.environment))
    if recipe.command:
        say(f"Try it:\n  {values.fill(recipe.command)}")
