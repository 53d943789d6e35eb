"""The places a secret may stand in outside the config: keyring, password managers and the vault, behind one face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from ..errors import SecretUnavailable
from ..values import Secret, SecretRef, SecretScheme
from .command_secrets import CommandSecrets, RunProgram
from .model import SecretsSection
from .os_keyring import OsKeyring
from .slow_secrets import SlowSecrets, Source, unavailable
from .vault import Vault, vault_path
from .vault_keys import Asking, FoundKeys, find_keys

__all__ = ["SecretStores"]

#: How many programs run at a time; a keyring is asked one thing after another.
_PROGRAMS: Final = 4
_DEFAULTS: Final = SecretsSection()


class SecretStores:
    """Resolves `keyring:`, `cmd:` and `vault:` references, and writes the first and the last.

    `config` is the config file, beside which the vault stands. `run` runs programs; without it none is. `ask` asks a
    person for the vault's passphrase. `wait`: whether `get` waits for what was never read, as a command does; a gateway
    passes over what is not there yet.
    """

    def __init__(
        self,
        config: Path,
        environ: Mapping[str, str],
        *,
        run: RunProgram | None = None,
        ask: Asking | None = None,
        wait: bool = False,
    ) -> None:
        self._environ = environ
        self._key_file: str | None = None
        self._uses_vault = False
        self.keyring = OsKeyring()
        self._commands = CommandSecrets(run, _DEFAULTS.command_timeout_seconds)
        self.vault = Vault(vault_path(config), self.vault_keys, ask=ask)
        self._slow = SlowSecrets(self._sources(_DEFAULTS), wait=wait)

    def configure(self, section: SecretsSection) -> None:
        """Take the config's word on how long to wait and keep, and where the key of the vault is."""
        self._key_file = section.vault.key_file
        self._commands.seconds = section.command_timeout_seconds
        self._commands.environment = tuple(section.command_environment)
        self._slow.configure(self._sources(section))

    def vault_keys(self) -> FoundKeys:
        """The keys that can be had without asking anybody."""
        return find_keys(self._environ, self._key_file)

    def serve(self) -> None:
        """From now on nobody may be kept waiting, and nobody sits at the terminal."""
        self._slow.wait = False
        self.vault.ask_no_more()

    # --- reading ---

    def get(self, ref: SecretRef) -> Secret:
        """The secret behind `ref`, as last read.

        Raises:
            SecretUnavailable: it can't be had, or not yet.
        """
        if ref.scheme == "vault":
            return self.vault.read(ref.place.reveal(), waiting=self._slow.wait)
        return self._slow.get(ref)

    def fresh(self, ref: SecretRef) -> Secret:
        """The secret as it stands there now. Blocks. Raises as `get`."""
        if ref.scheme == "vault":
            return self.vault.read(ref.place.reveal())
        if ref.scheme not in ("keyring", "cmd"):
            raise unavailable(ref, "it is not in a keyring, a password manager or the vault")
        return self._slow.fresh(ref)

    def warm(self, refs: Iterable[SecretRef], seconds: float) -> None:
        """Read what is not known yet, for at most so long, and forget what is not among `refs`. What can't be read is
        told to who asks for it. Blocks."""
        wanted = list(refs)
        self._uses_vault = any(ref.scheme == "vault" for ref in wanted)
        self._slow.warm(wanted, seconds)
        self.look()

    def look(self) -> None:
        """Open the vault if it is needed and closed, because its key may be there now. Blocks."""
        self.faults()  # each of its references says so

    def faults(self) -> tuple[str, ...]:
        """Why the vault is closed, where it is needed. Blocks as `look`."""
        try:
            if self._uses_vault:
                self.vault.open()
        except SecretUnavailable as error:
            return (error.message,)
        return ()

    def renew(self) -> None:
        """Another process may have written: read the keyring again, in the background. The vault tells by itself."""
        self._slow.renew("keyring")

    def refused(self, secret: Secret) -> None:
        """A provider refused it: whoever gave it is asked again, once, in the background."""
        self._slow.refused(secret)

    def generation(self) -> tuple[int, object]:
        """Another value whenever a reference may have come to mean something else."""
        return self._slow.generation(), self.vault.state()

    # --- writing ---

    def put(self, ref: SecretRef, text: str) -> None:
        """Store a secret where `ref` says. Blocks.

        Raises:
            SecretUnavailable: it can't be stored there; what stood there still does.
        """
        self._writing(ref, Secret(text))

    def remove(self, ref: SecretRef) -> None:
        """Remove what stands there, if anything does. Raises as `put`."""
        self._writing(ref, None)

    def _writing(self, ref: SecretRef, secret: Secret | None) -> None:
        if ref.scheme == "vault":
            self.vault.update({ref.place.reveal(): secret})
        elif ref.scheme == "keyring":
            self._slow.call("keyring", self._keyring_work(ref, secret))
            self._slow.learn(ref, secret)
        else:
            raise unavailable(ref, "the gateway writes only to a vault: or keyring: reference")

    def _keyring_work(self, ref: SecretRef, secret: Secret | None) -> Callable[[], None]:
        if secret is None:
            return lambda: self.keyring.remove(ref)
        return lambda: self.keyring.write(ref, secret)

    def in_keyring(self, ref: SecretRef) -> Secret | None:
        """What stands there; None where nothing does. Blocks.

        Raises:
            SecretUnavailable: the keyring can't be asked.
        """
        return self._slow.call("keyring", lambda: self.keyring.read(ref))

    def use_key_file(self, path: Path) -> None:
        """As `secrets.vault.keyFile` will say."""
        self._key_file = str(path)

    def keyring_name(self) -> str:
        """What the keyring of this machine calls itself. Blocks.

        Raises:
            SecretUnavailable: there is none, or it does not answer.
        """
        return self._slow.call("keyring", self.keyring.name)

    def _sources(self, section: SecretsSection) -> dict[SecretScheme, Source]:
        commands, seconds = self._commands, section.command_timeout_seconds
        return {
            "keyring": Source(
                self.keyring.read, section.keyring_seconds, section.keyring_timeout_seconds, self.keyring.late
            ),
            # A moment more than the program itself has, so that its own end is told.
            "cmd": Source(commands.read, section.command_seconds, seconds + 1, commands.late, _PROGRAMS),
        }
