"""Moving every secret of the config to a keyring, to the vault, or back into the file (SPEC §3), losing none.

Written there, read back and compared, swapped in the config by one write, removed where it was: whoever is killed
between two of these leaves each secret in one place at least, and the config naming a place that has it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ..auth.secrets import parse_reference
from ..errors import ConfigUnavailable, SecretUnavailable
from ..values import Secret, SecretRef
from .file import Change, ConfigFile
from .lock import locked
from .secret_places import SecretPlace, references_of, secret_places
from .stores import SecretStores

__all__ = ["Left", "Moved", "Mover", "Target", "backups_with"]

Target = Literal["keyring", "vault", "plain"]

_ROUNDS: Final = 5
_MOST_TWINS: Final = 1000


@dataclass(frozen=True, slots=True)
class Moved:
    """One secret: the place in the config, and what it says before and after, fit to be shown."""

    place: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Left:
    """A secret that stays where it is, and why."""

    place: str
    why: str


def _silent(_: str) -> None:
    """For those who need not be told."""


class Mover:
    """Moves the secrets of one config. `on_step` is told what was just done.

    Everything blocks. One at a time: a second one waits a moment and gives up. `grace` are the seconds that gateways
    have to take the new config before what the old one names is removed.
    """

    def __init__(
        self,
        file: ConfigFile,
        stores: SecretStores,
        *,
        on_step: Callable[[str], object] = _silent,
        wait: float = 5.0,
        grace: float = 2.0,
    ) -> None:
        self._file = file
        self._stores = stores
        self._on_step = on_step
        self._wait = wait
        self._grace = grace
        self._service = f"open-llm-auth-{hashlib.sha256(os.path.realpath(file.path).encode()).hexdigest()[:12]}"

    def due(self, target: Target) -> tuple[Moved, ...]:
        """What `move` would do now, names that are taken aside."""
        places = secret_places(self._file.read().data)
        return tuple(
            Moved(place.name, place.ref.label, "literal" if target == "plain" else self._ref(target, place.name).label)
            for place in places
            if self._is_due(place, target)
        )

    def left(self) -> tuple[Left, ...]:
        """What no `move` touches although it stands in the file."""
        return tuple(
            Left(place.name, why) for place in secret_places(self._file.read().data) if (why := _why_it_stays(place))
        )

    def secrets(self) -> list[Secret]:
        """What was moved, and is not in the file any more. Raises as `move`."""
        places = secret_places(self._file.read().data)
        return [self._secret(place) for place in places if self._is_ours(place.ref)]

    def move(self, target: Target, settings: Change | None = None) -> tuple[Moved, ...]:
        """Move all that is due. `settings` changes the config in the same write.

        Raises:
            SecretUnavailable: a secret can't be read where it is or stored where it is to be; the config is as it was.
            ConfigError: the config can't be read or written; likewise.
        """
        try:
            with locked(self._file.path.parent / ".secure.lock", self._wait):
                return self._move(target, settings)
        except OSError as error:
            raise ConfigUnavailable(f"{self._file.path.parent} can't be written: {error.strerror}.") from None

    def _move(self, target: Target, settings: Change | None) -> tuple[Moved, ...]:
        done: list[Moved] = []
        for _ in range(_ROUNDS):
            # A renewal may replace a token meanwhile: what it wrote is moved in the next round.
            places = [place for place in secret_places(self._file.read().data) if self._is_due(place, target)]
            if not places and settings is None:
                return tuple(done)
            texts = self._stored(target, {place: self._secret(place) for place in places})
            before = {place.name: place.text for place in places}
            self._file.update(_swapping(before, texts, settings))
            self._on_step("swapped")
            settings = None
            self._forget(before)
            self._on_step("removed")
            done += [Moved(each.name, each.ref.label, parse_reference(texts[each.name]).label) for each in places]
        raise ConfigUnavailable(
            f"{self._file.path} keeps changing. Some secrets were moved; run it again for the rest."
        )

    # --- what is to be moved ---

    def _is_due(self, place: SecretPlace, target: Target) -> bool:
        if _why_it_stays(place) or not place.movable:
            return False
        ref = place.ref
        if ref.scheme == "literal":
            return target != "plain"
        return self._is_ours(ref) and ref.scheme != target

    def _is_ours(self, ref: SecretRef) -> bool:
        """Whether it was stored by this, for this config. What others keep in the keyring is theirs."""
        return ref.scheme == "vault" or (
            ref.scheme == "keyring" and ref.place.reveal().partition("/")[0] == self._service
        )

    def _ref(self, target: Literal["keyring", "vault"], name: str) -> SecretRef:
        name = "".join(each if each.isprintable() else "_" for each in name).strip()
        return SecretRef(target, Secret(f"{self._service}/{name}" if target == "keyring" else name))

    def _secret(self, place: SecretPlace) -> Secret:
        return place.ref.place if place.ref.scheme == "literal" else self._stores.fresh(place.ref)

    # --- storing ---

    def _stored(self, target: Target, secrets: Mapping[SecretPlace, Secret]) -> dict[str, str]:
        """What the config says for each place once its secret is there, which is certain when this returns."""
        if target == "plain":
            return {place.name: _literal(place, secret) for place, secret in secrets.items()}
        refs = {place: self._free(target, place.name, secret) for place, secret in secrets.items()}
        self._store(target, {refs[place]: secret for place, secret in secrets.items()})
        self._on_step("stored")
        for place, secret in secrets.items():
            if self._stores.fresh(refs[place]) != secret:
                raise SecretUnavailable(
                    f"What was stored as {refs[place].label!r} does not come back as it was. The config is unchanged."
                )
        self._on_step("compared")
        return {place.name: ref.label for place, ref in refs.items()}

    def _store(self, target: Target, secrets: Mapping[SecretRef, Secret]) -> None:
        if target == "vault":
            self._stores.vault.update({ref.place.reveal(): secret for ref, secret in secrets.items()})
            return
        for ref, secret in secrets.items():
            self._stores.put(ref, secret.reveal())
            self._on_step("stored one")

    def _free(self, target: Literal["keyring", "vault"], name: str, secret: Secret) -> SecretRef:
        """A place that is free, or that has this very secret since a run that was cut short. Nothing is overwritten."""
        for number in range(1, _MOST_TWINS):
            ref = self._ref(target, name if number == 1 else f"{name}-{number}")
            there = self._there(ref)
            if there is None or there == secret:
                return ref
        raise SecretUnavailable(f"There are {_MOST_TWINS} entries like {name!r} already. Nothing was changed.")

    def _there(self, ref: SecretRef) -> Secret | None:
        if ref.scheme == "vault":
            name = ref.place.reveal()
            return self._stores.vault.read(name) if name in self._stores.vault.names() else None
        return self._stores.in_keyring(ref)

    # --- removing ---

    def _forget(self, before: Mapping[str, str]) -> None:
        """Remove what the config named before and does not name any more."""
        named = set(references_of(self._file.read().data))
        refs = dict.fromkeys(parse_reference(text) for text in before.values())
        gone = [ref for ref in refs if ref.scheme != "literal" and ref not in named]
        if gone:
            time.sleep(self._grace)
        for ref in gone:
            self._stores.remove(ref)


def _why_it_stays(place: SecretPlace) -> str:
    ref = place.ref
    if not place.movable and ref.scheme == "literal":
        return "it is the token of a client: replace it by one of 'tokens create', which are stored hashed"
    if ref.maybe_env:
        return "it may be the name of an environment variable: write it as env:NAME, or replace it by the secret"
    return ""


def _literal(place: SecretPlace, secret: Secret) -> str:
    text = secret.reveal()
    if parse_reference(text, all_caps=place.all_caps) != SecretRef("literal", secret):
        raise SecretUnavailable(
            f"The secret of {place.name!r} can't stand in the file: as text it would be taken for a reference. It was "
            "left where it is, and so were the others."
        )
    return text


def _swapping(before: Mapping[str, str], after: Mapping[str, str], settings: Change | None) -> Change:
    """What stands there as it did when it was stored elsewhere becomes what it is to be."""

    def change(data: dict[str, Any]) -> None:
        for place in list(secret_places(data)):
            if place.name in after and place.text == before[place.name]:
                place.holder[place.key] = after[place.name]
        if settings is not None:
            settings(data)

    return change


def backups_with(folder: Path, secrets: list[Secret]) -> Iterator[Path]:
    """The files of a folder of backups that hold one of `secrets`."""
    needles = {
        json.dumps(secret.reveal(), ensure_ascii=ascii_only).encode()
        for secret in secrets
        for ascii_only in (True, False)
    }
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        raw = path.read_bytes()
        if any(needle in raw for needle in needles):
            yield path
