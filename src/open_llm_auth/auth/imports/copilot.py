"""GitHub Copilot in editors: `apps.json`, and `hosts.json` of older ones, each a GitHub token by host."""

from __future__ import annotations

import re
from typing import Any, Final

from .found import Found, Known, Store, Unreadable, optional_text, secret_text
from .signed_in import sign_in

__all__ = ["NAME", "enterprise_url", "read"]

NAME: Final = "copilot"
_GITHUB: Final = "github.com"
_HOST: Final = re.compile(r"(?=.{1,200}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """One sign-in for each host and person, the first that the file names.

    Raises:
        Unreadable: it is not what an editor writes.
    """
    found: dict[tuple[str, str], Found] = {}
    for name, entry in store.document().items():
        if not isinstance(entry, dict):
            raise Unreadable("an entry in it is no object")
        token = secret_text(entry, "oauth_token", "an 'oauth_token'")
        if token:
            host = name.partition(":")[0].strip().lower()
            person = optional_text(entry, "user") or ""
            found.setdefault((host, person), _found(store, known, name, host, entry, token))
    return tuple(found.values())


def enterprise_url(host: str) -> str | None:
    """Where the Copilot of a company's own GitHub is; None for GitHub itself.

    Raises:
        Unreadable: that is no name of a host.
    """
    if host == _GITHUB:
        return None
    if not _HOST.fullmatch(host):
        raise Unreadable("the name of an entry in it is no host")
    return f"https://copilot-api.{host}"


def _found(store: Store, known: Known, name: str, host: str, entry: dict[str, Any], token: str) -> Found:
    title = "Copilot sign-in of an editor"
    return sign_in(
        NAME,
        "github-copilot",
        title if host == _GITHUB else f"{title} at {host}",
        store,
        known,
        access=token,
        at=(name, "oauth_token"),
        account=optional_text(entry, "user"),
        base_url=enterprise_url(host),
    )
