"""The only reader and writer of the config file: document, secrets and environment in, one snapshot out (SPEC §3)."""

from __future__ import annotations

from .compile import compile_snapshot
from .document import Document
from .file import ConfigFile
from .model import ConfigDocument, SecretsSection, validate
from .paths import config_path, home
from .secret_places import references_of
from .secrets_io import EnvironmentSecrets
from .source import LiveConfig
from .stores import SecretStores

__all__ = [
    "ConfigDocument",
    "ConfigFile",
    "Document",
    "EnvironmentSecrets",
    "LiveConfig",
    "SecretStores",
    "SecretsSection",
    "compile_snapshot",
    "config_path",
    "home",
    "references_of",
    "validate",
]
