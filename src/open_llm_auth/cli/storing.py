"""How a credential gets into the config file: under which id, and what is said of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer

from .output import note

if TYPE_CHECKING:
    from ..values import Provider
    from .workbench import Workbench

__all__ = ["PICKED_UP", "profile_id_of", "say_obstacles", "say_unsecured"]

PICKED_UP = "A running gateway picks it up within 2 seconds."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def profile_id_of(bench: Workbench, provider_id: str, name: str) -> str:
    """`default` and `openai:default` both mean `openai:default`, for openai."""
    provider, colon, rest = name.strip().rpartition(":")
    if colon and bench.catalog.normalise(provider) != provider_id:
        raise typer.BadParameter(f"the profile {name!r} belongs to {provider!r}, not to {provider_id!r}")
    if not _NAME.fullmatch(rest):
        raise typer.BadParameter(f"{name!r} is no profile name: use up to 64 letters, digits, '.', '_', '@' and '-'")
    return f"{provider_id}:{rest}"


def say_obstacles(bench: Workbench, row: Provider) -> None:
    """Why a provider can't be called though it has a credential."""
    if not bench.supported(row):
        note(f"warning: this release does not carry the provider kind {row.api!r} yet, so {row.id} can't be called.")
    active = bench.snapshot.active_providers
    if active is not None and row.id not in active:
        note(f"warning: activeProviderIds does not name {row.id}, so it can't be called.")


def say_unsecured(bench: Workbench, profile_id: str) -> None:
    """That a secret which replaced a sealed one is not sealed itself. Called before the snapshot is read anew."""
    before = bench.snapshot.profiles.get(profile_id)
    if before is not None and before.secret is not None and before.secret.scheme in ("vault", "keyring"):
        place = before.secret.scheme
        note(
            f"note: the one before stood in the {place}. Move this one there with: open-llm-auth auth secure --{place}"
        )
