"""`open-llm-auth auth secure`: moves the secrets of the config to the keyring or the vault, or back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .asking import StdinOption, ask_passphrase, at_terminal
from .output import note, printable, say
from .storing import PICKED_UP
from .workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config.moving import Mover, Target
    from ..config.sealing import SealKey

__all__ = ["secure"]


def secure(
    keyring: Annotated[bool, typer.Option("--keyring", help="To the keyring of this machine.")] = False,
    vault: Annotated[bool, typer.Option("--vault", help="To a sealed file beside the config.")] = False,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", metavar="PATH", help="Of the vault: the file with its key, made if missing."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Back into the config file.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be moved.")] = False,
    purge_backups: Annotated[
        bool, typer.Option("--purge-backups", help="Remove the backups that still hold a secret.")
    ] = False,
    stdin: StdinOption = False,
) -> None:
    """Move every secret out of the config file: to the keyring, or sealed into a vault. Or back.

    Without --keyring, --vault or --plain: to the keyring where this machine has one, else to a vault.
    """
    bench = Workbench.here()
    if not bench.document.exists:
        say(f"There is no config at {bench.path} yet, so there is nothing to move.")
        return
    target = _target(bench, keyring=keyring, vault=vault or key_file is not None, plain=plain)
    bench.compile(bench.document)
    mover = _mover(bench)
    if dry_run:
        _say_what_is_due(mover, target)
        return
    settings = _prepare_vault(bench, key_file, stdin=stdin) if target == "vault" else None
    moved = mover.move(target, settings)
    bench.forget()
    for each in moved:
        say(f"  {printable(each.place)}: {printable(each.before)} -> {printable(each.after)}")
    say(
        f"Moved {_secrets(len(moved))} {_WHERE[target]}. {PICKED_UP}" if moved else f"Nothing to move {_WHERE[target]}."
    )
    _say_what_is_left(mover)
    if target == "vault":
        _say_how_it_opens(bench)
    if target != "plain":
        _see_to_backups(bench, purge=purge_backups)


_WHERE = {"keyring": "to the keyring", "vault": "to the vault", "plain": "back into the config"}


def _target(bench: Workbench, *, keyring: bool, vault: bool, plain: bool) -> Target:
    from ..errors import SecretUnavailable

    if keyring + vault + plain > 1:
        raise typer.BadParameter("give one of --keyring, --vault and --plain")
    if keyring:
        note(f"The keyring is: {bench.stores.keyring_name()}")
        return "keyring"
    if vault or plain:
        return "vault" if vault else "plain"
    try:
        note(f"The keyring is: {bench.stores.keyring_name()}")
    except SecretUnavailable as error:
        note(f"{error.message} So the vault it is.")
        return "vault"
    return "keyring"


def _mover(bench: Workbench) -> Mover:
    from ..config.moving import Mover

    return Mover(bench.file, bench.stores)


def _say_what_is_due(mover: Mover, target: Target) -> None:
    due = mover.due(target)
    for each in due:
        say(f"  {printable(each.place)}: {printable(each.before)} -> {printable(each.after)}")
    say(f"{_secrets(len(due))} would be moved {_WHERE[target]}. Nothing was done.")
    _say_what_is_left(mover)


def _say_what_is_left(mover: Mover) -> None:
    for each in mover.left():
        note(f"left as it is: {printable(each.place)}: {each.why}")


def _secrets(count: int) -> str:
    return "1 secret" if count == 1 else f"{count} secrets"


# --- the vault ---


def _prepare_vault(bench: Workbench, key_file: Path | None, *, stdin: bool) -> Callable[[dict[str, Any]], None] | None:
    """Make the vault or open it. What the config is to say of its key."""
    vault = bench.stores.vault
    key = None if key_file is None else _key_from(key_file.expanduser().absolute())
    if key_file is not None:
        bench.stores.use_key_file(key_file.expanduser().absolute())
    if not vault.exists():
        vault.create(key or _new_key(bench, stdin=stdin))
    elif key is not None and not _opens(bench, key):
        vault.add_key(key)
    else:
        vault.open()
    if key_file is None:
        return None
    path = str(key_file.expanduser().absolute())

    def change(data: dict[str, Any]) -> None:
        data.setdefault("secrets", {}).setdefault("vault", {})["keyFile"] = path

    return change


def _opens(bench: Workbench, key: SealKey) -> bool:
    """Whether the vault opens with that key alone."""
    from ..config.vault import Vault
    from ..config.vault_keys import FoundKeys
    from ..errors import SecretUnavailable

    try:
        Vault(bench.stores.vault.path, lambda: FoundKeys((key,))).open()
    except SecretUnavailable:
        return False
    return True


def _key_from(path: Path) -> SealKey:
    """The key in that file, a new one where there is none."""
    from ..config.sealing import SealKey, check_key
    from ..config.vault_keys import read_key_file
    from ..errors import InvalidRequest

    if not path.exists():
        _make_key(path)
        note(f"Made a key in {path}. Keep a copy of it elsewhere: without it the vault never opens again.")
    try:
        text = read_key_file(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{error}"
        raise InvalidRequest(f"The key file {str(path)!r} can't be read: {why}.", param="--key-file") from None
    if wrong := check_key(text):
        raise InvalidRequest(f"The key in {str(path)!r} is too short: {wrong}.", param="--key-file")
    return SealKey("key", text, str(path))


def _make_key(path: Path) -> None:
    import base64

    from ..config.privacy import make_private_directory
    from ..errors import InvalidRequest

    try:
        make_private_directory(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(32)) + b"\n")
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise InvalidRequest(
            f"The key file {str(path)!r} can't be made: {error.strerror}.", param="--key-file"
        ) from None


def _new_key(bench: Workbench, *, stdin: bool) -> SealKey:
    """What a new vault is sealed with: what the environment gives, else a passphrase."""
    from ..config.sealing import SealKey, check_passphrase
    from ..errors import InvalidRequest

    found = bench.stores.vault_keys()
    if found.keys:
        note(f"The vault is sealed with {found.keys[0].origin}.")
        return found.keys[0]
    for fault in found.faults:
        note(f"warning: {fault}")
    passphrase = ask_passphrase("New passphrase for the vault", stdin=stdin, twice=True)
    if passphrase is None:
        raise InvalidRequest("A new vault wants a passphrase, or a key with --key-file PATH. Nothing was moved.")
    if wrong := check_passphrase(passphrase):
        raise InvalidRequest(f"That is too short: {wrong}. Nothing was moved.")
    return SealKey("passphrase", passphrase, "the passphrase")


def _say_how_it_opens(bench: Workbench) -> None:
    if bench.stores.vault_keys().keys or "passphrase" not in bench.stores.vault.slots():
        return
    note(
        "The passphrase is asked for when the gateway starts on a terminal. Elsewhere put it into a file and name that "
        "in OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE. A gateway that runs now has to be started anew."
    )


# --- backups ---


def _see_to_backups(bench: Workbench, *, purge: bool) -> None:
    from ..config.moving import backups_with

    backups = list(backups_with(bench.path.parent / "backups", _mover(bench).secrets()))
    if not backups:
        return
    if not purge:
        note("These backups still hold secrets as they were; remove them with --purge-backups once all works:")
    for path in backups:
        if purge:
            path.unlink(missing_ok=True)
        (say if purge else note)(f"  {'removed ' if purge else ''}{path}")
    if at_terminal() and purge:
        note("What was on a disk may be recovered from it: replace the secrets themselves where that matters.")
