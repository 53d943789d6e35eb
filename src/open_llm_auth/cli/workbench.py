"""What the commands work on: the config file, what the environment gives, and the snapshot both make."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from time import monotonic, time
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..auth.manager import ProviderManager
    from ..config import ConfigFile, Document, EnvironmentSecrets, SecretStores
    from ..provider_catalog import Catalog
    from ..values import Caller, Model, Profile, Provider, Snapshot

__all__ = ["SystemClock", "Workbench", "truthy"]


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> float:
        return time()

    def monotonic(self) -> float:
        return monotonic()


def truthy(text: str | None) -> bool:
    """1, true, yes or on, as `OPEN_LLM_AUTH_ALLOW_ANON` is read (SPEC §2)."""
    return (text or "").strip().lower() in {"1", "true", "yes", "on"}


@dataclass
class Workbench:
    """Everything is opened when it is first needed, because most commands need little, and imports take the time."""

    environ: Mapping[str, str]
    clock: SystemClock = field(default_factory=SystemClock)

    @classmethod
    def here(cls) -> Workbench:
        """On the environment of this process."""
        return cls(os.environ)

    @cached_property
    def home(self) -> Path:
        from ..config import home

        return home(self.environ)

    @cached_property
    def path(self) -> Path:
        from ..config import config_path

        return config_path(self.environ)

    @cached_property
    def file(self) -> ConfigFile:
        from ..config import ConfigFile

        return ConfigFile(self.path, environ=self.environ, catalog=self.catalog)

    @cached_property
    def secrets(self) -> EnvironmentSecrets:
        from ..config import EnvironmentSecrets

        return EnvironmentSecrets(self.environ, self.path.parent / ".env", stores=self.stores)

    @cached_property
    def stores(self) -> SecretStores:
        """Keyring, password managers and the vault, whose passphrase is asked for on a terminal."""
        from ..config import SecretStores
        from .asking import ask_passphrase, at_terminal

        ask = (lambda: ask_passphrase("Passphrase of the vault")) if at_terminal() else None
        return SecretStores(self.path, self.environ, run=self._run_program, ask=ask, wait=True)

    def opened_stores(self, seconds: float = 5.0) -> SecretStores:
        """The same for a gateway: everything read that the config names, at most so long waited for, and nobody asked
        any more. Raises as `document` does."""
        from ..config import SecretsSection, references_of

        data = self.document.data
        self.stores.configure(SecretsSection.model_validate(data.get("secrets") or {}))
        self.stores.warm(references_of(data), seconds)
        self.stores.serve()
        return self.stores

    def _run_program(self, words: Sequence[str], environment: Sequence[str], seconds: float) -> bytes:
        from ..transport import CommandOutput

        return CommandOutput(self.environ)(words, environment, seconds)

    @cached_property
    def catalog(self) -> Catalog:
        from ..provider_catalog import load_catalog

        return load_catalog()

    @cached_property
    def document(self) -> Document:
        """The file as first read by this command.

        Raises:
            ConfigInvalid: it does not parse or validate.
            ConfigUnavailable: it can't be read.
        """
        return self.file.read()

    @cached_property
    def snapshot(self) -> Snapshot:
        """That file, compiled. Raises as `document` does."""
        return self.compile(self.document)

    def compile(self, document: Document) -> Snapshot:
        """Any document, compiled with this environment."""
        from ..config import SecretsSection, compile_snapshot

        self.stores.configure(SecretsSection.model_validate(document.data.get("secrets") or {}))
        return compile_snapshot(document, self.secrets, self.catalog, self.environ)

    @cached_property
    def manager(self) -> ProviderManager:
        from ..auth.health import HealthTable
        from ..auth.manager import ProviderManager
        from ..providers import KINDS

        return ProviderManager(self.secrets, HealthTable(), self.clock, frozenset(KINDS))

    @property
    def caller(self) -> Caller:
        """Who runs commands (SPEC §8)."""
        from ..policy.access import LOCAL_ADMIN

        return LOCAL_ADMIN

    @property
    def anonymous_wanted(self) -> bool:
        """Whether the environment asks for anonymous mode."""
        return truthy(self.environ.get("OPEN_LLM_AUTH_ALLOW_ANON"))

    @property
    def tokenless(self) -> bool:
        """Whether there is no token of any kind, configured or legacy."""
        tokens = self.snapshot.tokens
        return tokens.configured == 0 and not tokens.legacy

    def environment_keys(self) -> tuple[tuple[str, str], ...]:
        """Provider ids and the variables that hold a key for them; the first that is set counts."""
        found = []
        for provider in self.snapshot.providers.values():
            name = next((name for name in provider.env_names if self._holds_key(name)), None)
            if name is not None:
                found.append((provider.id, name))
        return tuple(found)

    def _holds_key(self, name: str) -> bool:
        """Whether it is set, and not to what lets a client into a gateway."""
        from ..policy.access import is_gateway_token

        secret = self.secrets.environment(name)
        return secret is not None and not is_gateway_token(self.snapshot.tokens, secret.reveal())

    def usable(self) -> tuple[Provider, ...]:
        """Providers that can be called now, the demo left out when there is another."""
        found = self.manager.usable(self.snapshot, self.caller)
        real = tuple(provider for provider in found if provider.id != "demo")
        return real or found

    def models(self) -> tuple[tuple[Provider, Model], ...]:
        """Models that can be called now, as far as catalog and config list them."""
        return self.manager.models(self.snapshot, self.caller, {})

    def default_ref(self, heard: Mapping[str, Sequence[str]] = MappingProxyType({})) -> str:
        """A model to begin with: the configured default, else the first one for talking of a provider that is no demo,
        else the demo. `heard` are models by provider id that servers named just now; they know best."""
        if self.snapshot.default_model:
            return self.snapshot.default_model
        listed = [(provider.id, model.id) for provider, model in self.models()]
        for provider in self.usable():
            known = [*heard.get(provider.id, ()), *(model for owner, model in listed if owner == provider.id)]
            for model in known:
                if provider.id != "demo" and "embed" not in model.lower():
                    return f"{provider.id}/{model}"
        return "demo/echo"

    def forget(self) -> None:
        """Drop what was read, because the file has changed."""
        for name in ("document", "snapshot"):
            self.__dict__.pop(name, None)

    def provider(self, name: str) -> Provider:
        """The provider behind any accepted spelling.

        Raises:
            ProviderNotFound: neither catalog nor config has it; the message names the closest ones.
        """
        from ..errors import ProviderNotFound

        provider_id = self.catalog.normalise(name)
        found = self.snapshot.providers.get(provider_id)
        if found is not None:
            return found
        known = sorted({*self.snapshot.providers, *self.catalog.aliases})
        close = get_close_matches(provider_id, known, n=3)
        hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
        raise ProviderNotFound(
            f"Unknown provider {name!r}.{hint} For a server of your own: "
            "open-llm-auth auth configure NAME --base-url URL",
            param="provider",
        )

    def profile(self, name: str) -> Profile:
        """A stored profile by its id.

        Raises:
            ProfileNotFound: the message names the closest ones.
        """
        from ..errors import ProfileNotFound

        provider, colon, rest = name.strip().partition(":")
        profile_id = f"{self.catalog.normalise(provider)}:{rest}" if colon else name.strip()
        for candidate in (name.strip(), profile_id):
            if candidate in self.snapshot.profiles:
                return self.snapshot.profiles[candidate]
        close = get_close_matches(name, list(self.snapshot.profiles), n=3, cutoff=0.4)
        hint = f" Did you mean {', '.join(map(repr, close))}?" if close else " See: open-llm-auth auth list"
        raise ProfileNotFound(f"There is no profile {name!r}.{hint}", param="profile")

    def supported(self, provider: Provider) -> bool:
        """Whether this release carries the provider's kind."""
        from ..providers import KINDS

        return provider.api in KINDS
